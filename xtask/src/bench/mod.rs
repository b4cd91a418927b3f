//! How fast things are on this machine, and how near to what it could do at most.

mod circuit;
mod compare;
mod data;
mod device;
mod kernel;
mod measure;
mod plot;
mod process;
mod roofs;
mod sweep;
mod train;

use std::fmt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};

use crate::data::Source;
use crate::failure::{Failure, Outcome};
use crate::{spec, workspace};
use measure::Seconds;
use roofs::{Roof, Roofs, Work};

/// `cargo xtask bench`
///
/// Every figure is the median of many short blocks on one core, the last that this process may use; roofs are the best of
/// many. A share of a roof is the time that the bytes and operations of the work take at least, bytes from the cache that
/// holds the working set, over the time that it took.
#[derive(Args)]
pub struct Bench {
    /// What is measured
    #[arg(value_enum, default_value = "all")]
    group: Group,
    /// Print the figures as one JSON document
    #[arg(long)]
    json: bool,
    /// Set the figures beside those that an earlier --json wrote to FILE, and mark what differs by more than 5 %
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Draw what the kernels cost over the hidden size into FILE, for the groups kernel and all
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    All,
    /// Training throughput, MNIST, and memory and start of a whole training
    Train,
    /// Walks over a matrix, 64 to 8192 hidden neurons
    Kernel,
    /// Pulses, reads and carries of devices with soft bounds
    Device,
    /// Exact solution of square arrays: 1 ohm wires, 1-100 uS cells, residual 1e-10
    Circuit,
    /// Inflating, reading and listing MNIST
    Data,
    /// What a sweep costs beside its training, with all cores
    Sweep,
}

/// One figure, and its share of what this machine could do at most.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    name: String,
    value: f64,
    /// The quartiles of the blocks; nothing where there was one alone.
    spread: Option<[f64; 2]>,
    unit: &'static str,
    /// Nothing where no limit is known.
    share: Option<(f64, Roof)>,
}

impl Figure {
    /// A value that was taken once.
    fn plain(name: String, value: f64, unit: &'static str) -> Self {
        Self { name, value, spread: None, unit, share: None }
    }

    fn seconds(name: String, seconds: Seconds) -> Self {
        let spread = Some([seconds.low, seconds.high]);
        Self { spread, ..Self::plain(name, seconds.median, "s") }
    }

    /// `amount` of what `unit` counts was done in `seconds`.
    fn rate(name: String, seconds: Seconds, amount: f64, unit: &'static str) -> Self {
        let spread = Some([amount / seconds.high, amount / seconds.low]);
        Self { spread, ..Self::plain(name, amount / seconds.median, unit) }
    }

    /// This figure with its share of the roof that binds `work`, which took `seconds`.
    fn of(self, roofs: &Roofs, work: &Work, seconds: f64) -> Self {
        Self { share: Some(roofs.share(work, seconds)), ..self }
    }

    fn json(&self) -> Json {
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "roofline_share": self.share.map(|share| share.0),
            "roof": self.share.map(|share| share.1.to_string()),
            "quartiles": self.spread,
        })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:40} {:>10} {:9}", self.name, digits(self.value), self.unit)?;
        let spread = self.spread.map(|[low, high]| format!("{} .. {}", digits(low), digits(high)));
        write!(f, " {:22}", spread.unwrap_or_default())?;
        match self.share {
            Some((share, roof)) => write!(f, " {:5.1} % of {roof}", 100.0 * share),
            None => Ok(()),
        }
    }
}

/// Four digits, with a power of ten where a number would be long.
fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size @ 0.001..1e7 => format!("{value:.*}", (3 - size.log10().floor() as i32).max(0) as usize),
        _ => format!("{value:.3e}"),
    }
}

impl Bench {
    /// # Errors
    /// When an option does not fit, an earlier file or the data cannot be read, or something that is measured fails.
    pub fn run(self) -> Outcome {
        // What can be wrong is found out before minutes of measuring.
        let earlier = self.compare.as_deref().map(compare::read).transpose()?;
        if self.svg.is_some() && !self.has(Group::Kernel) {
            return Err(Failure::input(anyhow::anyhow!(
                "--svg draws the group kernel: allowed with kernel and all"
            )));
        }
        let (roofs, mut figures) = measure::pinned(|| self.measure())?;
        // Sweeps are measured with all cores.
        if self.has(Group::Sweep) {
            figures.extend(sweep::figures()?);
        }
        if let Some(path) = &self.svg {
            workspace::write_atomically(path, plot::draw(&figures, &roofs.caches)?.as_bytes())?;
        }
        let compared = earlier.map(|earlier| compare::compare(&earlier, &figures));
        if self.json {
            let figures: Vec<_> = figures.iter().map(Figure::json).collect();
            println!("{}", serde_json::to_string_pretty(&figures)?);
            if let Some(compared) = compared {
                eprint!("{compared}");
            }
        } else {
            println!("{}", roofs.describe());
            println!("{:40} {:>10} {:9} {:22}  share of what binds", "figure", "median", "unit", "quartiles");
            for figure in &figures {
                println!("{figure}");
            }
            if let Some(compared) = compared {
                print!("\n{compared}");
            }
        }
        Ok(())
    }

    fn has(&self, group: Group) -> bool {
        self.group == Group::All || self.group == group
    }

    /// Every figure but those of sweeps, and the roofs.
    fn measure(&self) -> Outcome<(Roofs, Vec<Figure>)> {
        let roofs = Roofs::measure();
        let mut figures = roofs.figures();
        if self.has(Group::Train) {
            let run = spec::default_run();
            let prepared = crate::data::prepare(&self.source, std::slice::from_ref(&run))?;
            figures.extend(train::figures(&roofs, &prepared[&run.split].train)?);
            figures.extend(process::figures()?);
        }
        if self.has(Group::Kernel) {
            figures.extend(kernel::figures(&roofs));
        }
        if self.has(Group::Device) {
            figures.extend(device::figures(&roofs)?);
        }
        if self.has(Group::Circuit) {
            figures.extend(circuit::figures(&roofs)?);
        }
        if self.has(Group::Data) {
            figures.extend(data::figures(&roofs, &self.source.mnist())?);
        }
        Ok((roofs, figures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_four_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (121_255.4, "121255"),
            (55.163, "55.16"),
            (0.001_234_56, "0.001235"),
            (0.000_123_456, "1.235e-4"),
            (2.5e10, "2.500e10"),
        ] {
            assert_eq!(digits(value), expected);
        }
    }

    #[test]
    fn rates_turn_the_quartiles_of_seconds_around() {
        let seconds = Seconds { median: 2.0, low: 1.0, high: 4.0 };
        let figure = Figure::rate("x".into(), seconds, 8.0, "samples/s");
        assert_eq!((figure.value, figure.spread), (4.0, Some([2.0, 8.0])));
        let json = figure.json();
        assert_eq!(json["roofline_share"], Json::Null);
        assert_eq!(json["unit"], "samples/s");
    }
}
