//! Means, intervals and what may be claimed from them.

use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean of independent values and, from two values on, the half-width of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) n: usize,
    pub(crate) mean: f64,
    /// Student's t at n - 1 degrees of freedom times the standard error; `None` for a single value.
    pub(crate) half_width: Option<f64>,
}

/// What an interval around a difference allows one to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The whole interval lies above zero.
    Above,
    /// The whole interval lies below zero.
    Below,
    /// The interval contains zero (or is not a number).
    Open,
    /// One value: there is no interval.
    Single,
}

impl Estimate {
    /// The estimate from `values`; `None` when there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let half_width = (n > 1).then(|| {
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
            t_quantile_975((n - 1) as f64) * (variance / n as f64).sqrt()
        });
        Some(Self { n, mean, half_width })
    }

    /// Lower end of the interval, the mean itself for a single value.
    pub(crate) fn low(&self) -> f64 {
        self.mean - self.half_width.unwrap_or(0.0)
    }

    /// Upper end of the interval, the mean itself for a single value.
    pub(crate) fn high(&self) -> f64 {
        self.mean + self.half_width.unwrap_or(0.0)
    }

    /// What this estimate, read as a difference, allows one to say.
    pub(crate) fn verdict(&self) -> Verdict {
        if self.half_width.is_none() {
            Verdict::Single
        } else if self.low() > 0.0 {
            Verdict::Above
        } else if self.high() < 0.0 {
            Verdict::Below
        } else {
            Verdict::Open
        }
    }
}

/// How a metric differs between two samples of seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Difference {
    /// Second less first.
    pub(crate) estimate: Estimate,
    /// Whether runs of the same seed were compared, or the two means.
    pub(crate) paired: bool,
    /// Whether all runs of the same seed agree to the last bit.
    pub(crate) same: bool,
}

impl Difference {
    /// `second` less `first`, by seed where two seeds or more are common to both, and otherwise of the means, with the
    /// interval of Welch's t; `None` where one of them has no value.
    pub(crate) fn between(first: &BTreeMap<String, f64>, second: &BTreeMap<String, f64>) -> Option<Self> {
        let pairs: Vec<(f64, f64)> =
            first.iter().filter_map(|(seed, a)| Some((*a, *second.get(seed)?))).collect();
        let same = !pairs.is_empty() && pairs.iter().all(|(a, b)| a == b);
        let values = |sample: &BTreeMap<String, f64>| sample.values().copied().collect::<Vec<_>>();
        if pairs.len() > 1 || first.len().min(second.len()) < 2 {
            let paired = !pairs.is_empty();
            let differences: Vec<f64> = if paired {
                pairs.iter().map(|(a, b)| b - a).collect()
            } else {
                vec![Estimate::of(&values(second))?.mean - Estimate::of(&values(first))?.mean]
            };
            return Some(Self { estimate: Estimate::of(&differences)?, paired, same });
        }
        let estimate = welch(&values(first), &values(second));
        Some(Self { estimate, paired: false, same })
    }
}

/// Difference of the means of two independent samples of two values or more, with the interval of Welch's t.
fn welch(first: &[f64], second: &[f64]) -> Estimate {
    let moments = |values: &[f64]| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n, n)
    };
    let ((a, of_a, n_a), (b, of_b, n_b)) = (moments(first), moments(second));
    let squared_error = of_a + of_b;
    // Welch-Satterthwaite; without spread there is nothing to count.
    let degrees = squared_error.powi(2) / (of_a.powi(2) / (n_a - 1.0) + of_b.powi(2) / (n_b - 1.0));
    let half_width = if squared_error > 0.0 { t_quantile_975(degrees) * squared_error.sqrt() } else { 0.0 };
    Estimate { n: first.len() + second.len(), mean: b - a, half_width: Some(half_width) }
}

/// The 97.5 % quantile of Student's t: 95 % of its mass lies between minus this and this.
fn t_quantile_975(degrees_of_freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, degrees_of_freedom)
        .expect("a positive count of degrees of freedom and unit scale make a t distribution")
        .inverse_cdf(0.975)
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn t_quantiles_equal_the_tabled_ones() {
        // NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2, column 0.975.
        let tabled = [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (29, 2.045), (100, 1.984)];
        for (degrees, quantile) in tabled {
            assert_abs_diff_eq!(t_quantile_975(f64::from(degrees)), quantile, epsilon = 5.1e-4);
        }
    }

    #[test]
    fn interval_equals_the_one_worked_by_hand() {
        // Mean 3, sample variance (1 + 0 + 1) / 2 = 1, standard error 1 / sqrt 3, t = 4.302653.
        let estimate = Estimate::of(&[2.0, 3.0, 4.0]).unwrap();
        assert_eq!((estimate.n, estimate.mean), (3, 3.0));
        assert_abs_diff_eq!(estimate.half_width.unwrap(), 2.484_138, epsilon = 1e-6);
        assert_abs_diff_eq!(estimate.low(), 0.515_862, epsilon = 1e-6);
        assert_eq!(estimate.verdict(), Verdict::Above);
    }

    #[test]
    fn differences_are_paired_where_seeds_are_common() {
        let sample = |values: &[(&str, f64)]| -> BTreeMap<String, f64> {
            values.iter().map(|(seed, value)| ((*seed).to_owned(), *value)).collect()
        };
        let first = sample(&[("1", 1.0), ("2", 2.0), ("3", 4.0)]);
        let paired = Difference::between(&first, &sample(&[("1", 1.5), ("2", 2.7), ("9", 0.0)])).unwrap();
        assert!(paired.paired && !paired.same);
        assert_abs_diff_eq!(paired.estimate.mean, 0.6, epsilon = 1e-12);
        assert_eq!(paired.estimate.n, 2);
        assert!(Difference::between(&first, &first).unwrap().same);
        // Means 2.333 and 7.5, variances 2.333 and 0.5: standard error sqrt(7/9 + 1/4) = 1.01379, degrees of freedom
        // 1.02778^2 / (0.77778^2 / 2 + 0.25^2 / 1) = 2.894.
        let apart = Difference::between(&first, &sample(&[("8", 7.0), ("9", 8.0)])).unwrap();
        assert!(!apart.paired);
        assert_abs_diff_eq!(apart.estimate.mean, 5.166_667, epsilon = 1e-6);
        assert_abs_diff_eq!(
            apart.estimate.half_width.unwrap(),
            1.013_793 * t_quantile_975(2.894_292),
            epsilon = 1e-4
        );
        let one = Difference::between(&first, &sample(&[("1", 1.5)])).unwrap();
        assert_eq!(one.estimate.verdict(), Verdict::Single);
        assert_eq!(Difference::between(&first, &BTreeMap::new()), None);
    }

    #[test]
    fn nothing_is_claimed_without_an_interval_or_across_zero() {
        assert_eq!(Estimate::of(&[]), None);
        assert_eq!(Estimate::of(&[0.7]).unwrap().verdict(), Verdict::Single);
        assert_eq!(Estimate::of(&[0.1, -0.1, 0.2]).unwrap().verdict(), Verdict::Open);
        assert_eq!(Estimate::of(&[0.0, 0.0]).unwrap().verdict(), Verdict::Open);
        assert_eq!(Estimate::of(&[f64::NAN, 1.0]).unwrap().verdict(), Verdict::Open);
        assert_eq!(Estimate::of(&[-0.21, -0.2, -0.19]).unwrap().verdict(), Verdict::Below);
    }
}
