//! Constants with ranges: what is uncertain in a price, and where it comes from.

use std::fmt;

use bitpulse_core::units::{Farads, Joules, Ohms, Seconds, Siemens, Volts};

/// A quantity known within bounds. All three are positive and finite and in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The least that a source gives.
    pub low: f64,
    /// The one to reckon with.
    pub nominal: f64,
    /// The most that a source gives.
    pub high: f64,
}

impl Range {
    /// A quantity without uncertainty.
    pub const fn exactly(value: f64) -> Self {
        Self { low: value, nominal: value, high: value }
    }

    /// Whether its three values are in order.
    pub(crate) fn is_ordered(self) -> bool {
        self.low <= self.nominal && self.nominal <= self.high
    }
}

/// What a constant measures, and so how its text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Joule.
    Energy,
    /// Seconds.
    Time,
    /// Square micrometres.
    Area,
    /// Farad.
    Capacitance,
    /// Volt.
    Voltage,
    /// Siemens.
    Conductance,
    /// Ohm.
    Resistance,
    /// A pure number.
    Number,
}

impl Dimension {
    /// The value of `text` in the unit that is worked with.
    pub(crate) fn parse(self, text: &str) -> Result<f64, String> {
        fn told<T, E: fmt::Display>(parsed: Result<T, E>, value: impl Fn(T) -> f64) -> Result<f64, String> {
            parsed.map(value).map_err(|error| error.to_string())
        }
        match self {
            Self::Energy => told(text.parse(), |Joules(v)| v),
            Self::Time => told(text.parse(), |Seconds(v)| v),
            Self::Capacitance => told(text.parse(), |Farads(v)| v),
            Self::Voltage => told(text.parse(), |Volts(v)| v),
            Self::Conductance => told(text.parse(), |Siemens(v)| v),
            Self::Resistance => told(text.parse(), |Ohms(v)| v),
            Self::Area => parse_area(text),
            Self::Number => Err(format!("`{text}` is a text; write a number without quotes")),
        }
    }

    /// `value` with three significant digits and its unit.
    pub fn show(self, value: f64) -> String {
        let value = format!("{value:.2e}").parse().unwrap_or(value);
        match self {
            Self::Energy => Joules(value).to_string(),
            Self::Time => Seconds(value).to_string(),
            Self::Area if value < 1e6 => format!("{value} um2"),
            Self::Area => format!("{} mm2", value / 1e6),
            Self::Capacitance => Farads(value).to_string(),
            Self::Voltage => Volts(value).to_string(),
            Self::Conductance => Siemens(value).to_string(),
            Self::Resistance => Ohms(value).to_string(),
            Self::Number => value.to_string(),
        }
    }
}

/// Square micrometres from a text such as `"1200 um2"`.
fn parse_area(text: &str) -> Result<f64, String> {
    let wrong =
        || format!("`{text}` is not an area: write a number and one of nm2, um2, mm2, such as \"1200 um2\"");
    let (number, factor) = [("nm2", 1e-6), ("um2", 1.0), ("mm2", 1e6)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.trim().strip_suffix(unit)?, factor)))
        .ok_or_else(wrong)?;
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    if number.is_finite() { Ok(number * factor) } else { Err(wrong()) }
}

/// A constant that prices are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its name, such as `adc-8.energy`. Two bills that use the same name use the same constant.
    pub key: String,
    /// What it measures.
    pub dimension: Dimension,
    /// Its value and how far it is known.
    pub range: Range,
    /// What exactly it is the price of.
    pub definition: String,
    /// Where its numbers come from, one text for each number that differs.
    pub sources: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_read_in_square_micrometres() {
        assert_eq!(Dimension::Area.parse("1200 um2"), Ok(1200.0));
        assert_eq!(Dimension::Area.parse("0.083 mm2"), Ok(83_000.0));
        assert!(Dimension::Area.parse("12 um").unwrap_err().contains("um2"));
        assert!(Dimension::Area.parse("NaN um2").is_err());
    }
}
