//! One memristor and populations of them.
mod cell;
mod faults;
pub mod fit;
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
pub use iv::Iv;
pub use noise::{CycleNoise, ReadNoise, Telegraph};
pub use population::{Population, PopulationState, Programmed, WriteVerify, Writing};
pub use portrait::{Portrait, portrait};
pub use preset::{
    Device, DeviceError, DeviceSpec, LoadError, Problem, ProgrammingError, PulseShape, Source, load_folder,
};
pub use response::{
    ConstantStep, ExpStep, Exponential, LinearStep, ParameterProblem, Polarity, PowStep, PulseLaw, Response,
    SoftBounds, Tabulated, neurosim_a, neurosim_label,
};
pub use retention::{Decay, Drift, Elapsed, Lifetime, Retention};
pub use variation::{DeviceVariation, Spread};
pub use window::Window;
