//! Current against voltage of one device.

use bitpulse_core::units::{Amperes, Siemens, Volts};
use serde::{Deserialize, Serialize};

use crate::preset::Problems;

/// The current-voltage law. The first three pass through `I = G V` at the read voltage, at which `G` was measured; the
/// last has `G` as its slope at 0 V.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Iv {
    /// `I = G V`
    #[default]
    Linear,
    /// `I` proportional to `sinh(V / v0)`
    Sinh {
        /// Voltage scale.
        v0: Volts,
    },
    /// `I` proportional to `V + cubic V^3`
    Cubic {
        /// Coefficient in 1/V^2.
        cubic: f64,
    },
    /// `I = G V + N2 V^2 + N3 V^3`, the coefficients polynomials of `log10(G / 1 S)`, lowest order first.
    LogPolynomial {
        /// `N2` in A/V^2.
        quadratic: Vec<f64>,
        /// `N3` in A/V^3.
        cubic: Vec<f64>,
        /// The law holds up to this voltage, either sign.
        limit: Volts,
    },
}

/// `coefficients` lowest order first.
pub(crate) fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

impl Iv {
    /// The current of a device of conductance `g`, measured at `read`, under `v`.
    pub fn current(&self, g: Siemens, v: Volts, read: Volts) -> Amperes {
        let (g, v, r) = (g.0, v.0, read.0);
        Amperes(match self {
            Iv::Linear => g * v,
            Iv::Sinh { v0 } => g * r * (v / v0.0).sinh() / (r / v0.0).sinh(),
            Iv::Cubic { cubic } => g * v * (1.0 + cubic * v * v) / (1.0 + cubic * r * r),
            Iv::LogPolynomial { quadratic, cubic, .. } => {
                let log = g.log10();
                v * (g + v * (polynomial(quadratic, log) + v * polynomial(cubic, log)))
            }
        })
    }

    pub(crate) fn check(&self, has_read_voltage: bool, problems: &mut Problems) {
        match self {
            Iv::Linear => {}
            Iv::Sinh { v0 } => {
                problems.unless(v0.0 > 0.0, "iv.sinh.v0", "must be positive");
                problems.unless(has_read_voltage, "pulse.read-voltage", "is needed by `iv.sinh`");
            }
            Iv::Cubic { cubic } => {
                problems.unless(*cubic >= 0.0, "iv.cubic.cubic", "must not be negative");
                problems.unless(has_read_voltage, "pulse.read-voltage", "is needed by `iv.cubic`");
            }
            Iv::LogPolynomial { limit, .. } => {
                problems.unless(limit.0 > 0.0, "iv.log-polynomial.limit", "must be positive");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_law_passes_through_the_read_point_and_is_odd_where_it_should() {
        let (g, r) = (Siemens(2e-5), Volts(0.2));
        for law in [Iv::Linear, Iv::Sinh { v0: Volts(0.3) }, Iv::Cubic { cubic: 2.0 }] {
            assert!((law.current(g, r, r).0 - 4e-6).abs() < 1e-18);
            let (up, down) = (law.current(g, Volts(0.7), r).0, law.current(g, Volts(-0.7), r).0);
            assert!((up + down).abs() < 1e-18);
            assert!(up >= 0.7 * 2e-5);
        }
        // By hand: sinh(2)/sinh(2/3) at v0 = 0.3, 0.6 V against 0.2 V.
        let sinh = Iv::Sinh { v0: Volts(0.3) }.current(g, Volts(0.6), r).0;
        assert!((sinh / 4e-6 - 2.0_f64.sinh() / (2.0_f64 / 3.0).sinh()).abs() < 1e-12);
        let cubic = Iv::Cubic { cubic: 2.0 }.current(g, Volts(1.0), r).0;
        assert!((cubic - 2e-5 * 3.0 / 1.08).abs() < 1e-18);
    }

    #[test]
    fn log_polynomial_is_evaluated_by_hand() {
        let law = Iv::LogPolynomial {
            quadratic: vec![1e-6, -1e-6],
            cubic: vec![0.0, 0.0, 1e-6],
            limit: Volts(0.5),
        };
        // log10(1e-4) = -4: N2 = 5e-6, N3 = 16e-6.
        let current = law.current(Siemens(1e-4), Volts(0.5), Volts(0.2)).0;
        assert!((current - (0.5e-4 + 0.25 * 5e-6 + 0.125 * 16e-6)).abs() < 1e-15);
    }
}
