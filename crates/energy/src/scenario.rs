use std::collections::BTreeMap;

use toml::de::DeValue;

use crate::architecture::{Architecture, Device, Format, Kind, Layer, PartialSums, Plant, Recorded};
use crate::counts::{Carry, Rates};
use crate::quantity::{Constant, Dimension};
use crate::sheet::{Assumption, Reader, SheetError, Table};

/// Everything that is assumed about the machines that are compared, each with its source.
///
/// A technology says what a component costs; a scenario says which machine is built of them: the device, how it is
/// read, the size of an array, the bits of its converters, and how often lines are active where no simulation says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name, as the file is called.
    pub name: String,
    /// One line on what it is.
    pub description: String,
    /// Name of the device preset.
    pub device: String,
    /// Word lines of an array.
    pub rows: usize,
    /// Bit lines of an array.
    pub columns: usize,
    /// Cells that make a weight: 2 for a differential pair.
    pub cells_per_weight: f64,
    /// Bits of the converters that read values.
    pub adc_bits: u8,
    /// Bits of the converters that drive values.
    pub dac_bits: u8,
    /// Columns that share one analog-to-digital converter.
    pub columns_per_adc: f64,
    /// Where the partial sums of arrays meet in high-precision hardware.
    pub hp_partial_sums: PartialSums,
    /// Multiply-accumulate units that work at the same time in a digital processor.
    pub mac_units: f64,
    /// How often lines are active, where no simulation says so.
    pub rates: Rates,
    /// How carries are made, where no simulation says so.
    pub carry: Carry,
    /// Ranged constants of reading and writing.
    pub constants: BTreeMap<String, Constant>,
    /// Everything chosen, as the file has it.
    pub assumptions: Vec<Assumption>,
}

/// Ranged constants of a scenario.
const CONSTANTS: [(&str, Dimension); 4] = [
    ("read-voltage", Dimension::Voltage),
    ("read-time", Dimension::Time),
    ("level-square", Dimension::Number),
    ("pulses-per-change", Dimension::Number),
];

const CHOICES: [&str; 19] = [
    "device",
    "array-rows",
    "array-columns",
    "cells-per-weight",
    "adc-bits",
    "dac-bits",
    "columns-per-adc",
    "hp-partial-sums",
    "mac-units",
    "lit-pixels",
    "mean-pixel",
    "hidden-bits",
    "learning-share",
    "error-phases",
    "error-pulses",
    "hidden-errors",
    "carry-period",
    "carry-decisions",
    "carry-pulses",
];

impl Scenario {
    /// Reads and checks the text of a scenario file; `file` is what mistakes are told to stand in.
    ///
    /// # Errors
    /// All mistakes at once, with line, column and key.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, SheetError> {
        let (mut reader, document) = Reader::open(file, text)?;
        let table = document.get_ref();
        let mut constants = BTreeMap::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if let Some((_, dimension)) = CONSTANTS.iter().find(|(known, _)| *known == name) {
                if let Some(constant) = reader.constant(name, *dimension, value, None) {
                    constants.insert(name.to_owned(), constant);
                }
            } else if !CHOICES.contains(&name) && !["name", "description", "sources"].contains(&name) {
                let known = CONSTANTS.iter().map(|(name, _)| *name).chain(CHOICES);
                let known = known.collect::<Vec<_>>().join(", ");
                reader.problem(name, &key.span(), format!("is unknown: known are {known}"));
            }
        }
        for (name, _) in CONSTANTS {
            if table.get(name).is_none() {
                reader.missing(name, "is missing");
            }
        }
        let scenario = Self::read(&mut reader, table, constants);
        reader.finish(table, scenario)
    }

    fn read(
        reader: &mut Reader<'_>,
        table: &Table<'_>,
        constants: BTreeMap<String, Constant>,
    ) -> Option<Self> {
        let mut assumptions = Vec::new();
        let mut choose = Choose { reader, table, assumptions: &mut assumptions };
        let name = choose.reader.text(table, "name");
        let description = choose.reader.text(table, "description");
        let device = choose.text("device");
        let size = choose.counts(["array-rows", "array-columns"], 1 << 20);
        let bits = choose.counts(["adc-bits", "dac-bits"], 16);
        let positive = choose.numbers(
            ["cells-per-weight", "columns-per-adc", "mac-units", "carry-period", "carry-decisions"],
            [f64::MIN_POSITIVE, 1e9],
        );
        let shares = choose.numbers(
            ["lit-pixels", "mean-pixel", "hidden-bits", "learning-share", "hidden-errors", "carry-pulses"],
            [0.0, 1.0],
        );
        let errors = choose.numbers(["error-phases", "error-pulses"], [0.0, 1000.0]);
        let hp_partial_sums = choose.partial_sums("hp-partial-sums");
        let [rows, columns] = size?;
        let [adc_bits, dac_bits] = bits?;
        let [cells_per_weight, columns_per_adc, mac_units, period, decisions] = positive?;
        let [lit_pixels, mean_pixel, hidden_bits, learning, hidden_errors, carried] = shares?;
        let [phases, error_pulses] = errors?;
        Some(Self {
            name: name?,
            description: description?,
            device: device?,
            rows: rows as usize,
            columns: columns as usize,
            cells_per_weight,
            adc_bits: adc_bits as u8,
            dac_bits: dac_bits as u8,
            columns_per_adc,
            hp_partial_sums: hp_partial_sums?,
            mac_units,
            rates: Rates {
                lit_pixels,
                mean_pixel,
                hidden_bits,
                learning,
                phases,
                error_pulses,
                hidden_errors,
            },
            carry: Carry { period, decisions, pulses: carried },
            constants,
            assumptions,
        })
    }

    /// The machines for a network of `layers`, all that are compared, on `device`.
    ///
    /// `recorded` says whether the activity that will be priced counts whole matrices or single arrays.
    pub fn architectures(&self, device: &Device, layers: &[Layer], recorded: Recorded) -> Vec<Architecture> {
        let plant = Plant {
            layers: layers.to_vec(),
            rows: self.rows,
            columns: self.columns,
            cells_per_weight: self.cells_per_weight,
            columns_per_adc: self.columns_per_adc,
            mac_units: self.mac_units,
            recorded,
        };
        let constants: Vec<Constant> = self.constants.values().cloned().chain(device.constants()).collect();
        [
            (
                "bs-memristor",
                Kind::BsMemristor { adc_bits: self.adc_bits, dac_bits: self.dac_bits, integrators: false },
            ),
            (
                "hp-memristor",
                Kind::HpMemristor {
                    adc_bits: self.adc_bits,
                    dac_bits: self.dac_bits,
                    partial_sums: self.hp_partial_sums,
                    integrators: false,
                },
            ),
            ("hp-cmos-fp32", Kind::HpCmos { format: Format::Fp32 }),
            ("hp-cmos-fp16", Kind::HpCmos { format: Format::Fp16 }),
            ("hp-cmos-int8", Kind::HpCmos { format: Format::Int8 }),
            ("bnn-cmos", Kind::BinaryCmos),
        ]
        .into_iter()
        .map(|(name, kind)| Architecture {
            name: name.into(),
            kind,
            device: device.name.clone(),
            plant: plant.clone(),
            constants: constants.clone(),
        })
        .collect()
    }
}

/// Reads choices and remembers them.
struct Choose<'r, 'a, 't> {
    reader: &'r mut Reader<'a>,
    table: &'t Table<'t>,
    assumptions: &'r mut Vec<Assumption>,
}

impl Choose<'_, '_, '_> {
    fn one<T>(&mut self, key: &str, read: impl Fn(&DeValue<'_>) -> Result<T, String>) -> Option<T> {
        let (value, assumption) = self.reader.choice(self.table, key, read)?;
        self.assumptions.push(assumption);
        Some(value)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.one(key, |value| value.as_str().map(str::to_owned).ok_or_else(|| "must be a text".into()))
    }

    fn partial_sums(&mut self, key: &str) -> Option<PartialSums> {
        self.one(key, |value| match value.as_str() {
            Some("digital") => Ok(PartialSums::Digital),
            Some("analog") => Ok(PartialSums::Analog),
            _ => Err("must be \"digital\" or \"analog\"".into()),
        })
    }

    /// Whole numbers from 1 on; all are read before one that is wrong ends it.
    fn counts<const N: usize>(&mut self, keys: [&str; N], most: u32) -> Option<[u32; N]> {
        let read = keys.map(|key| {
            self.one(key, |value| {
                let number = value.as_integer().and_then(|number| number.as_str().parse::<u32>().ok());
                let within = number.filter(|n| (1..=most).contains(n));
                within.ok_or_else(|| format!("must be a whole number from 1 to {most}"))
            })
        });
        all(read)
    }

    fn numbers<const N: usize>(&mut self, keys: [&str; N], [least, most]: [f64; 2]) -> Option<[f64; N]> {
        let read = keys.map(|key| {
            self.one(key, |value| {
                let number = match value {
                    DeValue::Integer(number) => number.as_str().parse().ok(),
                    DeValue::Float(number) => number.as_str().parse().ok(),
                    _ => None,
                };
                let within = number.filter(|n: &f64| (least..=most).contains(n));
                within.ok_or_else(|| {
                    if least > 0.0 {
                        "must be a number above 0".into()
                    } else {
                        format!("must be a number from {least} to {most}")
                    }
                })
            })
        });
        all(read)
    }
}

fn all<T, const N: usize>(read: [Option<T>; N]) -> Option<[T; N]> {
    let read: Option<Vec<T>> = read.into_iter().collect();
    read.and_then(|read| read.try_into().ok())
}
