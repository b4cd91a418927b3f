//! What every bitpulse crate shares, and nothing else.
//!
//! The principal type is the trait [`SynapticMatrix`]: the one seam between learning and hardware. A learning
//! rule reads a matrix of weights forward, reads it backward (transposed) and updates it; whether the weights
//! are 32-bit floats in memory or noisy conductances behind wires is the implementation's affair.
//! Around it stand the values that cross the seam:
//!
//! * [`Signals`]: what travels along the lines, analog levels or counted pulses, for a batch of samples,
//! * [`Patches`]: the patches of a map that a convolution reads its matrix with,
//! * [`SeedPath`]: every random number is a pure function of a root seed and a path,
//! * [`Activity`]: what the hardware did, counted; joules appear only in `bitpulse-energy`,
//! * [`rows`]: the walks over a matrix in memory that implementations of the seam share,
//! * [`State`]: what a checkpoint holds of a matrix or network,
//! * [`units`]: volts, siemens and seconds as newtypes that parse `"50 uS"`.
//!
//! ```
//! use bitpulse_core::{SeedPath, Signals, units::Siemens};
//! use rand::RngExt;
//!
//! // A stream of random numbers belongs to a path, not to a moment.
//! let path = SeedPath::root(7).child("layer").index(0).child("read");
//! assert_eq!(path.rng().random::<u64>(), path.rng().random::<u64>());
//!
//! // Two samples on four input lines: lines 0 and 2 pulse in the first, line 3 in the second.
//! let mut bits = Signals::<f32>::bits(4);
//! bits.push_bits([0, 2]);
//! bits.push_bits([3]);
//! assert_eq!(bits.samples(), 2);
//!
//! assert_eq!("50 uS".parse::<Siemens>().unwrap(), Siemens(50e-6));
//! ```
//!
//! Not here: any physics, any learning rule, any file, clock, thread or environment variable.

mod accumulator;
mod activity;
#[cfg(feature = "conformance")]
pub mod conformance;
mod patches;
mod real;
pub mod rows;
mod seed;
mod signal;
mod state;
mod synapse;
pub mod units;

pub use accumulator::{Accumulation, Accumulator};
pub use activity::{Activity, Conversions, PassActivity};
pub use patches::{MapShape, Patches};
pub use real::Real;
pub use seed::{Rng, SeedPath};
pub use signal::{Pulse, Signal, Signals};
pub use state::{Element, State, StateError, Tensor, Values};
pub use synapse::{Readout, Shape, SynapticMatrix, Update};
