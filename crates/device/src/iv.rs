//! Current against voltage of one device.

use bitpulse_core::units::{Amperes, Siemens, Volts};
use serde::{Deserialize, Serialize};

use crate::response::ParameterProblem;

/// The current-voltage law. The first three pass through `I = G V` at the read voltage, at which `G` was measured; the
/// last has `G` as its slope at 0 V.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
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

    /// The slope of [`Iv::current`] at `v`.
    pub fn slope(&self, g: Siemens, v: Volts, read: Volts) -> Siemens {
        let (g, v, r) = (g.0, v.0, read.0);
        Siemens(match self {
            Iv::Linear => g,
            Iv::Sinh { v0 } => g * (r / v0.0) * (v / v0.0).cosh() / (r / v0.0).sinh(),
            Iv::Cubic { cubic } => g * (1.0 + 3.0 * cubic * v * v) / (1.0 + cubic * r * r),
            Iv::LogPolynomial { quadratic, cubic, .. } => {
                let log = g.log10();
                g + v * (2.0 * polynomial(quadratic, log) + v * 3.0 * polynomial(cubic, log))
            }
        })
    }

    /// The voltage, of either sign, up to which the law holds for a device of conductance `g` and its current rises.
    pub fn limit(&self, g: Siemens) -> Volts {
        match self {
            Iv::Linear | Iv::Sinh { .. } | Iv::Cubic { .. } => Volts(f64::INFINITY),
            Iv::LogPolynomial { quadratic, cubic, limit } => {
                // The slope `G + b V + a V^2` is zero at `V = -2 G / (b +- sqrt(b^2 - 4 a G))`, first where the
                // denominator is largest.
                let log = g.0.log10();
                let (b, a) = (2.0 * polynomial(quadratic, log), 3.0 * polynomial(cubic, log));
                let root = b * b - 4.0 * a * g.0;
                let turn = if root < 0.0 { f64::INFINITY } else { 2.0 * g.0 / (b.abs() + root.sqrt()) };
                Volts(limit.0.min(turn))
            }
        }
    }

    /// The current of a device of conductance `g`, measured at `read`, as an expression in its voltage `v`: numbers, the
    /// four operations and `sinh`, which SPICE reads.
    pub fn expression(&self, g: Siemens, v: &str, read: Volts) -> String {
        let (g, r) = (g.0, read.0);
        match self {
            Iv::Linear => format!("{g:e}*{v}"),
            Iv::Sinh { v0 } => format!("{:e}*sinh({v}/{:e})", g * r / (r / v0.0).sinh(), v0.0),
            Iv::Cubic { cubic } => format!("{:e}*{v}*(1+{cubic:e}*{v}*{v})", g / (1.0 + cubic * r * r)),
            Iv::LogPolynomial { quadratic, cubic, .. } => {
                let [quadratic, cubic] = [quadratic, cubic].map(|n| polynomial(n, g.log10()));
                format!("{v}*({g:e}+{v}*({quadratic:e}+{v}*{cubic:e}))")
            }
        }
    }

    /// What is wrong with the law for devices measured at `read`; the key of that voltage itself is `read-voltage`.
    pub fn problems(&self, read: Option<Volts>) -> Vec<ParameterProblem> {
        let checks = match self {
            Iv::Linear => vec![],
            Iv::Sinh { v0 } => vec![("sinh.v0", v0.0 > 0.0, "must be positive")],
            Iv::Cubic { cubic } => vec![("cubic.cubic", *cubic >= 0.0, "must not be negative")],
            Iv::LogPolynomial { limit, .. } => {
                vec![("log-polynomial.limit", limit.0 > 0.0, "must be positive")]
            }
        };
        let read = match (self, read) {
            (Iv::Sinh { .. }, None) => Some("is needed by a law of sinh"),
            (Iv::Cubic { .. }, None) => Some("is needed by a cubic law"),
            (Iv::Sinh { .. }, Some(Volts(0.0))) => {
                Some("must not be 0 V: a law of sinh passes through its current there")
            }
            _ => None,
        };
        let wrong = checks.into_iter().filter(|&(_, holds, _)| !holds);
        let wrong = wrong.map(|(key, _, problem)| ParameterProblem { key, problem });
        wrong.chain(read.map(|problem| ParameterProblem { key: "read-voltage", problem })).collect()
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
    fn slopes_are_those_of_the_currents() {
        let log_polynomial =
            Iv::LogPolynomial { quadratic: vec![1e-6, -1e-6], cubic: vec![2e-6, 1e-6], limit: Volts(0.5) };
        let (g, r, step) = (Siemens(2e-5), Volts(0.2), 1e-5);
        for law in [Iv::Linear, Iv::Sinh { v0: Volts(0.3) }, Iv::Cubic { cubic: 2.0 }, log_polynomial] {
            for v in [-0.4, 0.0, 0.1, 0.45] {
                let rise = law.current(g, Volts(v + step), r).0 - law.current(g, Volts(v - step), r).0;
                let slope = law.slope(g, Volts(v), r).0;
                assert!((rise / (2.0 * step) - slope).abs() < 1e-8 * slope, "{law:?} at {v} V");
            }
        }
    }

    /// The value of an expression as [`Iv::expression`] writes it, `v` put into it.
    fn value(text: &str, v: f64) -> f64 {
        /// Sums, of products, of numbers and what stands in brackets.
        fn sum(text: &mut &str) -> f64 {
            let mut sum = product(text);
            while let Some(rest) = text.strip_prefix('+') {
                *text = rest;
                sum += product(text);
            }
            sum
        }
        fn product(text: &mut &str) -> f64 {
            let mut product = number(text);
            while let Some(operation) = text.chars().next().filter(|c| "*/".contains(*c)) {
                *text = &text[1..];
                let factor = number(text);
                product = if operation == '*' { product * factor } else { product / factor };
            }
            product
        }
        fn number(text: &mut &str) -> f64 {
            for (open, function) in [("sinh(", f64::sinh as fn(f64) -> f64), ("(", |x| x)] {
                if let Some(rest) = text.strip_prefix(open) {
                    *text = rest;
                    let inside = sum(text);
                    *text = text.strip_prefix(')').expect("brackets are closed");
                    return function(inside);
                }
            }
            let end = (1..=text.len()).rev().find(|end| text[..*end].parse::<f64>().is_ok());
            let end = end.unwrap_or_else(|| panic!("no number: {text}"));
            let (digits, rest) = text.split_at(end);
            *text = rest;
            digits.parse().expect("just parsed")
        }
        let text = text.replace('v', &format!("({v:e})"));
        let mut rest = text.as_str();
        let value = sum(&mut rest);
        assert!(rest.is_empty(), "{rest} is left of {text}");
        value
    }

    #[test]
    fn expressions_say_what_currents_are() {
        let log_polynomial =
            Iv::LogPolynomial { quadratic: vec![1e-6, -1e-6], cubic: vec![2e-6, 1e-6], limit: Volts(0.5) };
        let (g, r) = (Siemens(2e-5), Volts(0.2));
        for law in [Iv::Linear, Iv::Sinh { v0: Volts(0.3) }, Iv::Cubic { cubic: 2.0 }, log_polynomial] {
            let expression = law.expression(g, "v", r);
            for v in [-0.4, 0.1, 0.45] {
                let (found, wanted) = (value(&expression, v), law.current(g, Volts(v), r).0);
                assert!((found / wanted - 1.0).abs() < 1e-12, "{expression} at {v} V: {found} for {wanted}");
            }
        }
    }

    #[test]
    fn problems_name_their_keys() {
        let keys = |law: Iv, read| law.problems(read).iter().map(|problem| problem.key).collect::<Vec<_>>();
        assert_eq!(keys(Iv::Sinh { v0: Volts(0.0) }, None), ["sinh.v0", "read-voltage"]);
        assert_eq!(keys(Iv::Sinh { v0: Volts(0.3) }, Some(Volts(0.0))), ["read-voltage"]);
        assert_eq!(keys(Iv::Cubic { cubic: f64::NAN }, Some(Volts(0.2))), ["cubic.cubic"]);
        assert_eq!(keys(Iv::Cubic { cubic: -1.0 }, None), ["cubic.cubic", "read-voltage"]);
        let log_polynomial =
            |limit| Iv::LogPolynomial { quadratic: vec![], cubic: vec![], limit: Volts(limit) };
        assert_eq!(keys(log_polynomial(0.0), None), ["log-polynomial.limit"]);
        // A cubic law may have no cubic part, and be measured at 0 V.
        assert!(keys(Iv::Cubic { cubic: 0.0 }, Some(Volts(0.0))).is_empty());
        assert!(keys(log_polynomial(0.5), None).is_empty());
        assert!(
            keys(Iv::Cubic { cubic: 2.0 }, Some(Volts(0.2))).is_empty() && keys(Iv::Linear, None).is_empty()
        );
    }

    #[test]
    fn a_law_ends_where_its_current_would_fall() {
        assert_eq!(Iv::Sinh { v0: Volts(0.3) }.limit(Siemens(1e-5)), Volts(f64::INFINITY));
        let law = |quadratic: f64, cubic: f64| Iv::LogPolynomial {
            quadratic: vec![quadratic],
            cubic: vec![cubic],
            limit: Volts(0.5),
        };
        let g = Siemens(1e-4);
        assert_eq!(law(0.0, 1e-4).limit(g), Volts(0.5));
        // By hand: 1e-4 - 4e-4 V is zero at 0.25 V; 1e-4 - 12e-4 V^2 at 0.2887 V.
        for (law, turn) in
            [(law(-2e-4, 0.0), 0.25), (law(2e-4, 0.0), 0.25), (law(0.0, -4e-4), (1.0_f64 / 12.0).sqrt())]
        {
            let found = law.limit(g).0;
            assert!((found - turn).abs() < 1e-12, "{found} for {turn}");
        }
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
