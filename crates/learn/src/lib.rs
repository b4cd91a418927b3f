//! Networks that learn, and the rules they learn by.
//!
//! The principal type is [`Network`]: layers of neurons over synaptic matrices, which it sees only through the seam
//! [`bitpulse_core::SynapticMatrix`]. How it learns is a [`Rule`]: four signals (forward activation, activation
//! derivative, back-propagated error, weight update), each high-precision (HP) or binary stochastic (BS) with a number
//! of pulses. HP back-propagation and the BS rule of Li et al. (Adv. Intell. Syst. 2023, 10.1002/aisy.202300399; arXiv
//! 2304.12866) are two corners of that space, and its ablation everything between.
//!
//! ```
//! use bitpulse_core::SeedPath;
//! use bitpulse_learn::{Decay, Examples, Inference, Network, Rule, Schedule, Training};
//!
//! // Three classes of bars on nine lines.
//! let pixels = [255, 255, 255, 0, 0, 0, 0, 0, 0,  0, 0, 0, 255, 255, 255, 0, 0, 0,  0, 0, 0, 0, 0, 0, 255, 255, 255];
//! let examples = Examples::from_dense(&pixels, &[0, 1, 2], 9, 3)?;
//! let seed = SeedPath::root(3);
//! let network = Network::<f32>::software(Rule::binary_stochastic(), &[9, 32, 3], seed.child("init"))?;
//! let schedule = Schedule { output: 0.03, hidden: 0.003, decay: Decay::Cosine, floor: 0.02 };
//! let mut training = Training::new(network, schedule, 200, 1, seed.child("train"));
//! while training.learn_epoch(&examples) {}
//! let found = training.network.evaluate(&examples, Inference::Expectation, seed.child("test"));
//! assert_eq!(found.accuracy, 1.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not here: anything electrical (conductances, converters, wires: `bitpulse-crossbar`), files and data sets
//! (`bitpulse-data`).

mod activation;
mod architecture;
mod convolution;
mod diagnostics;
mod draw;
mod errors;
mod examples;
mod fixed;
mod kernels;
mod maps;
mod network;
mod neurons;
mod products;
mod rule;
mod schedule;
mod software;
mod training;

pub use activation::Activation;
pub use architecture::{Architecture, ArchitectureError, Layer, LayerShapes, Pooling, Synapses};
pub use bitpulse_core::MapShape;
pub use diagnostics::{cosine, mean_update};
pub use examples::{Examples, ExamplesError, Pixels};
pub use fixed::FixedMatrix;
pub use network::{Combine, Evaluation, Inference, Network, NetworkError};
pub use rule::{
    Derivative, ErrorSignal, Forward, HiddenError, Initial, InputCoding, Loss, MAX_PULSES,
    MAX_THERMOMETER_LINES, OutputError, Polarity, Rule, RuleError, WeightUpdate,
};
pub use schedule::{Decay, Schedule};
pub use software::SoftwareMatrix;
pub use training::Training;
