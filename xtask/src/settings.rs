use std::fmt::Write as _;

use clap::Args;

use crate::spec::{KEYS, Key};

/// `cargo xtask settings`
#[derive(Args)]
pub struct Settings {}

impl Settings {
    pub fn run() {
        print!("{}", table(KEYS));
    }
}

/// Settings as a table in Markdown.
pub fn table(keys: &[Key]) -> String {
    let mut table = String::from("| setting | unit | default | allowed | meaning |\n|---|---|---|---|---|\n");
    for key in keys {
        let Key { name, kind, default, unit, meaning } = key;
        let _ =
            writeln!(table, "| `{name}` | {unit} | {} | {} | {meaning} |", default.value(), kind.allowed());
    }
    table
}
