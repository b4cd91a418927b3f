//! How fast things are on this machine, and how near to what it could do at most.

mod circuit;
mod compare;
mod convolution;
mod data;
mod device;
mod kernel;
mod measure;
mod plot;
mod process;
mod roofs;
mod sweep;
mod train;

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
    /// Training throughput of convolutional networks
    Convolution,
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
    /// What had to be done, and the seconds it took; nothing where no limit is known.
    work: Option<(Work, f64)>,
}

impl Figure {
    /// A value that was taken once.
    fn plain(name: String, value: f64, unit: &'static str) -> Self {
        Self { name, value, spread: None, unit, work: None }
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

    /// This figure as one of `work`, which took `seconds`.
    fn of(self, work: Work, seconds: f64) -> Self {
        Self { work: Some((work, seconds)), ..self }
    }

    fn share(&self, roofs: &Roofs) -> Option<(f64, Roof)> {
        self.work.map(|(work, seconds)| roofs.share(&work, seconds))
    }

    fn json(&self, roofs: &Roofs) -> Json {
        let share = self.share(roofs);
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "roofline_share": share.map(|share| share.0),
            "roof": share.map(|share| share.1.to_string()),
            "quartiles": self.spread,
        })
    }

    /// A line of the table.
    fn line(&self, roofs: &Roofs) -> String {
        let Self { name, value, unit, spread, .. } = self;
        let spread =
            spread.map_or_else(String::new, |[low, high]| format!("{} .. {}", digits(low), digits(high)));
        let share = self
            .share(roofs)
            .map_or_else(String::new, |(share, roof)| format!("{:5.1} % of {roof}", 100.0 * share));
        format!("{name:44} {:>10} {unit:9} {spread:22} {share}", digits(*value))
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
            let figures: Vec<_> = figures.iter().map(|figure| figure.json(&roofs)).collect();
            println!("{}", serde_json::to_string_pretty(&figures)?);
            if let Some(compared) = compared {
                eprint!("{compared}");
            }
        } else {
            println!("{}", roofs.describe());
            println!("{:44} {:>10} {:9} {:22} share of what binds", "figure", "median", "unit", "quartiles");
            for figure in &figures {
                println!("{}", figure.line(&roofs).trim_end());
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
        // Before and after: what disturbs a roof for a while would raise all shares.
        let before = Roofs::measure();
        let mut figures = Vec::new();
        if self.has(Group::Train) {
            let run = spec::default_run();
            let prepared = crate::data::prepare(&self.source, std::slice::from_ref(&run))?;
            figures.extend(train::figures(&prepared[&run.split].train)?);
            figures.extend(process::figures()?);
        }
        if self.has(Group::Convolution) {
            figures.extend(convolution::figures()?);
        }
        if self.has(Group::Kernel) {
            figures.extend(kernel::figures());
        }
        if self.has(Group::Device) {
            figures.extend(device::figures()?);
        }
        if self.has(Group::Circuit) {
            figures.extend(circuit::figures()?);
        }
        if self.has(Group::Data) {
            figures.extend(data::figures(&self.source.mnist())?);
        }
        let roofs = before.or_better(&Roofs::measure());
        figures.splice(0..0, roofs.figures());
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
        let json = figure.json(&roofs::tests::MADE_UP);
        assert_eq!(json["roofline_share"], Json::Null);
        assert_eq!(json["unit"], "samples/s");
    }
}
