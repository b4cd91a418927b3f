use bitpulse_core::Real;
use serde::{Deserialize, Serialize};

/// The activation of a neuron, and so the law of a comparator's noise when its output is a bit.
///
/// A comparator that fires when `a + noise > 0` fires with probability `f(a)` where `f` is the distribution function of
/// the (symmetric) noise: logistic noise gives the sigmoid, uniform noise on [-2, 2] the hard sigmoid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `1 / (1 + exp(-a))`.
    Sigmoid,
    /// `clamp(0.5 + 0.25 a, 0, 1)`.
    HardSigmoid,
    /// `max(0, a)`; high-precision signals only.
    Relu,
}

impl Activation {
    /// `f(a)`.
    pub fn value<R: Real>(self, a: R) -> R {
        match self {
            Activation::Sigmoid => sigmoid(a),
            Activation::HardSigmoid => hard_sigmoid(a),
            Activation::Relu => {
                if a > R::zero() {
                    a
                } else {
                    R::zero()
                }
            }
        }
    }

    /// `f'(a) / f'(0)`, in [0, 1]; for ReLU, `[a > 0]`.
    pub fn relative_slope<R: Real>(self, a: R) -> R {
        match self {
            Activation::Sigmoid => sigmoid_slope(sigmoid(a)),
            Activation::HardSigmoid => indicator(a.abs() < R::of(2.0)),
            Activation::Relu => indicator(a > R::zero()),
        }
    }

    /// [`Activation::relative_slope`] of `a` from `a` and `f(a)`, where the latter is at hand and saves an exponential.
    pub(crate) fn relative_slope_at<R: Real>(self, a: R, value: R) -> R {
        match self {
            Activation::Sigmoid => sigmoid_slope(value),
            Activation::HardSigmoid | Activation::Relu => self.relative_slope(a),
        }
    }

    /// `f'(0)`; for ReLU, its slope where it is active.
    pub const fn slope_at_zero(self) -> f64 {
        match self {
            Activation::Sigmoid | Activation::HardSigmoid => 0.25,
            Activation::Relu => 1.0,
        }
    }

    /// Whether the relative slope is a bit by itself, so that nothing needs to be drawn for it.
    pub const fn has_binary_slope(self) -> bool {
        matches!(self, Activation::HardSigmoid | Activation::Relu)
    }
}

fn sigmoid_slope<R: Real>(q: R) -> R {
    R::of(4.0) * q * (R::one() - q)
}

pub(crate) fn sigmoid<R: Real>(a: R) -> R {
    R::one() / (R::one() + (-a).exp())
}

pub(crate) fn hard_sigmoid<R: Real>(a: R) -> R {
    let p = R::of(0.5) + R::of(0.25) * a;
    if p < R::zero() {
        R::zero()
    } else if p > R::one() {
        R::one()
    } else {
        p
    }
}

fn indicator<R: Real>(condition: bool) -> R {
    if condition { R::one() } else { R::zero() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_slope_is_the_derivative(a in -6.0_f64..6.0) {
            for f in [Activation::Sigmoid, Activation::HardSigmoid, Activation::Relu] {
                // Not at the kinks, where there is no derivative.
                if (a.abs() - 2.0).abs() < 1e-5 || a.abs() < 1e-5 {
                    continue;
                }
                let h = 1e-6;
                let numeric = (f.value(a + h) - f.value(a - h)) / (2.0 * h);
                let slope = f.relative_slope(a) * f.slope_at_zero();
                prop_assert!((numeric - slope).abs() < 1e-8, "{f:?} at {a}: {numeric} against {slope}");
            }
        }
    }
}
