//! Sweep files: from text to runs, with every mistake told at once.
//!
//! ```toml
//! question = "What is asked?"
//! [base]                  # settings of every run
//! epochs = 20
//! [rules.bs]              # settings of every run whose rule is `bs`; a list makes an axis of this rule alone
//! step-output = [0.01, 0.03]
//! [axes]                  # settings that take several values: every combination is a run
//! rule = ["hp-sigmoid", "bs"]
//! seed = [1, 2, 3]
//! [[axes.zip]]            # settings that change together: their first values, their second ones, and so on
//! network = ["784-256-10", "784-500-10"]
//! epochs = [20, 40]
//! [[axes.exclude]]        # runs with all of these are left out; a list stands for any of its values
//! rule = "hp-sigmoid"
//! network = "784-500-10"
//! ```
//!
//! A file with `include = ["one", "another"]` has the runs of those sweeps and none of its own: files of these names beside
//! it, or in data/sweeps.
//!
//! Of several values for one setting, `--set` counts before `[axes]`, that before `[rules.NAME]`, that before `[base]`,
//! and that before the default.

mod hardware;
mod keys;
mod network;
mod run;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::Path;

use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use hardware::{file_value, is_digital};
pub use keys::{KEYS, Key, Value, near_miss};
pub use network::{parse_widths, read as read_network};
pub use run::{Run, SplitSpec};

use crate::named;
use keys::find;

/// A sweep: the runs that answer its question.
#[derive(Debug)]
pub struct Sweep {
    pub name: String,
    pub runs: Vec<Run>,
    /// The files of the sweeps that it includes.
    pub included: Vec<Included>,
}

/// A sweep file that another includes.
#[derive(Clone, Debug)]
pub struct Included {
    pub name: String,
    pub text: String,
}

/// One mistake: where it stands and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `file:line:column`, or the option that it came by.
    pub place: String,
    pub message: String,
    /// The rules whose runs meet it; none where it does not need a run to be seen.
    pub rules: Vec<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, message, rules } = self;
        match &rules[..] {
            [] => write!(f, "{place}: {message}"),
            [rule] => write!(f, "{place}: rule {rule}: {message}"),
            rules => write!(f, "{place}: rules {}: {message}", rules.join(", ")),
        }
    }
}

/// All mistakes of a sweep.
#[derive(Debug, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct SpecError(pub Vec<Problem>);

/// A list of values for one setting, and where it was given.
#[derive(Clone, Debug)]
struct Given {
    /// Those that are allowed.
    values: Vec<Value>,
    /// How many were given, with those that are not allowed.
    asked: usize,
    place: String,
}

/// Whether a list of values may hold one twice: settings that change together may, those that stand alone may not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    Different,
    Repeating,
}

impl Given {
    fn is_sound(&self) -> bool {
        self.values.len() == self.asked
    }
}

type Settings = BTreeMap<&'static str, Given>;

/// Reads the text of the sweep file at `path` and lays `overrides` (`key=value`) over it.
///
/// # Errors
/// With every unknown key, wrong type, value out of range and combination that makes no sense.
pub fn parse(name: &str, path: &Path, text: &str, overrides: &[String]) -> Result<Sweep, SpecError> {
    let mut reader = Reader { path: path.display().to_string(), text, problems: Vec::new() };
    let parts = reader.parts().unwrap_or_default();
    let forced = reader.overrides(overrides);
    let (runs, included) = if parts.includes.is_empty() {
        (reader.expand(&parts, &forced), Vec::new())
    } else {
        reader.include(&parts, path, overrides)
    };
    if reader.problems.is_empty() {
        Ok(Sweep { name: name.into(), runs, included })
    } else {
        Err(SpecError(reader.problems))
    }
}

/// The run that all defaults make.
pub fn default_run() -> Run {
    Run::from_settings(run::Settings::default()).expect("the defaults make a sound run, as a test checks")
}

/// The tables of a sweep file, each checked by itself.
#[derive(Default)]
struct Parts {
    base: Settings,
    rules: BTreeMap<String, Settings>,
    /// In the order of the file: the last axis varies fastest.
    axes: Vec<Axis>,
    exclusions: Vec<Exclusion>,
    /// Names of other sweeps, each with its place; a file that has them has no settings.
    includes: Vec<(String, String)>,
    /// Where the first table of settings stands.
    tables: Option<String>,
}

/// Settings that change together, all with the same number of values; one setting, as a rule.
#[derive(Clone, Debug)]
struct Axis(Vec<(&'static str, Given)>);

/// Combinations that are left out: runs that have, for each of these settings, one of its values.
#[derive(Debug)]
struct Exclusion {
    settings: Vec<(&'static str, Given)>,
    place: String,
}

impl Axis {
    /// The steps along the axis; one that has a mistake in it has none.
    fn len(&self) -> usize {
        self.0.iter().map(|(_, given)| given.values.len()).min().unwrap_or(0)
    }

    fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| *name == key)
    }

    fn place(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, given)| given.place.as_str())
    }
}

impl Exclusion {
    fn covers(&self, run: &Run) -> bool {
        self.settings.iter().all(|(key, given)| given.values.contains(&run.settings[key]))
    }
}

struct Reader<'a> {
    path: String,
    text: &'a str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn place(&self, span: &Range<usize>) -> String {
        let before = &self.text[..span.start.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!("{}:{line}:{column}", self.path)
    }

    fn problem(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.add(Problem { place: place.into(), message: message.into(), rules: Vec::new() });
    }

    /// Several runs may meet the same mistake, also those of several rules.
    fn add(&mut self, problem: Problem) {
        let same = |known: &&mut Problem| known.place == problem.place && known.message == problem.message;
        let Some(known) = self.problems.iter_mut().find(same) else {
            return self.problems.push(problem);
        };
        for rule in problem.rules {
            if !known.rules.contains(&rule) {
                known.rules.push(rule);
            }
        }
    }

    /// Reads the tables; `None` when the text is not TOML at all.
    fn parts(&mut self) -> Option<Parts> {
        let document = match DeTable::parse(self.text) {
            Ok(document) => document,
            Err(error) => {
                let place = self.place(&error.span().unwrap_or(0..0));
                self.problem(place, error.message());
                return None;
            }
        };
        let mut parts = Parts::default();
        for (key, value) in in_file_order(document.get_ref()) {
            if matches!(key.get_ref().as_ref(), "base" | "rules" | "axes") && parts.tables.is_none() {
                parts.tables = Some(self.place(&key.span()));
            }
            match (key.get_ref().as_ref(), value.get_ref()) {
                // For readers and the report.
                ("question" | "notes", DeValue::String(_)) => {}
                ("include", DeValue::Array(names)) => {
                    for name in names {
                        let place = self.place(&name.span());
                        match name.get_ref() {
                            DeValue::String(name) => parts.includes.push((name.to_string(), place)),
                            _ => self.problem(place, "`include`: expected names of sweeps"),
                        }
                    }
                }
                ("base", DeValue::Table(table)) => {
                    parts.base = self.settings(table, Values::Different).into_iter().collect();
                }
                ("axes", DeValue::Table(table)) => self.axes(table, &mut parts),
                ("rules", DeValue::Table(table)) => {
                    for (name, value) in in_file_order(table) {
                        if let DeValue::Table(table) = value.get_ref() {
                            let settings = self.settings(table, Values::Different).into_iter().collect();
                            parts.rules.insert(name.get_ref().to_string(), settings);
                        } else {
                            let place = self.place(&value.span());
                            self.problem(place, format!("`rules.{}`: expected a table", name.get_ref()));
                        }
                    }
                }
                (name @ ("question" | "notes" | "include" | "base" | "axes" | "rules"), _) => {
                    let wanted = match name {
                        "base" | "axes" | "rules" => "a table",
                        "include" => "a list of names of sweeps",
                        _ => "a text",
                    };
                    let place = self.place(&value.span());
                    self.problem(place, format!("`{name}`: expected {wanted}"));
                }
                (name, _) => {
                    let place = self.place(&key.span());
                    let hint = if find(name).is_some() {
                        format!("; settings stand in a table: `[base] {name} = ...`")
                    } else {
                        String::new()
                    };
                    let hint = near_miss(name, ["question", "notes", "include", "base", "axes", "rules"])
                        .map_or(hint, |near| format!("; did you mean `{near}`?"));
                    let allowed = "question, notes, include, [base], [rules.NAME], [axes]";
                    self.problem(place, format!("unknown key `{name}`: allowed are {allowed}{hint}"));
                }
            }
        }
        Some(parts)
    }

    /// The runs of all sweeps that the file includes, and their files.
    fn include(&mut self, parts: &Parts, path: &Path, overrides: &[String]) -> (Vec<Run>, Vec<Included>) {
        if let Some(place) = &parts.tables {
            self.problem(place.clone(), "a sweep that includes others has no settings of its own");
        }
        let (mut runs, mut files) = (Vec::new(), Vec::new());
        for (name, place) in &parts.includes {
            let beside = path.with_file_name(name).with_extension("toml");
            let named = named::folder("sweeps").join(name).with_extension("toml");
            let file = if beside.exists() { beside } else { named };
            let text = match std::fs::read_to_string(&file) {
                Ok(text) => text,
                Err(error) => {
                    self.problem(
                        place.clone(),
                        format!("`include`: cannot read {}: {error}", file.display()),
                    );
                    continue;
                }
            };
            match parse(name, &file, &text, overrides) {
                Ok(sweep) if !sweep.included.is_empty() => {
                    self.problem(place.clone(), format!("`include`: {name} includes others itself"));
                }
                Ok(sweep) => runs.extend(sweep.runs.into_iter().map(|run| Run {
                    id: format!("{name}_{}", run.id),
                    part: Some(name.clone()),
                    ..run
                })),
                Err(SpecError(problems)) => {
                    for problem in problems {
                        self.add(problem);
                    }
                }
            }
            files.push(Included { name: name.clone(), text });
        }
        (runs, files)
    }

    /// Reads `[axes]` with its `[[axes.zip]]` and `[[axes.exclude]]`.
    fn axes(&mut self, table: &DeTable<'_>, parts: &mut Parts) {
        for (key, value) in in_file_order(table) {
            let name = key.get_ref().as_ref();
            if !matches!(name, "zip" | "exclude") {
                if let Some(setting) = self.setting(key, value, Values::Different) {
                    self.add_axis(Axis(vec![setting]), parts);
                }
                continue;
            }
            let DeValue::Array(tables) = value.get_ref() else {
                let place = self.place(&value.span());
                self.problem(place, format!("`axes.{name}`: expected tables [[axes.{name}]]"));
                continue;
            };
            for item in tables {
                let place = self.place(&item.span());
                let DeValue::Table(table) = item.get_ref() else {
                    self.problem(place, format!("`axes.{name}`: expected tables [[axes.{name}]]"));
                    continue;
                };
                let settings = self.settings(table, Values::Repeating);
                if name == "exclude" {
                    parts.exclusions.push(Exclusion { settings, place });
                    continue;
                }
                let lengths: BTreeSet<usize> = settings.iter().map(|(_, given)| given.asked).collect();
                if lengths.len() > 1 {
                    let counts: Vec<String> =
                        settings.iter().map(|(key, given)| format!("{key} has {}", given.asked)).collect();
                    let message = "settings of one [[axes.zip]] take as many values as each other";
                    self.problem(place, format!("{message}: {}", counts.join(", ")));
                }
                self.add_axis(Axis(settings), parts);
            }
        }
    }

    fn add_axis(&mut self, axis: Axis, parts: &mut Parts) {
        for (key, given) in &axis.0 {
            if let Some(earlier) = parts.axes.iter().find_map(|axis| axis.place(key)) {
                self.problem(given.place.clone(), format!("`{key}`: is an axis already, at {earlier}"));
            }
        }
        parts.axes.push(axis);
    }

    /// Reads a table of settings, in the order of the file.
    fn settings(&mut self, table: &DeTable<'_>, values: Values) -> Vec<(&'static str, Given)> {
        in_file_order(table).into_iter().filter_map(|(key, value)| self.setting(key, value, values)).collect()
    }

    fn setting(
        &mut self,
        name: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
        values: Values,
    ) -> Option<(&'static str, Given)> {
        let place = self.place(&name.span());
        let items: Vec<(String, Option<Value>)> = match value.get_ref() {
            DeValue::Array(items) => {
                items.iter().map(|item| (self.place(&item.span()), scalar(item.get_ref()))).collect()
            }
            single => vec![(self.place(&value.span()), scalar(single))],
        };
        self.check(name.get_ref().as_ref(), place, items, values)
    }

    /// Checks the name of a setting and its values; each value comes with its place.
    fn check(
        &mut self,
        name: &str,
        place: String,
        items: Vec<(String, Option<Value>)>,
        allowed_values: Values,
    ) -> Option<(&'static str, Given)> {
        let Some(key) = find(name) else {
            let names = KEYS.iter().map(|key| key.name);
            let near = near_miss(name, names.clone()).and_then(find);
            let hint = near.map_or_else(
                || format!("allowed are {}", names.collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{}`?", near.name),
            );
            self.problem(place.clone(), format!("unknown setting `{name}`; {hint}"));
            // What was meant is not known to be sound.
            return near
                .map(|near| (near.name, Given { values: Vec::new(), asked: items.len().max(1), place }));
        };
        if items.is_empty() {
            self.problem(place, format!("`{name}`: an empty list leaves no run"));
            return None;
        }
        let (mut values, asked) = (Vec::new(), items.len());
        for (place, value) in items {
            let allowed = key.kind.allowed();
            match value.as_ref().map(|value| (value, key.kind.accept(value))) {
                Some((_, Some(value))) if allowed_values == Values::Different && values.contains(&value) => {
                    self.problem(place, format!("`{name}`: {value} stands twice"));
                }
                Some((_, Some(value))) => match key.kind.look_up(&value) {
                    Ok(()) => values.push(value),
                    Err(message) => self.problem(place, format!("`{name}`: {message}")),
                },
                Some((found, None)) => {
                    let hint = if place.starts_with(OPTION) { list_hint(name, found) } else { String::new() };
                    let found = as_written(found);
                    self.problem(place, format!("`{name}`: found `{found}`; allowed is {allowed}{hint}"));
                }
                None => self.problem(place, format!("`{name}`: found a table or date; allowed is {allowed}")),
            }
        }
        Some((key.name, Given { values, asked, place }))
    }

    /// Reads `key=value` options; the value as TOML, or as a bare word.
    fn overrides(&mut self, options: &[String]) -> Settings {
        let mut settings = Settings::new();
        for option in options {
            let place = format!("{OPTION} {option}");
            let Some((name, text)) = option.split_once('=') else {
                self.problem(place, "expected key=value");
                continue;
            };
            let items = match DeValue::parse(text.trim()) {
                Ok(value) => match value.get_ref() {
                    DeValue::Array(items) => {
                        items.iter().map(|item| (place.clone(), scalar(item.get_ref()))).collect()
                    }
                    single => vec![(place.clone(), scalar(single))],
                },
                Err(_) => vec![(place.clone(), Some(Value::Text(text.trim().into())))],
            };
            if let Some((key, given)) = self.check(name.trim(), place, items, Values::Repeating) {
                settings.insert(key, given);
            }
        }
        settings
    }

    /// All runs: for each rule, every combination of the values given, less what is excluded.
    ///
    /// Combinations are checked even where the file has other mistakes, but for those that a mistake is part of: they
    /// might only seem wrong.
    fn expand(&mut self, parts: &Parts, forced: &Settings) -> Vec<Run> {
        for (key, given) in forced {
            let repeated =
                given.values.iter().enumerate().find(|(at, value)| given.values[..*at].contains(value));
            let is_grouped = parts.axes.iter().any(|axis| axis.0.len() > 1 && axis.has(key));
            if let (Some((_, value)), false) = (repeated, is_grouped) {
                self.problem(given.place.clone(), format!("`{key}`: {value} stands twice"));
            }
        }
        let axes = self.with_overrides(&parts.axes, forced);
        let outer = self.rule_axis(parts, &axes, forced);
        let mut runs = Vec::new();
        for step in 0..outer.len() {
            let fixed: Vec<_> = outer.0.iter().map(|(key, given)| (*key, given.at(step))).collect();
            let (_, rules) = fixed.iter().find(|(key, _)| *key == "rule").expect("the rule is on its axis");
            let name = rules.values[0].to_string();
            let empty = Settings::new();
            let own = match parts.rules.get(&name) {
                Some(own) => own,
                None if parts.rules.is_empty() => &empty,
                None => {
                    let names: Vec<&str> = parts.rules.keys().map(String::as_str).collect();
                    let hint = near_miss(&name, names.iter().copied()).map_or_else(
                        || format!("named are {}", names.join(", ")),
                        |n| format!("did you mean `{n}`?"),
                    );
                    self.problem(rules.place.clone(), format!("no table [rules.{name}]; {hint}"));
                    continue;
                }
            };
            // Axes first and in the order of the file, so that runs come in that order.
            let mut combined: Vec<Axis> = fixed.iter().map(|setting| Axis(vec![setting.clone()])).collect();
            combined.extend(axes.iter().filter(|axis| !axis.has("rule")).cloned());
            for key in KEYS.iter().map(|key| key.name) {
                if combined.iter().any(|axis| axis.has(key)) {
                    continue;
                }
                let given = forced.get(key).or_else(|| own.get(key)).or_else(|| parts.base.get(key));
                combined.extend(given.map(|given| Axis(vec![(key, given.clone())])));
            }
            self.combinations(&name, &combined, &mut runs);
        }
        self.exclude(&parts.exclusions, forced, &mut runs);
        let mut seen = BTreeSet::new();
        name_runs(&mut runs);
        for run in &runs {
            // Of a file with mistakes, runs may be called alike for want of what was meant.
            if !seen.insert(&run.id) && self.problems.is_empty() {
                self.problem(self.path.clone(), format!("two runs are called {}", run.id));
            }
        }
        runs
    }

    /// The axes with the values of `forced` in place of their own.
    fn with_overrides(&mut self, axes: &[Axis], forced: &Settings) -> Vec<Axis> {
        let mut result = Vec::new();
        for axis in axes {
            let mut settings = Vec::new();
            for (key, given) in &axis.0 {
                match forced.get(key) {
                    None => settings.push((*key, given.clone())),
                    Some(new) if axis.0.len() == 1 || new.asked == given.asked => {
                        settings.push((*key, new.clone()));
                    }
                    // One value for all steps: no longer part of what changes together.
                    Some(new) if new.asked == 1 => result.push(Axis(vec![(*key, new.clone())])),
                    Some(new) => {
                        let others: Vec<&str> =
                            axis.0.iter().map(|(other, _)| *other).filter(|other| other != key).collect();
                        let message = format!(
                            "`{key}`: changes together with {}, at {}, and no part of such a group can be left out: allowed \
                             are {} values, one for each of its steps, or 1 for all of them; found {}",
                            others.join(" and "),
                            given.place,
                            given.asked,
                            new.asked
                        );
                        self.problem(new.place.clone(), message);
                    }
                }
            }
            if !settings.is_empty() {
                result.push(Axis(settings));
            }
        }
        result
    }

    /// The axis that the rule is on, which varies slowest.
    fn rule_axis(&self, parts: &Parts, axes: &[Axis], forced: &Settings) -> Axis {
        let default = || match parts.rules.keys().next() {
            // A file that names rules and asks for none means all of them.
            Some(_) => Given {
                values: parts.rules.keys().cloned().map(Value::Text).collect(),
                asked: parts.rules.len(),
                place: format!("{}: [rules]", self.path),
            },
            None => {
                Given { values: vec![keys::Default::Text("bs").value()], asked: 1, place: self.path.clone() }
            }
        };
        axes.iter().find(|axis| axis.has("rule")).cloned().unwrap_or_else(|| {
            let given =
                forced.get("rule").or_else(|| parts.base.get("rule")).cloned().unwrap_or_else(default);
            Axis(vec![("rule", given)])
        })
    }

    /// One run for each combination of the steps of `axes`, the last axis fastest.
    fn combinations(&mut self, rule: &str, axes: &[Axis], runs: &mut Vec<Run>) {
        if !axes.iter().flat_map(|axis| &axis.0).all(|(_, given)| given.is_sound()) {
            return;
        }
        let total: usize = axes.iter().map(Axis::len).product();
        for mut number in 0..total {
            let mut settings = run::Settings::default();
            for axis in axes.iter().rev() {
                for (key, given) in &axis.0 {
                    settings.insert(key, given.values[number % axis.len()].clone());
                }
                number /= axis.len();
            }
            match Run::from_settings(settings) {
                Ok(run) => runs.push(run),
                Err(problems) => {
                    for (key, message) in problems {
                        let place =
                            axes.iter().find_map(|axis| axis.place(key)).unwrap_or(&self.path).to_owned();
                        self.add(Problem { place, message, rules: vec![rule.to_owned()] });
                    }
                }
            }
        }
    }

    fn exclude(&mut self, exclusions: &[Exclusion], forced: &Settings, runs: &mut Vec<Run>) {
        let before = runs.len();
        for exclusion in exclusions {
            let sound = exclusion.settings.iter().all(|(_, given)| given.is_sound());
            // Of a file with mistakes not all runs are known, and `--set` may leave out what would be excluded.
            if self.problems.is_empty()
                && forced.is_empty()
                && sound
                && !runs.iter().any(|run| exclusion.covers(run))
            {
                self.problem(exclusion.place.clone(), "`axes.exclude`: no run has these settings");
            }
        }
        runs.retain(|run| !exclusions.iter().any(|exclusion| exclusion.covers(run)));
        if runs.is_empty() && before > 0 {
            self.problem(self.path.clone(), "`axes.exclude`: every run is excluded");
        }
    }
}

impl Given {
    /// The value at one step, as if it were the only one.
    fn at(&self, step: usize) -> Self {
        Self { values: vec![self.values[step].clone()], asked: 1, place: self.place.clone() }
    }
}

/// How the place of a problem begins that came by an option.
const OPTION: &str = "--set";

/// How a list is written, where what was found for a setting looks like one that is not.
fn list_hint(key: &str, found: &Value) -> String {
    let Value::Text(text) = found else { return String::new() };
    let is_bracketed = text.starts_with('[');
    let parts =
        text.trim_matches(['[', ']']).split(|c: char| c == ',' || (is_bracketed && c.is_whitespace()));
    let items: Vec<&str> = parts.map(str::trim).filter(|item| !item.is_empty()).collect();
    if items.len() < 2 && !is_bracketed {
        return String::new();
    }
    let quoted = |item: &&str| {
        if DeValue::parse(item).is_ok() { (*item).to_owned() } else { format!("\"{item}\"") }
    };
    let list = items.iter().map(quoted).collect::<Vec<_>>().join(", ");
    format!("; a list is written {OPTION} '{key}=[{list}]', quotes included")
}

/// A value with the marks that tell a text from a number, and a whole number from another.
fn as_written(value: &Value) -> String {
    match value {
        Value::Text(text) if DeValue::parse(text).is_ok() => format!("\"{text}\""),
        Value::Number(number) => format!("{number:?}"),
        other => other.to_string(),
    }
}

/// Names every run by its rule and whatever else sets it apart from the others.
fn name_runs(runs: &mut [Run]) {
    let varying: Vec<&'static str> = KEYS
        .iter()
        .map(|key| key.name)
        .filter(|key| *key != "rule" && *key != "seed")
        .filter(|key| runs.iter().any(|run| run.settings[key] != runs[0].settings[key]))
        .filter(|key| {
            // A setting that follows from the rule does not need to be named beside it.
            runs.iter().any(|run| {
                let same_rule = |other: &&Run| other.rule_name() == run.rule_name();
                runs.iter().filter(same_rule).any(|other| other.settings[key] != run.settings[key])
            })
        })
        .collect();
    for run in runs {
        let mut id = run.rule_name().to_string();
        for key in &varying {
            // The network speaks for itself.
            let name = if *key == "network" { String::new() } else { format!("{key}-") };
            id += &[String::from("_"), name, run.settings[key].to_string()].concat();
        }
        run.id = format!("{id}_seed-{}", run.settings["seed"]);
    }
}

/// The entries of a table as the file has them, so that problems are told and runs made in that order.
fn in_file_order<'a, 'b>(
    table: &'a DeTable<'b>,
) -> Vec<(&'a Spanned<Cow<'b, str>>, &'a Spanned<DeValue<'b>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn scalar(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Float(number) => Value::Number(number.as_str().parse().ok()?),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use bitpulse_core::SeedPath;

    use super::*;
    use crate::mutate;

    fn parse_text(text: &str, overrides: &[&str]) -> Result<Sweep, SpecError> {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        parse("test", Path::new("test.toml"), text, &overrides)
    }

    fn messages(text: &str, overrides: &[&str]) -> Vec<String> {
        parse_text(text, overrides).unwrap_err().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn three_mistakes_are_told_at_once_with_line_and_column() {
        let text = "[base]\nepoch = 3\nbatch = 0\n\n[axes]\nseed = [1, \"two\"]\n";
        let found = messages(text, &[]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "test.toml:2:1: unknown setting `epoch`; did you mean `epochs`?");
        assert_eq!(found[1], "test.toml:3:9: `batch`: found `0`; allowed is a whole number from 1 to 65536");
        assert!(
            found[2].starts_with("test.toml:6:12: `seed`: found `two`; allowed is a whole number"),
            "{}",
            found[2]
        );
    }

    #[test]
    fn mistakes_between_settings_name_the_setting_that_can_mend_them() {
        let found = messages("[base]\nactivation = \"relu\"\nepochs = 2\n", &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("test.toml:2:1: rule bs: binary forward signal with ReLU"),
            "{}",
            found[0]
        );
        let found = messages("[base]\nnetwork = \"100-10\"\n", &[]);
        assert!(found[0].contains("784"), "{}", found[0]);
    }

    #[test]
    fn mutated_sweeps_are_read_or_refused() {
        let read = |bytes: Vec<u8>| {
            if let Ok(text) = String::from_utf8(bytes) {
                drop(parse_text(&text, &[]));
            }
        };
        for name in ["quickstart", "ir-drop", "paper-ablation"] {
            let text = std::fs::read(crate::named::path("sweeps", Path::new(name))).unwrap();
            mutate::mutations(&text, 500, SeedPath::root(1).child(name)).for_each(read);
        }
        for (name, text) in mutate::corpus("sweep") {
            mutate::mutations(&text, 20, SeedPath::root(1).child(&name)).for_each(read);
            read(text);
        }
    }

    #[test]
    fn what_is_not_toml_says_where() {
        assert!(messages("[base\n", &[])[0].starts_with("test.toml:1:6: "));
        assert!(messages("epochs = 3\n", &[])[0].contains("[base] epochs"));
        assert!(messages("", &["epochs"])[0].contains("expected key=value"));
        assert!(
            messages("", &["rule=bs", "epochs=many"])[0]
                .starts_with("--set epochs=many: `epochs`: found `many`")
        );
        assert!(
            messages("[rules.bs]\n[rules.hp]\n[axes]\nrule=[\"bss\"]\n", &[])[0]
                .contains("did you mean `bs`?")
        );
    }

    #[test]
    fn combinations_of_axes_become_runs_in_order() {
        let text = "question = \"?\"\n[rules.bs]\nstep-output = [0.1, 0.2]\n[rules.hp]\nforward = \"hp\"\n\
                    [axes]\nrule = [\"hp\", \"bs\"]\nseed = [5, 3]\n";
        let sweep = parse_text(text, &[]).unwrap();
        let ids: Vec<&str> = sweep.runs.iter().map(|run| run.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "hp_step-output-0.03_seed-5",
                "hp_step-output-0.03_seed-3",
                "bs_step-output-0.1_seed-5",
                "bs_step-output-0.2_seed-5",
                "bs_step-output-0.1_seed-3",
                "bs_step-output-0.2_seed-3"
            ]
        );
        assert_eq!(sweep.runs[0].settings["forward"], Value::Text("hp".into()));
    }

    #[test]
    fn settings_change_together_and_combinations_are_left_out() {
        let text = "[base]\nepochs = 7\n[rules.bs]\n[rules.hp]\nforward = \"hp\"\n[axes]\nrule = [\"bs\", \"hp\"]\n\
                    seed = [1, 2]\n[[axes.zip]]\nnetwork = [\"784-9-10\", \"784-8-10\", \"784-7-10\"]\nbatch = [1, 4, 4]\n\
                    [[axes.exclude]]\nrule = \"hp\"\nnetwork = [\"784-9-10\", \"784-8-10\"]\n\
                    [[axes.exclude]]\nseed = 2\nbatch = 4\n";
        let runs = |overrides: &[&str]| -> Vec<String> {
            let runs = parse_text(text, overrides).unwrap().runs;
            let said = |run: &Run| {
                ["rule", "network", "batch", "seed"].map(|key| run.settings[key].to_string()).join(" ")
            };
            runs.iter().map(said).collect()
        };
        assert_eq!(
            runs(&[]),
            ["bs 784-9-10 1 1", "bs 784-8-10 4 1", "bs 784-7-10 4 1", "bs 784-9-10 1 2", "hp 784-7-10 4 1"]
        );
        // One value for all, and another of the same number.
        assert_eq!(runs(&["batch=4", "rule=bs"]), ["bs 784-9-10 4 1", "bs 784-8-10 4 1", "bs 784-7-10 4 1"]);
        assert_eq!(runs(&["batch=[4, 4, 1]", "rule=hp"]), ["hp 784-7-10 1 1", "hp 784-7-10 1 2"]);
        let found = messages(text, &["batch=[1, 2]"]);
        assert_eq!(
            found,
            [
                "--set batch=[1, 2]: `batch`: changes together with network, at test.toml:11:1, and no part of such a group can \
                 be left out: allowed are 3 values, one for each of its steps, or 1 for all of them; found 2"
            ]
        );
    }

    #[test]
    fn a_sweep_of_sweeps_has_their_runs() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("all.toml");
        std::fs::write(folder.path().join("one.toml"), "[axes]\nseed = [1, 2]\n").unwrap();
        let all = |text: &str| parse("all", &file, text, &["epochs=3".into()]);
        let sweep = all("include = [\"one\", \"quickstart\"]").unwrap();
        assert_eq!(sweep.runs.len(), 2 + 9);
        assert_eq!(
            (sweep.runs[1].id.as_str(), sweep.runs[1].part.as_deref()),
            ("one_bs_seed-2", Some("one"))
        );
        assert!(sweep.runs.iter().all(|run| run.epochs == 3));
        assert_eq!(
            sweep.included.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(),
            ["one", "quickstart"]
        );
        std::fs::write(folder.path().join("two.toml"), "[base]\nepoch = 1\n").unwrap();
        std::fs::write(folder.path().join("three.toml"), "include = [\"one\"]").unwrap();
        let found = all("include = [\"two\", \"three\", \"four\"]\n[base]\n").unwrap_err().to_string();
        for message in [
            "all.toml:2:2: a sweep that includes others has no settings of its own",
            "two.toml:2:1: unknown setting `epoch`",
            "all.toml:1:19: `include`: three includes others itself",
            "all.toml:1:28: `include`: cannot read",
        ] {
            assert!(found.contains(message), "{message} in {found}");
        }
    }

    #[test]
    fn a_rule_may_change_together_with_other_settings() {
        let text = "[rules.bs]\n[rules.hp]\nforward = \"hp\"\n[axes]\nseed = [1, 2]\n[[axes.zip]]\nrule = [\"hp\", \"bs\"]\n\
                    epochs = [3, 5]\n";
        let runs = parse_text(text, &[]).unwrap().runs;
        let said: Vec<_> = runs.iter().map(|run| (run.rule_name(), run.epochs, run.seed)).collect();
        assert_eq!(said, [("hp", 3, 1), ("hp", 3, 2), ("bs", 5, 1), ("bs", 5, 2)]);
    }

    #[test]
    fn mistakes_of_groups_are_told_with_those_of_settings() {
        let found = messages(
            "[base]\nepochs = 0\n[axes]\nseed = [1, 2]\nbatch = [1, 2]\n[[axes.zip]]\ngain = [1, 2]\nbatch = [1, 2, 3]\n\
             [axes.exclude]\nseed = 1\n",
            &[],
        );
        assert_eq!(
            found,
            [
                "test.toml:2:10: `epochs`: found `0`; allowed is a whole number from 1 to 100000",
                "test.toml:6:1: settings of one [[axes.zip]] take as many values as each other: gain has 2, batch has 3",
                "test.toml:8:1: `batch`: is an axis already, at test.toml:5:1",
                "test.toml:9:1: `axes.exclude`: expected tables [[axes.exclude]]",
            ]
        );
        let exclude =
            |settings: &str| messages(&format!("[axes]\nseed = [1, 2]\n[[axes.exclude]]\n{settings}"), &[]);
        assert_eq!(exclude("seed = 3"), ["test.toml:3:1: `axes.exclude`: no run has these settings"]);
        assert_eq!(exclude("seed = [1, 2]"), ["test.toml: `axes.exclude`: every run is excluded"]);
    }

    #[test]
    fn combinations_are_checked_beside_other_mistakes_but_not_for_them() {
        let rules = "[rules.a]\nactivation = \"relu\"\n[rules.b]\nactivation = \"relu\"\nforwrd = \"hp\"\n";
        let found = messages(rules, &[]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("did you mean `forward`?"), "{found:?}");
        assert!(found[1].starts_with("test.toml:2:1: rule a: binary forward signal with ReLU"), "{found:?}");
    }

    #[test]
    fn a_mistake_that_several_rules_meet_is_told_once() {
        let text = "[base]\nnetwork = \"100-10\"\n[rules.a]\n[rules.b]\ngain = 2\n[axes]\nrule = [\"a\", \"b\"]\nseed = [1, 2]\n";
        let found = messages(text, &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("test.toml:2:1: rules a, b: network 100-10 does not fit"), "{found:?}");
    }

    #[test]
    fn the_defaults_make_a_sound_run() {
        assert_eq!(default_run().rule_name(), "bs");
    }

    #[test]
    fn a_list_that_is_not_written_as_one_is_told_how() {
        let found = |option: &str| messages("[axes]\nseed = [1, 2]\n", &[option]).join("\n");
        for (option, told) in [
            ("rule=[a,b]", "a list is written --set 'rule=[\"a\", \"b\"]', quotes included"),
            ("rule=a, b", "a list is written --set 'rule=[\"a\", \"b\"]', quotes included"),
            ("rule=[\"a\", b]", "a list is written --set 'rule=[\"a\", \"b\"]', quotes included"),
            ("seed=1,2", "a list is written --set 'seed=[1, 2]', quotes included"),
            ("seed=[1 2]", "a list is written --set 'seed=[1, 2]', quotes included"),
        ] {
            assert!(found(option).ends_with(told), "{option}: {}", found(option));
        }
        assert_eq!(
            found("epochs=x"),
            "--set epochs=x: `epochs`: found `x`; allowed is a whole number from 1 to 100000"
        );
        assert!(found("epochs=\"5\"").contains("found `\"5\"`"), "{}", found("epochs=\"5\""));
        assert!(found("epochs=5.0").contains("found `5.0`"), "{}", found("epochs=5.0"));
        assert!(found("wire-ohms=5 ohm").ends_with("from 0 to 1000000"), "{}", found("wire-ohms=5 ohm"));
        assert_eq!(found("seed=[3, 3]"), "--set seed=[3, 3]: `seed`: 3 stands twice");
    }

    #[test]
    fn files_that_are_not_there_are_told_beside_other_mistakes() {
        let found = messages("[base]\ndevice = \"modd\"\ndataset = \"mnst\"\nepochs = 0\n", &[]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].starts_with("test.toml:2:10: `device`: no preset `modd`; did you mean `mod`?"),
            "{found:?}"
        );
        assert!(
            found[1].starts_with("test.toml:3:11: `dataset`: no data set `mnst`; did you mean `mnist`?"),
            "{found:?}"
        );
    }

    #[test]
    fn overrides_count_before_everything() {
        let text = "[base]\nepochs = 9\n[axes]\nseed = [1, 2]\n";
        let sweep = parse_text(text, &["seed=[7, 8, 9]", "epochs=2", "activation=sigmoid"]).unwrap();
        assert_eq!(sweep.runs.len(), 3);
        assert_eq!(sweep.runs[2].settings["seed"], Value::Integer(9));
        assert_eq!(sweep.runs[2].settings["epochs"], Value::Integer(2));
        assert_eq!(sweep.runs[2].settings["activation"], Value::Text("sigmoid".into()));
    }
}
