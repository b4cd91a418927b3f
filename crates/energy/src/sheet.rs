//! Files of cited constants: TOML read entry by entry, so that all mistakes are told at once, each with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range as Span;

use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::quantity::{Constant, Dimension, Range};
use crate::scaling;

/// One mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, dotted from the top of the file; empty for a mistake of syntax.
    pub key: String,
    /// Line and column, from 1.
    pub place: (usize, usize),
    /// What was found and what is allowed.
    pub message: String,
}

/// All mistakes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct SheetError {
    /// The file, as the caller calls it.
    pub file: String,
    /// At least one, in the order of the file; what is missing comes last.
    pub problems: Vec<Problem>,
}

impl fmt::Display for SheetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Problem { key, place: (line, column), message }) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{line}:{column}: ", self.file)?;
            if !key.is_empty() {
                write!(f, "`{key}` ")?;
            }
            f.write_str(message)?;
        }
        Ok(())
    }
}

/// The node a file is for and its supply, to which scaled entries are brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) nanometres: f64,
    pub(crate) volts: f64,
}

/// A table as the parser gives it.
pub(crate) type Table<'a> = DeTable<'a>;

/// Reads a file and gathers its mistakes.
pub(crate) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<(usize, Problem)>,
    sources: BTreeMap<String, String>,
    used: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    /// The parsed text, or where it is no TOML.
    pub(crate) fn open(file: &'a str, text: &'a str) -> Result<(Self, Spanned<Table<'a>>), SheetError> {
        let mut reader =
            Self { file, text, problems: Vec::new(), sources: BTreeMap::new(), used: BTreeSet::new() };
        match DeTable::parse(text) {
            Ok(table) => {
                reader.read_sources(table.get_ref());
                Ok((reader, table))
            }
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                reader.problem("", &span, error.message().trim_end());
                Err(reader.refuse())
            }
        }
    }

    pub(crate) fn problem(&mut self, key: &str, at: &Span<usize>, message: impl Into<String>) {
        let before = &self.text[..at.start.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let problem = Problem { key: key.into(), place: (line, column), message: message.into() };
        self.problems.push((at.start, problem));
    }

    /// What is not in the file at all is told at its end.
    pub(crate) fn missing(&mut self, key: &str, message: impl Into<String>) {
        let end = self.text.trim_end().len();
        self.problem(key, &(end..end), message);
    }

    fn refuse(mut self) -> SheetError {
        self.problems.sort_by_key(|(at, _)| *at);
        let problems = self.problems.into_iter().map(|(_, problem)| problem).collect();
        SheetError { file: self.file.into(), problems }
    }

    /// `value`, if nothing was wrong and every source was used.
    pub(crate) fn finish<T>(mut self, table: &Table<'_>, value: Option<T>) -> Result<T, SheetError> {
        for (name, span) in tables(table, "sources") {
            if !self.used.contains(&name) {
                self.problem(&format!("sources.{name}"), &span, "is a source of nothing in this file");
            }
        }
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(self.refuse()),
        }
    }

    /// A text that must stand at the top of the file.
    pub(crate) fn text(&mut self, table: &Table<'_>, key: &str) -> Option<String> {
        let Some(value) = table.get(key) else {
            self.missing(key, "is missing");
            return None;
        };
        let text = value.get_ref().as_str().map(str::trim).filter(|text| !text.is_empty());
        if text.is_none() {
            self.problem(key, &value.span(), "must be a text that is not empty");
        }
        text.map(str::to_owned)
    }

    /// A node such as `"32 nm"`.
    pub(crate) fn nanometres(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<f64> {
        let text = value.get_ref().as_str().unwrap_or("");
        let number = text.strip_suffix("nm").and_then(|number| number.trim().parse::<f64>().ok());
        if number.is_none_or(|n| !(n > 0.0 && n.is_finite())) {
            self.problem(key, &value.span(), format!("is `{text}`; write a node such as \"32 nm\""));
            return None;
        }
        number
    }

    /// Tells of every key that is not `allowed`.
    fn only(&mut self, key: &str, table: &Table<'_>, allowed: &[&str]) {
        for name in table.keys() {
            if !allowed.contains(&name.get_ref().as_ref()) {
                let message = format!("is unknown: allowed are {}", allowed.join(", "));
                self.problem(&format!("{key}.{}", name.get_ref()), &name.span(), message);
            }
        }
    }

    fn read_sources(&mut self, table: &Table<'_>) {
        let Some(value) = table.get("sources") else {
            self.missing("sources", "is missing: a number without a source is not read");
            return;
        };
        let Some(sources) = value.get_ref().as_table() else {
            self.problem("sources", &value.span(), "must be a table of sources");
            return;
        };
        for (name, value) in sources {
            let key = format!("sources.{}", name.get_ref());
            let Some(source) = value.get_ref().as_table() else {
                self.problem(&key, &value.span(), "must be a table with `citation`, `where` and `doi`");
                continue;
            };
            let mut parts = Vec::new();
            for part in ["citation", "where", "doi"] {
                match source.get(part).map(|value| (value.span(), value.get_ref().as_str())) {
                    Some((_, Some(text))) if !text.trim().is_empty() => {
                        let text = text.trim();
                        parts.push(if part == "doi" {
                            format!("https://doi.org/{text}")
                        } else {
                            text.into()
                        });
                    }
                    Some((span, _)) => {
                        self.problem(&format!("{key}.{part}"), &span, "must be a text that is not empty");
                    }
                    // Software and manuals have none.
                    None if part == "doi" => {}
                    None => self.problem(&format!("{key}.{part}"), &name.span(), "is missing"),
                }
            }
            self.only(&key, source, &["citation", "where", "doi"]);
            self.sources.insert(name.get_ref().to_string(), parts.join("; "));
        }
    }

    /// The text of the source called by `value` at `key`.
    fn source(&mut self, key: &str, table: &Table<'_>, at: &Span<usize>) -> Option<String> {
        let key = format!("{key}.source");
        let Some(value) = table.get("source") else {
            self.problem(&key, at, "is missing: a number without a source is not read");
            return None;
        };
        let name = value.get_ref().as_str().unwrap_or("");
        let Some(source) = self.sources.get(name).cloned() else {
            let known: Vec<&str> = self.sources.keys().map(String::as_str).collect();
            let known = known.join(", ");
            self.problem(
                &key,
                &value.span(),
                format!("is `{name}`, which stands not under [sources]: {known}"),
            );
            return None;
        };
        self.used.insert(name.into());
        Some(source)
    }

    /// An entry with `definition`, `nominal`, and where they differ from it `low` and `high`.
    pub(crate) fn constant(
        &mut self,
        key: &str,
        dimension: Dimension,
        value: &Spanned<DeValue<'_>>,
        node: Option<Node>,
    ) -> Option<Constant> {
        let Some(table) = value.get_ref().as_table() else {
            self.problem(key, &value.span(), "must be a table with `definition` and `nominal`");
            return None;
        };
        let found = self.problems.len();
        self.only(key, table, &["definition", "low", "nominal", "high", "note"]);
        let definition = table.get("definition").and_then(|value| value.get_ref().as_str());
        if definition.is_none_or(|text| text.trim().is_empty()) {
            self.problem(&format!("{key}.definition"), &value.span(), "is missing: say what is counted");
        }
        let mut sources: Vec<String> = Vec::new();
        let mut bound = |reader: &mut Self, name: &str| {
            let (value, source) =
                reader.bound(&format!("{key}.{name}"), dimension, table.get(name)?, node)?;
            if !sources.contains(&source) {
                sources.push(source);
            }
            Some(value)
        };
        let [low, nominal, high] = ["low", "nominal", "high"].map(|name| bound(self, name));
        if table.get("nominal").is_none() {
            self.problem(&format!("{key}.nominal"), &value.span(), "is missing");
        }
        let nominal = nominal?;
        let range = Range { low: low.unwrap_or(nominal), nominal, high: high.unwrap_or(nominal) };
        if self.problems.len() == found && !range.is_ordered() {
            let [low, nominal, high] =
                [range.low, range.nominal, range.high].map(|value| dimension.show(value));
            let message = format!("low {low}, nominal {nominal}, high {high} are not in order");
            self.problem(key, &value.span(), message);
        }
        if self.problems.len() > found {
            return None;
        }
        let note = table.get("note").and_then(|note| note.get_ref().as_str());
        let definition =
            [definition, note].into_iter().flatten().map(str::trim).collect::<Vec<_>>().join(". ");
        Some(Constant { key: key.into(), dimension, range, definition, sources })
    }

    /// One number with its source: `{ value = "1.6 fJ", source = "name" }`, and where it was found at another node and
    /// is to be brought to the file's, `node = "45 nm", scaled = true`.
    fn bound(
        &mut self,
        key: &str,
        dimension: Dimension,
        value: &Spanned<DeValue<'_>>,
        node: Option<Node>,
    ) -> Option<(f64, String)> {
        let Some(table) = value.get_ref().as_table() else {
            self.problem(key, &value.span(), "must be a table with `value` and `source`");
            return None;
        };
        self.only(key, table, &["value", "source", "node", "voltage", "scaled"]);
        let source = self.source(key, table, &value.span());
        if let Some(found) = table.get("voltage")
            && let Err(message) = number(found.get_ref(), Dimension::Voltage)
        {
            self.problem(&format!("{key}.voltage"), &found.span(), message);
        }
        let number = match table.get("value") {
            None => {
                self.problem(&format!("{key}.value"), &value.span(), "is missing");
                None
            }
            Some(found) => match number(found.get_ref(), dimension) {
                Ok(number) => Some((number, found.span())),
                Err(message) => {
                    self.problem(&format!("{key}.value"), &found.span(), message);
                    None
                }
            },
        };
        let from = match table.get("node") {
            Some(value) => Some(self.nanometres(&format!("{key}.node"), value)?),
            None => None,
        };
        let scaled = match table.get("scaled").map(|found| (found.get_ref().as_bool(), found.span())) {
            None => false,
            Some((Some(scaled), _)) => scaled,
            Some((None, at)) => {
                self.problem(&format!("{key}.scaled"), &at, "must be true or false");
                return None;
            }
        };
        let (mut number, at) = number?;
        if number <= 0.0 {
            self.problem(&format!("{key}.value"), &at, "must be more than 0");
            return None;
        }
        let mut source = source?;
        if let Some(nanometres) = from {
            source = format!("{nanometres} nm: {source}");
        }
        if scaled {
            let factor = match (from, node, dimension) {
                (Some(from), Some(to), Dimension::Energy) => {
                    scaling::energy_factor(from, to.nanometres, to.volts).map(|factor| (factor, to))
                }
                _ => None,
            };
            let Some((factor, to)) = factor else {
                let known = scaling::nodes().map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
                self.problem(
                    &format!("{key}.scaled"),
                    &value.span(),
                    format!("needs an energy, a `node`, and the node of the file among {known} nm"),
                );
                return None;
            };
            number *= factor;
            source =
                format!("{source}; times {factor:.3} to {} nm after Stillmaker & Baas 2017", to.nanometres);
        }
        Some((number, source))
    }

    /// A choice with its source: `{ value = ..., source = "name", definition = "..." }`, read by `read`.
    pub(crate) fn choice<T>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        read: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<(T, Assumption)> {
        let Some(value) = table.get(key) else {
            self.missing(key, "is missing");
            return None;
        };
        let Some(entry) = value.get_ref().as_table() else {
            self.problem(key, &value.span(), "must be a table with `value`, `definition` and `source`");
            return None;
        };
        self.only(key, entry, &["value", "source", "definition"]);
        let source = self.source(key, entry, &value.span());
        let definition = entry.get("definition").and_then(|value| value.get_ref().as_str());
        if definition.is_none() {
            self.problem(&format!("{key}.definition"), &value.span(), "is missing: say what is chosen");
        }
        let Some(found) = entry.get("value") else {
            self.problem(&format!("{key}.value"), &value.span(), "is missing");
            return None;
        };
        match read(found.get_ref()) {
            Ok(read) => {
                let shown = match found.get_ref() {
                    DeValue::String(text) => text.to_string(),
                    DeValue::Integer(number) => number.as_str().into(),
                    DeValue::Float(number) => number.as_str().into(),
                    other => format!("{other:?}"),
                };
                let assumption = Assumption {
                    key: key.into(),
                    value: shown,
                    definition: definition?.trim().into(),
                    source: source?,
                };
                Some((read, assumption))
            }
            Err(message) => {
                self.problem(&format!("{key}.value"), &found.span(), message);
                None
            }
        }
    }
}

/// One thing that is assumed, and on whose word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumption {
    /// Its key in the file.
    pub key: String,
    /// Its value as written.
    pub value: String,
    /// What it means.
    pub definition: String,
    /// Where it comes from.
    pub source: String,
}

/// Names and places of the tables within the table `key`.
fn tables(table: &Table<'_>, key: &str) -> Vec<(String, Span<usize>)> {
    let inner = table.get(key).and_then(|value| value.get_ref().as_table());
    inner.map_or_else(Vec::new, |inner| {
        inner.keys().map(|name| (name.get_ref().to_string(), name.span())).collect()
    })
}

fn number(value: &DeValue<'_>, dimension: Dimension) -> Result<f64, String> {
    let plain = match value {
        DeValue::String(text) => return dimension.parse(text),
        DeValue::Integer(number) => number.as_str().parse(),
        DeValue::Float(number) => number.as_str().parse(),
        _ => return Err("must be a number".into()),
    };
    match (dimension, plain) {
        (Dimension::Number, Ok(value)) => Ok(value),
        (Dimension::Number, Err(_)) => Err("must be a number".into()),
        _ => Err("has no unit: write a text such as \"1.7 pJ\"".into()),
    }
}
