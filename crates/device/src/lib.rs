//! Memristors: one device as its publication describes it, populations of them, and parameters from measured pulse trains.
//!
//! The principal types are [`Device`], read and checked from a TOML file that names its source, and [`Population`], the
//! devices at the crosspoints of an array:
//!
//! * [`Response`] and [`PulseLaw`]: how far a pulse moves the nominal device, in fractions of its [`Window`],
//! * [`DeviceVariation`], [`CycleNoise`], [`ReadNoise`], [`Faults`], [`Endurance`], [`Retention`], [`Iv`]: what real devices
//!   do beside,
//! * [`fit`]: a device from CSV,
//! * [`portrait`]: the curves that a picture of a device shows.
//!
//! ```
//! use bitpulse_core::{Pulse, SeedPath, Shape};
//! use bitpulse_device::{Device, Population};
//!
//! let device = Device::from_toml(r#"
//!     name = "soft"
//!     description = "soft bounds, 1 % steps, 30 % C2C noise"
//!     [source]
//!     citation = "an example"
//!     table = "none"
//!     [window]
//!     g-min = "10 uS"
//!     g-max = "20 uS"
//!     reference = 0.5
//!     [response.soft-bounds]
//!     step-up = 0.01
//!     step-down = 0.01
//!     [cycle-to-cycle]
//!     of-step = 0.3
//! "#).unwrap();
//! let path = SeedPath::root(1);
//! let mut devices = Population::new(&device, Shape { inputs: 784, outputs: 256 }, path.child("devices"));
//! let columns = [Pulse { line: 3, count: 1 }, Pulse { line: 9, count: -1 }];
//! let tally = devices.pulse_coincident(&[0, 17], &columns, path.child("update").index(0));
//! assert_eq!((tally.set, tally.reset), (2, 2));
//! assert!(devices.conductances()[3] > 15e-6);
//! ```
//!
//! Not here: wires, converters, weights (`bitpulse-crossbar`), joules (`bitpulse-energy`), drawing and files beyond
//! [`load_folder`].

#![allow(
    clippy::inline_always,
    reason = "a kernel must become part of the function compiled for wide vectors"
)]

mod cell;
mod faults;
pub mod fit;
mod gaussians;
mod iv;
mod noise;
mod population;
mod portrait;
mod preset;
mod response;
mod retention;
mod variation;
mod window;

pub use cell::PulseTally;
pub use faults::{Endurance, Faults, StuckAt};
pub use gaussians::Gaussians;
pub use iv::Iv;
pub use noise::{CycleNoise, ReadNoise, Telegraph};
pub use population::{Population, PopulationState, Programmed, WriteVerify, Writing};
pub use portrait::{Portrait, portrait};
pub use preset::{
    Device, DeviceError, DeviceSpec, LoadError, Problem, ProgrammingError, PulseShape, Source, load_folder,
};
pub use response::*;
pub use retention::{Decay, Drift, Elapsed, Lifetime, Retention};
pub use variation::{DeviceVariation, Spread};
pub use window::Window;
