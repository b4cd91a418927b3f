// `multiversion` calls the version it picked through an unsafe block, after asking the CPU for the features that
// version was compiled for; the property tests of the parent module run whichever this machine picks.
#![allow(unsafe_code)]

use multiversion::multiversion;
use rand::Rng as _;

use super::LANES;
use crate::{Real, Rng};

/// Columns whose sums fit in registers at once.
const BLOCK: usize = 8 * LANES;

/// `out[j] = sum over lines i of W[i, j]`, terms in the order of `lines`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub fn sum_rows<R: Real>(weights: &[R], stride: usize, lines: &[u32], out: &mut [R]) {
    let mut start = 0;
    while start + BLOCK <= out.len() {
        let mut sum = [R::zero(); BLOCK];
        for &line in lines {
            let at = line as usize * stride + start;
            let row: &[R] = &weights[at..at + BLOCK];
            for k in 0..BLOCK {
                sum[k] += row[k];
            }
        }
        out[start..start + BLOCK].copy_from_slice(&sum);
        start += BLOCK;
    }
    while start < out.len() {
        let mut sum = [R::zero(); LANES];
        for &line in lines {
            let at = line as usize * stride + start;
            let row: &[R] = &weights[at..at + LANES];
            for k in 0..LANES {
                sum[k] += row[k];
            }
        }
        let end = (start + LANES).min(out.len());
        out[start..end].copy_from_slice(&sum[..end - start]);
        start = end;
    }
}

/// `out[j] = sum over (i, x) of W[i, j] x`, terms in the order of `active`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub fn sum_scaled_rows<R: Real>(weights: &[R], stride: usize, active: &[(u32, R)], out: &mut [R]) {
    let mut start = 0;
    while start + BLOCK <= out.len() {
        let mut sum = [R::zero(); BLOCK];
        for &(line, x) in active {
            let at = line as usize * stride + start;
            let row: &[R] = &weights[at..at + BLOCK];
            for k in 0..BLOCK {
                sum[k] += row[k] * x;
            }
        }
        out[start..start + BLOCK].copy_from_slice(&sum);
        start += BLOCK;
    }
    while start < out.len() {
        let mut sum = [R::zero(); LANES];
        for &(line, x) in active {
            let at = line as usize * stride + start;
            let row: &[R] = &weights[at..at + LANES];
            for k in 0..LANES {
                sum[k] += row[k] * x;
            }
        }
        let end = (start + LANES).min(out.len());
        out[start..end].copy_from_slice(&sum[..end - start]);
        start = end;
    }
}

/// `out[i] = sum over j of W[i, j] error[j]`; `error` is padded to a row.
///
/// Sums run in `LANES` parallel strands, so the result differs from the plain one by rounding.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub fn dot_rows<R: Real>(weights: &[R], error: &[R], out: &mut [R]) {
    for (row, out) in weights.chunks_exact(error.len()).zip(out) {
        let mut sum = [R::zero(); LANES];
        for (w, e) in row.as_chunks::<LANES>().0.iter().zip(error.as_chunks::<LANES>().0) {
            for k in 0..LANES {
                sum[k] += w[k] * e[k];
            }
        }
        let mut width = LANES / 2;
        while width > 0 {
            for k in 0..width {
                let upper = sum[k + width];
                sum[k] += upper;
            }
            width /= 2;
        }
        *out = sum[0];
    }
}

/// As [`dot_rows`], with only the `active` errors `(j, e)`, terms in their order.
pub fn dot_rows_sparse<R: Real>(weights: &[R], stride: usize, active: &[(u32, R)], out: &mut [R]) {
    for (row, out) in weights.chunks_exact(stride).zip(out) {
        let mut sum = R::zero();
        for &(line, e) in active {
            sum += row[line as usize] * e;
        }
        *out = sum;
    }
}

/// Appends the lines whose level is not zero, each level times `scale`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub fn nonzero<R: Real>(levels: &[R], scale: R, out: &mut Vec<(u32, R)>) {
    let start = out.len();
    out.resize(start + levels.len(), (0, R::zero()));
    let mut end = start;
    for (block, levels) in levels.chunks(LANES).enumerate() {
        // Images are dark in large parts.
        if !levels.iter().fold(false, |any, level| any | (*level != R::zero())) {
            continue;
        }
        for (line, &level) in ((block * LANES) as u32..).zip(levels) {
            // Written always, kept only if it counts: no branch for the CPU to guess wrong.
            out[end] = (line, level * scale);
            end += usize::from(level != R::zero());
        }
    }
    out.truncate(end);
}

/// How many levels are above and below zero.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub fn count_signs<R: Real>(levels: &[R]) -> [u64; 2] {
    let (mut above, mut below) = (0_u32, 0_u32);
    for &level in levels {
        above += u32::from(level > R::zero());
        below += u32::from(level < R::zero());
    }
    [u64::from(above), u64::from(below)]
}

/// The sum of the values above zero, and of the magnitudes of those below.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub fn sum_signs<R: Real>(values: &[R]) -> [R; 2] {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [[R::zero(); LANES]; 2];
    let mut add = |k: usize, value: R| {
        lanes[0][k] += if value > R::zero() { value } else { R::zero() };
        lanes[1][k] += if value < R::zero() { -value } else { R::zero() };
    };
    for chunk in chunks {
        for (k, &value) in chunk.iter().enumerate() {
            add(k, value);
        }
    }
    for (k, &value) in rest.iter().enumerate() {
        add(k, value);
    }
    lanes.map(|lanes| lanes.iter().fold(R::zero(), |sum, lane| sum + *lane))
}

/// Appends, for every row of `columns` values, how many are above and below zero or, with a `scale` that makes all values
/// whole numbers, the scaled sums of those above zero and of the magnitudes of those below.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub fn signs_by_row<R: Real>(values: &[R], columns: usize, scale: Option<R>, out: &mut Vec<[u64; 2]>) {
    for row in values.chunks_exact(columns) {
        let (mut above, mut below) = (0_u32, 0_u32);
        if let Some(scale) = scale {
            for &value in row {
                let count = (value * scale).as_f64();
                // Casts to whole numbers cut off fractions and what is below 0.
                above += (count + 0.5) as u32;
                below += (0.5 - count) as u32;
            }
        } else {
            for &value in row {
                above += u32::from(value > R::zero());
                below += u32::from(value < R::zero());
            }
        }
        out.push([above, below].map(u64::from));
    }
}

/// Fills `draws` with the next words of the stream, four draws a word, low bits first.
pub fn fill_draws(rng: &mut Rng, draws: &mut [u16]) {
    for chunk in draws.chunks_mut(4) {
        let word = rng.next_u64();
        for (k, draw) in chunk.iter_mut().enumerate() {
            *draw = (word >> (16 * k)) as u16;
        }
    }
}
