//! Prices what hardware did: energy, latency and area from counts and a cited price list with ranges.
//!
//! The principal function is [`price`]: it takes an [`Activity`](bitpulse_core::Activity), which a simulation counted or
//! [`counts::expected`] reckoned for any network, an [`Architecture`], which says what components serve one event, and a
//! [`Technology`], which says what each costs, and returns a [`Bill`]. A bill keeps its arithmetic: it is read at the low
//! end, the nominal value or the high end of every constant, or at drawn values, and [`Ratio`] compares two of them so
//! that a constant that enters both moves both.
//!
//! ```
//! use bitpulse_core::units::{Seconds, Siemens, Volts};
//! use bitpulse_core::{Activity, SeedPath};
//! use bitpulse_energy::{Device, Layer, Pass, Ratio, Recorded, Scenario, Technology, counts, price};
//!
//! # let read = |path: &str| std::fs::read_to_string(format!("{}/../../data/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
//! let technology = Technology::from_toml("cmos-32nm.toml", &read("technologies/cmos-32nm.toml"))?;
//! let scenario = Scenario::from_toml("paper.toml", &read("scenarios/paper.toml"))?;
//! let device = Device {
//!     name: "mine".into(),
//!     window: [Siemens(1e-6), Siemens(10e-6)],
//!     set: (Volts(1.6), Seconds(50e-9)),
//!     reset: (Volts(1.6), Seconds(50e-9)),
//!     source: "measured yesterday".into(),
//! };
//! let widths = [784, 256, 10];
//! let machines = scenario.architectures(&device, &Layer::dense(&widths), Recorded::Matrices);
//! let [bs, hp] = [counts::Signals::binary_stochastic(), counts::Signals::high_precision()]
//!     .map(|signals| counts::expected(&widths, signals, scenario.rates, 60_000));
//! let bs = price(&bs, &machines[0], &technology)?;
//! let hp = price(&hp, &machines[1], &technology)?;
//! let ratio = Ratio::new(&hp, &bs, &Pass::MACS).expect("both did something");
//! let interval = ratio.interval(200, SeedPath::root(1));
//! assert!(interval.low < ratio.nominal() && ratio.nominal() < interval.high);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not here: any simulation, any file, any number of its own. Leakage, control, clock trees and what moves data between
//! chips are not priced; `docs/book/src/explanation/energy.md` says what that means.

mod architecture;
mod bill;
pub mod counts;
mod price;
mod quantity;
pub mod scaling;
mod scenario;
mod sheet;
mod technology;
mod uncertainty;

pub use architecture::{Architecture, Device, Format, Kind, Layer, PartialSums, Plant, Recorded};
pub use bill::{Bill, Pass, Quote, Spread};
pub use price::{PriceError, price};
pub use quantity::{Constant, Dimension, Range};
pub use scenario::Scenario;
pub use sheet::{Assumption, Problem, SheetError};
pub use technology::Technology;
pub use uncertainty::{Interval, Ratio, Swing};
