use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeValue;

use crate::quantity::{Constant, Dimension};
use crate::sheet::{Node, Reader, SheetError};

/// A price list: what one event of each component costs, with range, node, definition and source.
///
/// A file is read whole or refused with all its mistakes. A file that covers a group of components has all of the
/// group; a file with the numbers of one tool alone may cover less.
///
/// ```
/// use bitpulse_energy::Technology;
/// let error = Technology::from_toml("mine.toml", "name = 'mine'\nnode = '32'").unwrap_err();
/// assert!(error.to_string().contains("mine.toml:2:8: `node` is `32`; write a node such as \"32 nm\""));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Technology {
    name: String,
    description: String,
    constants: BTreeMap<String, Constant>,
}

/// Components that a file may promise to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    /// What decides or converts what an array returns.
    Array,
    /// What stands around it.
    Periphery,
    /// Arithmetic and memories of a digital processor.
    Digital,
}

const GROUPS: [(&str, Group); 3] =
    [("array", Group::Array), ("periphery", Group::Periphery), ("digital", Group::Digital)];

/// A component: its quantities, of which the first is required where its group is covered, and its group. Converters
/// come by bits and stand for all of `adc-1` to `adc-16` and `dac-1` to `dac-16`.
struct Component {
    name: &'static str,
    group: Group,
    quantities: &'static [(&'static str, Dimension)],
}

const fn component(
    name: &'static str,
    group: Group,
    quantities: &'static [(&'static str, Dimension)],
) -> Component {
    Component { name, group, quantities }
}

const ENERGY: &[(&str, Dimension)] = &[("energy", Dimension::Energy)];
const ENERGY_AREA: &[(&str, Dimension)] = &[("energy", Dimension::Energy), ("area", Dimension::Area)];
const ENERGY_AREA_TIME: &[(&str, Dimension)] =
    &[("energy", Dimension::Energy), ("area", Dimension::Area), ("time", Dimension::Time)];

/// Every component there is.
const COMPONENTS: &[Component] = &[
    component("adc", Group::Array, ENERGY_AREA_TIME),
    component("comparator", Group::Array, ENERGY_AREA_TIME),
    component("dac", Group::Periphery, ENERGY_AREA),
    component("row-driver", Group::Periphery, ENERGY_AREA),
    component("sample-hold", Group::Periphery, ENERGY_AREA),
    component("integrator", Group::Periphery, ENERGY),
    component("shift-add", Group::Periphery, ENERGY_AREA),
    component("random-bit", Group::Periphery, ENERGY),
    component("register", Group::Periphery, ENERGY_AREA),
    component("counter", Group::Periphery, ENERGY_AREA),
    component("sigmoid", Group::Periphery, ENERGY_AREA),
    component(
        "cell-line",
        Group::Periphery,
        &[("capacitance", Dimension::Capacitance), ("resistance", Dimension::Resistance)],
    ),
    component("access-gate", Group::Periphery, &[("capacitance", Dimension::Capacitance)]),
    component("supply", Group::Periphery, &[("voltage", Dimension::Voltage)]),
    component("cell", Group::Periphery, &[("area", Dimension::Area)]),
    component("add-int8", Group::Digital, ENERGY),
    component("add-int16", Group::Digital, ENERGY),
    component("add-int32", Group::Digital, ENERGY_AREA),
    component("add-fp16", Group::Digital, ENERGY),
    component("add-fp32", Group::Digital, ENERGY),
    component("multiply-int8", Group::Digital, ENERGY),
    component("multiply-int32", Group::Digital, ENERGY_AREA),
    component("multiply-fp16", Group::Digital, ENERGY),
    component("multiply-fp32", Group::Digital, ENERGY),
    component("sram-8k", Group::Digital, ENERGY),
    component("sram-32k", Group::Digital, ENERGY),
    component("sram-1m", Group::Digital, ENERGY),
    component("dram", Group::Digital, ENERGY),
    component("edram-64k", Group::Digital, ENERGY_AREA),
    component("clock", Group::Digital, &[("time", Dimension::Time)]),
];

/// The component called `name`; `adc-8` is of the kind `adc`.
fn find(name: &str) -> Option<&'static Component> {
    let kind = match name.split_once('-') {
        Some((kind @ ("adc" | "dac"), bits)) => {
            bits.parse::<u8>().ok().filter(|b| (1..=16).contains(b) && b.to_string() == bits)?;
            kind
        }
        // A converter without bits is none.
        None if matches!(name, "adc" | "dac") => return None,
        _ => name,
    };
    COMPONENTS.iter().find(|component| component.name == kind)
}

impl Technology {
    /// Reads and checks the text of a technology file; `file` is what mistakes are told to stand in.
    ///
    /// # Errors
    /// All mistakes at once, with line, column and key: a component or source that is missing, a number that is no
    /// number, not positive or out of order, an unknown unit, component or key.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, SheetError> {
        let (mut reader, document) = Reader::open(file, text)?;
        let table = document.get_ref();
        let name = reader.text(table, "name");
        let description = reader.text(table, "description");
        let nanometres = table.get("node").and_then(|value| reader.nanometres("node", value));
        if table.get("node").is_none() {
            reader.missing("node", "is missing");
        }
        let volts = reader.text(table, "voltage").and_then(|text| match Dimension::Voltage.parse(&text) {
            Ok(volts) => Some(volts),
            Err(message) => {
                let at = table.get("voltage").map_or(0..0, toml::Spanned::span);
                reader.problem("voltage", &at, message);
                None
            }
        });
        let node = nanometres.zip(volts).map(|(nanometres, volts)| Node { nanometres, volts });
        let covered = covered(&mut reader, table);
        let mut constants = BTreeMap::new();
        let mut named = BTreeSet::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if ["name", "description", "node", "voltage", "covers", "sources"].contains(&name) {
                continue;
            }
            let Some(component) = find(name) else {
                let known = COMPONENTS.iter().map(|c| c.name).collect::<Vec<_>>().join(", ");
                reader.problem(
                    name,
                    &key.span(),
                    format!("is no component: known are {known} (adc and dac with bits, as adc-8)"),
                );
                continue;
            };
            named.insert(component.name);
            let Some(quantities) = value.get_ref().as_table() else {
                reader.problem(name, &value.span(), "must be a table of quantities");
                continue;
            };
            for (quantity, entry) in quantities {
                let place = format!("{name}.{}", quantity.get_ref());
                let known =
                    component.quantities.iter().find(|(known, _)| *known == quantity.get_ref().as_ref());
                let Some((_, dimension)) = known else {
                    let known = component.quantities.iter().map(|(q, _)| *q).collect::<Vec<_>>().join(", ");
                    reader.problem(&place, &quantity.span(), format!("is unknown: {name} has {known}"));
                    continue;
                };
                if let Some(constant) = reader.constant(&place, *dimension, entry, node) {
                    constants.insert(place, constant);
                }
            }
            let (first, _) = component.quantities[0];
            if quantities.get(first).is_none() {
                reader.problem(&format!("{name}.{first}"), &key.span(), "is missing");
            }
        }
        for component in COMPONENTS.iter().filter(|c| covered.contains(&c.group) && !named.contains(c.name)) {
            let group =
                GROUPS.iter().find(|(_, group)| *group == component.group).map_or("", |(name, _)| name);
            reader.missing(
                component.name,
                format!("is missing: the file covers \"{group}\", so it must have this component"),
            );
        }
        let technology =
            name.zip(description).map(|(name, description)| Self { name, description, constants });
        reader.finish(table, technology)
    }

    /// Its name, as the file is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One line on what it is.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The constant called `key`, such as `adc-8.energy`.
    pub fn constant(&self, key: &str) -> Option<&Constant> {
        self.constants.get(key)
    }

    /// Every constant, by name.
    pub fn constants(&self) -> impl Iterator<Item = &Constant> {
        self.constants.values()
    }

    /// The same price list with one constant changed.
    #[must_use]
    pub fn with(mut self, constant: Constant) -> Self {
        self.constants.insert(constant.key.clone(), constant);
        self
    }
}

fn covered(reader: &mut Reader<'_>, table: &crate::sheet::Table<'_>) -> Vec<Group> {
    let allowed = GROUPS.map(|(name, _)| name).join(", ");
    let Some(value) = table.get("covers") else {
        reader.missing("covers", format!("is missing: a list of {allowed}"));
        return Vec::new();
    };
    let Some(names) = value.get_ref().as_array() else {
        reader.problem("covers", &value.span(), format!("must be a list of {allowed}"));
        return Vec::new();
    };
    let mut covered = Vec::new();
    for name in names {
        let group = match name.get_ref() {
            DeValue::String(text) => GROUPS.iter().find(|(known, _)| *known == text.as_ref()),
            _ => None,
        };
        match group {
            Some((_, group)) => covered.push(*group),
            None => reader.problem("covers", &name.span(), format!("holds what is not one of {allowed}")),
        }
    }
    covered
}
