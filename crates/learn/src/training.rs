use bitpulse_core::{Real, SeedPath, State, StateError};
use rand::seq::SliceRandom;

use crate::{Examples, Network, Schedule};

/// A run of training: which network learns with which steps for how long, and where it stands.
///
/// Every epoch shuffles the examples anew; shuffling and learning draw from paths of the epoch and step, so a run that
/// goes on from a saved [`State`], taken after any batch, ends with the same bits as one that never stopped.
///
/// ```
/// use bitpulse_core::SeedPath;
/// use bitpulse_learn::{Decay, Examples, Network, Rule, Schedule, Training};
///
/// let examples = Examples::from_dense(&[255, 0, 0, 255, 9, 200], &[0, 1, 1], 2, 2)?;
/// let schedule = Schedule { output: 0.03, hidden: 0.003, decay: Decay::Cosine, floor: 0.02 };
/// let start = || {
///     let network = Network::<f32>::software(Rule::binary_stochastic(), &[2, 8, 2], SeedPath::root(1))?;
///     Ok::<_, bitpulse_learn::NetworkError>(Training::new(network, schedule, 4, 1, SeedPath::root(2)))
/// };
/// let mut interrupted = start()?;
/// interrupted.learn_epoch(&examples);
/// interrupted.learn_batches(&examples, 2);
/// let mut resumed = start()?;
/// resumed.restore(&interrupted.save())?;
/// for training in [&mut interrupted, &mut resumed] {
///     while training.learn_epoch(&examples) {}
/// }
/// assert_eq!(resumed.save(), interrupted.save());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Training<R: Real = f32> {
    /// The network that learns.
    pub network: Network<R>,
    schedule: Schedule,
    epochs: u32,
    batch: usize,
    seed: SeedPath,
    epoch: u32,
    /// Batches of this epoch that are learnt already.
    step: usize,
    /// The order of the examples in this epoch; empty until it begins.
    order: Vec<u32>,
}

impl<R: Real> Training<R> {
    /// A run of `epochs` epochs in batches of `batch` examples (1 is online learning).
    ///
    /// # Panics
    /// If `batch` is 0.
    pub fn new(network: Network<R>, schedule: Schedule, epochs: u32, batch: usize, seed: SeedPath) -> Self {
        assert!(batch > 0, "a batch holds at least one example");
        Self { network, schedule, epochs, batch, seed, epoch: 0, step: 0, order: Vec::new() }
    }

    /// Epochs done so far.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Batches of the epoch under way that are done; 0 between two epochs.
    pub fn step(&self) -> usize {
        self.step
    }

    /// Learns what is left of an epoch of `examples`; false, and nothing done, when all epochs are through.
    ///
    /// # Panics
    /// As [`Network::learn`].
    pub fn learn_epoch(&mut self, examples: &Examples) -> bool {
        self.learn_batches(examples, usize::MAX)
    }

    /// Learns the next `count` batches of `examples`, or those that are left of the epoch where they are fewer; false,
    /// and nothing done, when all epochs are through.
    ///
    /// # Panics
    /// As [`Network::learn`].
    pub fn learn_batches(&mut self, examples: &Examples, count: usize) -> bool {
        if self.epoch == self.epochs {
            return false;
        }
        let epoch = u64::from(self.epoch);
        if self.order.len() != examples.len() {
            self.order.clear();
            self.order.extend(0..examples.len() as u32);
            self.order.shuffle(&mut self.seed.child("shuffle").index(epoch).rng());
        }
        let at = self.seed.child("learn").index(epoch);
        let total = f64::from(self.epochs) * examples.len() as f64;
        let before = epoch as f64 * examples.len() as f64;
        let mut batches = self.order.chunks(self.batch).skip(self.step).take(count).peekable();
        while let Some(batch) = batches.next() {
            for &index in *batches.peek().unwrap_or(&&[][..]) {
                examples.prefetch(index as usize);
            }
            let progress = (before + (self.step * self.batch) as f64) / total;
            self.network.learn(examples, batch, &self.schedule, progress, at.index(self.step as u64));
            self.step += 1;
        }
        if self.step >= self.order.len().div_ceil(self.batch) {
            self.epoch += 1;
            self.step = 0;
            self.order.clear();
            self.network.calibrate(examples, self.seed.child("calibrate").index(epoch));
        }
        true
    }

    /// All that the rest of the run depends on. What was counted is not part of it: take it first.
    pub fn save(&self) -> State {
        let mut state = State::default();
        state.nest("network", self.network.save());
        state.put("position", &[2], vec![u64::from(self.epoch), self.step as u64]);
        state
    }

    /// Goes on from what [`Training::save`] of the same run gave.
    ///
    /// # Errors
    /// When `state` is not that of such a run; this one is then to be thrown away.
    pub fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.network.restore(&state.part("network"))?;
        let position: &[u64] = state.get("position", &[2])?;
        self.epoch = (position[0] as u32).min(self.epochs);
        self.step = position[1] as usize;
        self.order.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decay, ErrorSignal, HiddenError, OutputError, Rule};

    #[test]
    fn a_run_cut_at_any_batch_ends_with_the_same_bits() {
        let pixels: Vec<u8> = (0..7 * 12_u32).map(|k| (k * k * 37 % 256) as u8).collect();
        let examples = Examples::from_dense(&pixels, &[0, 1, 2, 0, 1, 2, 0], 12, 3).unwrap();
        let schedule = Schedule { output: 0.03, hidden: 0.003, decay: Decay::Cosine, floor: 0.02 };
        // The stochastic hidden sign keeps running means, which are part of the state.
        let rule = Rule {
            error: ErrorSignal::Bs {
                output: OutputError::Ternary { pulses: 1 },
                hidden: HiddenError::StochasticSign { pulses: 1, saturation: 1.0 },
            },
            ..Rule::binary_stochastic()
        };
        let start = || {
            let network = Network::<f32>::software(rule.clone(), &[12, 9, 5, 3], SeedPath::root(1)).unwrap();
            Training::new(network, schedule, 3, 2, SeedPath::root(2))
        };
        let finish = |mut training: Training| {
            while training.learn_epoch(&examples) {}
            training.save()
        };
        let whole = finish(start());
        // Three epochs of four batches, the last of each one example.
        for batches in 0..=12 {
            let mut first = start();
            for _ in 0..batches {
                assert!(first.learn_batches(&examples, 1));
            }
            assert_eq!((first.epoch(), first.step()), (batches / 4, batches as usize % 4));
            let mut second = start();
            second.restore(&first.save()).unwrap();
            assert_eq!(finish(second), whole, "cut after {batches} batches");
        }
        assert_ne!(start().save(), whole);
    }
}
