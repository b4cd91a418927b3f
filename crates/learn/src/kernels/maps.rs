//! What is done with every value of a map: pools, normalisation, activations, signs of errors.
//!
//! Loops over slices that the compiler turns into vectors, compiled for several instruction sets; they stand apart from the
//! code that hands out samples to threads because only whole functions can be compiled so.

// As in `fast`: `multiversion` calls the version that it picked through an unsafe block.
#![allow(unsafe_code)]

use bitpulse_core::Real;
use multiversion::multiversion;

use crate::rule::Polarity;
use crate::{Activation, draw};

/// Squares of places of a map that a pool takes together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Squares<'a> {
    /// Where the first value of each square stands.
    pub corners: &'a [usize],
    /// How far the values of a square are from the first.
    pub offsets: &'a [usize],
    pub channels: usize,
}

/// The greatest value of every square, channel by channel, and which of its values that is.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn pool_greatest<R: Real>(sums: &[R], squares: Squares<'_>, out: &mut [R], choices: &mut [u16]) {
    let Squares { corners, offsets, channels } = squares;
    let places = out.chunks_exact_mut(channels).zip(choices.chunks_exact_mut(channels));
    for (&corner, (out, choices)) in corners.iter().zip(places) {
        out.copy_from_slice(&sums[corner..corner + channels]);
        choices.fill(0);
        for (k, offset) in (1..).zip(&offsets[1..]) {
            let values = &sums[corner + offset..][..channels];
            for ((out, choice), &value) in out.iter_mut().zip(choices.iter_mut()).zip(values) {
                let greater = value > *out;
                *out = if greater { value } else { *out };
                *choice = if greater { k } else { *choice };
            }
        }
    }
}

/// The mean of every square, channel by channel.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn pool_mean<R: Real>(sums: &[R], squares: Squares<'_>, out: &mut [R]) {
    let Squares { corners, offsets, channels } = squares;
    let share = R::of(1.0 / offsets.len() as f64);
    for (&corner, out) in corners.iter().zip(out.chunks_exact_mut(channels)) {
        out.fill(R::zero());
        for offset in offsets {
            for (out, &value) in out.iter_mut().zip(&sums[corner + offset..][..channels]) {
                *out += value;
            }
        }
        for out in out {
            *out *= share;
        }
    }
}

/// Sends the error of every square to the value that was chosen, and 0 to the others.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn send_to_chosen<R: Real>(errors: &[R], choices: &[u16], squares: Squares<'_>, out: &mut [R]) {
    let Squares { corners, offsets, channels } = squares;
    let places = errors.chunks_exact(channels).zip(choices.chunks_exact(channels));
    for (&corner, (errors, choices)) in corners.iter().zip(places) {
        for (k, offset) in (0..).zip(offsets) {
            let out = &mut out[corner + offset..][..channels];
            for ((out, &error), &choice) in out.iter_mut().zip(errors).zip(choices) {
                *out = if choice == k { error } else { R::zero() };
            }
        }
    }
}

/// Sends `shared` times the error of every square to each of its values.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn send_to_all<R: Real>(errors: &[R], shared: R, squares: Squares<'_>, out: &mut [R]) {
    let Squares { corners, offsets, channels } = squares;
    for (&corner, errors) in corners.iter().zip(errors.chunks_exact(channels)) {
        for offset in offsets {
            for (out, &error) in out[corner + offset..][..channels].iter_mut().zip(errors) {
                *out = shared * error;
            }
        }
    }
}

/// Adds two functions of two maps up over places, for every channel.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn sum_places<R: Real, F: Fn(R, R) -> (R, R)>(
    a: &[R],
    b: &[R],
    function: &F,
    first: &mut [R],
    second: &mut [R],
) {
    let channels = first.len();
    for (a, b) in a.chunks_exact(channels).zip(b.chunks_exact(channels)) {
        for (((first, second), &a), &b) in first.iter_mut().zip(second.iter_mut()).zip(a).zip(b) {
            let values = function(a, b);
            *first += values.0;
            *second += values.1;
        }
    }
}

/// `(value - mean) scale + shift`, channel by channel.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn normalise<R: Real>(values: &mut [R], means: &[R], scales: &[R], shifts: &[R]) {
    for place in values.chunks_exact_mut(means.len()) {
        for (((value, &mean), &scale), &shift) in place.iter_mut().zip(means).zip(scales).zip(shifts) {
            *value = (*value - mean) * scale + shift;
        }
    }
}

/// `(error - mean - (z - shift) slope) scale`, channel by channel.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn send_through_normalisation<R: Real>(
    errors: &mut [R],
    z: &[R],
    [means, slopes, scales, shifts]: [&[R]; 4],
) {
    let channels = means.len();
    for (errors, z) in errors.chunks_exact_mut(channels).zip(z.chunks_exact(channels)) {
        let moments = means.iter().zip(slopes).zip(scales).zip(shifts);
        for ((error, &z), (((&mean, &slope), &scale), &shift)) in errors.iter_mut().zip(z).zip(moments) {
            *error = (*error - mean - (z - shift) * slope) * scale;
        }
    }
}

/// Calls a loop with the activation as a constant: one in which it is not would compute exponentials for all of them.
macro_rules! by_activation {
    ($activation:expr, $body:expr) => {
        match $activation {
            Activation::Sigmoid => $body(Activation::Sigmoid),
            Activation::HardSigmoid => $body(Activation::HardSigmoid),
            Activation::Relu => $body(Activation::Relu),
        }
    };
}

/// What neurons send on average.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn activate<R: Real>(activation: Activation, polarity: Polarity, gain: R, z: &[R], out: &mut [R]) {
    by_activation!(activation, |activation: Activation| {
        for (out, &z) in out.iter_mut().zip(z) {
            *out = polarity.sent(activation.value(gain * z));
        }
    });
}

/// What neurons send that fire `floor(pulses q + u)` pulses, one draw a neuron.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn fire<R: Real>(
    activation: Activation,
    polarity: Polarity,
    gain: R,
    pulses: u16,
    z: &[R],
    draws: &[u16],
    out: &mut [R],
) {
    let (count, unit) = (R::of(f64::from(pulses)), R::of(1.0 / f64::from(pulses)));
    by_activation!(activation, |activation: Activation| {
        for ((out, &z), &draw) in out.iter_mut().zip(z).zip(draws) {
            let fired = (count * activation.value(gain * z) + draw::uniform::<R>(draw)).floor();
            *out = polarity.sent(unit * if fired > count { count } else { fired });
        }
    });
}

/// `a scale f'(gain z) / f'(0)`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn send_through_slope<R: Real>(
    activation: Activation,
    gain: R,
    scale: R,
    a: &[R],
    z: &[R],
    out: &mut [R],
) {
    by_activation!(activation, |activation: Activation| {
        for ((out, &a), &z) in out.iter_mut().zip(a).zip(z) {
            *out = a * scale * activation.relative_slope(gain * z);
        }
    });
}

/// Makes errors pulses of either sign: `sgn(e) floor(pulses min(1, |e|/m) + u) / pulses` with `m` the saturation of the
/// channel, above 0, one draw an error.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn draw_signs<R: Real>(errors: &mut [R], saturations: &[R], pulses: u16, draws: &[u16]) {
    let channels = saturations.len();
    let (count, unit) = (R::of(f64::from(pulses)), R::of(1.0 / f64::from(pulses)));
    for (errors, draws) in errors.chunks_exact_mut(channels).zip(draws.chunks_exact(channels)) {
        for ((error, &saturation), &draw) in errors.iter_mut().zip(saturations).zip(draws) {
            let share = error.abs() / saturation;
            let share = if share > R::one() { R::one() } else { share };
            let drawn = (count * share + draw::uniform::<R>(draw)).floor();
            let drawn = unit * if drawn > count { count } else { drawn };
            *error = if *error < R::zero() { -drawn } else { drawn };
        }
    }
}
