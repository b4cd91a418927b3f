//! What happens to maps of neurons between synapses and activation: pools, normalisation.
//!
//! Maps are stored place by place with all channels of a place together, so that the rows a synaptic matrix returns, one for
//! each place, are the map. Samples are worked on by all threads at hand; sums over samples are taken in their order, so
//! results do not depend on the threads.

use bitpulse_core::Real;
use rayon::prelude::*;

use crate::MapShape;
use crate::architecture::{Layer, LayerShapes, Pooling};
use crate::kernels::maps::{self as kernels, Squares};

/// Where on a map the pixel is that images, which are stored plane by plane, have at `line`.
pub(crate) fn neuron_of_pixel(map: MapShape, line: usize) -> usize {
    line % map.places() * map.channels + line / map.places()
}

/// A pool of squares of places, channel by channel.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    kind: Pooling,
    sums: MapShape,
    neurons: MapShape,
    /// Where the first value of the square of each place of the pooled map stands on the map of sums.
    corners: Vec<usize>,
    /// How far the values of a square are from the first.
    offsets: Vec<usize>,
}

impl Pool {
    /// That of `layer`, if it has one.
    pub fn new(layer: &Layer, shapes: &LayerShapes) -> Option<Self> {
        let kind = layer.pool?;
        let (LayerShapes { sums, neurons, .. }, size) = (*shapes, layer.pool_size);
        let value = |y, x| (y * sums.width + x) * sums.channels;
        let square = |y| (0..size).map(move |x| value(y, x));
        let row = |y| (0..neurons.width).map(move |x| value(y * size, x * size));
        let (corners, offsets) =
            ((0..neurons.height).flat_map(row).collect(), (0..size).flat_map(square).collect());
        Some(Self { kind, sums, neurons, corners, offsets })
    }

    fn squares(&self) -> Squares<'_> {
        Squares { corners: &self.corners, offsets: &self.offsets, channels: self.sums.channels }
    }

    /// Pools `sums` (samples x places x channels) into `out`; `choices` becomes which value of its square each maximum is,
    /// and stays as it is for means.
    pub fn forward<R: Real>(&self, sums: &[R], out: &mut [R], choices: &mut [u16]) {
        let samples = sums.par_chunks_exact(self.sums.neurons());
        let outputs = out.par_chunks_exact_mut(self.neurons.neurons());
        let choices = choices.par_chunks_exact_mut(self.neurons.neurons());
        samples.zip(outputs).zip(choices).for_each(|((sums, out), choices)| match self.kind {
            Pooling::Max => kernels::pool_greatest(sums, self.squares(), out, choices),
            Pooling::Average => kernels::pool_mean(sums, self.squares(), out),
        });
    }

    /// Sends errors at the pooled map (samples x places x channels) back to the sums, in `out`, which is overwritten: to
    /// the value that was chosen, or, for a mean, `shared` times to each. Sums that are in no square get 0.
    pub fn backward<R: Real>(&self, errors: &[R], choices: &[u16], shared: R, out: &mut [R]) {
        let whole = self.neurons.places() * self.offsets.len() == self.sums.places();
        let samples = errors.par_chunks_exact(self.neurons.neurons());
        let outputs = out.par_chunks_exact_mut(self.sums.neurons());
        let choices = choices.par_chunks_exact(self.neurons.neurons());
        samples.zip(choices).zip(outputs).for_each(|((errors, choices), out)| {
            if !whole {
                out.fill(R::zero());
            }
            match self.kind {
                Pooling::Max => kernels::send_to_chosen(errors, choices, self.squares(), out),
                Pooling::Average => kernels::send_to_all(errors, shared, self.squares(), out),
            }
        });
    }

    /// Values of a square.
    pub fn square(&self) -> usize {
        self.offsets.len()
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

    /// Brings `values` (samples x neurons) to mean 0 and variance 1, and shifts every channel.
    pub fn normalise<R: Real>(&self, values: &mut [R], neurons: usize, shifts: &[R]) {
        let [means, scales] = [&self.means, &self.scales].map(|moments| rounded(moments));
        let samples = values.par_chunks_exact_mut(neurons);
        samples.for_each(|values| kernels::normalise(values, &means, &scales, shifts));
    }

    /// The gradient before normalisation from that after it, in place, with means and deviations as functions of the
    /// values: `(g - mean g - y mean(g y)) / sigma` with `y` the normalised values, of which `z` are the shifted ones
    /// (Ioffe and Szegedy 2015, section 3). `sums` are those of `g` and `g z` for every channel.
    pub fn backward<R: Real>(
        &self,
        z: &[R],
        shifts: &[R],
        sums: &[(f64, f64)],
        errors: &mut [R],
        neurons: usize,
    ) {
        let count = (errors.len() / self.means.len()) as f64;
        let means: Vec<R> = sums.iter().map(|(sum, _)| R::of(sum / count)).collect();
        let slope =
            |((sum, product), shift): (&(f64, f64), &R)| R::of((product - sum * shift.as_f64()) / count);
        let slopes: Vec<R> = sums.iter().zip(shifts).map(slope).collect();
        let moments = [&means, &slopes, &rounded(&self.scales), shifts];
        let samples = errors.par_chunks_exact_mut(neurons).zip(z.par_chunks_exact(neurons));
        samples.for_each(|(errors, z)| kernels::send_through_normalisation(errors, z, moments));
    }
}

/// Takes the mean of every channel, of which `sums` are the sums, from `errors`.
pub(crate) fn centre<R: Real>(errors: &mut [R], sums: &[(f64, f64)]) {
    let count = (errors.len() / sums.len()) as f64;
    let means: Vec<R> = sums.iter().map(|(sum, _)| R::of(sum / count)).collect();
    errors.par_chunks_exact_mut(sums.len()).with_min_len(256).for_each(|place| {
        for (error, &mean) in place.iter_mut().zip(&means) {
            *error -= mean;
        }
    });
}

fn rounded<R: Real>(values: &[f64]) -> Vec<R> {
    values.iter().copied().map(R::of).collect()
}

/// Sums of two functions of two maps (samples x neurons) over samples and places, for every channel.
pub(crate) fn channel_sums<R: Real>(
    a: &[R],
    b: &[R],
    neurons: usize,
    channels: usize,
    function: impl Fn(R, R) -> (R, R) + Sync,
) -> Vec<(f64, f64)> {
    let samples = a.par_chunks_exact(neurons).zip(b.par_chunks_exact(neurons));
    let per_sample: Vec<[Vec<R>; 2]> = samples
        .map(|(a, b)| {
            let [mut first, mut second] = [(); 2].map(|()| vec![R::zero(); channels]);
            kernels::sum_places(a, b, &function, &mut first, &mut second);
            [first, second]
        })
        .collect();
    let mut totals = vec![(0.0, 0.0); channels];
    for [first, second] in per_sample {
        for ((total, first), second) in totals.iter_mut().zip(first).zip(second) {
            total.0 += first.as_f64();
            total.1 += second.as_f64();
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
