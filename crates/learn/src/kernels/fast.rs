//! The kernels that training runs on, compiled for several instruction sets and chosen at run time.
//!
//! No path contracts a product and a sum into one rounding, so all instruction sets give the same bits.

// `multiversion` calls the version it picked through an unsafe block, after asking the CPU for the features that
// version was compiled for; the property tests of the parent module run whichever this machine picks.
#![allow(unsafe_code)]

use bitpulse_core::Real;
use bitpulse_core::rows::LANES;
use multiversion::multiversion;
use multiversion::target::target_cfg_f;

use crate::draw;

/// `W[i, j] += x error[j]` for every `(i, x)`; `error` is padded to a row.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn add_outer<R: Real>(weights: &mut [R], active: &[(u32, R)], error: &[R]) {
    // Errors that 16 of 32 registers hold are not read again for every line.
    const HELD: usize = 16 * LANES;
    let stride = error.len();
    let mut start = 0;
    while target_cfg_f!(target_feature = "avx512f") && size_of::<R>() == 4 && start + HELD <= stride {
        let mut held = [R::zero(); HELD];
        held.copy_from_slice(&error[start..start + HELD]);
        for &(line, x) in active {
            let at = line as usize * stride + start;
            let row: &mut [R] = &mut weights[at..at + HELD];
            for k in 0..HELD {
                row[k] += x * held[k];
            }
        }
        start += HELD;
    }
    for &(line, x) in active {
        let row = &mut weights[line as usize * stride..][start..stride];
        for (w, &e) in row.iter_mut().zip(&error[start..]) {
            *w += x * e;
        }
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

/// `W[j] += pulse n` with `n = sgn(v) floor(pulses |v| + u)`, `v = x error[j]`, for the weights of one line; counts the
/// pulses up and down. All slices are padded to a row.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn add_rounded<R: Real>(
    row: &mut [R],
    x: R,
    error: &[R],
    (pulses, pulse): (R, R),
    draws: &[u16],
) -> [u64; 2] {
    let (mut up, mut down) = ([R::zero(); LANES], [R::zero(); LANES]);
    let rows = row.as_chunks_mut::<LANES>().0;
    let errors = error.as_chunks::<LANES>().0;
    for ((w, e), draws) in rows.iter_mut().zip(errors).zip(draws.as_chunks::<LANES>().0) {
        for k in 0..LANES {
            let v = x * e[k];
            let count = (pulses * v.abs() + draw::uniform::<R>(draws[k])).floor();
            let (rise, fall) = if v < R::zero() { (R::zero(), count) } else { (count, R::zero()) };
            w[k] += if v < R::zero() { -(pulse * count) } else { pulse * count };
            up[k] += rise;
            down[k] += fall;
        }
    }
    // Sums of whole numbers far below 2^24, exact in any order.
    [up, down].map(|counts| counts.iter().map(|count| count.as_f64()).sum::<f64>() as u64)
}

/// Decisions that are taken in one go before any is written down: their comparisons fill vectors.
const DECISIONS: usize = 32;

/// The lines of every pattern of eight decisions, those that fire first.
const FIRING: [[u8; 8]; 256] = {
    let mut patterns = [[0; 8]; 256];
    let mut pattern = 0;
    while pattern < 256 {
        let (mut line, mut firing) = (0, 0);
        while line < 8 {
            if pattern >> line & 1 == 1 {
                patterns[pattern][firing] = line as u8;
                firing += 1;
            }
            line += 1;
        }
        pattern += 1;
    }
    patterns
};

/// Appends the lines whose pixel fires.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn pixel_bits(lines: &[u16], levels: &[u8], draws: &[u16], out: &mut Vec<u32>) {
    let start = out.len();
    out.resize(start + lines.len(), 0);
    let mut end = start;
    let pixels = lines.chunks(DECISIONS).zip(levels.chunks(DECISIONS)).zip(draws.chunks(DECISIONS));
    for ((lines, levels), draws) in pixels {
        let mut fires = [false; DECISIONS];
        for ((fires, &level), &draw) in fires.iter_mut().zip(levels).zip(draws) {
            *fires = draw::pixel_fires(level, draw);
        }
        for (&line, fires) in lines.iter().zip(fires) {
            // Written always, kept only if it fires: no branch for the CPU to guess wrong.
            out[end] = u32::from(line);
            end += usize::from(fires);
        }
    }
    out.truncate(end);
}

/// Appends the neurons whose hard-sigmoid comparator fires.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn hard_sigmoid_bits<R: Real>(z: &[R], gain: R, draws: &[u16], out: &mut Vec<u32>) {
    let (half, quarter, one) = (R::of(0.5), R::of(0.25), R::one());
    let start = out.len();
    // Eight lines are written at a time, of which those that do not fire are overwritten by the next.
    out.resize(start + z.len() + 8, 0);
    let mut end = start;
    let mut neuron = 0;
    for (z, draws) in z.chunks(DECISIONS).zip(draws.chunks(DECISIONS)) {
        let mut fires = [0_u8; DECISIONS];
        for ((fires, &z), &draw) in fires.iter_mut().zip(z).zip(draws) {
            let mut p = half + quarter * (gain * z);
            p = if p < R::zero() { R::zero() } else { p };
            p = if p > one { one } else { p };
            *fires = u8::from(p + draw::uniform::<R>(draw) >= one);
        }
        for fires in fires.as_chunks::<8>().0 {
            // The product moves bit 0 of byte k to bit 56 + k; no two meet on the way.
            let pattern = (u64::from_le_bytes(*fires).wrapping_mul(0x0102_0408_1020_4080) >> 56) as usize;
            for (out, line) in out[end..end + 8].iter_mut().zip(FIRING[pattern]) {
                *out = neuron + u32::from(line);
            }
            end += pattern.count_ones() as usize;
            neuron += 8;
        }
    }
    out.truncate(end);
}
