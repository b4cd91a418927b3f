//! Prices on the command line: what runs or a network of any shape cost on each machine, and the ratios between them.
//!
//! The arithmetic is that of `bitpulse-energy`; here are the arguments, the files and the tables.

pub mod comparison;
mod network;
pub mod print;

use std::path::PathBuf;

use clap::Args;

use crate::failure::{Failure, Outcome};
use crate::spec::parse_widths;
use crate::workspace;
use comparison::{Choice, Comparison};

/// `cargo xtask energy`
#[derive(Args)]
pub struct Energy {
    /// Folder of a sweep or of one of its runs, or the name of one in runs; without it, the network is reckoned
    #[arg(value_name = "RUN|SWEEP")]
    counted: Option<PathBuf>,
    /// Widths of the layers, inputs first; of a sweep, the network that is priced [default: 784-256-10]
    #[arg(long, value_name = "WIDTHS", value_parser = network)]
    network: Option<Widths>,
    /// Price list: a name in data/technologies, or a file
    #[arg(long, value_name = "NAME|FILE", default_value = "cmos-32nm")]
    technology: PathBuf,
    /// Machines: a name in data/scenarios, or a file
    #[arg(long, value_name = "NAME|FILE", default_value = "paper")]
    scenario: PathBuf,
    /// Device: a name in data/devices, or a file [default: that of the scenario]
    #[arg(long, value_name = "NAME|FILE")]
    device: Option<PathBuf>,
    /// Rule of the sweep that is priced, one binary and one of high precision at most [default: the first of either]
    #[arg(long = "rule", value_name = "NAME", requires = "counted")]
    rules: Vec<String>,
    /// Held-out accuracy, as a fraction, up to which joules are told; runs alone can tell
    #[arg(long, value_name = "FRACTION", default_value_t = 0.98, value_parser = fraction)]
    accuracy: f64,
    /// Print bills and ratios as one JSON document
    #[arg(long)]
    json: bool,
}

/// Widths of a network.
#[derive(Clone, Debug)]
struct Widths(Vec<usize>);

fn network(text: &str) -> Result<Widths, String> {
    parse_widths(text).map(Widths).ok_or_else(|| "widths such as 784-256-10".into())
}

fn fraction(text: &str) -> Result<f64, String> {
    let fraction = text.parse().ok().filter(|fraction: &f64| *fraction > 0.0 && *fraction <= 1.0);
    fraction.ok_or_else(|| "a fraction above 0 and up to 1, such as 0.98".into())
}

impl Energy {
    pub fn run(self) -> Outcome {
        let choice = Choice { technology: self.technology, scenario: self.scenario, device: self.device };
        let widths = self.network.map(|Widths(widths)| widths);
        let comparison = match &self.counted {
            None => Comparison::reckoned(&choice, &widths.unwrap_or_else(|| vec![784, 256, 10])),
            Some(path) => {
                let named = workspace::root().join("runs").join(path);
                let path = if path.exists() || !named.is_dir() { path } else { &named };
                Comparison::counted(&choice, path, widths.as_deref(), &self.rules)
            }
        }
        .map_err(Failure::input)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&print::document(&comparison, self.accuracy))?);
        } else {
            print!("{}", print::tables(&comparison, self.accuracy));
        }
        Ok(())
    }
}
