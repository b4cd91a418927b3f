//! Measured pulse trains, from CSV.

use std::collections::BTreeMap;

use bitpulse_core::units::{Amperes, Ohms, Siemens, Volts};
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
    /// Not even a header.
    #[error("the file is empty")]
    Nothing,
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
             \"conductance (uS)\" (or resistance, or current at a read voltage), and if there are several also device and cycle"
    )]
    Column {
        /// Which.
        column: &'static str,
        /// The header line.
        header: String,
    },
    /// The unit of a column is not one.
    #[error("the column `{column}` must name its unit, such as \"{example}\": {problem}")]
    Unit {
        /// The column's title.
        column: String,
        /// How it may be written.
        example: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Currents alone are no conductances.
    #[error(
        "the column `{column}` holds currents: the read voltage is needed, as a column \"read voltage (V)\" or as an option"
    )]
    NoReadVoltage {
        /// The column's title.
        column: String,
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
    /// Reads a CSV table with a header, separated by commas, semicolons (then with decimal commas, if any) or tabs.
    /// Columns, in any order and case:
    ///
    /// * `pulse` (or `pulse number`, `n`, `#` and the like): a whole number, 0 for a reading before the first pulse,
    /// * `polarity` (or `direction`, `type`): `set`, `up`, `ltp`, `p`, `+`, `1`, or `reset`, `down`, `ltd`, `d`, `-`, `-1`,
    /// * `conductance` (or `g`) with its unit: `conductance (uS)`, `g [nS]`, `conductance_uS`; or `resistance` (`r`) with its
    ///   unit; or `current` (`i`) with its unit, and the voltage it was read at as a column `read voltage (V)`,
    /// * optionally `device` and `cycle`: any text.
    ///
    /// Rows may come in any order; rows without a conductance (empty, `nan`, `na`) are counted and left out. Where the pulse
    /// numbers of a device start anew without a column `cycle`, rows are in the order of the measurement.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn from_csv(text: &str) -> Result<Self, CsvError> {
        Self::from_csv_read_at(text, None)
    }

    /// As [`PulseData::from_csv`]; currents were all read at `read_voltage`, unless a column says otherwise.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn from_csv_read_at(text: &str, read_voltage: Option<Volts>) -> Result<Self, CsvError> {
        // Spreadsheets mark UTF-8 by a sign that is no part of the first title.
        let text = text.trim_start_matches('\u{feff}');
        let Some(first) = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#')) else {
            return Err(CsvError::Nothing);
        };
        let delimiter = [';', '\t'].into_iter().find(|&delimiter| first.contains(delimiter)).unwrap_or(',');
        let mut table = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .comment(Some(b'#'))
            .delimiter(delimiter as u8)
            .from_reader(text.as_bytes());
        let decimal_comma = |text: &str| if delimiter == ',' { text.into() } else { text.replace(',', ".") };
        let header = table.headers()?.clone();
        let columns = Columns::of(&header, read_voltage)?;
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
            let number = |text: &str| decimal_comma(text).parse::<f64>().map_err(|_| bad(text, "a number"));
            let read_volts = match columns.read_voltage {
                Some((column, unit_volts)) => number(field(Some(column)))? * unit_volts,
                None => columns.read_volts,
            };
            let conductance = Siemens(columns.measured.siemens(number(text)? * columns.unit, read_volts));
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

/// What a conductance was told by.
#[derive(Clone, Copy)]
enum Measured {
    Conductance,
    Resistance,
    Current,
}

impl Measured {
    fn siemens(self, value: f64, read_volts: f64) -> f64 {
        match self {
            Measured::Conductance => value,
            Measured::Resistance => 1.0 / value,
            Measured::Current => value / read_volts,
        }
    }
}

/// Where the columns stand, and the sizes of their units.
struct Columns {
    pulse: usize,
    polarity: usize,
    conductance: usize,
    measured: Measured,
    /// Of the column that tells the conductance, in SI.
    unit: f64,
    /// Column and unit in volts.
    read_voltage: Option<(usize, f64)>,
    /// The read voltage where no column tells it.
    read_volts: f64,
    device: Option<usize>,
    cycle: Option<usize>,
}

impl Columns {
    fn of(header: &csv::StringRecord, read_voltage: Option<Volts>) -> Result<Self, CsvError> {
        let titles: Vec<String> = header.iter().map(str::to_ascii_lowercase).collect();
        let find = |names: &[&str]| titles.iter().position(|title| names.contains(&title.as_str()));
        let missing = |column: &'static str| CsvError::Column {
            column,
            header: header.iter().collect::<Vec<_>>().join(","),
        };
        let need = |column: &'static str, found: Option<usize>| found.ok_or_else(|| missing(column));
        let starts = |names: &[&str]| {
            let is = |title: &str, name: &str| {
                title.strip_prefix(name).is_some_and(|rest| {
                    // A longer word is another one; a unit may follow without a space only behind a sign.
                    !rest.starts_with(|letter: char| letter.is_alphanumeric())
                })
            };
            let title = |name: &&str| titles.iter().position(|title| is(title, name));
            names.iter().find_map(title)
        };
        let unit_of = |at: usize, names: &[&str]| {
            let title = &header[at];
            let name =
                names.iter().filter(|name| titles[at].starts_with(**name)).map(|name| name.len()).max();
            let rest = title.get(name.unwrap_or(0)..).unwrap_or_default();
            rest.trim_matches(|letter: char| letter.is_whitespace() || "()[]_/,.".contains(letter))
                .replace(['\u{3bc}', '\u{b5}'], "u")
                .replace(['\u{3a9}', '\u{2126}'], "ohm")
        };
        let wrong = |at: usize, example: &'static str, problem: String| CsvError::Unit {
            column: header[at].into(),
            example,
            problem,
        };
        let quantities = [
            (Measured::Conductance, &["conductance", "g"][..]),
            (Measured::Resistance, &["resistance", "r"][..]),
            (Measured::Current, &["read current", "current", "iread", "i"][..]),
        ];
        let told =
            quantities.into_iter().find_map(|(measured, names)| Some((measured, starts(names)?, names)));
        let Some((measured, conductance, names)) = told else {
            return Err(missing("conductance"));
        };
        let text = format!("1 {}", unit_of(conductance, names));
        let unit = match measured {
            Measured::Conductance => text
                .parse::<Siemens>()
                .map(|unit| unit.0)
                .map_err(|error| wrong(conductance, "conductance (uS)", error.to_string()))?,
            Measured::Resistance => text
                .parse::<Ohms>()
                .map(|unit| unit.0)
                .map_err(|error| wrong(conductance, "resistance (kohm)", error.to_string()))?,
            Measured::Current => text
                .parse::<Amperes>()
                .map(|unit| unit.0)
                .map_err(|error| wrong(conductance, "current (uA)", error.to_string()))?,
        };
        let names = &["read voltage", "read_voltage", "vread", "v_read"];
        let voltage = match (measured, starts(names)) {
            (Measured::Current, Some(at)) => {
                let unit = format!("1 {}", unit_of(at, names)).parse::<Volts>();
                Some((at, unit.map_err(|error| wrong(at, "read voltage (V)", error.to_string()))?.0))
            }
            _ => None,
        };
        let needs_voltage = matches!(measured, Measured::Current) && voltage.is_none();
        if needs_voltage && read_voltage.is_none() {
            return Err(CsvError::NoReadVoltage { column: header[conductance].into() });
        }
        Ok(Self {
            pulse: need(
                "pulse",
                find(&[
                    "pulse",
                    "pulses",
                    "pulse number",
                    "pulse_number",
                    "pulse no",
                    "pulse no.",
                    "pulse #",
                    "pulse index",
                    "pulse_index",
                    "number",
                    "n",
                    "no",
                    "#",
                ]),
            )?,
            polarity: need("polarity", find(&["polarity", "direction", "type", "pulse type", "operation"]))?,
            conductance,
            measured,
            unit,
            read_voltage: voltage,
            read_volts: read_voltage.map_or(f64::NAN, |voltage| voltage.0),
            device: find(&["device", "cell", "device id", "device_id"]),
            cycle: find(&["cycle", "cycle number", "repeat", "repetition", "run"]),
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
    for ((device, cycle), mut rows) in cycles {
        let in_order = segments(&rows);
        rows.sort_by_key(|row| row.reading.pulse);
        let repeats = |rows: &[Row]| {
            rows.windows(2)
                .find(|pair| pair[0].reading.pulse == pair[1].reading.pulse)
                .map(|pair| CsvError::Duplicate { first: pair[0].line, second: pair[1].line })
        };
        let parts = if repeats(&rows).is_none() {
            vec![rows]
        } else if let (true, Some(ends)) = (cycle.is_empty(), in_order) {
            // The numbers start anew with every run of pulses.
            rows.sort_by_key(|row| row.line);
            let mut parts = Vec::new();
            for end in ends.into_iter().rev() {
                parts.push(rows.split_off(end));
            }
            parts.push(rows);
            parts.reverse();
            parts
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

/// Where pulse numbers start anew, in the order of the file; `None` where the rows are not in the order of a measurement.
fn segments(rows: &[Row]) -> Option<Vec<usize>> {
    /// Readings that a run of pulses has at least, on the average: shuffled rows rise two or three times in a row.
    const SHORTEST: usize = 5;
    let starts: Vec<usize> =
        (1..rows.len()).filter(|&k| rows[k].reading.pulse <= rows[k - 1].reading.pulse).collect();
    (rows.len() >= SHORTEST * (starts.len() + 1)).then_some(starts)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

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
    fn tables_are_read_as_instruments_and_spreadsheets_write_them() {
        let found = |text: &str| {
            let data = PulseData::from_csv_read_at(text, Some(Volts(0.2)));
            let data = data.unwrap_or_else(|error| panic!("{text}: {error}"));
            (data.trains.iter().flat_map(|train| &train.readings))
                .map(|reading| reading.conductance.0 * 1e6)
                .collect::<Vec<_>>()
        };
        for text in [
            "Pulse;Type;Conductance (\u{b5}S)\n1;LTP;2,5\n2;LTD;1.25\n",
            "\u{feff}Pulse #\tDirection\tG [\u{3bc}S]\r\n1\t+\t2.5\r\n2\t-\t1.25\r\n",
            "n,polarity,resistance (kOhm)\n1,set,400\n2,reset,800\n",
            "n,polarity,R_M\u{3a9}\n1,set,0.4\n2,reset,0.8\n",
            "n,polarity,I (nA)\n1,set,500\n2,reset,250\n",
            "n,polarity,read current (uA),read voltage (mV)\n1,set,0.5,200\n2,reset,0.5,400\n",
        ] {
            let g = found(text);
            assert!((g[0] - 2.5).abs() < 1e-9 && (g[1] - 1.25).abs() < 1e-9, "{text}: {g:?}");
        }
    }

    #[test]
    fn numbers_that_start_anew_without_a_cycle_are_runs_in_the_order_of_the_file() {
        let mut text = String::from("pulse,polarity,g (uS)\n");
        for cycle in 0..3 {
            for (polarity, sign) in [("set", 1.0), ("reset", -1.0)] {
                for pulse in 1..=10 {
                    let g = 20.0 + sign * (f64::from(pulse) - 5.0) + f64::from(cycle) * 0.1;
                    writeln!(text, "{pulse},{polarity},{g}").expect("a String takes any text");
                }
            }
        }
        let data = PulseData::from_csv(&text).unwrap();
        assert_eq!(data.trains.len(), 6);
        assert!(data.trains.iter().all(|train| train.readings.len() == 10));
        assert_eq!(data.trains[3].readings[9].polarity, Polarity::Reset);
    }

    #[test]
    fn numbers_that_start_anew_split_by_polarity() {
        let text = "pulse,polarity,conductance (uS)\n1,set,1\n2,set,2\n1,reset,1.5\n2,reset,1\n";
        assert_eq!(PulseData::from_csv(text).unwrap().trains.len(), 2);
    }

    #[test]
    fn every_wrong_file_gets_one_clear_error() {
        let message = |text: &str| PulseData::from_csv(text).unwrap_err().to_string();
        assert_eq!(message(""), "the file is empty");
        assert_eq!(message("# measured at 300 K\n\n"), "the file is empty");
        assert!(message("pulse,polarity,conductance (uS)\n").contains("no readings"));
        assert!(message("pulse,polarity,conductance (uS)\n1,set,\n").contains("1 rows without"));
        assert!(message("pulse,polarity,conductance\n1,set,1\n").contains("no unit"));
        assert!(message("pulse,polarity,conductance (V)\n1,set,1\n").contains("unknown unit `V`"));
        assert!(message("pulse,polarity,weight\n1,set,1\n").contains("no column `conductance`"));
        assert!(message("pulse,polarity,resistance (S)\n1,set,1\n").contains("\"resistance (kohm)\""));
        assert!(message("pulse,polarity,current (uA)\n1,set,1\n").contains("the read voltage is needed"));
        assert!(
            message("pulse,polarity,resistance (ohm)\n1,set,0\n").contains("line 2: a conductance of inf")
        );
        assert!(message("pulse,voltage,g (uS)\n1,2.5,1\n").contains("no column `polarity`"));
        assert!(
            message("pulse,polarity,conductance (S)\n1,set,50\n").contains("line 2: a conductance of 50 S")
        );
        assert!(message("pulse,polarity,g (uS)\n1,sideways,5\n").contains("line 2: `sideways`"));
        assert!(message("pulse,polarity,g (uS)\n1.5,set,5\n").contains("`1.5` is not a pulse number"));
        assert!(message("pulse,polarity,g (uS)\n1,set,x\n").contains("`x` is not a number"));
        assert!(message("pulse,polarity,g (uS)\n1,set,5\n1,set,6\n").contains("lines 2 and 3"));
    }
}
