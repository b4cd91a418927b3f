//! Inner loops of learning that change weights and make bits; walks that only read stand in [`bitpulse_core::rows`].
//!
//! [`plain`] says what is computed, in loops a reader can check against the equations; [`fast`] computes the same for
//! the common paths. Where the order of additions is the same the two agree bit for bit, and property tests below hold
//! them to it.

pub(crate) mod convolution;
pub(crate) mod fast;
pub(crate) mod maps;
#[cfg(test)]
pub(crate) mod plain;
pub(crate) mod sparse;

#[cfg(test)]
mod tests {
    use bitpulse_core::SeedPath;
    use bitpulse_core::rows::stride;
    use proptest::prelude::*;
    use rand::RngExt;

    use super::*;

    /// Inputs, outputs and a seed for everything else.
    fn case() -> impl Strategy<Value = (usize, usize, u64)> {
        (1..40_usize, 1..300_usize, any::<u64>())
    }

    fn weights(inputs: usize, outputs: usize, seed: u64) -> Vec<f32> {
        let mut rng = SeedPath::root(seed).child("weights").rng();
        let stride = stride(outputs);
        (0..inputs * stride)
            .map(|k| if k % stride < outputs { rng.random_range(-1.0..1.0) } else { 0.0 })
            .collect()
    }

    proptest! {
        #[test]
        fn outer_products_equal_the_plain_ones((inputs, outputs, seed) in case()) {
            let w = weights(inputs, outputs, seed);
            let mut rng = SeedPath::root(seed).child("both").rng();
            let active: Vec<(u32, f32)> =
                (0..inputs as u32).map(|line| (line, rng.random())).filter(|(line, _)| line % 3 != 1).collect();
            let mut error = vec![0.0; stride(outputs)];
            error[..outputs].fill_with(|| [-1.0, 0.0, 1.0][rng.random_range(0..3)]);
            let (mut a, mut b) = (w.clone(), w);
            plain::add_outer(&mut a, &active, &error);
            fast::add_outer(&mut b, &active, &error);
            prop_assert_eq!(a, b);
        }

        #[test]
        fn moves_of_rows_of_16_bits_equal_the_plain_ones((inputs, outputs, seed) in case()) {
            let stride = stride(outputs);
            let mut rng = SeedPath::root(seed).child("fixed").rng();
            let mut a: Vec<i16> =
                (0..inputs * stride).map(|k| if k % stride < outputs { rng.random() } else { 0 }).collect();
            let mut b = a.clone();
            let lines: Vec<u32> = (0..inputs as u32).filter(|_| rng.random()).collect();
            let mut moves = vec![0; stride];
            moves[..outputs].fill_with(|| [-9000, 0, 9000][rng.random_range(0..3)]);
            plain::move_rows(&mut a, &lines, &moves);
            fast::move_rows(&mut b, &lines, &moves);
            prop_assert_eq!(a, b);
        }

        #[test]
        fn rounded_updates_equal_the_plain_ones(
            outputs in 1..300_usize, x in 0.0_f32..1.0, pulses in 1..5_u8, seed in any::<u64>()
        ) {
            let mut rng = SeedPath::root(seed).child("errors").rng();
            let stride = stride(outputs);
            let mut error = vec![0.0_f32; stride];
            error[..outputs].fill_with(|| rng.random_range(-1.0..1.0));
            let draws: Vec<u16> = (0..stride).map(|_| rng.random()).collect();
            let mut a = weights(1, outputs, seed);
            let mut b = a.clone();
            let size = (f32::from(pulses), 0.125);
            prop_assert_eq!(
                plain::add_rounded(&mut a, x, &error, size, &draws),
                fast::add_rounded(&mut b, x, &error, size, &draws)
            );
            prop_assert_eq!(&a, &b);
            prop_assert!(b[outputs..].iter().all(|padding| *padding == 0.0));
        }

        #[test]
        fn pixel_bits_equal_the_plain_ones(seed in any::<u64>(), count in 0..200_usize) {
            let mut rng = SeedPath::root(seed).rng();
            let lines: Vec<u16> = (0..count as u16).map(|line| line * 3).collect();
            let levels: Vec<u8> = lines.iter().map(|_| rng.random_range(1..=255)).collect();
            let draws: Vec<u16> = lines.iter().map(|_| rng.random()).collect();
            let (mut a, mut b) = (vec![77], vec![77]);
            plain::pixel_bits(&lines, &levels, &draws, &mut a);
            fast::pixel_bits(&lines, &levels, &draws, &mut b);
            prop_assert_eq!(a, b);
        }

        #[test]
        fn hard_sigmoid_bits_equal_the_plain_ones(seed in any::<u64>(), count in 0..200_usize, gain in 0.1_f32..4.0) {
            let mut rng = SeedPath::root(seed).rng();
            let z: Vec<f32> = (0..count).map(|_| rng.random_range(-3.0..3.0)).collect();
            let draws: Vec<u16> = z.iter().map(|_| rng.random()).collect();
            let (mut a, mut b) = (vec![77], vec![77]);
            plain::hard_sigmoid_bits(&z, gain, &draws, &mut a);
            fast::hard_sigmoid_bits(&z, gain, &draws, &mut b);
            prop_assert_eq!(a, b);
        }

    }
}
