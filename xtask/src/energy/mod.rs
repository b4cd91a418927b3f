//! Prices on the command line: what runs or a network of any shape cost on each machine, and the ratios between them.
//!
//! The arithmetic is that of `bitpulse-energy`; here are the arguments, the files and the tables.

pub mod comparison;
pub mod print;

use std::path::PathBuf;

use clap::Args;

use crate::failure::{Failure, Outcome};
use crate::spec::parse_network;
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
    /// Held-out accuracy, as a fraction, up to which joules are told; runs alone can tell
    #[arg(long, value_name = "FRACTION", default_value_t = 0.98)]
    accuracy: f64,
    /// Print bills and ratios as one JSON document
    #[arg(long)]
    json: bool,
}

/// Widths of a network.
#[derive(Clone, Debug)]
struct Widths(Vec<usize>);

fn network(text: &str) -> Result<Widths, String> {
    parse_network(text).map(Widths).ok_or_else(|| "widths such as 784-256-10".into())
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
                Comparison::counted(&choice, path, widths.as_deref())
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
