use bitpulse_core::{Real, SeedPath};
use rand::seq::SliceRandom;

use crate::{Examples, Network, Schedule};

/// A run of training: which network learns with which steps for how long, and where it stands.
///
/// Every epoch shuffles the examples anew; shuffling and learning draw from paths of the epoch and step, so a run
/// continued from the weights after an epoch goes on as if it had never stopped.
pub struct Training<R: Real = f32> {
    /// The network that learns.
    pub network: Network<R>,
    schedule: Schedule,
    epochs: u32,
    batch: usize,
    seed: SeedPath,
    epoch: u32,
    order: Vec<u32>,
}

impl<R: Real> Training<R> {
    /// A run of `epochs` epochs in batches of `batch` examples (1 is online learning).
    ///
    /// # Panics
    /// If `batch` is 0.
    pub fn new(network: Network<R>, schedule: Schedule, epochs: u32, batch: usize, seed: SeedPath) -> Self {
        assert!(batch > 0, "a batch holds at least one example");
        Self { network, schedule, epochs, batch, seed, epoch: 0, order: Vec::new() }
    }

    /// Epochs done so far.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Learns one epoch of `examples`; false, and nothing done, when all epochs are through.
    ///
    /// # Panics
    /// As [`Network::learn`].
    pub fn learn_epoch(&mut self, examples: &Examples) -> bool {
        if self.epoch == self.epochs {
            return false;
        }
        let epoch = u64::from(self.epoch);
        self.order.clear();
        self.order.extend(0..examples.len() as u32);
        self.order.shuffle(&mut self.seed.child("shuffle").index(epoch).rng());
        let at = self.seed.child("learn").index(epoch);
        let total = f64::from(self.epochs) * examples.len() as f64;
        let before = epoch as f64 * examples.len() as f64;
        for (step, batch) in self.order.chunks(self.batch).enumerate() {
            let progress = (before + (step * self.batch) as f64) / total;
            self.network.learn(examples, batch, &self.schedule, progress, at.index(step as u64));
        }
        self.epoch += 1;
        true
    }
}
