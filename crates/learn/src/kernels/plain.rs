//! What the kernels compute, written down to be read. Only tests call these.

use bitpulse_core::Real;

use crate::activation::hard_sigmoid;
use crate::draw;

/// `W[i, j] += x error[j]` for every `(i, x)`; `error` is padded to a row.
pub(crate) fn add_outer<R: Real>(weights: &mut [R], active: &[(u32, R)], error: &[R]) {
    for &(line, x) in active {
        for (j, &e) in error.iter().enumerate() {
            weights[line as usize * error.len() + j] += x * e;
        }
    }
}

/// `W[j] += pulse n` with `n = sgn(v) floor(pulses |v| + u)`, `v = x error[j]`, for the weights of one line; counts the
/// pulses up and down.
pub(crate) fn add_rounded<R: Real>(
    row: &mut [R],
    x: R,
    error: &[R],
    (pulses, pulse): (R, R),
    draws: &[u16],
) -> [u64; 2] {
    let mut counts = [0, 0];
    for ((w, &e), &draw) in row.iter_mut().zip(error).zip(draws) {
        let v = x * e;
        let count = (pulses * v.abs() + draw::uniform::<R>(draw)).floor();
        *w += if v < R::zero() { -(pulse * count) } else { pulse * count };
        counts[usize::from(v < R::zero())] += count.as_f64() as u64;
    }
    counts
}

/// Appends the lines whose pixel fires.
pub(crate) fn pixel_bits(lines: &[u16], levels: &[u8], draws: &[u16], out: &mut Vec<u32>) {
    for ((&line, &level), &draw) in lines.iter().zip(levels).zip(draws) {
        if draw::pixel_fires(level, draw) {
            out.push(u32::from(line));
        }
    }
}

/// Appends the neurons whose hard-sigmoid comparator fires.
pub(crate) fn hard_sigmoid_bits<R: Real>(z: &[R], gain: R, draws: &[u16], out: &mut Vec<u32>) {
    for (neuron, (&z, &draw)) in (0..).zip(z.iter().zip(draws)) {
        if draw::pulse_count(hard_sigmoid(gain * z), 1, draw) == 1 {
            out.push(neuron);
        }
    }
}

/// `W[i, j] += moves[j]` for every line, stopping at both ends of 16 bits.
pub(crate) fn move_rows(weights: &mut [i16], lines: &[u32], moves: &[i16]) {
    for &line in lines {
        for (j, &step) in moves.iter().enumerate() {
            let w = &mut weights[line as usize * moves.len() + j];
            *w = (i32::from(*w) + i32::from(step)).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        }
    }
}
