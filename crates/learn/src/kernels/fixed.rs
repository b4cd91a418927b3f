//! Walks over weights of 16 bits, in rows of [`bitpulse_core::rows::stride`] columns whose padding is zero and stays zero.

// As in `fast`: `multiversion` asks the CPU before it calls a version through an unsafe block.
#![allow(unsafe_code)]
// Only what is inlined into a version is compiled for its instructions.
#![allow(clippy::inline_always)]

use bitpulse_core::rows::LANES;
use multiversion::multiversion;

/// Columns whose sums fit in registers at once.
const BLOCK: usize = 16 * LANES;

/// `out[j] = sum over lines i of W[i, j]`, exactly: 65 536 lines or fewer cannot leave 32 bits.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn sum_rows(weights: &[i16], stride: usize, lines: &[u32], out: &mut [i32]) {
    let start = sum_blocks::<BLOCK>(weights, stride, lines, 0, out);
    sum_blocks::<LANES>(weights, stride, lines, start, out);
}

/// Sums columns from `start` on, as long as rows hold `B` of them and some are wanted; returns where it stopped.
#[inline(always)]
fn sum_blocks<const B: usize>(
    weights: &[i16],
    stride: usize,
    lines: &[u32],
    mut start: usize,
    out: &mut [i32],
) -> usize {
    while start < out.len() && start + B <= stride {
        let mut sum = [0_i32; B];
        for &line in lines {
            let at = line as usize * stride + start;
            let row: &[i16] = &weights[at..at + B];
            for k in 0..B {
                sum[k] += i32::from(row[k]);
            }
        }
        let end = (start + B).min(out.len());
        out[start..end].copy_from_slice(&sum[..end - start]);
        start += B;
    }
    start
}

/// `out[i] = sum over (j, e) of W[i, j] e`, terms in the order of `active`.
pub(crate) fn dot_rows(weights: &[i16], stride: usize, active: &[(u32, f32)], out: &mut [f32]) {
    for (row, out) in weights.chunks_exact(stride).zip(out) {
        let mut sum = 0.0;
        for &(line, e) in active {
            sum += f32::from(row[line as usize]) * e;
        }
        *out = sum;
    }
}

/// `W[i, j] += moves[j]` for every line, stopping at both ends of 16 bits; `moves` is padded to a row.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn move_rows(weights: &mut [i16], lines: &[u32], moves: &[i16]) {
    for &line in lines {
        let at = line as usize * moves.len();
        for (w, &step) in weights[at..at + moves.len()].iter_mut().zip(moves) {
            *w = w.saturating_add(step);
        }
    }
}
