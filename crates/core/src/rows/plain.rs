//! What the kernels compute, written down to be read. Only tests call these.

use crate::Real;

/// `out[j] = sum over lines i of W[i, j]`, terms in the order of `lines`.
pub(crate) fn sum_rows<R: Real>(weights: &[R], stride: usize, lines: &[u32], out: &mut [R]) {
    for (j, out) in out.iter_mut().enumerate() {
        *out = R::zero();
        for &line in lines {
            *out += weights[line as usize * stride + j];
        }
    }
}

/// `out[j] = sum over lines i of W[i, j]`.
pub(crate) fn sum_fixed_rows(weights: &[i16], stride: usize, lines: &[u32], out: &mut [i32]) {
    for (j, out) in out.iter_mut().enumerate() {
        *out = lines.iter().map(|&line| i32::from(weights[line as usize * stride + j])).sum();
    }
}

/// `out[j] = sum over (i, x) of W[i, j] x`, terms in the order of `active`.
pub(crate) fn sum_scaled_rows<R: Real>(weights: &[R], stride: usize, active: &[(u32, R)], out: &mut [R]) {
    for (j, out) in out.iter_mut().enumerate() {
        *out = R::zero();
        for &(line, x) in active {
            *out += weights[line as usize * stride + j] * x;
        }
    }
}

/// `out[i] = sum over j of W[i, j] error[j]`; `error` is padded to a row.
pub(crate) fn dot_rows<R: Real>(weights: &[R], error: &[R], out: &mut [R]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = R::zero();
        for (j, &e) in error.iter().enumerate() {
            *out += weights[i * error.len() + j] * e;
        }
    }
}

/// Appends the lines whose level is not zero, each level times `scale`.
pub(crate) fn nonzero<R: Real>(levels: &[R], scale: R, out: &mut Vec<(u32, R)>) {
    out.extend(
        (0..)
            .zip(levels)
            .filter(|(_, level)| **level != R::zero())
            .map(|(line, &level)| (line, level * scale)),
    );
}
