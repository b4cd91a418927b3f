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
//! ```
//!
//! Of several values for one setting, `--set` counts before `[axes]`, that before `[rules.NAME]`, that before `[base]`,
//! and that before the default.

mod hardware;
mod keys;
mod run;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::Path;

use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use keys::{KEYS, Value, near_miss, parse_network};
pub use run::{Run, SplitSpec};

use keys::find;

/// A sweep: the runs that answer its question.
#[derive(Debug)]
pub struct Sweep {
    pub name: String,
    pub runs: Vec<Run>,
}

/// One mistake: where it stands and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `file:line:column`, or the option that it came by.
    pub place: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All mistakes of a sweep.
#[derive(Debug, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct SpecError(pub Vec<Problem>);

/// A list of values for one setting, and where it was given.
#[derive(Clone, Debug)]
struct Given {
    values: Vec<Value>,
    place: String,
}

type Settings = BTreeMap<&'static str, Given>;

/// Reads the text of the sweep file at `path` and lays `overrides` (`key=value`) over it.
///
/// # Errors
/// With every unknown key, wrong type, value out of range and combination that makes no sense.
pub fn parse(name: &str, path: &Path, text: &str, overrides: &[String]) -> Result<Sweep, SpecError> {
    let mut reader = Reader { path: path.display().to_string(), text, problems: Vec::new() };
    let parts = reader.parts();
    let forced = reader.overrides(overrides);
    let mut runs = Vec::new();
    if let Some(parts) = &parts
        && reader.problems.is_empty()
    {
        runs = reader.expand(parts, &forced);
    }
    if reader.problems.is_empty() {
        Ok(Sweep { name: name.into(), runs })
    } else {
        Err(SpecError(reader.problems))
    }
}

/// The run that all defaults make.
pub fn default_run() -> Run {
    let settings = KEYS.iter().map(|key| (key.name, key.default.value())).collect();
    Run::from_settings(settings).expect("the defaults make a sound run, as a test checks")
}

/// The tables of a sweep file, each checked by itself.
struct Parts {
    base: Settings,
    rules: BTreeMap<String, Settings>,
    /// In the order of the file: the last axis varies fastest.
    axes: Vec<(&'static str, Given)>,
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
        self.problems.push(Problem { place: place.into(), message: message.into() });
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
        let mut parts = Parts { base: Settings::new(), rules: BTreeMap::new(), axes: Vec::new() };
        for (key, value) in in_file_order(document.get_ref()) {
            match (key.get_ref().as_ref(), value.get_ref()) {
                // For readers and the report. A sweep writes its name and command on top of the file it leaves with its
                // results, so that this is a sweep file again.
                ("question" | "notes" | "name" | "command", DeValue::String(_)) => {}
                ("base", DeValue::Table(table)) => parts.base = self.settings(table).into_iter().collect(),
                ("axes", DeValue::Table(table)) => parts.axes = self.settings(table),
                ("rules", DeValue::Table(table)) => {
                    for (name, value) in in_file_order(table) {
                        if let DeValue::Table(table) = value.get_ref() {
                            let settings = self.settings(table).into_iter().collect();
                            parts.rules.insert(name.get_ref().to_string(), settings);
                        } else {
                            let place = self.place(&value.span());
                            self.problem(place, format!("`rules.{}`: expected a table", name.get_ref()));
                        }
                    }
                }
                (name @ ("name" | "command" | "question" | "notes" | "base" | "axes" | "rules"), _) => {
                    let wanted = if matches!(name, "base" | "axes" | "rules") { "a table" } else { "a text" };
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
                    let allowed = "question, notes, [base], [rules.NAME], [axes]";
                    self.problem(place, format!("unknown key `{name}`: allowed are {allowed}{hint}"));
                }
            }
        }
        Some(parts)
    }

    /// Reads a table of settings, in the order of the file.
    fn settings(&mut self, table: &DeTable<'_>) -> Vec<(&'static str, Given)> {
        in_file_order(table).into_iter().filter_map(|(key, value)| self.setting(key, value)).collect()
    }

    fn setting(
        &mut self,
        name: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<(&'static str, Given)> {
        let place = self.place(&name.span());
        let items: Vec<(String, Option<Value>)> = match value.get_ref() {
            DeValue::Array(items) => {
                items.iter().map(|item| (self.place(&item.span()), scalar(item.get_ref()))).collect()
            }
            single => vec![(self.place(&value.span()), scalar(single))],
        };
        self.check(name.get_ref().as_ref(), place, items)
    }

    /// Checks the name of a setting and its values; each value comes with its place.
    fn check(
        &mut self,
        name: &str,
        place: String,
        items: Vec<(String, Option<Value>)>,
    ) -> Option<(&'static str, Given)> {
        let Some(key) = find(name) else {
            let names = KEYS.iter().map(|key| key.name);
            let hint = near_miss(name, names.clone()).map_or_else(
                || format!("allowed are {}", names.collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            self.problem(place, format!("unknown setting `{name}`; {hint}"));
            return None;
        };
        if items.is_empty() {
            self.problem(place, format!("`{name}`: an empty list leaves no run"));
            return None;
        }
        let mut values = Vec::new();
        for (place, value) in items {
            let allowed = key.kind.allowed();
            match value.as_ref().map(|value| (value, key.kind.accept(value))) {
                Some((_, Some(value))) if values.contains(&value) => {
                    self.problem(place, format!("`{name}`: {value} stands twice"));
                }
                Some((_, Some(value))) => values.push(value),
                Some((found, None)) => {
                    self.problem(place, format!("`{name}`: found `{found}`; allowed is {allowed}"));
                }
                None => self.problem(place, format!("`{name}`: found a table or date; allowed is {allowed}")),
            }
        }
        Some((key.name, Given { values, place }))
    }

    /// Reads `key=value` options; the value as TOML, or as a bare word.
    fn overrides(&mut self, options: &[String]) -> Settings {
        let mut settings = Settings::new();
        for option in options {
            let place = format!("--set {option}");
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
            if let Some((key, given)) = self.check(name.trim(), place, items) {
                settings.insert(key, given);
            }
        }
        settings
    }

    /// All runs: for each rule, every combination of the values given.
    fn expand(&mut self, parts: &Parts, forced: &Settings) -> Vec<Run> {
        let axis = |name: &str| parts.axes.iter().find(|(key, _)| *key == name).map(|(_, given)| given);
        let default_rule = || match parts.rules.keys().next() {
            // A file that names rules and asks for none means all of them.
            Some(_) => Given {
                values: parts.rules.keys().cloned().map(Value::Text).collect(),
                place: format!("{}: [rules]", self.path),
            },
            None => Given { values: vec![keys::Default::Text("bs").value()], place: self.path.clone() },
        };
        let rules = forced
            .get("rule")
            .or_else(|| axis("rule"))
            .or_else(|| parts.base.get("rule"))
            .cloned()
            .unwrap_or_else(default_rule);
        let mut runs = Vec::new();
        for rule in &rules.values {
            let name = rule.to_string();
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
            let mut combined: Vec<(&'static str, Given)> = Vec::new();
            // Axes first and in the order of the file, so that runs come in that order.
            let ordered = parts.axes.iter().map(|(key, _)| *key);
            let others = KEYS.iter().map(|key| key.name).filter(|name| axis(name).is_none());
            for key in ordered.chain(others).filter(|key| *key != "rule") {
                let given = forced
                    .get(key)
                    .or_else(|| axis(key))
                    .or_else(|| own.get(key))
                    .or_else(|| parts.base.get(key));
                if let Some(given) = given {
                    combined.push((key, given.clone()));
                }
            }
            self.combinations(&name, &combined, &mut runs);
        }
        let mut seen = BTreeSet::new();
        name_runs(&mut runs);
        for run in &runs {
            if !seen.insert(&run.id) {
                self.problem(self.path.clone(), format!("two runs are called {}", run.id));
            }
        }
        runs
    }

    /// One run for each combination of the values of `given`, the last setting fastest.
    fn combinations(&mut self, rule: &str, given: &[(&'static str, Given)], runs: &mut Vec<Run>) {
        let total: usize = given.iter().map(|(_, given)| given.values.len()).product();
        for mut number in 0..total {
            let mut settings: BTreeMap<&'static str, Value> =
                KEYS.iter().map(|key| (key.name, key.default.value())).collect();
            settings.insert("rule", Value::Text(rule.into()));
            for (key, given) in given.iter().rev() {
                settings.insert(key, given.values[number % given.values.len()].clone());
                number /= given.values.len();
            }
            match Run::from_settings(settings) {
                Ok(run) => runs.push(run),
                Err(problems) => {
                    for (key, message) in problems {
                        let place = given
                            .iter()
                            .find(|(name, _)| *name == key)
                            .map_or_else(|| self.path.clone(), |(_, given)| given.place.clone());
                        let problem = Problem { place, message: format!("rule {rule}: {message}") };
                        if !self.problems.contains(&problem) {
                            self.problems.push(problem);
                        }
                    }
                }
            }
        }
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
    use super::*;

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
    fn the_defaults_make_a_sound_run() {
        assert_eq!(default_run().rule_name(), "bs");
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
