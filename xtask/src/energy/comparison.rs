//! One comparison: what two rules did, priced on every machine whose work is known, and the ratios between them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use bitpulse_core::{Activity, SeedPath};
use bitpulse_energy::counts::{self, OutputError, Rates, Signals};
use bitpulse_energy::{
    Architecture, Bill, Constant, Device, Interval, Kind as MachineKind, Layer, PartialSums, Pass,
    PriceError, Range, Ratio, Recorded, Scenario, Swing, Technology, price,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::network::Network;
use crate::named;
use crate::report::FIRST_SETTING;
use crate::spec::is_digital;

/// Draws of every interval.
pub const DRAWS: u32 = 4000;
/// Samples that are reckoned where no run was counted.
const RECKONED: u64 = 60_000;
/// The machine that all others are compared with.
pub const REFERENCE: &str = "bs-memristor";

/// What is compared with what, and what the paper claims of it: `None` where it claims nothing.
pub const CLAIMS: [(&str, Option<f64>); 5] = [
    ("hp-memristor", Some(100.0)),
    ("hp-cmos-fp32", Some(1000.0)),
    ("hp-cmos-fp16", Some(1000.0)),
    ("hp-cmos-int8", Some(1000.0)),
    ("bnn-cmos", None),
];

/// Parts of the work that a ratio is of.
pub const PARTS: [(&str, &str, &[Pass]); 3] = [
    ("forward_mac", "forward reads", &[Pass::Forward]),
    ("mac", "all reads", &Pass::MACS),
    ("training_step", "whole step", &Pass::ALL),
];

/// The rule of a sweep that an activity was counted in, and how it did.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    pub rule: String,
    pub runs: usize,
    /// Whether the counts tell the rates of lines and neurons.
    tells_rates: bool,
    /// For each run, presented samples and accuracy at the points of its curve.
    pub curves: Vec<Vec<(f64, f64)>>,
}

impl Counted {
    /// Mean samples until held-out accuracy first reaches `accuracy`; `None` where a run does not reach it.
    pub fn samples_until(&self, accuracy: f64) -> Option<f64> {
        let reached: Option<Vec<f64>> = self
            .curves
            .iter()
            .map(|curve| curve.iter().find(|(_, reached)| *reached >= accuracy).map(|(samples, _)| *samples))
            .collect();
        let reached = reached.filter(|reached| !reached.is_empty())?;
        Some(reached.iter().sum::<f64>() / reached.len() as f64)
    }
}

/// What one of the two rules did.
#[derive(Clone, Debug)]
pub struct Work {
    pub activity: Activity,
    pub recorded: Recorded,
    /// The arrays of the simulation, where there was one.
    arrays: Option<Arrays>,
    /// Where it was counted; `None` when it was reckoned from rates.
    pub counted: Option<Counted>,
}

/// Simulated arrays.
#[derive(Clone, Copy, Debug)]
struct Arrays {
    /// Word lines and bit lines of one.
    size: usize,
    /// Devices of a weight, all digits together.
    devices: f64,
}

impl Work {
    fn reckoned(widths: &[usize], signals: Signals, rates: Rates) -> Self {
        let activity = counts::expected(widths, signals, rates, RECKONED);
        Self { activity, recorded: Recorded::Matrices, arrays: None, counted: None }
    }

    /// The machine called `name` among `machines`, with the arrays of the simulation where there was one.
    fn machine(&self, name: &str, machines: Vec<Architecture>) -> Result<Architecture> {
        let found = machines.into_iter().find(|machine| machine.name == name);
        let mut machine = found.with_context(|| format!("no machine {name}"))?;
        if let Some(Arrays { size, devices }) = self.arrays {
            let plant = &mut machine.plant;
            (plant.rows, plant.columns, plant.cells_per_weight) = (size, size, devices);
        }
        Ok(machine)
    }

    /// Software has no low digits to carry from: what hardware would do is reckoned. Accumulators are digits that do not
    /// carry.
    fn carry(&mut self, scenario: &Scenario, device: &Device, layers: &[Layer]) {
        if self.recorded == Recorded::Matrices {
            let machines = scenario.architectures(device, layers, Recorded::Matrices);
            let carries = counts::carries(&machines[0].plant, scenario.carry, self.activity.samples);
            self.activity.carry = carries;
        }
    }
}

/// Everything that prices depend on, and the bills.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub technology: Technology,
    pub scenario: Scenario,
    pub device: Device,
    pub network: Network,
    /// What the binary rule did; `None` where it was not run and cannot be reckoned.
    pub bs: Option<Work>,
    /// The same of the rule of high precision.
    pub hp: Option<Work>,
    /// Of every machine whose work is known.
    pub bills: Vec<Bill>,
    /// The device that runs were on, where it is not the one that is priced.
    pub foreign: Option<Foreign>,
    /// Rules of a sweep that are not priced, each with the number of its runs, device and network.
    pub left_out: Vec<String>,
}

/// A device that runs were on, priced as if it were another.
#[derive(Clone, Debug)]
pub struct Foreign {
    pub name: String,
    /// Whether the windows are the same, so that the conductances that were summed are those of the priced device too.
    pub same_window: bool,
}

impl Foreign {
    /// What was priced as what.
    pub fn sentence(&self, priced: &str) -> String {
        let Self { name, same_window } = self;
        let conductances = if *same_window {
            "their windows are the same, so conductances are those that were summed"
        } else {
            "their windows differ, so every cell and pulse counts with the mean conductance of the latter"
        };
        format!("counted on {name}, priced with the pulses of {priced}; {conductances}")
    }
}

/// What can be said of the energy of a sweep.
#[derive(Debug)]
pub enum OfSweep {
    /// Nothing: it is not a comparison of the two rules.
    Nothing,
    /// Why the two rules are not compared.
    Uncompared(String),
    /// Its prices.
    Priced(Box<Comparison>),
}

/// A ratio with its interval.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub nominal: f64,
    pub interval: Interval,
    /// Least and greatest that the ranges allow at all, as if no constant were common to both.
    pub bounds: [f64; 2],
}

/// What to price with.
#[derive(Clone, Debug)]
pub struct Choice {
    pub technology: PathBuf,
    pub scenario: PathBuf,
    pub device: Option<PathBuf>,
}

impl Default for Choice {
    fn default() -> Self {
        Self { technology: "cmos-32nm".into(), scenario: "paper".into(), device: None }
    }
}

/// Settings of a run, as far as prices need them.
#[derive(Clone, Debug, Deserialize)]
struct Settings {
    /// The sweep that it comes from, where several were put together.
    #[serde(default)]
    sweep: String,
    /// Its name within a sweep; a run by itself has none.
    #[serde(default)]
    run: String,
    rule: String,
    network: String,
    device: String,
    input: String,
    forward: String,
    derivative: String,
    error: String,
    update: String,
    epochs: f64,
    #[serde(rename = "input-pulses", default = "one")]
    input_pulses: f64,
    /// Of a pixel, with a thermometer.
    #[serde(rename = "input-lines", default = "one_line")]
    input_lines: usize,
    #[serde(rename = "forward-pulses", default = "one")]
    forward_pulses: f64,
    #[serde(rename = "output-error-pulses", default = "one")]
    output_error_pulses: f64,
    #[serde(default = "mnist")]
    dataset: String,
    #[serde(rename = "hidden-error", default = "sign")]
    hidden_error: String,
    #[serde(rename = "update-pulses", default = "one")]
    update_pulses: f64,
    /// What weights that digital accumulators change move by; 0 where they move exactly.
    #[serde(rename = "weight-pulse", default)]
    weight_pulse: f64,
    /// 0 where a matrix is one array.
    #[serde(rename = "array-size", default)]
    array_size: usize,
    #[serde(default)]
    mapping: String,
    #[serde(default)]
    digits: String,
    #[serde(rename = "digit-count", default = "one")]
    digit_count: f64,
    /// All columns from the first setting on; of a run by itself, nothing.
    #[serde(skip)]
    all: csv::StringRecord,
}

/// A rule of a sweep, priced on the memristor machine of its kind.
#[derive(Clone, Debug)]
pub struct PricedRule {
    /// The rule, and which of its settings where it has several.
    pub rule: String,
    pub network: String,
    pub device: String,
    pub binary: bool,
    /// Held-out accuracy at the end of each run, as a fraction.
    pub accuracies: Vec<f64>,
    pub bill: Bill,
}

/// The rules of a sweep, and what they are priced with.
#[derive(Clone, Debug)]
pub struct PricedRules {
    pub technology: Technology,
    pub scenario: Scenario,
    pub rules: Vec<PricedRule>,
}

/// A point of a learning curve.
#[derive(Clone, Debug, Deserialize)]
struct Point {
    #[serde(default)]
    run: String,
    epoch: f64,
    test_accuracy: Option<f64>,
}

/// A run that has ended.
#[derive(Clone, Debug)]
struct Record {
    settings: Settings,
    activity: Activity,
    curve: Vec<Point>,
}

fn one() -> f64 {
    1.0
}

fn one_line() -> usize {
    1
}

fn mnist() -> String {
    "mnist".into()
}

fn sign() -> String {
    "sign".into()
}

/// Which of the two rules a run is of, if either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bs,
    Hp,
}

impl Settings {
    fn kind(&self) -> Option<Kind> {
        let [forward, derivative] = [self.forward.as_str(), &self.derivative];
        match [forward, derivative, &self.error, &self.update] {
            // The controls with input bits are neither.
            ["hp", "hp", "hp", "hp" | "accumulated"] => (self.input == "analog").then_some(Kind::Hp),
            ["bs", "bs" | "coincidence", "bs", "bs" | "accumulated"] => Some(Kind::Bs),
            _ => None,
        }
    }

    /// The rule and its signals, in the words of the settings.
    fn signals(&self) -> String {
        let Self { rule, input, forward, derivative, error, update, .. } = self;
        format!(
            "{rule} (input = {input}, forward = {forward}, derivative = {derivative}, error = {error}, update = {update})"
        )
    }

    /// Whether the two are runs of one rule in one sweep, which differ in nothing but the seed and the epochs.
    fn is_like(&self, other: &Self) -> bool {
        self.sweep == other.sweep
            && self.rule == other.rule
            && self.kind() == other.kind()
            && self.network == other.network
            && self.device == other.device
            && self.all == other.all
    }

    /// Whether a count of it is a count of lines or neurons: one pulse is a whole signal, and pixels, those of the whole
    /// image, are drawn.
    fn one_pulse_a_signal(&self) -> bool {
        let pulses = [self.input_pulses, self.forward_pulses, self.output_error_pulses, self.update_pulses];
        self.dataset == "mnist" && self.input == "bits" && self.hidden_error == "sign" && pulses == [1.0; 4]
    }

    /// Its network, as machines are built for it; `None` where its file is not to be had any more.
    fn network(&self) -> Option<Network> {
        let network = Network::read(&self.network)?;
        Some(match self.thermometer_lines() {
            Some(lines) => network.behind_thermometers(lines),
            None => network,
        })
    }

    fn thermometer_lines(&self) -> Option<usize> {
        (self.input == "thermometer").then_some(self.input_lines)
    }

    /// Whether one machine is built for both, as far as its network and devices go.
    fn shares_machine(&self, other: &Self) -> bool {
        self.network == other.network
            && self.device == other.device
            && self.thermometer_lines() == other.thermometer_lines()
    }

    /// Whether its pulses have a price, or none is needed.
    fn has_priced_device(&self) -> bool {
        is_digital(&self.device) || device(Path::new(&self.device)).is_ok()
    }

    /// How its activity was counted, and the arrays where those are simulated.
    fn recorded(&self, layers: &[Layer]) -> (Recorded, Option<Arrays>) {
        if is_digital(&self.device) {
            let exact = self.update == "accumulated" && self.weight_pulse == 0.0;
            return (if exact { Recorded::Accumulators } else { Recorded::Matrices }, None);
        }
        let whole = layers.iter().map(|l| l.shape.inputs.max(l.shape.outputs + 1)).max().unwrap_or(1);
        let size = if self.array_size > 0 { self.array_size } else { whole };
        let of_digit = if matches!(self.mapping.as_str(), "pair" | "one-sided") { 2.0 } else { 1.0 };
        let digits = match self.digits.as_str() {
            "positional" => self.digit_count,
            "transfer" | "buffered-transfer" => 2.0,
            _ => 1.0,
        };
        let devices = of_digit * digits;
        // A read counts once for every array of its matrix, so what is read at once is the mean over matrices, each as
        // often as it is read: in every phase, and of a convolution for every place.
        let tiles = |l: &Layer| (l.shape.inputs.div_ceil(size) * l.shape.outputs.div_ceil(size)) as f64;
        let pulses = |bits: bool, pulses: f64| if bits { pulses } else { 1.0 };
        let phases = |layer: usize| match layer {
            0 => pulses(self.input == "bits", self.input_pulses),
            _ => pulses(self.forward == "bs", self.forward_pulses),
        };
        let at_once = |read: &mut dyn Iterator<Item = (f64, &Layer)>| {
            let (mut reads, mut arrays) = (0.0, 0.0);
            for (phases, layer) in read {
                let times = phases * layer.places as f64;
                reads += times;
                arrays += times * tiles(layer);
            }
            if reads > 0.0 { devices * arrays / reads } else { 1.0 }
        };
        let forward_at_once = at_once(&mut layers.iter().enumerate().map(|(k, layer)| (phases(k), layer)));
        let backward_at_once = at_once(&mut layers.iter().skip(1).map(|layer| (1.0, layer)));
        (Recorded::Arrays { forward_at_once, backward_at_once }, Some(Arrays { size, devices }))
    }
}

/// What there is of each rule, network and device, with the number of its runs.
fn list<'a>(settings: impl Iterator<Item = &'a Settings>) -> Vec<String> {
    let mut runs: BTreeMap<String, usize> = BTreeMap::new();
    for Settings { rule, network, device, .. } in settings {
        *runs.entry(format!("{rule} ({network}, {device})")).or_default() += 1;
    }
    runs.into_iter().map(|(what, runs)| format!("{what}, runs: {runs}")).collect()
}

/// The values of a key, each once, in order.
fn names<'a>(values: impl Iterator<Item = &'a str>) -> String {
    values.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}

impl Comparison {
    /// A network of `widths` that nobody trained: both rules reckoned from the rates of the scenario.
    pub fn reckoned(choice: &Choice, widths: &[usize]) -> Result<Self> {
        Self::new(choice, &Network::dense(widths), None, None)
    }

    /// What the runs of a sweep in `folder`, or the run in a file, did; a rule that was not run is reckoned where that can be.
    /// `network` and `rules` pick among several; no `rules` are all of them.
    pub fn counted(
        choice: &Choice,
        path: &Path,
        network: Option<&[usize]>,
        rules: &[String],
    ) -> Result<Self> {
        let records = records(path)?;
        let known: BTreeSet<&str> = records.iter().map(|record| record.settings.rule.as_str()).collect();
        if let Some(unknown) = rules.iter().find(|rule| !known.contains(rule.as_str())) {
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            bail!("{}: no run has the rule `{unknown}`; its rules are {known}", path.display());
        }
        let picked: Vec<Record> = records
            .into_iter()
            .filter(|record| rules.is_empty() || rules.contains(&record.settings.rule))
            .collect();
        let Some(comparison) = Self::of_records(choice, &picked, network)? else {
            let can_be = |record: &&Record| record.settings.network().is_some();
            if picked.iter().find(can_be).is_none() {
                bail!(
                    "{}: {}",
                    path.display(),
                    no_such_network(picked.iter().map(|record| &record.settings))
                );
            }
            let found: BTreeSet<String> =
                picked.iter().filter(can_be).map(|record| record.settings.signals()).collect();
            bail!(
                "{}: no run{} is all binary (forward, error and update = bs, derivative = bs or coincidence), or all high \
                 precision from analog pixels; there is {}",
                path.display(),
                if network.is_some() { " of that network" } else { "" },
                found.into_iter().collect::<Vec<_>>().join(", ")
            );
        };
        Ok(comparison)
    }

    /// As [`Comparison::counted`], of a sweep that has runs of both rules.
    pub fn of_sweep(choice: &Choice, folder: &Path) -> Result<OfSweep> {
        if !folder.join(ACTIVITIES).is_file() {
            return Ok(OfSweep::Nothing);
        }
        let (known, odd): (Vec<Settings>, Vec<Settings>) =
            rows(folder)?.into_iter().partition(|settings| settings.network().is_some());
        let has_both = |rows: &[Settings]| {
            let is_of = |kind| rows.iter().any(|settings| settings.kind() == Some(kind));
            is_of(Kind::Bs) && is_of(Kind::Hp)
        };
        if !has_both(&known) {
            return Ok(if odd.is_empty() {
                OfSweep::Nothing
            } else {
                OfSweep::Uncompared(format!("{}.", no_such_network(odd.iter())))
            });
        }
        // Pulses that no source describes have no price, which is no fault of the sweep.
        let (priced, unpriced): (Vec<Settings>, Vec<Settings>) =
            known.into_iter().partition(Settings::has_priced_device);
        let comparison = if has_both(&priced) {
            match Self::of_records(choice, &with_counts(folder, priced)?, None) {
                // As where a device has no price.
                Err(error) if error.is::<PriceError>() => {
                    return Ok(OfSweep::Uncompared(format!("Not priced: {error}.")));
                }
                comparison => comparison?,
            }
        } else {
            None
        };
        let Some(mut comparison) = comparison else {
            let devices = names(unpriced.iter().map(|settings| settings.device.as_str()));
            return Ok(OfSweep::Uncompared(format!(
                "Not priced: no source gives amplitude and width of the pulses of {devices}. `cargo xtask energy FOLDER \
                 --device NAME` prices them with the pulses of another device."
            )));
        };
        let counted = |work: &Option<Work>| work.as_ref().is_some_and(|work| work.counted.is_some());
        if !counted(&comparison.bs) || !counted(&comparison.hp) {
            return Ok(OfSweep::Uncompared(format!(
                "No ratios: {} was not run by both a binary rule and one of high precision, on the same input lines and device.",
                comparison.network.name
            )));
        }
        comparison.left_out.extend(list(unpriced.iter().chain(&odd)));
        Ok(OfSweep::Priced(Box::new(comparison)))
    }

    /// Every rule of the sweep in `folder` that is all binary or all high precision and that the price list has prices for,
    /// each with what its own runs did: those of one network and device that differ in their seeds alone.
    pub fn of_rules(choice: &Choice, folder: &Path) -> Result<PricedRules> {
        let technology = technology(&choice.technology)?;
        let scenario = scenario(&choice.scenario)?;
        if !folder.join(ACTIVITIES).is_file() {
            return Ok(PricedRules { technology, scenario, rules: Vec::new() });
        }
        let rows = rows(folder)?.into_iter().filter(Settings::has_priced_device).collect();
        let mut left: Vec<Record> = with_counts(folder, rows)?;
        left.retain(|record| record.settings.kind().is_some());
        let mut rules = Vec::new();
        while let Some(first) = left.first().map(|record| record.settings.clone()) {
            let (own, others): (Vec<Record>, Vec<Record>) =
                left.into_iter().partition(|record| record.settings.is_like(&first));
            left = others;
            let (Some(kind), Some(network)) = (first.kind(), first.network()) else { continue };
            let cells = if is_digital(&first.device) { &scenario.device } else { &first.device };
            let device = device(choice.device.as_deref().unwrap_or(Path::new(cells)))?;
            let (recorded, arrays) = first.recorded(&network.layers);
            let mut work = Work { activity: Activity::default(), recorded, arrays, counted: None };
            for record in &own {
                work.activity += &record.activity;
            }
            let binary = kind == Kind::Bs;
            if binary {
                work.carry(&scenario, &device, &network.layers);
            }
            let name = if binary { REFERENCE } else { "hp-memristor" };
            let machine = work.machine(name, scenario.architectures(&device, &network.layers, recorded))?;
            // Settings may ask for converters that no source prices.
            let Ok(bill) = price(&work.activity, &machine, &technology) else { continue };
            let last = |record: &Record| record.curve.iter().rev().find_map(|point| point.test_accuracy);
            // The name of a run says which of the rule's settings it has; seeds are taken together.
            let name = first.run.rsplit_once("_seed-").map_or(first.run.as_str(), |(name, _)| name);
            rules.push(PricedRule {
                rule: name.to_owned(),
                network: network.name,
                device: first.device,
                binary,
                accuracies: own.iter().filter_map(last).collect(),
                bill,
            });
        }
        Ok(PricedRules { technology, scenario, rules })
    }

    fn of_records(choice: &Choice, records: &[Record], network: Option<&[usize]>) -> Result<Option<Self>> {
        let usable = |record: &&Record| {
            let settings = &record.settings;
            let is_wanted = |own: &Network| network.is_none_or(|wanted| own.widths() == Some(wanted));
            settings.kind().is_some() && settings.network().is_some_and(|own| is_wanted(&own))
        };
        // The first that meets the other rule in its own sweep.
        let meets = |record: &&Record| {
            let own = &record.settings;
            records.iter().filter(usable).any(|Record { settings, .. }| {
                settings.kind() != own.kind() && settings.sweep == own.sweep && settings.shares_machine(own)
            })
        };
        // Without such a pair, one whose rival can be reckoned.
        let can_reckon =
            |record: &&Record| record.settings.network().is_some_and(|own| own.widths().is_some());
        let found = (records.iter().filter(usable).find(meets))
            .or_else(|| records.iter().filter(usable).find(can_reckon))
            .or_else(|| records.iter().find(usable));
        let Some(first) = found else {
            return Ok(None);
        };
        let Some(network) = first.settings.network() else {
            return Ok(None);
        };
        let on = &first.settings.device;
        // Of several rules of a kind, those like the first, of the same sweep where it has any.
        let first_of = |kind: Kind| {
            let fits = |record: &&Record| {
                let settings = &record.settings;
                settings.kind() == Some(kind) && settings.shares_machine(&first.settings)
            };
            let own = |record: &&Record| record.settings.sweep == first.settings.sweep;
            let of_kind = || records.iter().filter(usable).filter(fits);
            of_kind().find(own).or_else(|| of_kind().next())
        };
        let of = |kind: Kind| {
            let first = first_of(kind)?;
            let (recorded, arrays) = first.settings.recorded(&network.layers);
            let mut work = Work { activity: Activity::default(), recorded, arrays, counted: None };
            let mut counted = Counted {
                rule: first.settings.rule.clone(),
                tells_rates: recorded == Recorded::Matrices && first.settings.one_pulse_a_signal(),
                ..Counted::default()
            };
            for record in records.iter().filter(|record| record.settings.is_like(&first.settings)) {
                work.activity += &record.activity;
                counted.runs += 1;
                let per_epoch = record.activity.samples as f64 / record.settings.epochs;
                let points = record.curve.iter();
                counted
                    .curves
                    .push(points.filter_map(|p| Some((p.epoch * per_epoch, p.test_accuracy?))).collect());
            }
            work.counted = Some(counted);
            Some(work)
        };
        let (mut bs, mut hp) = (of(Kind::Bs), of(Kind::Hp));
        let firsts = [first_of(Kind::Bs), first_of(Kind::Hp)];
        let others = records.iter().map(|record| &record.settings);
        let others =
            others.filter(|settings| !firsts.iter().flatten().any(|first| settings.is_like(&first.settings)));
        let left_out = list(others);
        let mut choice = choice.clone();
        let mut foreign = None;
        if !is_digital(on) {
            let as_if = choice.device.get_or_insert_with(|| on.into());
            if as_if != Path::new(on) {
                let [one, other] = [preset(as_if)?, preset(Path::new(on))?].map(|preset| {
                    let window = preset.window();
                    [window.g_min, window.g_max]
                });
                let same_window = one == other;
                foreign = Some(Foreign { name: on.clone(), same_window });
                for work in [&mut bs, &mut hp].into_iter().flatten().filter(|_| !same_window) {
                    forget_conductances(&mut work.activity);
                }
            }
        }
        let mut comparison = Self::new(&choice, &network, bs, hp)?;
        comparison.left_out = left_out;
        comparison.foreign = foreign;
        Ok(Some(comparison))
    }

    fn new(choice: &Choice, network: &Network, bs: Option<Work>, hp: Option<Work>) -> Result<Self> {
        let technology = technology(&choice.technology)?;
        let scenario = scenario(&choice.scenario)?;
        let device = device(choice.device.as_deref().unwrap_or(Path::new(&scenario.device)))?;
        let reckoned = |signals| network.widths().map(|of| Work::reckoned(of, signals, scenario.rates));
        let mut bs = bs.or_else(|| reckoned(Signals::binary_stochastic()));
        let hp = hp.or_else(|| reckoned(Signals::high_precision()));
        if let Some(bs) = &mut bs {
            bs.carry(&scenario, &device, &network.layers);
        }
        let mut comparison = Self {
            technology,
            scenario,
            device,
            network: network.clone(),
            bs,
            hp,
            bills: Vec::new(),
            foreign: None,
            left_out: Vec::new(),
        };
        comparison.bills = comparison.price(&comparison.technology, |_| {})?;
        Ok(comparison)
    }

    /// Bills of the machines whose work is known, each changed by `change` first.
    fn price(&self, technology: &Technology, change: impl Fn(&mut Architecture)) -> Result<Vec<Bill>> {
        let machines = |recorded| self.scenario.architectures(&self.device, &self.network.layers, recorded);
        let mut bills = Vec::new();
        for Architecture { name, .. } in machines(Recorded::Matrices) {
            let Some(work) = self.work_on(&name) else { continue };
            let mut machine = work.machine(&name, machines(work.recorded))?;
            change(&mut machine);
            bills.push(price(&work.activity, &machine, technology)?);
        }
        Ok(bills)
    }

    /// What the rule of a machine does on it, if that is known. What cells did says nothing of a digital processor: it would
    /// do what the rule does in software, which can be reckoned of dense layers alone.
    fn work_on(&self, machine: &str) -> Option<Cow<'_, Work>> {
        let work = self.work_of(machine)?;
        if work.recorded.is_software() || !is_digital_machine(machine) {
            return Some(Cow::Borrowed(work));
        }
        let signals =
            if is_binary(machine) { Signals::binary_stochastic() } else { Signals::high_precision() };
        let widths = self.network.widths()?;
        Some(Cow::Owned(Work::reckoned(widths, signals, self.scenario.rates)))
    }

    /// What the rule of a machine did.
    pub fn work_of(&self, machine: &str) -> Option<&Work> {
        if is_binary(machine) { self.bs.as_ref() } else { self.hp.as_ref() }
    }

    /// The same work on other machines: `change` changes each.
    pub fn with_machines(&self, change: impl Fn(&mut Architecture)) -> Result<Self> {
        let bills = self.price(&self.technology, change)?;
        Ok(Self { bills, ..self.clone() })
    }

    /// The same work with another price list.
    pub fn with_technology(&self, technology: Technology) -> Result<Self> {
        let bills = self.price(&technology, |_| {})?;
        Ok(Self { technology, bills, ..self.clone() })
    }

    /// The same work on another device.
    pub fn with_device(&self, device: Device) -> Result<Self> {
        let mut other = Self { device, ..self.clone() };
        other.bills = other.price(&other.technology, |_| {})?;
        Ok(other)
    }

    /// The same machines, with the work of a binary rule reckoned from `signals` and `rates`.
    ///
    /// # Errors
    /// Of a network that is more than its widths.
    pub fn with_binary_work(&self, signals: Signals, rates: Rates) -> Result<Self> {
        let widths = self.network.widths().context("only what dense layers do can be reckoned")?;
        let mut other = self.clone();
        let mut work = Work::reckoned(widths, signals, rates);
        work.carry(&self.scenario, &self.device, &self.network.layers);
        other.bs = Some(work);
        other.bills = other.price(&other.technology, |_| {})?;
        Ok(other)
    }

    /// What comes out when one thing is otherwise: what it is, and the comparison then.
    pub fn variants(&self) -> Result<Vec<(&'static str, Self)>> {
        let same_range = |key: &str, as_of: &str| {
            let [constant, other] = [key, as_of].map(|key| self.technology.constant(key));
            let (constant, other) =
                constant.zip(other).with_context(|| format!("no price for {key} or {as_of}"))?;
            let list = self.technology.clone();
            Ok::<_, anyhow::Error>(list.with(Constant { range: other.range, ..constant.clone() }))
        };
        let noisy_inputs = same_range("random-bit.energy", "comparator.energy")?;
        let mnsim = technology(Path::new("tool-mnsim"))?;
        let converter = mnsim.constant("adc-8.energy").context("tool-mnsim has no adc-8.energy")?;
        let integrated = |machine: &mut Architecture| {
            if let MachineKind::BsMemristor { integrators, .. }
            | MachineKind::HpMemristor { integrators, .. } = &mut machine.kind
            {
                *integrators = true;
            }
        };
        let joined = |machine: &mut Architecture| {
            if let MachineKind::HpMemristor { partial_sums, .. } = &mut machine.kind {
                *partial_sums = PartialSums::Analog;
            }
        };
        let mut variants = vec![("as documented", self.clone())];
        let mut add = |what, variant: Result<Self>| variant.map(|variant| variants.push((what, variant)));
        add(
            "input bits from the noise of comparators, not from shift registers",
            self.with_technology(noisy_inputs.clone()),
        )?;
        if !self.is_simulated() && self.network.widths().is_some() {
            let race = Signals { output_error: OutputError::Race, ..Signals::binary_stochastic() };
            let raced = self.with_binary_work(race, self.rates().unwrap_or(self.scenario.rates))?;
            add("outputs decided by a noisy race: no converter left in BS", Ok(raced.clone()))?;
            add("both of these", raced.with_technology(noisy_inputs))?;
        }
        if !self.is_simulated() {
            add("currents of HP arrays join before one converter", self.with_machines(joined))?;
            add(
                "inputs of HP driven bit by bit: eight conversions for one, as ISAAC has it",
                self.bit_by_bit(),
            )?;
        }
        add(
            "8-bit conversions at the 15.6 pJ that MNSIM reckons",
            self.with_technology(self.technology.clone().with(converter.clone())),
        )?;
        add("an integrator before every comparator and converter", self.with_machines(integrated))?;
        add("lines driven for 100 ns", self.with_constant("read-time", 100e-9))?;
        if self.has_digital_rival() {
            add(
                "CMOS weights in banks of 8 KB",
                self.with_technology(same_range("sram-1m.energy", "sram-8k.energy")?),
            )?;
        }
        add("prices near 45 nm", self.with_technology(technology(Path::new("cmos-45nm"))?))?;
        Ok(variants)
    }

    /// The same, but for lines of `hp-memristor` that are driven bit by bit: a drive of every line that is not 0 and a
    /// conversion of every column for each bit, codes shifted and added. In every phase, levels have the mean square that
    /// the scenario gives them.
    fn bit_by_bit(&self) -> Result<Self> {
        let mut serial = self.clone();
        let passes = serial.hp.iter_mut().flat_map(|Work { activity, .. }| {
            let Activity { forward, backward, .. } = activity;
            [forward, backward]
        });
        for pass in passes {
            pass.dac.unquantised = pass.driven_lines;
            let mut phase = pass.clone();
            (phase.activations, phase.macs) = (0, 0);
            phase.adds += phase.adc.total();
            for _ in 1..self.scenario.dac_bits {
                *pass += &phase;
            }
        }
        let serial = serial.with_machines(|machine| {
            if let MachineKind::HpMemristor { dac_bits, .. } = &mut machine.kind {
                *dac_bits = 1;
            }
        })?;
        // Digital processors know no phases.
        let mut other = self.clone();
        for (bill, serial) in other.bills.iter_mut().zip(serial.bills) {
            if bill.architecture == "hp-memristor" {
                *bill = serial;
            }
        }
        Ok(other)
    }

    /// The same work on machines one of whose own constants is `value`, without range.
    pub fn with_constant(&self, key: &str, value: f64) -> Result<Self> {
        self.with_machines(|machine| {
            for constant in &mut machine.constants {
                if constant.key == key {
                    constant.range = Range::exactly(value);
                }
            }
        })
    }

    /// Whether all that is known ran on simulated arrays: conductances, conversions and pulses are then those of one device and
    /// one size of array, and no other can be reckoned from them.
    pub fn is_simulated(&self) -> bool {
        [&self.bs, &self.hp].into_iter().flatten().all(|work| !work.recorded.is_software())
    }

    /// The bill of a machine, if its work is known.
    pub fn bill(&self, name: &str) -> Option<&Bill> {
        self.bills.iter().find(|bill| bill.architecture == name)
    }

    /// Which machines have no bill, and why; `None` where all have.
    pub fn unbilled(&self) -> Option<String> {
        let machines = self.scenario.architectures(&self.device, &self.network.layers, Recorded::Matrices);
        let names = machines.into_iter().map(|machine| machine.name);
        let without: Vec<String> = names.filter(|name| self.bill(name).is_none()).collect();
        (!without.is_empty()).then(|| {
            format!(
                "No bill of {}: what they would do was not counted, and can be reckoned of dense layers without thermometers \
                 alone.",
                without.join(", ")
            )
        })
    }

    /// Whether a digital processor has a bill.
    pub fn has_digital_rival(&self) -> bool {
        self.bills.iter().any(|bill| is_digital_machine(&bill.architecture))
    }

    /// The machines of [`CLAIMS`] that can be compared with the reference, and what is claimed of each.
    pub fn compared(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> {
        CLAIMS.into_iter().filter(|(over, _)| self.ratio(over, &Pass::ALL).is_some())
    }

    fn ratio(&self, over: &str, passes: &[Pass]) -> Option<Ratio<'_>> {
        Ratio::new(self.bill(over)?, self.bill(REFERENCE)?, passes)
    }

    /// How many times more `over` takes than the reference for `passes`; `draws` make the interval.
    pub fn found(&self, over: &str, passes: &[Pass], draws: u32) -> Option<Found> {
        let ratio = self.ratio(over, passes)?;
        let interval = ratio.interval(draws, SeedPath::root(1).child("energy"));
        Some(Found { nominal: ratio.nominal(), interval, bounds: ratio.bounds() })
    }

    /// What moves that ratio most.
    pub fn tornado(&self, over: &str, passes: &[Pass]) -> Vec<Swing> {
        self.ratio(over, passes).map_or_else(Vec::new, |ratio| ratio.tornado())
    }

    /// Rates that the runs of the binary rule show, where they were counted in software and one pulse is a signal.
    pub fn rates(&self) -> Option<Rates> {
        let bs = self.bs.as_ref()?;
        bs.counted.as_ref().filter(|counted| counted.tells_rates)?;
        let Rates { lit_pixels, mean_pixel, .. } = self.scenario.rates;
        Rates::measured(&bs.activity, self.network.widths()?, [lit_pixels, mean_pixel])
    }

    /// Joules of a machine by component over `passes`, nominal, as shares of all, greatest first.
    pub fn shares(&self, name: &str, passes: &[Pass]) -> Vec<(&'static str, f64)> {
        let Some(bill) = self.bill(name) else { return Vec::new() };
        let all = bill.joules(passes).nominal;
        let mut shares: BTreeMap<&'static str, f64> = BTreeMap::new();
        for (pass, component, spread) in bill.positions() {
            if passes.contains(&pass) {
                *shares.entry(component).or_default() += spread.nominal / all;
            }
        }
        let mut shares: Vec<_> = shares.into_iter().collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares
    }
}

/// Whether a machine works by the binary rule, by the name that scenarios give it.
fn is_binary(machine: &str) -> bool {
    machine.starts_with('b')
}

/// Whether a machine is a digital processor, by its name.
fn is_digital_machine(machine: &str) -> bool {
    machine.contains("cmos")
}

/// Why these networks have no price.
fn no_such_network<'a>(rows: impl Iterator<Item = &'a Settings>) -> String {
    let networks = names(rows.map(|settings| settings.network.as_str()));
    format!("Not priced: no network to be read as {networks}")
}

/// Leaves out the conductances of another device, so that cells count with the mean of the one that is priced.
fn forget_conductances(activity: &mut Activity) {
    let Activity { forward, backward, update, carry, .. } = activity;
    for pass in [forward, backward, update, carry] {
        (pass.driven_siemens, pass.set_siemens, pass.reset_siemens) = (0.0, 0.0, 0.0);
    }
}

/// What a sweep keeps of the activity of its runs, beside its tables.
const ACTIVITIES: &str = "activity.json";
/// What a run keeps in its own folder, and its learning curve.
const RESULT: &str = "result.json";
const METRICS: &str = "metrics.csv";

/// What `result.json` of a run holds.
#[derive(Deserialize)]
struct Kept {
    columns: Settings,
    activity: Activity,
}

/// The runs of a sweep's folder, or the run of a run's folder or of the `result.json` in it.
fn records(path: &Path) -> Result<Vec<Record>> {
    if path.join(ACTIVITIES).is_file() {
        return with_counts(path, rows(path)?);
    }
    let file = if path.is_dir() { path.join(RESULT) } else { path.to_path_buf() };
    if !file.is_file() {
        bail!(
            "{} is neither the folder of a sweep, with {ACTIVITIES}, nor that of a run, with {RESULT}",
            path.display()
        );
    }
    let kept: Kept = json(&file)?;
    let metrics = file.with_file_name(METRICS);
    let curve = if metrics.is_file() { table(&metrics)? } else { Vec::new() };
    Ok(vec![Record { settings: kept.columns, activity: kept.activity, curve }])
}

/// Those of `rows` whose activity the sweep's folder has, with it.
fn with_counts(folder: &Path, rows: Vec<Settings>) -> Result<Vec<Record>> {
    let mut activities: BTreeMap<String, Activity> = json(&folder.join(ACTIVITIES))?;
    let mut curves: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for point in table::<Point>(&folder.join("curves.csv"))? {
        curves.entry(point.run.clone()).or_default().push(point);
    }
    let record = |settings: Settings| {
        let activity = activities.remove(&settings.run)?;
        let curve = curves.remove(&settings.run).unwrap_or_default();
        Some(Record { settings, activity, curve })
    };
    Ok(rows.into_iter().filter_map(record).collect())
}

/// The rows of `results.csv`.
fn rows(folder: &Path) -> Result<Vec<Settings>> {
    let file = &folder.join("results.csv");
    let mut rows: Vec<Settings> = table(file)?;
    let mut reader = csv::Reader::from_path(file)?;
    let columns = reader.headers()?;
    let first = columns.iter().position(|name| name == FIRST_SETTING).unwrap_or(columns.len());
    for (row, record) in rows.iter_mut().zip(reader.records()) {
        row.all = record?.iter().skip(first).collect();
    }
    Ok(rows)
}

fn json<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| anyhow!("{}: {error}", file.display()))
}

fn table<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>> {
    let wrong = |error: csv::Error| anyhow!("{}: {error}", file.display());
    csv::Reader::from_path(file).map_err(wrong)?.deserialize().collect::<Result<_, _>>().map_err(wrong)
}

/// The text of `name` in the folder `data/{kind}`, or of the file `name`, and what the file is called.
fn find(kind: &str, name: &Path) -> Result<(String, String)> {
    let path = named::path(kind, name);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}{}", path.display(), named::hint(kind, name)))?;
    Ok((path.display().to_string(), text))
}

/// The technology called `name`, in data/technologies or a file.
pub fn technology(name: &Path) -> Result<Technology> {
    let (file, text) = find("technologies", name)?;
    Ok(Technology::from_toml(&file, &text)?)
}

fn scenario(name: &Path) -> Result<Scenario> {
    let (file, text) = find("scenarios", name)?;
    Ok(Scenario::from_toml(&file, &text)?)
}

/// The preset called `name`, in data/devices or a file.
fn preset(name: &Path) -> Result<bitpulse_device::Device> {
    let (file, text) = find("devices", name)?;
    bitpulse_device::Device::from_toml(&text).with_context(|| file.clone())
}

fn device(name: &Path) -> Result<Device> {
    priced(&preset(name)?).with_context(|| {
        format!(
            "device {}: the pulses have no amplitude or width, so they have no price; --device names another device to price by",
            name.display()
        )
    })
}

/// What prices need of a preset; `None` when its pulses are not known.
pub fn priced(preset: &bitpulse_device::Device) -> Option<Device> {
    let spec = preset.spec();
    let window = preset.window();
    Some(Device {
        name: spec.name.clone(),
        window: [window.g_min, window.g_max],
        set: (spec.pulse.set_amplitude?, spec.pulse.set_width?),
        reset: (spec.pulse.reset_amplitude?, spec.pulse.reset_width?),
        source: format!("{}; {}", spec.source.citation, spec.source.table),
    })
}
