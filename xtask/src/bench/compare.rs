//! Two sets of figures beside each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use super::Figure;
use crate::failure::{Failure, Outcome};

/// Ratios up to this far from 1 are not marked.
const NOTABLE: f64 = 0.05;

/// A figure that an earlier `--json` told.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Earlier {
    name: String,
    value: f64,
    unit: String,
}

/// Reads what `cargo xtask bench --json` wrote.
///
/// # Errors
/// When the file cannot be read or holds something else.
pub fn read(path: &Path) -> Outcome<Vec<Earlier>> {
    let read = || -> anyhow::Result<Vec<Earlier>> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is not what `cargo xtask bench --json` writes", path.display()))
    };
    read().map_err(Failure::input)
}

/// What became of the figures.
#[derive(Debug, PartialEq)]
pub struct Comparison {
    /// Name, new value over old, and how to take it.
    ratios: Vec<(String, f64, Verdict)>,
    /// Figures in another unit than before.
    other_unit: Vec<String>,
    only_before: Vec<String>,
    only_now: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Alike,
    Better,
    Worse,
}

/// Compares by name.
pub fn compare(earlier: &[Earlier], figures: &[Figure]) -> Comparison {
    let mut before: BTreeMap<&str, &Earlier> =
        earlier.iter().map(|figure| (figure.name.as_str(), figure)).collect();
    let mut found = Comparison {
        ratios: Vec::new(),
        other_unit: Vec::new(),
        only_before: Vec::new(),
        only_now: Vec::new(),
    };
    for figure in figures {
        match before.remove(figure.name.as_str()) {
            None => found.only_now.push(figure.name.clone()),
            Some(old) if old.unit != figure.unit => found.other_unit.push(figure.name.clone()),
            Some(old) => {
                let ratio = figure.value / old.value;
                let gain = if is_rate(figure.unit) { ratio } else { 1.0 / ratio };
                let verdict = if (ratio - 1.0).abs() <= NOTABLE {
                    Verdict::Alike
                } else if gain > 1.0 {
                    Verdict::Better
                } else {
                    Verdict::Worse
                };
                found.ratios.push((figure.name.clone(), ratio, verdict));
            }
        }
    }
    let left: BTreeSet<&str> = before.into_keys().collect();
    found.only_before = left.into_iter().map(String::from).collect();
    found
}

/// Whether more of it is better: so much a second, not seconds or bytes.
fn is_rate(unit: &str) -> bool {
    unit.ends_with("/s")
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "new / old, marked beyond {:.0} %:", 100.0 * NOTABLE)?;
        for (name, ratio, verdict) in &self.ratios {
            let mark = match verdict {
                Verdict::Alike => "",
                Verdict::Better => "  better",
                Verdict::Worse => "  worse",
            };
            writeln!(f, "{name:44} {ratio:>8.3}{mark}")?;
        }
        for (names, what) in [
            (&self.other_unit, "in another unit"),
            (&self.only_now, "new"),
            (&self.only_before, "not measured now"),
        ] {
            if !names.is_empty() {
                writeln!(f, "{what}: {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earlier(name: &str, value: f64, unit: &str) -> Earlier {
        Earlier { name: name.into(), value, unit: unit.into() }
    }

    #[test]
    fn more_a_second_is_better_and_more_seconds_are_worse() {
        let old = [
            earlier("a", 100.0, "samples/s"),
            earlier("b", 1.0, "s"),
            earlier("c", 100.0, "B"),
            earlier("d", 100.0, "B/s"),
            earlier("gone", 1.0, "s"),
            earlier("ms", 1.0, "ms"),
        ];
        let new = [
            Figure::plain("a".into(), 110.0, "samples/s"),
            Figure::plain("b".into(), 1.25, "s"),
            Figure::plain("c".into(), 80.0, "B"),
            Figure::plain("d".into(), 96.0, "B/s"),
            Figure::plain("fresh".into(), 96.0, "B/s"),
            Figure::plain("ms".into(), 0.001, "s"),
        ];
        let found = compare(&old, &new);
        let verdicts: Vec<_> =
            found.ratios.iter().map(|(name, _, verdict)| (name.as_str(), *verdict)).collect();
        assert_eq!(
            verdicts,
            [("a", Verdict::Better), ("b", Verdict::Worse), ("c", Verdict::Better), ("d", Verdict::Alike)]
        );
        assert_eq!(found.ratios[1].1, 1.25);
        assert_eq!(
            [found.other_unit, found.only_now, found.only_before],
            [["ms"], ["fresh"], ["gone"]].map(|names| names.map(String::from).to_vec())
        );
    }

    #[test]
    fn a_file_of_something_else_is_the_callers_to_mend() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("figures.json");
        for (text, expected) in
            [(None, "cannot read"), (Some("{}"), "is not what"), (Some("[{\"name\": 1}]"), "is not what")]
        {
            if let Some(text) = text {
                std::fs::write(&path, text).expect("a fresh file");
            }
            let failure = read(&path).expect_err("no figures");
            assert!(matches!(failure, Failure::Input(_)), "{failure}");
            assert!(
                failure.to_string().contains(expected) && failure.to_string().contains("figures.json"),
                "{failure}"
            );
        }
        std::fs::write(&path, r#"[{"name": "a", "value": 2.5, "unit": "s", "roofline_share": null}]"#)
            .expect("a fresh file");
        assert_eq!(read(&path).expect("a figure"), [earlier("a", 2.5, "s")]);
    }
}
