//! Walks over a matrix stored input-major, which every [`SynapticMatrix`](crate::SynapticMatrix) that keeps its weights in
//! memory makes.
//!
//! A row is padded to [`stride`] columns, a multiple of [`LANES`]; the padding is zero and stays zero, so that the kernels
//! never meet a ragged end. They are compiled for several instruction sets and chosen at run time. No path contracts a
//! product and a sum into one rounding, so all instruction sets give the same bits; property tests hold them to loops
//! that can be read.

mod aligned;
mod fast;
#[cfg(test)]
mod plain;

pub use aligned::Aligned;
pub use fast::{
    count_signs, dot_rows, dot_rows_sparse, fill_draws, nonzero, signs_by_row, sum_fixed_rows, sum_rows,
    sum_scaled_rows, sum_signs,
};

/// Columns that the kernels take at a time; rows are padded to a multiple of it.
pub const LANES: usize = 16;

/// The padded length of a row of `outputs` columns.
pub const fn stride(outputs: usize) -> usize {
    outputs.div_ceil(LANES) * LANES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::RngExt;

    use super::*;
    use crate::SeedPath;

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
        fn bit_selected_row_sums_equal_the_plain_ones((inputs, outputs, seed) in case()) {
            let w = weights(inputs, outputs, seed);
            let mut rng = SeedPath::root(seed).child("lines").rng();
            let lines: Vec<u32> = (0..inputs as u32).filter(|_| rng.random()).collect();
            let (mut a, mut b) = (vec![1.0; outputs], vec![2.0; outputs]);
            plain::sum_rows(&w, stride(outputs), &lines, &mut a);
            fast::sum_rows(&w, stride(outputs), &lines, &mut b);
            prop_assert_eq!(a, b);
        }

        #[test]
        fn sums_of_rows_of_16_bits_equal_the_plain_ones((inputs, outputs, seed) in case()) {
            let stride = stride(outputs);
            let mut rng = SeedPath::root(seed).child("fixed").rng();
            let w: Vec<i16> =
                (0..inputs * stride).map(|k| if k % stride < outputs { rng.random() } else { 0 }).collect();
            let lines: Vec<u32> = (0..inputs as u32).filter(|_| rng.random()).collect();
            let (mut a, mut b) = (vec![1; outputs], vec![2; outputs]);
            plain::sum_fixed_rows(&w, stride, &lines, &mut a);
            fast::sum_fixed_rows(&w, stride, &lines, &mut b);
            prop_assert_eq!(a, b);
        }

        #[test]
        fn scaled_row_sums_equal_the_plain_ones((inputs, outputs, seed) in case()) {
            let w = weights(inputs, outputs, seed);
            let mut rng = SeedPath::root(seed).child("lines").rng();
            let active: Vec<(u32, f32)> =
                (0..inputs as u32).map(|line| (line, rng.random())).filter(|(line, _)| line % 3 != 1).collect();
            let (mut a, mut b) = (vec![1.0; outputs], vec![2.0; outputs]);
            plain::sum_scaled_rows(&w, stride(outputs), &active, &mut a);
            fast::sum_scaled_rows(&w, stride(outputs), &active, &mut b);
            prop_assert_eq!(a, b);
        }

        #[test]
        fn row_dots_equal_the_plain_ones_to_rounding((inputs, outputs, seed) in case()) {
            let w = weights(inputs, outputs, seed);
            let mut error = vec![0.0; stride(outputs)];
            let mut rng = SeedPath::root(seed).child("error").rng();
            error[..outputs].fill_with(|| rng.random_range(-1.0..1.0));
            let (mut a, mut b) = (vec![1.0_f32; inputs], vec![2.0; inputs]);
            plain::dot_rows(&w, &error, &mut a);
            fast::dot_rows(&w, &error, &mut b);
            for (a, b) in a.iter().zip(&b) {
                // Sums of `outputs` terms below 1 in another order: half an ulp of the largest partial sum each.
                prop_assert!((a - b).abs() <= outputs as f32 * outputs as f32 * f32::EPSILON, "{a} {b}");
            }
        }

        #[test]
        fn sparse_row_dots_equal_the_plain_ones((inputs, outputs, seed) in case()) {
            let w = weights(inputs, outputs, seed);
            let mut rng = SeedPath::root(seed).child("error").rng();
            let active: Vec<(u32, f32)> = (0..outputs as u32)
                .map(|line| (line, rng.random_range(-1.0..1.0)))
                .filter(|(line, _)| line % 3 != 1)
                .collect();
            let mut dense = vec![0.0; stride(outputs)];
            for &(line, value) in &active {
                dense[line as usize] = value;
            }
            let (mut a, mut b) = (vec![1.0_f32; inputs], vec![2.0; inputs]);
            plain::dot_rows(&w, &dense, &mut a);
            fast::dot_rows_sparse(&w, stride(outputs), &active, &mut b);
            prop_assert_eq!(a, b);
        }

        #[test]
        fn nonzero_levels_equal_the_plain_ones(levels in prop::collection::vec(-2..3_i8, 0..200), scale in -3.0_f32..3.0, columns in 1..40_usize) {
            let levels: Vec<f32> = levels.into_iter().map(f32::from).collect();
            let (mut a, mut b) = (vec![(77, 0.5)], vec![(77, 0.5)]);
            plain::nonzero(&levels, scale, &mut a);
            fast::nonzero(&levels, scale, &mut b);
            prop_assert_eq!(a, b);
            let signs = [levels.iter().filter(|l| **l > 0.0).count(), levels.iter().filter(|l| **l < 0.0).count()];
            prop_assert_eq!(fast::count_signs(&levels), signs.map(|count| count as u64));
            let eighths: Vec<f32> = levels.iter().map(|level| (level * 8.0).round() / 8.0).collect();
            let sums = [1.0, -1.0].map(|sign| eighths.iter().map(|x| (x * sign).max(0.0)).sum::<f32>());
            prop_assert_eq!(fast::sum_signs(&eighths), sums);
            let mut by_row = [Vec::new(), Vec::new()];
            fast::signs_by_row(&eighths, columns, None, &mut by_row[0]);
            fast::signs_by_row(&eighths, columns, Some(8.0), &mut by_row[1]);
            for (k, row) in eighths.chunks_exact(columns).enumerate() {
                prop_assert_eq!(by_row[0][k], fast::count_signs(row));
                prop_assert_eq!(by_row[1][k], fast::sum_signs(row).map(|sum| (sum * 8.0) as u64));
            }
        }

        #[test]
        fn bulk_draws_are_the_words_of_the_stream(seed in any::<u64>(), count in 0..50_usize) {
            let path = SeedPath::root(seed);
            let mut draws = vec![0; count];
            fast::fill_draws(&mut path.rng(), &mut draws);
            let mut rng = path.rng();
            let words: Vec<u64> = (0..count.div_ceil(4)).map(|_| rng.random()).collect();
            for (k, draw) in draws.iter().enumerate() {
                prop_assert_eq!(*draw, (words[k / 4] >> (16 * (k % 4))) as u16);
            }
        }
    }
}
