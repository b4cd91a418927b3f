use crate::{Real, State, StateError};

/// How the products of a batch enter the digital accumulator beside every weight: `A = leak A + (1 - leak) C / rms` with
/// `C` the sum of the products over the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accumulation {
    /// What is left of the accumulator's content after a batch, from 0 to below 1; 0 keeps nothing of earlier batches.
    pub leak: f64,
    /// Whether `rms` is the root mean square of `C` over the matrix, as a running mean over batches; else it is 1.
    pub normalise: bool,
    /// Weights that are floats move in whole multiples of this, rounded at random without bias; 0 is exact. Devices move
    /// by pulses of their own.
    pub pulse: f64,
}

/// The accumulators beside the weights of a matrix.
///
/// ```
/// use bitpulse_core::{Accumulation, Accumulator};
///
/// let mut accumulator = Accumulator::<f64>::new(2);
/// let accumulation = Accumulation { leak: 0.5, normalise: false, pulse: 0.0 };
/// let mut sums = [1.0, -2.0];
/// accumulator.add(&mut sums, 0.1, accumulation);
/// assert_eq!(sums, [0.05, -0.1]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Accumulator<R> {
    content: Vec<R>,
    /// Running mean of the mean square of the sums, and the share in it of batches before the first.
    square: f64,
    missing: f64,
}

/// Weight of the newest batch in the running mean square.
const SQUARE_RATE: f64 = 0.01;

impl<R: Real> Accumulator<R> {
    /// Empty accumulators beside `weights` weights.
    pub fn new(weights: usize) -> Self {
        Self { content: vec![R::zero(); weights], square: 0.0, missing: 1.0 }
    }

    /// Takes in the products of a batch, one sum for every weight, and puts in their place what the weights move by.
    ///
    /// # Panics
    /// If there are not as many sums as weights.
    pub fn add(&mut self, sums: &mut [R], step: f64, accumulation: Accumulation) {
        assert_eq!(sums.len(), self.content.len(), "one sum for every weight");
        let mut factor = 1.0;
        if accumulation.normalise {
            let square: f64 = sums.iter().map(|sum| sum.as_f64() * sum.as_f64()).sum();
            self.square += SQUARE_RATE * (square / sums.len() as f64 - self.square);
            self.missing *= 1.0 - SQUARE_RATE;
            let square = self.square / (1.0 - self.missing);
            if square > 0.0 {
                factor = square.sqrt().recip();
            }
        }
        let (keep, take) = (R::of(accumulation.leak), R::of((1.0 - accumulation.leak) * factor));
        let step = R::of(step);
        for (content, sum) in self.content.iter_mut().zip(sums) {
            *content = keep * *content + take * *sum;
            *sum = step * *content;
        }
    }

    /// What [`Accumulator::restore`] goes on from.
    pub fn save(&self) -> State {
        let mut state = State::default();
        state.put("content", &[self.content.len()], self.content.clone());
        state.put("square", &[2], vec![self.square, self.missing]);
        state
    }

    /// The accumulators of which [`Accumulator::save`] gave `state`, beside `weights` weights; `None` where the state is
    /// empty, because nothing was accumulated yet.
    ///
    /// # Errors
    /// When `state` is not of such accumulators.
    pub fn restore(state: &State, weights: usize) -> Result<Option<Self>, StateError> {
        if state.tensors().next().is_none() {
            return Ok(None);
        }
        let content = state.get("content", &[weights])?.to_vec();
        let square: &[f64] = state.get("square", &[2])?;
        Ok(Some(Self { content, square: square[0], missing: square[1] }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalised_sums_have_a_mean_square_of_the_step() {
        let mut accumulator = Accumulator::<f64>::new(4);
        let accumulation = Accumulation { leak: 0.0, normalise: true, pulse: 0.0 };
        for scale in [1.0, 1.0, 1.0] {
            let mut sums = [3.0, -4.0, 0.0, 5.0].map(|sum| sum * scale);
            accumulator.add(&mut sums, 0.2, accumulation);
            let square = sums.iter().map(|sum| sum * sum).sum::<f64>() / 4.0;
            assert!((square.sqrt() - 0.2).abs() < 1e-12, "{square}");
        }
    }

    #[test]
    fn what_was_saved_goes_on() {
        let accumulation = Accumulation { leak: 0.9, normalise: true, pulse: 0.0 };
        let mut one = Accumulator::<f32>::new(2);
        one.add(&mut [1.0, 2.0], 0.1, accumulation);
        let mut other = Accumulator::restore(&one.save(), 2).unwrap().unwrap();
        let (mut a, mut b) = ([0.5, -0.5], [0.5, -0.5]);
        one.add(&mut a, 0.1, accumulation);
        other.add(&mut b, 0.1, accumulation);
        assert_eq!((a, &one), (b, &other));
        assert_eq!(Accumulator::<f32>::restore(&State::default(), 2), Ok(None));
        assert!(Accumulator::<f32>::restore(&one.save(), 3).is_err());
    }
}
