// `multiversion` calls the version it picked through an unsafe block, after asking the CPU for the features that
// version was compiled for; the property tests of the parent module run whichever this machine picks.
#![allow(unsafe_code)]
// Only what is inlined into a version is compiled for its instructions.
#![allow(clippy::inline_always)]

use std::ops::AddAssign;

use multiversion::multiversion;
use multiversion::target::target_cfg_f;
use rand::Rng as _;

use super::LANES;
use crate::{Real, Rng};

/// `out[j] = sum over lines i of W[i, j]`, terms in the order of `lines`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub fn sum_rows<R: Real>(weights: &[R], stride: usize, lines: &[u32], out: &mut [R]) {
    let wide = target_cfg_f!(target_feature = "avx512f") && size_of::<R>() == 4;
    let terms = Terms { list: lines, line: |&line: &u32| line, scaled: |_: &u32, w| w };
    terms.sum(weights, stride, wide, out);
}

/// `out[j] = sum over lines i of W[i, j]` of weights of 16 bits, exactly: 65 536 lines or fewer cannot leave 32 bits.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub fn sum_fixed_rows(weights: &[i16], stride: usize, lines: &[u32], out: &mut [i32]) {
    let wide = target_cfg_f!(target_feature = "avx512f");
    let terms = Terms { list: lines, line: |&line: &u32| line, scaled: |_: &u32, w| i32::from(w) };
    terms.sum(weights, stride, wide, out);
}

/// `out[j] = sum over (i, x) of W[i, j] x`, terms in the order of `active`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub fn sum_scaled_rows<R: Real>(weights: &[R], stride: usize, active: &[(u32, R)], out: &mut [R]) {
    let wide = target_cfg_f!(target_feature = "avx512f") && size_of::<R>() == 4;
    let terms =
        Terms { list: active, line: |&(line, _): &(u32, R)| line, scaled: |&(_, x): &(u32, R), w| w * x };
    terms.sum(weights, stride, wide, out);
}

/// Rows to be summed.
struct Terms<'a, T, L, S> {
    list: &'a [T],
    line: L,
    /// What a weight of the term's row contributes.
    scaled: S,
}

impl<T, L: Fn(&T) -> u32, S> Terms<'_, T, L, S> {
    /// In blocks of columns whose sums fit in registers: 16 of 16 sums of 32 bits where there are 32 registers of that size
    /// (`wide`), else half as many.
    #[inline(always)]
    fn sum<W: Copy, A: Copy + Default + AddAssign>(
        &self,
        weights: &[W],
        stride: usize,
        wide: bool,
        out: &mut [A],
    ) where
        S: Fn(&T, W) -> A,
    {
        let mut start = 0;
        if wide {
            start = self.sum_blocks::<W, A, { 16 * LANES }>(weights, stride, start, out);
        }
        start = self.sum_blocks::<W, A, { 8 * LANES }>(weights, stride, start, out);
        self.sum_blocks::<W, A, LANES>(weights, stride, start, out);
    }

    /// Sums columns from `start` on, as long as rows hold `B` of them and some are wanted; returns where it stopped.
    #[inline(always)]
    fn sum_blocks<W: Copy, A: Copy + Default + AddAssign, const B: usize>(
        &self,
        weights: &[W],
        stride: usize,
        mut start: usize,
        out: &mut [A],
    ) -> usize
    where
        S: Fn(&T, W) -> A,
    {
        while start < out.len() && start + B <= stride {
            let mut sum = [A::default(); B];
            for term in self.list {
                let at = (self.line)(term) as usize * stride + start;
                let row: &[W] = &weights[at..at + B];
                for k in 0..B {
                    sum[k] += (self.scaled)(term, row[k]);
                }
            }
            let end = (start + B).min(out.len());
            out[start..end].copy_from_slice(&sum[..end - start]);
            start += B;
        }
        start
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

/// As [`dot_rows`], with only the `active` errors `(j, e)`, terms in their order; weights may be of 16 bits.
pub fn dot_rows_sparse<W: Copy + Into<R>, R: Real>(
    weights: &[W],
    stride: usize,
    active: &[(u32, R)],
    out: &mut [R],
) {
    for (row, out) in weights.chunks_exact(stride).zip(out) {
        let mut sum = R::zero();
        for &(line, e) in active {
            sum += row[line as usize].into() * e;
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
    signed_sums(values)
}

/// [`sum_signs`] within a loop that is compiled for an instruction set.
#[inline(always)]
fn signed_sums<R: Real>(values: &[R]) -> [R; 2] {
    let parts = |value: R| [value, -value].map(|part| if part > R::zero() { part } else { R::zero() });
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut sums = [R::zero(); 2];
    for value in rest {
        let [above, below] = parts(*value);
        sums = [sums[0] + above, sums[1] + below];
    }
    if chunks.is_empty() {
        return sums;
    }
    let mut lanes = [[R::zero(); LANES]; 2];
    for chunk in chunks {
        for (k, value) in chunk.iter().enumerate() {
            let [above, below] = parts(*value);
            lanes[0][k] += above;
            lanes[1][k] += below;
        }
    }
    for (sum, lanes) in sums.iter_mut().zip(&mut lanes) {
        let mut half = LANES;
        while half > 1 {
            half /= 2;
            for k in 0..half {
                lanes[k] += lanes[k + half];
            }
        }
        *sum += lanes[0];
    }
    sums
}

/// Appends, for every row of `columns` values, how many are above and below zero or, with a `scale` that makes all values
/// whole numbers, the scaled sums of those above zero and of the magnitudes of those below, exact below 2^24.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub fn signs_by_row<R: Real>(values: &[R], columns: usize, scale: Option<R>, out: &mut Vec<[u64; 2]>) {
    for row in values.chunks_exact(columns) {
        out.push(if let Some(scale) = scale {
            // A cast to a whole number cuts off the fraction.
            signed_sums(row).map(|sum| ((sum * scale).as_f64() + 0.5) as u64)
        } else {
            let (mut above, mut below) = (0_u32, 0_u32);
            for &value in row {
                above += u32::from(value > R::zero());
                below += u32::from(value < R::zero());
            }
            [above, below].map(u64::from)
        });
    }
}

/// Fills `draws` with the next words of the stream, four draws a word, low bits first.
pub fn fill_draws(rng: &mut Rng, draws: &mut [u16]) {
    let mut word = || {
        let word = rng.next_u64();
        [word as u16, (word >> 16) as u16, (word >> 32) as u16, (word >> 48) as u16]
    };
    let (fours, rest) = draws.as_chunks_mut::<4>();
    for four in fours {
        *four = word();
    }
    if !rest.is_empty() {
        rest.copy_from_slice(&word()[..rest.len()]);
    }
}
