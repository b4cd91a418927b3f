//! The front door of bitpulse, used as `cargo xtask VERB`.
//!
//! Results go to standard output and to files, logs and progress to standard error. Exit codes: 0 all is well, 1 a run
//! or check failed, 2 bad usage or bad input.

mod bench;
mod book;
mod ci;
mod circuit;
mod columns;
mod data;
mod devices;
mod documents;
mod energy;
mod failure;
mod gallery;
mod instructions;
#[cfg(test)]
#[path = "../../fuzz/mutate.rs"]
mod mutate;
mod named;
mod plot;
mod record;
mod report;
mod settings;
mod spec;
mod sweep;
mod tidy;
mod train;
mod wiring;
mod workspace;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::Level;

use failure::{Failure, Outcome};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about = "The front door of bitpulse")]
struct Cli {
    /// Say more on standard error (-v: every epoch)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Train every run of a sweep and report on them
    Sweep(sweep::Sweep),
    /// Train one run
    Train(train::Train),
    /// Write the report of a finished sweep again
    Report(report::Report),
    /// List every setting of a run: what it may be, its default, what it means
    Settings(settings::Settings),
    /// Look after the data sets
    Data(data::Data),
    /// Solve crossbar circuits from case files, write them as netlists, draw their losses
    Circuit(circuit::Circuit),
    /// Show device presets, and fit devices to measured pulse trains
    Devices(devices::Devices),
    /// Price what runs did, or what a network of any shape would do, on each kind of machine
    Energy(energy::Energy),
    /// Measure how fast things are
    Bench(bench::Bench),
    /// Count the instructions of fixed jobs, and compare them with a baseline
    Instructions(instructions::Instructions),
    /// Write the pages of the book that follow from the code
    Book(book::Book),
    /// Check what compilers do not: arrows between crates, documents, licences, spelling
    Tidy(tidy::Tidy),
    /// Run every check that a change must pass
    Ci(ci::Ci),
}

fn main() -> ExitCode {
    // A reader that has seen enough, such as `head`, ends a command quietly, as it does with other programs.
    sigpipe::reset();
    let cli = Cli::parse();
    // On a terminal, progress bars tell how far things are; elsewhere, plain lines do.
    let level = match (cli.verbose, std::io::stderr().is_terminal()) {
        (0, true) => Level::WARN,
        (0, false) => Level::INFO,
        _ => Level::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .compact()
        .init();
    let outcome: Outcome = match cli.verb {
        Verb::Sweep(verb) => verb.run(),
        Verb::Train(verb) => verb.run(),
        Verb::Report(verb) => verb.run(),
        Verb::Settings(_) => {
            settings::Settings::run();
            Ok(())
        }
        Verb::Data(verb) => verb.run(),
        Verb::Circuit(verb) => verb.run(),
        Verb::Devices(verb) => verb.run(),
        Verb::Energy(verb) => verb.run(),
        Verb::Bench(verb) => verb.run(),
        Verb::Instructions(verb) => verb.run(),
        Verb::Book(_) => book::Book::run(),
        Verb::Tidy(_) => tidy::Tidy::run(),
        Verb::Ci(_) => ci::Ci::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // That someone asked for an end is no error.
            let kind = if matches!(failure, Failure::Stopped { .. }) { "" } else { "error: " };
            eprintln!("{kind}{failure}");
            failure.exit_code()
        }
    }
}
