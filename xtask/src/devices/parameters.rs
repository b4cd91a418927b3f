//! The numbers of a device file as a list, each with its unit.

use bitpulse_core::units::{Seconds, Siemens, Volts};
use bitpulse_device::DeviceSpec;
use serde_json::{Value as Json, json};

/// One entry of a device file.
pub(super) struct Parameter {
    /// The key, dotted from the top of the file.
    pub(super) key: String,
    /// A number in SI units, a list of numbers, a text or a truth value.
    pub(super) value: Json,
    /// Unit of `value`; empty for texts.
    pub(super) unit: &'static str,
    /// Value and unit as people write them.
    pub(super) text: String,
}

impl Parameter {
    /// Key and text for narrow places: the section left out or abbreviated, long lists counted.
    pub(super) fn narrow(&self) -> (String, String) {
        let (section, name) = self.key.split_once('.').unwrap_or(("", &self.key));
        let name = match section {
            "cycle-to-cycle" => format!("C2C {name}"),
            "device-to-device" => format!("D2D {name}"),
            "response" => name.split_once('.').map_or(name, |(_, name)| name).to_owned(),
            "window" if name == "assumed" => "window assumed".into(),
            "window" | "pulse" => name.to_owned(),
            _ => self.key.clone(),
        };
        let list = self.value.as_array().map(|numbers| format!("{} values", numbers.len()));
        (name, list.unwrap_or_else(|| self.text.clone()))
    }

    pub(super) fn json(&self) -> Json {
        json!({ "key": self.key, "value": self.value, "unit": self.unit })
    }
}

/// Every parameter of a device, in the order of its file; spreads and noises that are 0 are left out.
pub(super) fn parameters(spec: &DeviceSpec) -> Vec<Parameter> {
    let document = serde_json::to_value(spec).expect("a spec is tables of numbers, texts and unit strings");
    let mut list = Vec::new();
    for section in SECTIONS {
        if let Some(value) = document.get(*section) {
            flatten((*section).into(), value, &mut list);
        }
    }
    list
}

/// Top-level keys of device files that hold parameters.
const SECTIONS: &[&str] = &[
    "window",
    "levels",
    "pulse",
    "response",
    "programming",
    "cycle-to-cycle",
    "device-to-device",
    "read-noise",
    "faults",
    "retention",
    "endurance",
    "iv",
];

fn flatten(key: String, value: &Json, list: &mut Vec<Parameter>) {
    if let Json::Object(table) = value {
        for (name, value) in table {
            flatten(format!("{key}.{name}"), value, list);
        }
        return;
    }
    // Noise that is not there and spread that is not there are no parameters.
    let silent = ["cycle-to-cycle", "device-to-device", "read-noise", "faults"];
    let quantity = value.as_str().and_then(quantity);
    let number = quantity.as_ref().map(|quantity| quantity.0).or_else(|| value.as_f64());
    if number == Some(0.0) && silent.iter().any(|section| key.starts_with(section)) {
        return;
    }
    let unit_of_key = unit(&key).unwrap_or_default();
    let (value, unit, text) = match (quantity, value) {
        (Some((number, unit, text)), _) => (json!(number), unit, text),
        (None, Json::String(text)) => (value.clone(), "", text.clone()),
        (None, Json::Array(numbers)) => {
            let texts: Vec<String> = numbers.iter().filter_map(Json::as_f64).map(plain).collect();
            (value.clone(), unit_of_key, with_unit(&format!("[{}]", texts.join(", ")), unit_of_key))
        }
        (None, Json::Number(number)) => {
            let text = number.as_f64().map_or_else(|| number.to_string(), plain);
            (value.clone(), unit_of_key, with_unit(&text, unit_of_key))
        }
        (None, other) => (other.clone(), "", other.to_string()),
    };
    list.push(Parameter { key, value, unit, text });
}

fn with_unit(number: &str, unit: &str) -> String {
    if unit.is_empty() { number.into() } else { format!("{number} {unit}") }
}

/// A number as people write it, with at most six significant digits.
pub(super) fn plain(number: f64) -> String {
    let rounded = rounded(number);
    if rounded != 0.0 && !(1e-5..1e7).contains(&rounded.abs()) {
        return format!("{rounded:e}");
    }
    rounded.to_string()
}

/// A number with at most six significant digits.
fn rounded(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
}

/// The SI value of a unit string, its unit, and how it is written with at most six significant digits.
fn quantity(text: &str) -> Option<(f64, &'static str, String)> {
    if let Ok(g) = text.parse::<Siemens>() {
        return Some((g.0, "S", Siemens(rounded(g.0)).to_string()));
    }
    if let Ok(v) = text.parse::<Volts>() {
        return Some((v.0, "V", Volts(rounded(v.0)).to_string()));
    }
    text.parse::<Seconds>().ok().map(|t| (t.0, "s", Seconds(rounded(t.0)).to_string()))
}

/// The unit of a number in a device file, by its key; empty where it has none.
pub(super) fn unit(key: &str) -> Option<&'static str> {
    let (section, name) = key.split_once('.').unwrap_or((key, ""));
    let unit = match (section, name.rsplit('.').next().unwrap_or(name)) {
        ("levels", _) => "levels",
        ("response", "nonlinearity-up" | "nonlinearity-down") => "(label)",
        ("response" | "endurance", "pulses-up" | "pulses-down" | "pulses") => "pulses",
        ("response", "step-up" | "step-down" | "spread-up" | "spread-down" | "at")
        | ("window" | "device-to-device", "reference")
        | ("cycle-to-cycle", "of-window" | "write-noise")
        | ("retention", "rest") => "of the window",
        ("response", "g-min" | "g-max") => "S",
        ("response", "gamma-up" | "gamma-down" | "amplitude-up" | "amplitude-down" | "a" | "b")
        | ("device-to-device", "shape")
        | ("retention", "exponent") => "",
        ("device-to-device", _) if name.starts_with("g-m") => "of the distance to the reference",
        ("device-to-device", _) | ("cycle-to-cycle", "of-step") => "of the step",
        ("cycle-to-cycle", "of-nominal-step") => "of the step at the reference",
        ("cycle-to-cycle", "of-state") => "of the distance to the reference",
        ("programming", "sigma-us") => "uS, by powers of G in uS",
        ("read-noise", "relative" | "amplitude") => "of G",
        ("read-noise", "occupancy") => "of the time",
        ("read-noise" | "faults", _) => "of the devices",
        ("retention", _) if name == "drift.spread" => "",
        ("retention", "updates") => "updates",
        ("retention", _) => "of the lifetime",
        ("endurance", _) => "of the pulses",
        ("iv", _) if name == "cubic.cubic" => "1/V^2",
        ("iv", "quadratic") => "A/V^2, by powers of log10(G/S)",
        ("iv", "cubic") => "A/V^3, by powers of log10(G/S)",
        _ => return None,
    };
    Some(unit)
}

#[cfg(test)]
mod tests {
    use bitpulse_device::{Device, load_folder};

    use super::*;

    #[test]
    fn every_number_of_every_preset_has_its_unit() {
        for device in load_folder(&crate::named::folder(super::super::PRESETS)).unwrap().values() {
            for parameter in parameters(device.spec()) {
                let number = parameter.value.is_number() || parameter.value.is_array();
                let known = !parameter.unit.is_empty() || unit(&parameter.key).is_some();
                assert!(!number || known, "{}: {}", device.spec().name, parameter.key);
            }
        }
    }

    #[test]
    fn no_part_of_a_device_file_is_left_out() {
        for device in load_folder(&crate::named::folder(super::super::PRESETS)).unwrap().values() {
            let table: toml::Table = toml::from_str(&device.spec().to_toml()).unwrap();
            for key in table.keys() {
                let told = ["name", "description", "source"].contains(&key.as_str());
                assert!(told || SECTIONS.contains(&key.as_str()), "{key}");
            }
        }
    }

    #[test]
    fn quantities_come_in_si_units_and_silent_noise_not_at_all() {
        let text = std::fs::read_to_string(crate::named::folder(super::super::PRESETS).join("ag-a-si.toml"))
            .unwrap();
        let device = Device::from_toml(&text).unwrap();
        let list = parameters(device.spec());
        let find = |key: &str| list.iter().find(|parameter| parameter.key == key);
        let g_min = find("window.g-min").unwrap();
        assert_eq!((g_min.unit, g_min.text.as_str()), ("S", "3.0769 nS"));
        assert!((g_min.value.as_f64().unwrap() / 3.0769e-9 - 1.0).abs() < 1e-12);
        assert_eq!(find("pulse.set-width").unwrap().unit, "s");
        assert_eq!(find("cycle-to-cycle.of-window").unwrap().text, "0.035 of the window");
        assert_eq!(find("response.exponential.nonlinearity-up").unwrap().text, "2.4 (label)");
        assert!(find("cycle-to-cycle.of-step").is_none());
        assert_eq!(find("response.exponential.pulses-up").unwrap().narrow().0, "pulses-up");
        assert_eq!(find("cycle-to-cycle.of-window").unwrap().narrow().0, "C2C of-window");
    }
}
