use clap::Args;

use crate::spec::KEYS;

/// `cargo xtask settings`
#[derive(Args)]
pub struct Settings {}

impl Settings {
    pub fn run() {
        println!("| setting | default | allowed | meaning |");
        println!("|---|---|---|---|");
        for key in KEYS {
            println!(
                "| `{}` | {} | {} | {} |",
                key.name,
                key.default.value(),
                key.kind.allowed(),
                key.meaning
            );
        }
    }
}
