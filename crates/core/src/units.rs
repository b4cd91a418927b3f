//! Physical quantities as newtypes, read from and written as `"50 uS"`.
//!
//! Public interfaces take these; kernels work on plain floats whose names end in the unit (`g_siemens`, `t_s`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{found}` is not {what}: {problem}; write a number and a unit, such as \"{example}\"")]
pub struct ParseUnitError {
    found: String,
    what: &'static str,
    problem: String,
    example: &'static str,
}

/// SI prefixes by exponent; `u` is micro, as keyboards have it, and the micro sign is read too.
const PREFIXES: [(&str, i32); 11] = [
    ("f", -15),
    ("p", -12),
    ("n", -9),
    ("u", -6),
    ("\u{b5}", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
];

/// Splits `text` into number and unit and scales by the prefix; `symbols` are the accepted spellings of the unit.
fn parse(text: &str, symbols: &[&str]) -> Result<f64, String> {
    let text = text.trim();
    // The longest prefix of the text that is a number: units such as "e" or "E" alone never start one.
    let split = (1..=text.len())
        .rev()
        .filter(|&end| text.is_char_boundary(end))
        .find(|&end| text[..end].trim_end().parse::<f64>().is_ok_and(f64::is_finite));
    let Some(split) = split else {
        return Err("no number".into());
    };
    let number: f64 = text[..split].trim_end().parse().map_err(|_| "no number")?;
    let unit = text[split..].trim();
    if unit.is_empty() {
        return Err(format!("no unit (expected `{}`, with a prefix if needed)", symbols[0]));
    }
    for symbol in symbols {
        let Some(prefix) = unit.strip_suffix(symbol) else {
            continue;
        };
        if let Some((_, exponent)) = PREFIXES.iter().find(|(name, _)| *name == prefix) {
            // Dividing by an exact power of ten rounds once, multiplying by its inexact inverse would round twice.
            let power = 10_f64.powi(exponent.abs());
            return Ok(if *exponent < 0 { number / power } else { number * power });
        }
    }
    Err(format!("unknown unit `{unit}` (expected `{}`, with a prefix if needed)", symbols[0]))
}

/// Writes `value` with the prefix that leaves one to three digits before the point.
fn format(value: f64, symbol: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if value == 0.0 || !value.is_finite() {
        return write!(f, "{value} {symbol}");
    }
    let wanted = ((value.abs().log10() + 1e-12).floor() as i32).div_euclid(3) * 3;
    let exponent = wanted.clamp(-15, 12);
    let (prefix, _) = PREFIXES.iter().find(|(_, e)| *e == exponent).unwrap_or(&("", 0));
    let scaled = if exponent < 0 { value * 10_f64.powi(-exponent) } else { value / 10_f64.powi(exponent) };
    match f.precision() {
        Some(digits) => write!(f, "{scaled:.digits$} {prefix}{symbol}"),
        // Twelve significant digits hide the rounding of the scaling itself.
        None => write!(f, "{} {prefix}{symbol}", format!("{scaled:.12e}").parse::<f64>().unwrap_or(scaled)),
    }
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $what:literal, [$symbol:literal $(, $alias:literal)*], $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
        pub struct $name(pub f64);

        impl FromStr for $name {
            type Err = ParseUnitError;
            fn from_str(text: &str) -> Result<Self, ParseUnitError> {
                parse(text, &[$symbol $(, $alias)*]).map(Self).map_err(|problem| ParseUnitError {
                    found: text.into(),
                    what: $what,
                    problem,
                    example: $example,
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                format(self.0, $symbol, f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "{} as a string such as \"{}\"", $what, $example)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

quantity!(
    /// Conductance in siemens.
    Siemens, "a conductance", ["S"], "50 uS"
);
quantity!(
    /// Resistance in ohm.
    Ohms, "a resistance", ["ohm", "Ohm", "\u{3a9}"], "1 ohm"
);
quantity!(
    /// Potential in volt.
    Volts, "a voltage", ["V"], "0.2 V"
);
quantity!(
    /// Current in ampere.
    Amperes, "a current", ["A"], "3 uA"
);
quantity!(
    /// Time in seconds.
    Seconds, "a time", ["s"], "10 ns"
);
quantity!(
    /// Capacitance in farad.
    Farads, "a capacitance", ["F"], "0.2 fF"
);
quantity!(
    /// Energy in joule.
    Joules, "an energy", ["J"], "1.7 pJ"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!("50 uS".parse(), Ok(Siemens(50e-6)));
        assert_eq!("50uS".parse(), Ok(Siemens(50e-6)));
        assert_eq!("50 \u{b5}S".parse(), Ok(Siemens(50e-6)));
        assert_eq!("-2.8 V".parse(), Ok(Volts(-2.8)));
        assert_eq!("1e3 ohm".parse(), Ok(Ohms(1000.0)));
        assert_eq!("2.5 Mohm".parse(), Ok(Ohms(2.5e6)));
        assert_eq!("300 us".parse(), Ok(Seconds(300e-6)));
        assert_eq!("1 ms".parse(), Ok(Seconds(1e-3)));
    }

    #[test]
    fn says_what_is_wrong() {
        let message = |text: &str| text.parse::<Siemens>().unwrap_err().to_string();
        assert!(message("50").contains("no unit"), "{}", message("50"));
        assert!(message("50 V").contains("unknown unit `V`"));
        assert!(message("uS").contains("no number"));
        assert!(message("").contains("no number"));
        assert!(message("NaN S").contains("no number"));
        assert!(message("inf S").contains("no number"));
        assert!(message("50 xS").contains("\"50 uS\""));
    }

    #[test]
    fn writes_engineering_notation() {
        assert_eq!(Siemens(50e-6).to_string(), "50 uS");
        assert_eq!(Seconds(3e-4).to_string(), "300 us");
        assert_eq!(Volts(0.0).to_string(), "0 V");
        assert_eq!(format!("{:.2}", Joules(3.3554e-6)), "3.36 uJ");
        assert_eq!(Ohms(1e6).to_string(), "1 Mohm");
    }

    proptest! {
        #[test]
        fn writing_and_reading_returns_the_value(mantissa in -999.0_f64..999.0, exponent in -13_i32..11) {
            let value = Siemens(mantissa * 10_f64.powi(exponent));
            let back: Siemens = value.to_string().parse().unwrap();
            prop_assert!((back.0 - value.0).abs() <= 1e-11 * value.0.abs(), "{value} became {back}");
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<Ohms>();
        }
    }
}
