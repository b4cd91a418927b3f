//! What is done, running, failed and waiting in the folder of a sweep.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value as Json, json};

use super::folder::{Folder, RunState};
use crate::failure::Outcome;

/// `cargo xtask sweep status`
#[derive(Args)]
pub struct Status {
    /// Folder of a sweep
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Print it as one JSON document
    #[arg(long)]
    json: bool,
}

impl Status {
    pub fn run(self) -> Outcome {
        let folder = Folder::open(&self.dir)?;
        let sweep = folder.sweep()?;
        let mut lines = Vec::new();
        let mut names = Vec::new();
        let mut counts =
            [("done", 0), ("running", 0), ("interrupted", 0), ("failed", 0), ("damaged", 0), ("waiting", 0)];
        let mut runs = Vec::new();
        for run in &sweep.runs {
            let run_folder = folder.of(run);
            let epoch = || {
                run_folder.epochs().map_or_else(String::new, |epoch| format!("epoch {epoch}/{}", run.epochs))
            };
            let (word, detail) = match run_folder.state() {
                RunState::Done => ("done", String::new()),
                RunState::Running { holder } => {
                    let parts = [epoch(), holder];
                    let said: Vec<&str> =
                        parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
                    ("running", said.join(", "))
                }
                RunState::Interrupted => ("interrupted", epoch()),
                RunState::Failed { message } => ("failed", first_line(&message)),
                RunState::Damaged { what } => ("damaged", what),
                RunState::Waiting => ("waiting", String::new()),
            };
            for (counted, count) in &mut counts {
                *count += usize::from(*counted == word);
            }
            if !detail.is_empty() {
                lines.push(format!("{word}: {}: {detail}", run.id));
            }
            runs.push(json!({"run": run.id, "id": run_folder.name(), "state": word, "detail": detail}));
            names.push(run_folder.name().to_owned());
        }
        let others = folder.all_names()?.iter().filter(|name| !names.contains(name)).count();
        if self.json {
            let counts: serde_json::Map<String, Json> =
                counts.iter().map(|(word, count)| ((*word).to_owned(), json!(count))).collect();
            let document = json!({
                "sweep": sweep.name, "runs_in_all": runs.len(), "counts": counts, "runs_of_other_specs": others, "runs": runs,
            });
            println!("{}", serde_json::to_string_pretty(&document)?);
            return Ok(());
        }
        let said = counts.iter().filter(|(word, count)| *count > 0 || *word == "done");
        let said: Vec<String> = said.map(|(word, count)| format!("{count} {word}")).collect();
        println!("{}: {} runs: {}", sweep.name, runs.len(), said.join(", "));
        for line in lines {
            println!("{line}");
        }
        if others > 0 {
            println!("{others} runs of other settings are in this folder too, and left alone");
        }
        Ok(())
    }
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}
