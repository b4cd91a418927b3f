//! Products of the patches of a map with weights and errors, straight from the map.
//!
//! Writing patches out multiplies the map by the size of the kernel, and a product of matrices then copies them once more
//! into blocks; with few channels that costs more than the product. Here a row of a patch is read where it stands on the
//! padded map. Sums of a tile of places (or lines) and columns stay in registers. Every step is a fused multiply-add by
//! name, so that all instruction sets give the same bits.

// As in `fast`: `multiversion` calls the version that it picked through an unsafe block.
#![allow(unsafe_code)]
// A tile must be one function with the loops around it: only then does it get their instruction set, and its sums registers.
#![allow(clippy::inline_always)]

use std::array::from_fn;

use bitpulse_core::Real;
use bitpulse_core::rows::LANES;
use multiversion::multiversion;

/// Places whose sums stand in registers at once, for two vectors of columns.
const PLACES: usize = 8;

/// Lines whose sums over places stand in registers at once; a whole number of it makes most rows of a patch.
const LINES: usize = 12;

/// Where patches lie on a padded map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk<'a> {
    /// Where each patch starts.
    pub starts: &'a [usize],
    /// Rows of a patch.
    pub rows: usize,
    /// From one row of a patch to the next.
    pub pitch: usize,
    /// Values in a row of a patch.
    pub run: usize,
}

/// `sum + x row`.
#[inline(always)]
fn add_scaled<R: Real>(x: R, row: [R; LANES], sum: [R; LANES]) -> [R; LANES] {
    from_fn(|k| x.mul_add(row[k], sum[k]))
}

/// The first `V` vectors of a row.
#[inline(always)]
pub(super) fn vectors<R: Real, const V: usize>(row: &[R]) -> [[R; LANES]; V] {
    *row.as_chunks::<LANES>().0.first_chunk().expect("V vectors were cut out")
}

/// `out[p, j] = first[j] + sum over lines i of map[patch p, i] W[i, j]`, terms in the order of lines: `out` has rows of
/// `outputs` columns, `weights` and `first` rows padded to the length of `first`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn read<R: Real>(
    map: &[R],
    walk: &Walk<'_>,
    weights: &[R],
    first: &[R],
    out: &mut [R],
    outputs: usize,
) {
    for (starts, out) in walk.starts.chunks(PLACES).zip(out.chunks_mut(PLACES * outputs)) {
        // Places that are missing from the last tile repeat its last one and are thrown away.
        let starts: [usize; PLACES] = from_fn(|p| starts[p.min(starts.len() - 1)]);
        let mut column = 0;
        while column < first.len() {
            if column + 2 * LANES <= first.len() {
                read_tile::<R, 2>(map, walk, &starts, weights, first, column, out, outputs);
                column += 2 * LANES;
            } else {
                read_tile::<R, 1>(map, walk, &starts, weights, first, column, out, outputs);
                column += LANES;
            }
        }
    }
}

#[allow(clippy::too_many_arguments)] // what a tile is of, and where it goes
#[inline(always)]
fn read_tile<R: Real, const V: usize>(
    map: &[R],
    walk: &Walk<'_>,
    starts: &[usize; PLACES],
    weights: &[R],
    first: &[R],
    column: usize,
    out: &mut [R],
    outputs: usize,
) {
    let stride = first.len();
    let mut sums = [vectors::<R, V>(&first[column..]); PLACES];
    for row in 0..walk.rows {
        let weights = &weights[row * walk.run * stride + column..];
        add_row(&map[row * walk.pitch..], starts, walk.run, weights, stride, &mut sums);
    }
    for (p, out) in out.chunks_exact_mut(outputs).enumerate() {
        for v in 0..V {
            match out[outputs.min(column + v * LANES)..].first_chunk_mut() {
                Some(out) => *out = sums[p][v],
                None => {
                    for (out, &sum) in out[outputs.min(column + v * LANES)..].iter_mut().zip(&sums[p][v]) {
                        *out = sum;
                    }
                }
            }
        }
    }
}

/// Adds what one row of each patch gives.
#[inline(always)]
fn add_row<R: Real, const V: usize>(
    map: &[R],
    starts: &[usize; PLACES],
    run: usize,
    weights: &[R],
    stride: usize,
    sums: &mut [[[R; LANES]; V]; PLACES],
) {
    let mut values = [map; PLACES];
    for p in 0..PLACES {
        values[p] = &map[starts[p]..starts[p] + run];
    }
    // A copy to which nothing points can live in registers.
    let mut tile = *sums;
    for t in 0..run {
        let weights = vectors::<R, V>(&weights[t * stride..]);
        for p in 0..PLACES {
            for v in 0..V {
                tile[p][v] = add_scaled(values[p][t], weights[v], tile[p][v]);
            }
        }
    }
    *sums = tile;
}

/// `sums[i, j] += sum over places p of map[patch p, i] errors[p, j]`, terms in the order of places: all rows padded to
/// `stride`, and `map` followed by [`LINES`] values more than it has.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn add_outer<R: Real>(map: &[R], walk: &Walk<'_>, errors: &[R], sums: &mut [R], stride: usize) {
    for row in 0..walk.rows {
        for t in (0..walk.run).step_by(LINES) {
            let map = &map[row * walk.pitch + t..];
            let lines = LINES.min(walk.run - t);
            let sums = &mut sums[(row * walk.run + t) * stride..][..lines * stride];
            let mut column = 0;
            while column < stride {
                if column + 2 * LANES <= stride {
                    outer_tile::<R, { 2 * LANES }>(map, walk, errors, sums, stride, column);
                    column += 2 * LANES;
                } else {
                    outer_tile::<R, LANES>(map, walk, errors, sums, stride, column);
                    column += LANES;
                }
            }
        }
    }
}

#[inline(always)]
fn outer_tile<R: Real, const W: usize>(
    map: &[R],
    walk: &Walk<'_>,
    errors: &[R],
    sums: &mut [R],
    stride: usize,
    column: usize,
) {
    // Lines that are missing from the last tile are summed from what follows on the map, and thrown away.
    let mut tile = [[R::zero(); W]; LINES];
    for (tile, sums) in tile.iter_mut().zip(sums.chunks_exact(stride)) {
        tile.copy_from_slice(&sums[column..column + W]);
    }
    add_places(map, walk.starts, &errors[column..], stride, &mut tile);
    for (tile, sums) in tile.iter().zip(sums.chunks_exact_mut(stride)) {
        sums[column..column + W].copy_from_slice(tile);
    }
}

/// Adds what all places give.
#[inline(always)]
fn add_places<R: Real, const W: usize>(
    map: &[R],
    starts: &[usize],
    errors: &[R],
    stride: usize,
    sums: &mut [[R; W]; LINES],
) {
    let mut tile = *sums;
    for (p, &start) in starts.iter().enumerate() {
        let values: &[R; LINES] = map[start..start + LINES].try_into().expect("LINES values were cut out");
        let errors: &[R; W] = errors[p * stride..][..W].try_into().expect("W values were cut out");
        // Written out line by line: of a loop over lines the compiler makes vectors of lines, which it must scatter.
        macro_rules! add_lines {
            ($($l:literal)*) => {
                $(for k in 0..W {
                    tile[$l][k] = values[$l].mul_add(errors[k], tile[$l][k]);
                })*
            };
        }
        const { assert!(LINES == 12, "as many lines are written out") };
        add_lines!(0 1 2 3 4 5 6 7 8 9 10 11);
    }
    *sums = tile;
}

/// How many values [`add_outer`] wants behind a map; walks over few errors want a vector.
pub(crate) const BEHIND: usize = if LINES > LANES { LINES } else { LANES };
