//! The products of [`super::convolution`] where most errors are 0: behind a maximum pool three of four are, and of binary errors
//! most of the rest. Only the others are walked over, in the same order, so that the sums are the same bit for bit: a product
//! of a finite number with 0 changes none.

// As in `fast`: `multiversion` calls the version that it picked through an unsafe block.
#![allow(unsafe_code)]
// A tile must be one function with the loops around it: only then does it get their instruction set, and its sums registers.
#![allow(clippy::inline_always)]

use std::array::from_fn;

use bitpulse_core::Real;
use bitpulse_core::rows::{self, LANES};
use multiversion::multiversion;

use super::convolution::{Walk, vectors};

/// The values of a padded map that are not 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct SparseMap<R> {
    /// Where each stands on the map, in order, and what it is.
    values: Vec<(u32, R)>,
    /// How many stand before each place of the map, and before its end.
    firsts: Vec<u32>,
}

impl<R: Real> SparseMap<R> {
    /// Finds them on `map`, which has `channels` values a place.
    pub fn fill(&mut self, map: &[R], channels: usize) {
        self.values.clear();
        rows::nonzero(map, R::one(), &mut self.values);
        self.firsts.clear();
        let mut before = 0;
        for start in (0..=map.len()).step_by(channels) {
            while before < self.values.len() && (self.values[before].0 as usize) < start {
                before += 1;
            }
            self.firsts.push(before as u32);
        }
    }
}

/// [`super::convolution::read`] without a first sum, of a map of `channels`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn read<R: Real>(
    map: &SparseMap<R>,
    channels: usize,
    walk: &Walk<'_>,
    weights: &[R],
    stride: usize,
    out: &mut [R],
    outputs: usize,
) {
    for (&start, out) in walk.starts.iter().zip(out.chunks_exact_mut(outputs)) {
        let mut column = 0;
        while column < stride {
            let tile = &weights[column..];
            let out = &mut out[column..];
            column += if column + 4 * LANES <= stride {
                read_tile::<R, 4>(map, channels, walk, start, tile, stride, out)
            } else if column + 2 * LANES <= stride {
                read_tile::<R, 2>(map, channels, walk, start, tile, stride, out)
            } else {
                read_tile::<R, 1>(map, channels, walk, start, tile, stride, out)
            };
        }
    }
}

/// Sums one patch for the first `V` vectors of columns, and says how many columns those are.
#[inline(always)]
fn read_tile<R: Real, const V: usize>(
    map: &SparseMap<R>,
    channels: usize,
    walk: &Walk<'_>,
    start: usize,
    weights: &[R],
    stride: usize,
    out: &mut [R],
) -> usize {
    let mut sums = [[R::zero(); LANES]; V];
    for row in 0..walk.rows {
        let first = start + row * walk.pitch;
        let [from, to] = [first, first + walk.run].map(|value| map.firsts[value / channels] as usize);
        for &(at, value) in &map.values[from..to] {
            let line = row * walk.run + at as usize - first;
            let weights = vectors::<R, V>(&weights[line * stride..]);
            for v in 0..V {
                sums[v] = from_fn(|k| value.mul_add(weights[v][k], sums[v][k]));
            }
        }
    }
    for (out, sum) in out.iter_mut().zip(sums.as_flattened()) {
        *out = *sum;
    }
    V * LANES
}

/// Adds to `sums`, one channel of errors, what its errors that are not 0 give: each by where its patch starts on `map`. Rows of
/// patches are padded to whole vectors, and `map` is followed by [`LANES`] values more than it has.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn add_outer<R: Real>(map: &[R], walk: &Walk<'_>, errors: &[(u32, R)], sums: &mut [R]) {
    let run = walk.run.next_multiple_of(LANES);
    for (row, sums) in sums.chunks_exact_mut(run).enumerate() {
        let map = &map[row * walk.pitch..];
        let mut t = 0;
        while t < run {
            let (map, sums) = (&map[t..], &mut sums[t..]);
            t += match (run - t) / LANES {
                6.. => outer_tile::<R, 6>(map, errors, sums),
                4.. => outer_tile::<R, 4>(map, errors, sums),
                2.. => outer_tile::<R, 2>(map, errors, sums),
                _ => outer_tile::<R, 1>(map, errors, sums),
            };
        }
    }
}

/// Adds up the first `V` vectors of lines, and says how many lines those are.
#[inline(always)]
fn outer_tile<R: Real, const V: usize>(map: &[R], errors: &[(u32, R)], sums: &mut [R]) -> usize {
    let mut tile = vectors::<R, V>(sums);
    for &(start, error) in errors {
        let values = vectors::<R, V>(&map[start as usize..]);
        for v in 0..V {
            tile[v] = from_fn(|k| values[v][k].mul_add(error, tile[v][k]));
        }
    }
    sums[..V * LANES].copy_from_slice(tile.as_flattened());
    V * LANES
}
