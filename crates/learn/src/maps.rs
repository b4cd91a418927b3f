//! What happens to maps of neurons between synapses and activation: pools, normalisation.
//!
//! Maps are stored place by place with all channels of a place together, so that the rows a synaptic matrix returns, one for
//! each place, are the map. Samples are worked on by all threads at hand; sums over samples are taken in their order, so
//! results do not depend on the threads.

use bitpulse_core::Real;
use rayon::prelude::*;

use crate::MapShape;
use crate::architecture::{Layer, LayerShapes, Pooling};

/// Where on a map the pixel is that images, which are stored plane by plane, have at `line`.
pub(crate) fn neuron_of_pixel(map: MapShape, line: usize) -> usize {
    line % map.places() * map.channels + line / map.places()
}

/// A pool of squares of places, channel by channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    kind: Pooling,
    size: usize,
    sums: MapShape,
    neurons: MapShape,
}

impl Pool {
    /// That of `layer`, if it has one.
    pub fn new(layer: &Layer, shapes: &LayerShapes) -> Option<Self> {
        let kind = layer.pool?;
        Some(Self { kind, size: layer.pool_size, sums: shapes.sums, neurons: shapes.neurons })
    }

    /// First value, in the map of sums, of the square of a place of the pooled map.
    fn corner(&self, place: usize) -> usize {
        let (y, x) = (place / self.neurons.width, place % self.neurons.width);
        (y * self.size * self.sums.width + x * self.size) * self.sums.channels
    }

    /// How far the values of a square are from its corner.
    fn offsets(&self) -> Vec<usize> {
        let row = self.sums.width * self.sums.channels;
        let square = |y| (0..self.size).map(move |x| y * row + x * self.sums.channels);
        (0..self.size).flat_map(square).collect()
    }

    /// Pools `sums` (samples x places x channels) into `out`; `choices` becomes which value of its square each maximum is,
    /// and stays as it is for means.
    pub fn forward<R: Real>(&self, sums: &[R], out: &mut [R], choices: &mut [u16]) {
        let channels = self.sums.channels;
        let offsets = self.offsets();
        let share = R::of(1.0 / offsets.len() as f64);
        let samples = sums.par_chunks_exact(self.sums.neurons());
        let outputs = out.par_chunks_exact_mut(self.neurons.neurons());
        samples.zip(outputs).zip(choices.par_chunks_exact_mut(self.neurons.neurons())).for_each(
            |((sums, out), choices)| {
                let places = out.chunks_exact_mut(channels).zip(choices.chunks_exact_mut(channels));
                for (place, (out, choices)) in places.enumerate() {
                    let corner = self.corner(place);
                    out.copy_from_slice(&sums[corner..corner + channels]);
                    choices.fill(0);
                    for (k, &offset) in (1..).zip(&offsets[1..]) {
                        let values = &sums[corner + offset..][..channels];
                        for ((out, choice), &value) in out.iter_mut().zip(choices.iter_mut()).zip(values) {
                            match self.kind {
                                Pooling::Max => {
                                    let greater = value > *out;
                                    *out = if greater { value } else { *out };
                                    *choice = if greater { k } else { *choice };
                                }
                                Pooling::Average => *out += value,
                            }
                        }
                    }
                    if self.kind == Pooling::Average {
                        for out in out {
                            *out *= share;
                        }
                    }
                }
            },
        );
    }

    /// Sends errors at the pooled map (samples x places x channels) back to the sums, in `out`, all zero before: to the
    /// value that was chosen, or, for a mean, `shared` times to each.
    pub fn backward<R: Real>(&self, errors: &[R], choices: &[u16], shared: R, out: &mut [R]) {
        let channels = self.sums.channels;
        let offsets = self.offsets();
        let samples = errors.par_chunks_exact(self.neurons.neurons());
        let outputs = out.par_chunks_exact_mut(self.sums.neurons());
        samples.zip(choices.par_chunks_exact(self.neurons.neurons())).zip(outputs).for_each(
            |((errors, choices), out)| {
                let places = errors.chunks_exact(channels).zip(choices.chunks_exact(channels));
                for (place, (errors, choices)) in places.enumerate() {
                    let corner = self.corner(place);
                    match self.kind {
                        Pooling::Max => {
                            for (channel, (&error, &choice)) in errors.iter().zip(choices).enumerate() {
                                out[corner + offsets[usize::from(choice)] + channel] = error;
                            }
                        }
                        Pooling::Average => {
                            for &offset in &offsets {
                                let out = &mut out[corner + offset..][..channels];
                                for (out, &error) in out.iter_mut().zip(errors) {
                                    *out = shared * error;
                                }
                            }
                        }
                    }
                }
            },
        );
    }

    /// Values of a square.
    pub fn square(&self) -> usize {
        self.size * self.size
    }

    /// Whether a square becomes its mean.
    pub fn is_mean(&self) -> bool {
        self.kind == Pooling::Average
    }
}

/// Mean and one over the standard deviation of every channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moments {
    pub means: Vec<f64>,
    pub scales: Vec<f64>,
}

/// Added to a variance before its root is taken, as is usual (Ioffe and Szegedy, ICML 2015).
const LEAST_VARIANCE: f64 = 1e-5;

impl Moments {
    /// Means of 0 and variances of 1.
    pub fn standard(channels: usize) -> Self {
        Self { means: vec![0.0; channels], scales: vec![1.0; channels] }
    }

    /// Those of `values` (samples x neurons; channels of a place together) over samples and places.
    pub fn of<R: Real>(values: &[R], neurons: usize, channels: usize) -> Self {
        let sums = channel_sums(values, values, neurons, channels, |value, _| (value, value * value));
        let count = (values.len() / channels) as f64;
        let means: Vec<f64> = sums.iter().map(|(sum, _)| sum / count).collect();
        let variance = |((_, squares), mean): (&(f64, f64), &f64)| (squares / count - mean * mean).max(0.0);
        let scales =
            sums.iter().zip(&means).map(variance).map(|v| (v + LEAST_VARIANCE).sqrt().recip()).collect();
        Self { means, scales }
    }

    /// Brings `values` to mean 0 and variance 1, and shifts every channel.
    pub fn normalise<R: Real>(&self, values: &mut [R], shifts: &[R]) {
        let moments = self.means.iter().zip(&self.scales).map(|(mean, scale)| [*mean, *scale].map(R::of));
        let parameters: Vec<([R; 2], R)> = moments.zip(shifts.iter().copied()).collect();
        values.par_chunks_exact_mut(parameters.len()).with_min_len(256).for_each(|place| {
            for (value, &([mean, scale], shift)) in place.iter_mut().zip(&parameters) {
                *value = (*value - mean) * scale + shift;
            }
        });
    }

    /// The gradient before normalisation from that after it, in place, with means and deviations as functions of the
    /// values: `(g - mean g - y mean(g y)) / sigma` with `y` the normalised values, of which `z` are the shifted ones
    /// (Ioffe and Szegedy 2015, section 3).
    pub fn backward<R: Real>(&self, z: &[R], shifts: &[R], errors: &mut [R], neurons: usize) {
        let channels = self.means.len();
        let sums = channel_sums(errors, z, neurons, channels, |error, z| (error, error * z));
        let count = (errors.len() / channels) as f64;
        let parameters: Vec<[R; 4]> = sums
            .iter()
            .zip(&self.scales)
            .zip(shifts)
            .map(|(((sum, product), scale), &shift)| {
                let product = product - sum * shift.as_f64();
                let [mean, slope, scale] = [sum / count, product / count, *scale].map(R::of);
                [mean, slope, scale, shift]
            })
            .collect();
        let places = errors.par_chunks_exact_mut(channels).zip(z.par_chunks_exact(channels));
        places.with_min_len(256).for_each(|(errors, z)| {
            for ((error, &z), &[mean, slope, scale, shift]) in errors.iter_mut().zip(z).zip(&parameters) {
                *error = (*error - mean - (z - shift) * slope) * scale;
            }
        });
    }
}

/// Sums of two functions of two maps over samples and places, for every channel.
fn channel_sums<R: Real>(
    a: &[R],
    b: &[R],
    neurons: usize,
    channels: usize,
    function: impl Fn(R, R) -> (R, R) + Sync,
) -> Vec<(f64, f64)> {
    let per_sample: Vec<Vec<(R, R)>> = a
        .par_chunks_exact(neurons)
        .zip(b.par_chunks_exact(neurons))
        .map(|(a, b)| {
            let mut sums = vec![(R::zero(), R::zero()); channels];
            for (a, b) in a.chunks_exact(channels).zip(b.chunks_exact(channels)) {
                for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
                    let (first, second) = function(a, b);
                    sum.0 += first;
                    sum.1 += second;
                }
            }
            sums
        })
        .collect();
    let mut totals = vec![(0.0, 0.0); channels];
    for sums in per_sample {
        for (total, sum) in totals.iter_mut().zip(sums) {
            total.0 += sum.0.as_f64();
            total.1 += sum.1.as_f64();
        }
    }
    totals
}

/// For every channel, the mean magnitude of the values that are not 0; 0 where there is none.
pub(crate) fn channel_magnitudes<R: Real>(values: &[R], neurons: usize, channels: usize) -> Vec<f64> {
    let count = |value: R| if value == R::zero() { R::zero() } else { R::one() };
    let sums = channel_sums(values, values, neurons, channels, |value, _| (value.abs(), count(value)));
    sums.into_iter().map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 }).collect()
}
