//! Means, intervals and what may be claimed from them.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean of independent values and, from two values on, the half-width of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) n: usize,
    pub(super) mean: f64,
    /// Student's t at n - 1 degrees of freedom times the standard error; `None` for a single value.
    pub(super) half_width: Option<f64>,
}

/// What an interval around a difference allows one to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
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
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let half_width = (n > 1).then(|| {
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
            t_quantile_975(n - 1) * (variance / n as f64).sqrt()
        });
        Some(Self { n, mean, half_width })
    }

    /// Lower end of the interval, the mean itself for a single value.
    pub(super) fn low(&self) -> f64 {
        self.mean - self.half_width.unwrap_or(0.0)
    }

    /// Upper end of the interval, the mean itself for a single value.
    pub(super) fn high(&self) -> f64 {
        self.mean + self.half_width.unwrap_or(0.0)
    }

    /// What this estimate, read as a difference, allows one to say.
    pub(super) fn verdict(&self) -> Verdict {
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

/// The 97.5 % quantile of Student's t: 95 % of its mass lies between minus this and this.
fn t_quantile_975(degrees_of_freedom: usize) -> f64 {
    StudentsT::new(0.0, 1.0, degrees_of_freedom as f64)
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
            assert_abs_diff_eq!(t_quantile_975(degrees), quantile, epsilon = 5.1e-4);
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
    fn nothing_is_claimed_without_an_interval_or_across_zero() {
        assert_eq!(Estimate::of(&[]), None);
        assert_eq!(Estimate::of(&[0.7]).unwrap().verdict(), Verdict::Single);
        assert_eq!(Estimate::of(&[0.1, -0.1, 0.2]).unwrap().verdict(), Verdict::Open);
        assert_eq!(Estimate::of(&[0.0, 0.0]).unwrap().verdict(), Verdict::Open);
        assert_eq!(Estimate::of(&[f64::NAN, 1.0]).unwrap().verdict(), Verdict::Open);
        assert_eq!(Estimate::of(&[-0.21, -0.2, -0.19]).unwrap().verdict(), Verdict::Below);
    }
}
