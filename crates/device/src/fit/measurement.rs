//! Measured pulse trains, from CSV.

use std::collections::BTreeMap;

use bitpulse_core::units::Siemens;
use thiserror::Error;

use crate::response::Polarity;

/// Measured pulse trains of one or more devices.
#[derive(Clone, Debug, PartialEq)]
pub struct PulseData {
    /// Names of the devices, as the file has them; one empty name where it has no such column.
    pub devices: Vec<String>,
    /// One train per device and cycle; two where the pulse number of a cycle starts anew for the other polarity.
    pub trains: Vec<Train>,
    /// Rows without a conductance.
    pub missing: usize,
}

/// Readings of one device in the order of its pulses.
#[derive(Clone, Debug, PartialEq)]
pub struct Train {
    /// Index into [`PulseData::devices`].
    pub device: usize,
    /// Ascending in pulse number.
    pub readings: Vec<Reading>,
}

/// One conductance, read after a pulse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Number of the pulse in its train.
    pub pulse: u64,
    /// Direction of that pulse.
    pub polarity: Polarity,
    /// What was read after it.
    pub conductance: Siemens,
}

/// Why a CSV file holds no pulse trains.
#[derive(Debug, Error)]
pub enum CsvError {
    /// Not a CSV table.
    #[error("cannot read the table")]
    Table(#[from] csv::Error),
    /// No rows with a conductance.
    #[error("the file holds no readings (header `{header}`, {missing} rows without a conductance)")]
    Empty {
        /// The header line.
        header: String,
        /// Rows whose conductance is missing.
        missing: usize,
    },
    /// A column is not there.
    #[error(
        "no column `{column}` in the header `{header}`: expected pulse, polarity, conductance with its unit, such as \
             \"conductance (uS)\", and if there are several also device and cycle"
    )]
    Column {
        /// Which.
        column: &'static str,
        /// The header line.
        header: String,
    },
    /// The unit of the conductance is not one.
    #[error("the column `{column}` must name a unit of conductance, such as \"conductance (uS)\": {problem}")]
    Unit {
        /// The column's title.
        column: String,
        /// What is wrong.
        problem: String,
    },
    /// A value cannot be read.
    #[error("line {line}: `{value}` is not {expected}")]
    Value {
        /// Line of the file, from 1.
        line: u64,
        /// As written.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Two readings of one pulse.
    #[error(
        "lines {first} and {second} are readings of the same pulse: tell repeats apart by a column `cycle`, devices by a \
         column `device`"
    )]
    Duplicate {
        /// Line of the first.
        first: u64,
        /// Line of the second.
        second: u64,
    },
    /// Values beyond any memristor.
    #[error("line {line}: a conductance of {value}: is the unit in the header right?")]
    Implausible {
        /// Line of the file, from 1.
        line: u64,
        /// As understood.
        value: Siemens,
    },
}

/// A row as read, with where it stood.
struct Row {
    line: u64,
    device: usize,
    cycle: String,
    reading: Reading,
}

impl PulseData {
    /// Reads a CSV table with a header. Columns, in any order and case:
    ///
    /// * `pulse` (or `pulse number`, `n`): a whole number, 0 for a reading before the first pulse,
    /// * `polarity` (or `direction`): `set`, `up`, `ltp`, `p`, `+`, `1`, or `reset`, `down`, `ltd`, `d`, `-`, `-1`,
    /// * `conductance` (or `g`) with its unit: `conductance (uS)`, `g [nS]`, `conductance_uS`,
    /// * optionally `device` and `cycle`: any text.
    ///
    /// Rows may come in any order; rows without a conductance (empty, `nan`, `na`) are counted and left out.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn from_csv(text: &str) -> Result<Self, CsvError> {
        let mut table =
            csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
        let header = table.headers()?.clone();
        let columns = Columns::of(&header)?;
        let mut devices: BTreeMap<String, usize> = BTreeMap::new();
        let mut rows = Vec::new();
        let mut missing = 0;
        for record in table.records() {
            let record = record?;
            let line = record.position().map_or(0, csv::Position::line);
            let field = |column: Option<usize>| column.and_then(|column| record.get(column)).unwrap_or("");
            let bad = |value: &str, expected| CsvError::Value { line, value: value.into(), expected };
            let text = field(Some(columns.conductance));
            if matches!(text.to_ascii_lowercase().as_str(), "" | "nan" | "na" | "n/a" | "null") {
                missing += 1;
                continue;
            }
            let number: f64 = text.parse().map_err(|_| bad(text, "a number"))?;
            let conductance = Siemens(number * columns.unit_siemens);
            if !conductance.0.is_finite() || conductance.0.abs() > 1.0 {
                return Err(CsvError::Implausible { line, value: conductance });
            }
            let text = field(Some(columns.pulse));
            let pulse = text.parse().map_err(|_| bad(text, "a pulse number"))?;
            let text = field(Some(columns.polarity));
            let polarity = polarity(text).ok_or_else(|| bad(text, "a polarity (set or reset)"))?;
            let next = devices.len();
            rows.push(Row {
                line,
                device: *devices.entry(field(columns.device).into()).or_insert(next),
                cycle: field(columns.cycle).into(),
                reading: Reading { pulse, polarity, conductance },
            });
        }
        if rows.is_empty() {
            return Err(CsvError::Empty { header: header.iter().collect::<Vec<_>>().join(","), missing });
        }
        let mut names = vec![String::new(); devices.len()];
        for (name, index) in devices {
            names[index] = name;
        }
        Ok(Self { devices: names, trains: trains(rows)?, missing })
    }
}

/// Where the columns stand, and the size of the conductance's unit.
struct Columns {
    pulse: usize,
    polarity: usize,
    conductance: usize,
    unit_siemens: f64,
    device: Option<usize>,
    cycle: Option<usize>,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Self, CsvError> {
        let titles: Vec<String> = header.iter().map(str::to_ascii_lowercase).collect();
        let find = |names: &[&str]| titles.iter().position(|title| names.contains(&title.as_str()));
        let need = |column: &'static str, found: Option<usize>| {
            found.ok_or_else(|| CsvError::Column {
                column,
                header: header.iter().collect::<Vec<_>>().join(","),
            })
        };
        let starts = |name: &str| {
            titles.iter().position(|title| {
                title
                    .strip_prefix(name)
                    .is_some_and(|rest| !rest.starts_with(|letter: char| letter.is_alphanumeric()))
            })
        };
        let conductance = need("conductance", starts("conductance").or_else(|| starts("g")))?;
        let title = &header[conductance];
        let unit = title
            .trim_start_matches(|letter: char| letter.is_alphanumeric())
            .trim_matches(|letter: char| letter.is_whitespace() || "()[]_/,".contains(letter));
        let unit_siemens = format!("1 {unit}")
            .parse::<Siemens>()
            .map_err(|error| CsvError::Unit { column: title.into(), problem: error.to_string() })?
            .0;
        Ok(Self {
            pulse: need("pulse", find(&["pulse", "pulse number", "pulse_number", "n"]))?,
            polarity: need("polarity", find(&["polarity", "direction"]))?,
            conductance,
            unit_siemens,
            device: find(&["device", "cell"]),
            cycle: find(&["cycle", "repeat", "run"]),
        })
    }
}

fn polarity(text: &str) -> Option<Polarity> {
    match text.to_ascii_lowercase().as_str() {
        "set" | "up" | "ltp" | "potentiation" | "p" | "+" | "+1" | "1" => Some(Polarity::Set),
        "reset" | "down" | "ltd" | "depression" | "d" | "-" | "-1" => Some(Polarity::Reset),
        _ => None,
    }
}

/// Sorts rows into trains.
fn trains(rows: Vec<Row>) -> Result<Vec<Train>, CsvError> {
    let mut cycles: BTreeMap<(usize, String), Vec<Row>> = BTreeMap::new();
    for row in rows {
        cycles.entry((row.device, row.cycle.clone())).or_default().push(row);
    }
    let mut trains = Vec::new();
    for ((device, _), mut rows) in cycles {
        rows.sort_by_key(|row| row.reading.pulse);
        let repeats = |rows: &[Row]| {
            rows.windows(2)
                .find(|pair| pair[0].reading.pulse == pair[1].reading.pulse)
                .map(|pair| CsvError::Duplicate { first: pair[0].line, second: pair[1].line })
        };
        let parts = if repeats(&rows).is_none() {
            vec![rows]
        } else {
            // The numbers may start anew for the other polarity.
            let (set, reset): (Vec<_>, Vec<_>) =
                rows.into_iter().partition(|row| row.reading.polarity == Polarity::Set);
            vec![set, reset]
        };
        for part in parts {
            if let Some(error) = repeats(&part) {
                return Err(error);
            }
            if !part.is_empty() {
                trains.push(Train { device, readings: part.into_iter().map(|row| row.reading).collect() });
            }
        }
    }
    Ok(trains)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_units_order_and_gaps_are_understood() {
        let text = "# measured at 300 K\nCycle,g [nS],Polarity,Pulse Number\n\
                    b,30,ltp,2\nb,10,+,0\na,nan,up,1\nb,20,SET,1\nb,25,-1,3\na,5,p,2\n";
        let data = PulseData::from_csv(text).unwrap();
        assert_eq!(data.missing, 1);
        assert_eq!(data.trains.len(), 2);
        let of_b: Vec<_> = (data.trains[1].readings.iter())
            .map(|reading| (reading.pulse, reading.polarity, reading.conductance))
            .collect();
        assert_eq!(
            of_b,
            [
                (0, Polarity::Set, Siemens(10.0 * 1e-9)),
                (1, Polarity::Set, Siemens(20.0 * 1e-9)),
                (2, Polarity::Set, Siemens(30.0 * 1e-9)),
                (3, Polarity::Reset, Siemens(25.0 * 1e-9)),
            ]
        );
        for title in ["conductance (uS)", "conductance_uS", "G/uS", "Conductance [uS]"] {
            let text = format!("pulse,polarity,{title}\n1,set,2\n");
            let data = PulseData::from_csv(&text).unwrap();
            assert_eq!(data.trains[0].readings[0].conductance, Siemens(2e-6), "{title}");
        }
    }

    #[test]
    fn numbers_that_start_anew_split_by_polarity() {
        let text = "pulse,polarity,conductance (uS)\n1,set,1\n2,set,2\n1,reset,1.5\n2,reset,1\n";
        assert_eq!(PulseData::from_csv(text).unwrap().trains.len(), 2);
    }

    #[test]
    fn every_wrong_file_gets_one_clear_error() {
        let message = |text: &str| PulseData::from_csv(text).unwrap_err().to_string();
        assert!(message("").contains("no column `conductance`"));
        assert!(message("pulse,polarity,conductance (uS)\n").contains("no readings"));
        assert!(message("pulse,polarity,conductance (uS)\n1,set,\n").contains("1 rows without"));
        assert!(message("pulse,polarity,conductance\n1,set,1\n").contains("no unit"));
        assert!(message("pulse,polarity,conductance (V)\n1,set,1\n").contains("unknown unit `V`"));
        assert!(message("pulse,polarity,resistance (ohm)\n1,set,1\n").contains("no column `conductance`"));
        assert!(
            message("pulse,polarity,conductance (S)\n1,set,50\n").contains("line 2: a conductance of 50 S")
        );
        assert!(message("pulse,polarity,g (uS)\n1,sideways,5\n").contains("line 2: `sideways`"));
        assert!(message("pulse,polarity,g (uS)\n1.5,set,5\n").contains("`1.5` is not a pulse number"));
        assert!(message("pulse,polarity,g (uS)\n1,set,x\n").contains("`x` is not a number"));
        assert!(message("pulse,polarity,g (uS)\n1,set,5\n1,set,6\n").contains("lines 2 and 3"));
    }
}
