//! Standard normal numbers by the block.

// `multiversion` calls the version it picked through an unsafe block, after asking the CPU for the features that
// version was compiled for; the test below holds whichever this machine picks to the plain one, bit for bit.
#![allow(unsafe_code)]

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_PI_4, LN_2};

use bitpulse_core::{Rng, SeedPath};
use multiversion::multiversion;
use rand::Rng as _;

/// Generators side by side: one vector register of the widest instruction set.
const LANES: usize = 16;
/// Numbers made at once.
const BLOCK: usize = 4 * LANES;

/// An endless stream of standard normal numbers, a pure function of its seed path.
///
/// Noise is drawn per pulsed device and takes most of an update's time, so numbers are made 64 at a time, without a
/// branch: 16 generators xoshiro128++ (Blackman & Vigna, ACM Transactions on Mathematical Software 47, 36 (2021), DOI
/// 10.1145/3460772), seeded from the path's own generator, and the transform of Box & Muller (Annals of Mathematical
/// Statistics 29, 610 (1958), DOI 10.1214/aoms/1177706645) in single precision. Accurate to some 1e-6; no number lies beyond
/// 6.7, which a true normal number does once in 5e10 draws. All instruction sets give the same bits.
///
/// ```
/// use bitpulse_core::SeedPath;
/// use bitpulse_device::Gaussians;
///
/// let mut noise = Gaussians::new(SeedPath::root(1).child("noise"));
/// let mean = (0..10_000).map(|_| noise.draw()).sum::<f32>() / 10_000.0;
/// assert!(mean.abs() < 0.05);
/// ```
#[derive(Clone, Debug)]
pub struct Gaussians {
    state: [[u32; LANES]; 4],
    block: [f32; BLOCK],
    used: usize,
}

impl Gaussians {
    /// No number of any stream is of larger magnitude.
    pub const LARGEST: f32 = 6.7;

    /// The start of the stream that belongs to `at`.
    pub fn new(at: SeedPath) -> Self {
        Self::from_rng(&mut at.rng())
    }

    /// A stream that the next numbers of `rng` are the seed of.
    pub fn from_rng(rng: &mut Rng) -> Self {
        let mut state = [[0; LANES]; 4];
        for word in state.as_flattened_mut() {
            *word = rng.next_u32();
        }
        Self { state, block: [0.0; BLOCK], used: BLOCK }
    }

    /// The next number of the stream.
    #[inline]
    pub fn draw(&mut self) -> f32 {
        if self.used >= BLOCK {
            self.refill();
        }
        let x = self.block[self.used];
        self.used += 1;
        x
    }

    /// Fills `out` with the next numbers of the stream.
    pub fn fill(&mut self, mut out: &mut [f32]) {
        while !out.is_empty() {
            if self.used >= BLOCK {
                self.refill();
            }
            let n = out.len().min(BLOCK - self.used);
            let (now, later) = out.split_at_mut(n);
            now.copy_from_slice(&self.block[self.used..self.used + n]);
            self.used += n;
            out = later;
        }
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self) {
        refill(&mut self.state, &mut self.block);
        self.used = 0;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
fn refill(state: &mut [[u32; LANES]; 4], block: &mut [f32; BLOCK]) {
    for pair in block.as_chunks_mut::<{ 2 * LANES }>().0 {
        let (radius, angle) = (words(state), words(state));
        let mut both = [[0.0; LANES]; 2];
        for lane in 0..LANES {
            let [x, y] = normal_pair(radius[lane], angle[lane]);
            both[0][lane] = x;
            both[1][lane] = y;
        }
        pair.copy_from_slice(both.as_flattened());
    }
}

/// The next word of every generator (xoshiro128++).
#[inline]
fn words(state: &mut [[u32; LANES]; 4]) -> [u32; LANES] {
    let [s0, s1, s2, s3] = state;
    let mut out = [0; LANES];
    for lane in 0..LANES {
        let [a, b, c, d] = [s0[lane], s1[lane], s2[lane], s3[lane]];
        out[lane] = a.wrapping_add(d).rotate_left(7).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        s1[lane] = b ^ c;
        s0[lane] = a ^ d;
        s2[lane] = c ^ (b << 9);
        s3[lane] = d.rotate_left(11);
    }
    out
}

/// Two independent normal numbers from two uniform words (Box & Muller).
#[inline]
fn normal_pair(radius: u32, angle: u32) -> [f32; 2] {
    // 31 bits as a signed integer, which vector units convert at once; never 0.
    let uniform = ((radius >> 1) as i32 as f32 + 0.5) * (1.0 / 2_147_483_648.0);
    let r = (-2.0 * ln(uniform)).sqrt();
    // 30 bits are an angle within 45 degrees of an axis, two more say which of the four axes.
    let x = (angle << 2) as i32 as f32 * (FRAC_PI_4 / 2_147_483_648.0);
    let z = x * x;
    let sine = x + x * z * ((-1.958_79e-4 * z + 8.332_748e-3) * z - 0.166_666_64);
    let cosine = 1.0 - 0.5 * z + z * z * ((2.454_794_2e-5 * z - 1.388_830_2e-3) * z + 0.041_666_664);
    let along = f32::from_bits(cosine.to_bits() ^ (angle & 0x8000_0000));
    let swap = angle & 0x4000_0000 != 0;
    let [a, b] = if swap { [sine, along] } else { [along, sine] };
    [r * a, r * b]
}

/// The natural logarithm of a positive, normal number, to 1e-7: exponent and the series `f - f^2/2 + f^3 P(f)` of the
/// mantissa `1 + f`, `P` a Chebyshev fit of degree 7 over `sqrt(1/2)..sqrt(2)`.
#[inline]
fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = (bits.wrapping_sub(FRAC_1_SQRT_2.to_bits()) as i32) >> 23;
    let f = f32::from_bits(bits.wrapping_sub((exponent << 23) as u32)) - 1.0;
    let mut p = -0.079_027_44;
    for coefficient in
        [0.126_223_19, -0.129_981_83, 0.142_144_96, -0.166_412_82, 0.200_010_45, -0.250_003_07, 0.333_333_3]
    {
        p = p * f + coefficient;
    }
    let square = f * f;
    f - 0.5 * square + square * f * p + exponent as f32 * LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One generator at a time, the textbook's formula in double precision.
    fn plain(at: SeedPath, n: usize) -> Vec<f64> {
        let mut rng = at.rng();
        let mut words: Vec<u32> = (0..4 * LANES).map(|_| rng.next_u32()).collect();
        let mut next = |lane: usize| {
            let mut s = [0, 1, 2, 3].map(|i| words[i * LANES + lane]);
            let word = s[0].wrapping_add(s[3]).rotate_left(7).wrapping_add(s[0]);
            let t = s[1] << 9;
            s[2] ^= s[0];
            s[3] ^= s[1];
            s[1] ^= s[2];
            s[0] ^= s[3];
            s[2] ^= t;
            s[3] = s[3].rotate_left(11);
            for (i, s) in s.into_iter().enumerate() {
                words[i * LANES + lane] = s;
            }
            word
        };
        let mut out = Vec::new();
        while out.len() < n {
            let radius: Vec<u32> = (0..LANES).map(&mut next).collect();
            let angle: Vec<u32> = (0..LANES).map(&mut next).collect();
            let pairs = radius.iter().zip(&angle).map(|(&radius, &angle)| {
                // The uniform number is one of single precision; what follows is not.
                let uniform = f64::from((radius >> 1) as f32 + 0.5) / 2_f64.powi(31);
                let r = (-2.0 * uniform.ln()).sqrt();
                let near = f64::from((angle << 2) as i32) / 2_f64.powi(31) * std::f64::consts::FRAC_PI_4;
                let along = if angle >> 31 == 1 { -near.cos() } else { near.cos() };
                if angle >> 30 & 1 == 1 { [r * near.sin(), r * along] } else { [r * along, r * near.sin()] }
            });
            let pairs: Vec<[f64; 2]> = pairs.collect();
            out.extend((0..2).flat_map(|i| pairs.iter().map(move |pair| pair[i])));
        }
        out
    }

    #[test]
    fn the_stream_is_the_textbooks_in_single_precision() {
        let at = SeedPath::root(5).child("gaussians");
        let mut fast = Gaussians::new(at);
        for (i, plain) in plain(at, 100_000).into_iter().enumerate() {
            let x = f64::from(fast.draw());
            assert!((x - plain).abs() < 2e-6 * plain.abs().max(1.0), "{i}: {x} against {plain}");
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let mut fast = Gaussians::new(SeedPath::root(6));
        let mut state = fast.state;
        for _ in 0..1000 {
            let (radius, angle) = (words(&mut state), words(&mut state));
            let pairs: Vec<[f32; 2]> =
                radius.iter().zip(&angle).map(|(&radius, &angle)| normal_pair(radius, angle)).collect();
            for i in 0..2 {
                for pair in &pairs {
                    assert_eq!(fast.draw().to_bits(), pair[i].to_bits());
                }
            }
        }
    }

    /// The distribution function by series and continued fraction (Abramowitz & Stegun 26.2.11 and 26.2.14).
    fn normal_cdf(x: f64) -> f64 {
        let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        if x.abs() < 3.0 {
            let (mut term, mut sum) = (x, x);
            for k in 1..60 {
                term *= x * x / f64::from(2 * k + 1);
                sum += term;
            }
            return 0.5 + density * sum;
        }
        let tail = (1..60).rev().fold(x.abs(), |below, k| x.abs() + f64::from(k) / below);
        if x > 0.0 { 1.0 - density / tail } else { density / tail }
    }

    #[test]
    fn numbers_are_normal_to_the_tails_and_independent() {
        const N: usize = 1_000_000;
        let mut fast = Gaussians::new(SeedPath::root(7));
        let mut sample: Vec<f64> = (0..N).map(|_| f64::from(fast.draw())).collect();
        let n = N as f64;
        let moment = |k: i32| sample.iter().map(|x| x.powi(k)).sum::<f64>() / n;
        // Variances of the first four moments of a standard normal sample, times n: 1, 2, 15, 96; five standard errors.
        for (k, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let found = moment(k);
            assert!((found - expected).abs() < 5.0 * f64::sqrt(variance / n), "moment {k}: {found}");
        }
        // Neighbours, the two of a pair (16 apart) and one lane's successive draws (32 and 64 apart): correlations have a
        // standard error of 1/sqrt(n), as have those of squares, divided by their variance 2.
        for lag in [1, 2, 15, 16, 17, 32, 64] {
            let pairs = || sample.iter().zip(&sample[lag..]);
            let plain = pairs().map(|(x, y)| x * y).sum::<f64>() / n;
            let squares = pairs().map(|(x, y)| (x * x - 1.0) * (y * y - 1.0)).sum::<f64>() / n / 2.0;
            assert!(plain.abs() < 5.0 / n.sqrt(), "lag {lag}: {plain}");
            assert!(squares.abs() < 5.0 / n.sqrt(), "squares, lag {lag}: {squares}");
        }
        for threshold in [3.0_f64, 4.0] {
            let expected = 2.0 * n * normal_cdf(-threshold);
            let found = sample.iter().filter(|x| x.abs() > threshold).count() as f64;
            assert!(
                (found - expected).abs() < 5.0 * expected.sqrt(),
                "beyond {threshold}: {found} of {expected}"
            );
        }
        // Kolmogorov-Smirnov: P(D sqrt(n) > 2.23) = 1e-4.
        sample.sort_by(f64::total_cmp);
        let distance = (sample.iter().enumerate())
            .map(|(i, &x)| {
                (normal_cdf(x) - i as f64 / n).abs().max((normal_cdf(x) - (i + 1) as f64 / n).abs())
            })
            .fold(0.0, f64::max);
        assert!(distance * n.sqrt() < 2.23, "{}", distance * n.sqrt());
    }

    #[test]
    fn the_smallest_and_largest_words_stay_finite() {
        for radius in [0, 1, u32::MAX - 1, u32::MAX] {
            for angle in [0, 1, 0x3fff_ffff, 0x4000_0000, 0x8000_0000, u32::MAX] {
                let pair = normal_pair(radius, angle);
                assert!(
                    pair.iter().all(|x| x.is_finite() && x.abs() < Gaussians::LARGEST),
                    "{radius} {angle}: {pair:?}"
                );
            }
        }
    }
}
