//! One digit of all weights: an array of devices and what they are measured against.

use std::ops::Range;

use bitpulse_core::rows::LANES;
use bitpulse_core::{PassActivity, Pulse, Rng, SeedPath, Shape, Signal, State, StateError};
use bitpulse_device::{Gaussians, Population, PopulationState, PulseTally, WriteVerify, Writing};
use pulp::{Arch, Simd, WithSimd};

use super::spec::{Mapping, MatrixSpec, Reference};

/// An array and its counterpart, read as the difference of their currents.
#[derive(Clone, Debug)]
pub(super) struct Digit {
    plus: Population,
    minus: Minus,
    /// Whether nothing is RESET by learning.
    one_sided: bool,
    /// 1, or -1 while a chopper has the devices of a pair exchanged.
    pub(super) sign: f32,
    /// Place in the window, `v`, for a siemens of difference.
    per_siemens: f32,
    /// Weight for `v = 1`.
    pub(super) significance: f32,
    /// What one pulse moves a nominal device by, as a change of `v`.
    pub(super) step: f32,
}

/// What a device is measured against.
#[derive(Clone, Debug)]
enum Minus {
    /// One conductance for all, in siemens.
    Shared(f32),
    /// A fixed conductance for each, in siemens.
    Each(Vec<f32>),
    Device(Box<Population>),
}

impl Minus {
    /// What some cells are measured against.
    fn of(&self, cells: Range<usize>) -> Against<'_> {
        match self {
            Self::Shared(reference) => Against::One(*reference),
            Self::Each(references) => Against::Each(&references[cells]),
            Self::Device(population) => Against::Each(&population.conductances()[cells]),
        }
    }
}

/// What some cells are measured against, in siemens.
#[derive(Clone, Copy, Debug)]
enum Against<'a> {
    /// All of them against one conductance.
    One(f32),
    Each(&'a [f32]),
}

/// Parts of the conductances that show through wires in one direction of reading, in the order of the cells.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    pub(super) plus: Vec<f32>,
    pub(super) minus: Vec<f32>,
}

/// Room for lists of pulses.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    columns: Vec<Pulse>,
    cells: Vec<u32>,
    counts: Vec<i16>,
}

/// One row of a digit as it is read, and room for the devices that are subtracted.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// Digits of the row's cells.
    pub(super) v: Vec<f32>,
    minus: Vec<f32>,
}

impl Reading {
    /// Makes room for `width` cells.
    pub(super) fn resize(&mut self, width: usize) {
        self.v.resize(width, 0.0);
        self.minus.resize(width, 0.0);
    }
}

/// Which devices of a digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Plus,
    Minus,
}

impl Digit {
    /// Draws the devices, all at weight zero.
    pub(super) fn new(spec: &MatrixSpec, shape: Shape, significance: f32, at: SeedPath) -> Self {
        let device = &spec.device;
        let range = device.window().range_siemens() as f32;
        let plus = Population::new(device, shape, at.child("plus"));
        let pair = || Minus::Device(Box::new(Population::new(device, shape, at.child("minus"))));
        let minus = match spec.mapping {
            Mapping::Reference(Reference::Window) => {
                Minus::Shared(device.window().reference_siemens() as f32)
            }
            Mapping::Reference(Reference::Fraction(u)) => {
                Minus::Shared(device.window().conductance(u).0 as f32)
            }
            Mapping::Reference(Reference::SymmetryPoint) => {
                let mut references = vec![0.0; shape.weights()];
                plus.references(at.child("references"), &mut references);
                Minus::Each(references)
            }
            Mapping::Pair | Mapping::OneSided { .. } => pair(),
        };
        let one_sided = matches!(spec.mapping, Mapping::OneSided { .. });
        let [up, down] = spec.nominal_steps().map(|step| step as f32);
        let reference = matches!(minus, Minus::Shared(_) | Minus::Each(_));
        Self {
            plus,
            per_siemens: if reference { 2.0 / range } else { 1.0 / range },
            // A pulse moves one device against a reference by twice its step of the window, or both devices of a pair.
            step: if one_sided { up } else { up + down },
            minus,
            one_sided,
            sign: 1.0,
            significance,
        }
    }

    /// The weight that one nominal pulse moves this digit by.
    pub(super) fn pulse_weight(&self) -> f32 {
        self.significance * self.step
    }

    /// Weight for a siemens of difference.
    pub(super) fn weight_per_siemens(&self) -> f32 {
        self.sign * self.significance * self.per_siemens
    }

    /// Adds the random telegraph noise of one read of driven word lines (`forward`) or bit lines.
    pub(super) fn add_telegraph(&self, forward: bool, signal: Signal<'_, f32>, rng: &mut Rng, z: &mut [f32]) {
        let scale = self.weight_per_siemens();
        self.plus.add_telegraph(forward, signal, scale, rng, z);
        if let Minus::Device(population) = &self.minus {
            population.add_telegraph(forward, signal, -scale, rng, z);
        }
    }

    /// Conductances of an array, in siemens.
    pub(super) fn conductances(&self, side: Side) -> std::borrow::Cow<'_, [f32]> {
        let cells = self.plus.shape().weights();
        match (side, self.minus.of(0..cells)) {
            (Side::Plus, _) => self.plus.conductances().into(),
            (Side::Minus, Against::One(g)) => vec![g; cells].into(),
            (Side::Minus, Against::Each(g)) => g.into(),
        }
    }

    /// Adds this digit's part of the weights of row `row`, in units of weight, and the variance of their read noise, as
    /// far as they show through wires (`None`: perfect ones); returns the conductance of all cells of the row, in siemens,
    /// a reference column's included.
    pub(super) fn add_row(
        &self,
        row: usize,
        shares: Option<&Shares>,
        weights: &mut [f32],
        variances: Option<&mut [f32]>,
    ) -> f64 {
        if let (None, Minus::Device(minus)) = (shares, &self.minus) {
            let width = self.plus.shape().outputs;
            let cells = row * width..(row + 1) * width;
            let scale = self.weight_per_siemens();
            let [relative, absolute] = self.read_variances();
            return Arch::new().dispatch(PairRow {
                plus: &self.plus.conductances()[cells.clone()],
                minus: &minus.conductances()[cells],
                scale,
                relative,
                absolute,
                weights,
                variances: variances.unwrap_or_default(),
            });
        }
        self.add_row_plainly(row, shares, weights, variances);
        self.row_siemens(row)
    }

    fn add_row_plainly(
        &self,
        row: usize,
        shares: Option<&Shares>,
        weights: &mut [f32],
        variances: Option<&mut [f32]>,
    ) {
        let width = self.plus.shape().outputs;
        let cells = row * width..(row + 1) * width;
        let scale = self.weight_per_siemens();
        let g = &self.plus.conductances()[cells.clone()];
        match (shares, self.minus.of(cells.clone())) {
            (None, Against::One(reference)) => {
                for (w, g) in weights.iter_mut().zip(g) {
                    *w += scale * (g - reference);
                }
            }
            (None, Against::Each(minus)) => {
                for ((w, g), m) in weights.iter_mut().zip(g).zip(minus) {
                    *w += scale * (g - m);
                }
            }
            (Some(shares), minus) => {
                let (p, q) = (&shares.plus[cells.clone()], &shares.minus[cells.clone()]);
                for (k, w) in weights[..width].iter_mut().enumerate() {
                    let m = match minus {
                        Against::One(reference) => reference,
                        Against::Each(minus) => minus[k],
                    };
                    *w += scale * (p[k] * g[k] - q[k] * m);
                }
            }
        }
        if let Some(variances) = variances {
            self.add_variances(cells, shares, scale * scale, variances);
        }
    }

    /// Adds the variance of the read noise of some cells; wires attenuate noise as they do currents.
    fn add_variances(&self, cells: Range<usize>, shares: Option<&Shares>, scale: f32, variances: &mut [f32]) {
        let [relative, absolute] = self.read_variances();
        let mut add = |side: Side, g: &[f32]| {
            let shares = shares.map(|shares| match side {
                Side::Plus => &shares.plus[cells.clone()],
                Side::Minus => &shares.minus[cells.clone()],
            });
            for (k, (variance, g)) in variances.iter_mut().zip(g).enumerate() {
                let share = shares.map_or(1.0, |shares| shares[k]);
                *variance += scale * share * share * (relative * g * g + absolute);
            }
        };
        add(Side::Plus, &self.plus.conductances()[cells.clone()]);
        // A reference that all columns share is one line of many devices, read once and well.
        if let Against::Each(minus) = self.minus.of(cells.clone()) {
            add(Side::Minus, minus);
        }
    }

    /// Variance of the read noise of a weight that this digit adds, where all devices have the same.
    pub(super) fn common_variance(&self) -> f32 {
        let [_, absolute] = self.read_variances();
        let noisy = if matches!(self.minus, Minus::Shared(_)) { 1.0 } else { 2.0 };
        noisy * self.weight_per_siemens().powi(2) * absolute
    }

    /// Variance of the read noise of a device: times the square of its conductance, and in siemens squared.
    fn read_variances(&self) -> [f32; 2] {
        let noise = self.plus.device().spec().read_noise;
        [noise.relative, noise.absolute.0].map(|sigma| (sigma * sigma) as f32)
    }

    /// Conductance of all cells of a row, in siemens, a reference column's included.
    pub(super) fn row_siemens(&self, row: usize) -> f64 {
        let width = self.plus.shape().outputs;
        let cells = row * width..(row + 1) * width;
        sum_siemens(&self.plus.conductances()[cells.clone()])
            + match self.minus.of(cells) {
                Against::One(reference) => f64::from(reference),
                Against::Each(minus) => sum_siemens(minus),
            }
    }

    /// Conductance of all cells of a column, in siemens. A reference column is not driven in a backward read: what it
    /// would carry is known and subtracted.
    pub(super) fn column_siemens(&self, column: usize) -> f64 {
        let width = self.plus.shape().outputs;
        let sum = |g: &[f32]| g.iter().skip(column).step_by(width).map(|g| f64::from(*g)).sum::<f64>();
        sum(self.plus.conductances())
            + match self.minus.of(0..self.plus.shape().weights()) {
                Against::One(_) => 0.0,
                Against::Each(minus) => sum(minus),
            }
    }

    /// Devices at every crosspoint.
    pub(super) fn devices(&self) -> u64 {
        if matches!(self.minus, Minus::Shared(_)) { 1 } else { 2 }
    }

    /// The devices that a pulse of the weight reaches, each with its direction there and its seed.
    fn pulsed(&mut self, at: SeedPath) -> impl Iterator<Item = (&mut Population, i16, SeedPath)> {
        let sign = if self.sign < 0.0 { -1 } else { 1 };
        let minus = match &mut self.minus {
            Minus::Device(population) => Some((&mut **population, -sign, at.child("minus"))),
            Minus::Shared(_) | Minus::Each(_) => None,
        };
        std::iter::once((&mut self.plus, sign, at.child("plus"))).chain(minus)
    }

    /// Where rows and columns cross, pulses the weight in the direction of a column's sign, `count` times.
    pub(super) fn pulse_lines(
        &mut self,
        rows: &[u32],
        columns: &[Pulse],
        at: SeedPath,
        lists: &mut Lists,
        activity: &mut PassActivity,
    ) {
        let one_sided = self.one_sided;
        for (population, sign, at) in self.pulsed(at) {
            let signed = columns.iter().map(|pulse| Pulse { count: sign * pulse.count, ..*pulse });
            lists.columns.clear();
            lists.columns.extend(signed.filter(|pulse| !one_sided || pulse.count > 0));
            if !lists.columns.is_empty() {
                count(population.pulse_coincident(rows, &lists.columns, at), activity);
            }
        }
    }

    /// Pulses the weights of the listed cells, ascending, each `count` times in the direction of its sign.
    pub(super) fn pulse_cells(
        &mut self,
        cells: &[u32],
        counts: &[i16],
        at: SeedPath,
        lists: &mut Lists,
        activity: &mut PassActivity,
    ) {
        let one_sided = self.one_sided;
        for (population, sign, at) in self.pulsed(at) {
            let Lists { cells: kept, counts: signed, .. } = &mut *lists;
            kept.clear();
            signed.clear();
            for (&cell, &count) in cells.iter().zip(counts) {
                let count = sign * count;
                if count > 0 || !one_sided {
                    kept.push(cell);
                    signed.push(count);
                }
            }
            count(population.pulse_cells(kept, signed, at), activity);
        }
    }

    /// Reads the digit `v` of every cell of a row, with read noise.
    pub(super) fn read_row(&self, row: usize, at: SeedPath, reading: &mut Reading) {
        let Reading { v, minus } = reading;
        let first = row * v.len();
        self.plus.read(first, at.child("plus"), v);
        let scale = self.sign * self.per_siemens;
        match &self.minus {
            Minus::Shared(reference) => {
                for v in v {
                    *v = scale * (*v - reference);
                }
                return;
            }
            Minus::Each(references) => minus.copy_from_slice(&references[first..first + v.len()]),
            Minus::Device(population) => population.read(first, at.child("minus"), minus),
        }
        for (v, m) in v.iter_mut().zip(minus) {
            *v = scale * (*v - *m);
        }
    }

    /// Whether a read of some cell of a row can show a digit of `least` or more in magnitude, whatever noise it draws.
    pub(super) fn can_reach(&self, row: usize, least: f32) -> bool {
        let noise = self.plus.device().spec().read_noise;
        if noise.telegraph.is_some() {
            return true;
        }
        // The root of a sum of squares is at most the sum; a reference is taken to be as noisy as a device.
        let relative = Gaussians::LARGEST * noise.relative as f32;
        let absolute = 2.0 * Gaussians::LARGEST * noise.absolute.0 as f32;
        // Less by more than the rounding of what is compared.
        let least = least / self.per_siemens * (1.0 - 1e-4);
        let reaches = |g: f32, m: f32| (g - m).abs() + relative * (g + m) + absolute >= least;
        let width = self.plus.shape().outputs;
        let cells = row * width..(row + 1) * width;
        let g = &self.plus.conductances()[cells.clone()];
        // No branch within: whole vectors are compared.
        match self.minus.of(cells) {
            Against::One(reference) => g.iter().fold(false, |any, g| any | reaches(*g, reference)),
            Against::Each(minus) => any_pair(g, minus, reaches),
        }
    }

    /// The digit `v` of one cell, without noise.
    pub(super) fn value(&self, cell: usize) -> f32 {
        let minus = match self.minus.of(cell..cell + 1) {
            Against::One(reference) => reference,
            Against::Each(minus) => minus[0],
        };
        self.sign * self.per_siemens * (self.plus.conductances()[cell] - minus)
    }

    /// Brings the cells from `first` on to the digits `v`, as near as their windows allow.
    pub(super) fn program(
        &mut self,
        first: usize,
        v: &[f32],
        writing: Writing,
        at: SeedPath,
        activity: &mut PassActivity,
    ) {
        let window = self.plus.device().window();
        let (low, middle) = (window.g_min.0 as f32, window.reference_siemens() as f32);
        let offset = |v: &f32| self.sign * v / self.per_siemens;
        let targets: [Vec<f32>; 2] = match &self.minus {
            Minus::Shared(reference) => [v.iter().map(|v| reference + offset(v)).collect(), Vec::new()],
            Minus::Each(references) => {
                let targets = v.iter().zip(&references[first..]).map(|(v, r)| r + offset(v));
                [targets.collect(), Vec::new()]
            }
            Minus::Device(_) if self.one_sided => {
                let side = |sign: f32| v.iter().map(|v| low + (sign * offset(v)).max(0.0)).collect();
                [side(1.0), side(-1.0)]
            }
            Minus::Device(_) => [
                v.iter().map(|v| middle + 0.5 * offset(v)).collect(),
                v.iter().map(|v| middle - 0.5 * offset(v)).collect(),
            ],
        };
        let mut write = |population: &mut Population, targets: &[f32], at| {
            let programmed = population.program(first, targets, writing, at);
            activity.pulse_slots += programmed.pulses.set + programmed.pulses.reset;
            activity.reads += programmed.reads;
            activity.driven_lines += programmed.reads;
            activity.driven_cells += programmed.reads;
            count(programmed.pulses, activity);
        };
        write(&mut self.plus, &targets[0], at.child("plus"));
        if let Minus::Device(population) = &mut self.minus {
            write(population, &targets[1], at.child("minus"));
        }
    }

    /// Brings one-sided cells of a row whose devices stand above the window fraction `above` back to their lower bounds
    /// and writes their difference anew.
    ///
    /// Every cell takes a full RESET of both devices and a write-verify of one.
    pub(super) fn refresh_row(
        &mut self,
        row: usize,
        above: f32,
        verify: WriteVerify,
        at: SeedPath,
        reading: &mut Reading,
        activity: &mut PassActivity,
    ) -> bool {
        let Minus::Device(minus) = &self.minus else { return false };
        let window = self.plus.device().window();
        let limit = window.conductance(f64::from(above)).0 as f32;
        let width = reading.v.len();
        let first = row * width;
        let cells = first..first + width;
        let worn: Vec<usize> = cells
            .filter(|&cell| self.plus.conductances()[cell].max(minus.conductances()[cell]) > limit)
            .collect();
        self.read_row(row, at.child("read"), reading);
        activity.reads += 1;
        activity.driven_lines += 1;
        activity.driven_cells += width as u64 * 2;
        activity.comparisons += width as u64 * 2;
        for &cell in &worn {
            let at = at.index(cell as u64);
            // Both devices are reset in one slot of a full RESET pulse each, which ends at the lower bound.
            self.program(cell, &[0.0], Writing::Exact, at, activity);
            activity.reset_pulses += 2;
            activity.pulse_slots += 1;
            self.program(
                cell,
                &[reading.v[cell - first]],
                Writing::Verify(verify),
                at.child("write"),
                activity,
            );
        }
        !worn.is_empty()
    }

    /// Lets the devices rest.
    pub(super) fn age(&mut self, elapsed: bitpulse_device::Elapsed) {
        self.plus.age(elapsed);
        if let Minus::Device(population) = &mut self.minus {
            population.age(elapsed);
        }
    }

    /// All that changes, below `name`.
    pub(super) fn save(&self, state: &mut State, name: &str) {
        let mut part = State::default();
        part.put("sign", &[1], vec![self.sign]);
        for (side, population) in ["plus", "minus"].iter().zip(self.populations()) {
            let PopulationState { conductances, hidden, ages_s, pulses } = population.state();
            let mut devices = State::default();
            devices.put("conductances", &[conductances.len()], conductances);
            devices.put("hidden", &[hidden.len()], hidden);
            devices.put("ages", &[ages_s.len()], ages_s);
            devices.put("pulses", &[pulses.len()], pulses);
            part.nest(side, devices);
        }
        state.nest(name, part);
    }

    /// Goes on from what [`Digit::save`] put below `name`.
    pub(super) fn restore(&mut self, state: &State, name: &str) -> Result<(), StateError> {
        let part = state.part(name);
        self.sign = part.get("sign", &[1])?[0];
        let restore = |population: &mut Population, side: &str| {
            let devices = part.part(side);
            let lengths = population.state();
            population.restore(&PopulationState {
                conductances: devices.get("conductances", &[lengths.conductances.len()])?.to_vec(),
                hidden: devices.get("hidden", &[lengths.hidden.len()])?.to_vec(),
                ages_s: devices.get("ages", &[lengths.ages_s.len()])?.to_vec(),
                pulses: devices.get("pulses", &[lengths.pulses.len()])?.to_vec(),
            });
            Ok(())
        };
        restore(&mut self.plus, "plus")?;
        if let Minus::Device(population) = &mut self.minus {
            restore(population, "minus")?;
        }
        Ok(())
    }

    /// The populations, for inspection: the device array, and its counterpart where that is of devices too.
    pub(super) fn populations(&self) -> impl Iterator<Item = &Population> {
        let minus = match &self.minus {
            Minus::Device(population) => Some(&**population),
            Minus::Shared(_) | Minus::Each(_) => None,
        };
        std::iter::once(&self.plus).chain(minus)
    }
}

/// A row of pairs without wires, drawn up in one walk over both arrays: the numbers of [`Digit::add_row_plainly`] and
/// [`Digit::row_siemens`], bit for bit.
struct PairRow<'a> {
    plus: &'a [f32],
    minus: &'a [f32],
    scale: f32,
    relative: f32,
    absolute: f32,
    weights: &'a mut [f32],
    /// Empty without read noise.
    variances: &'a mut [f32],
}

impl WithSimd for PairRow<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let Self { plus, minus, scale, relative, absolute, weights, variances } = self;
        let (plus_blocks, plus_rest) = plus.as_chunks::<LANES>();
        let (minus_blocks, minus_rest) = minus.as_chunks::<LANES>();
        let mut strands = [[0.0_f32; LANES]; 2];
        let (blocks, rest) = weights.as_chunks_mut::<LANES>();
        for ((w, p), m) in blocks.iter_mut().zip(plus_blocks).zip(minus_blocks) {
            // Copies, one loop for each result: so the compiler sees whole vectors.
            let (p, m, mut sum) = (*p, *m, *w);
            for k in 0..LANES {
                sum[k] += scale * (p[k] - m[k]);
            }
            *w = sum;
            for k in 0..LANES {
                strands[0][k] += p[k];
            }
            for k in 0..LANES {
                strands[1][k] += m[k];
            }
        }
        for ((w, p), m) in rest.iter_mut().zip(plus_rest).zip(minus_rest) {
            *w += scale * (p - m);
        }
        let of = |g: f32| scale * scale * (relative * g * g + absolute);
        for ((variance, p), m) in variances.iter_mut().zip(plus).zip(minus) {
            *variance += of(*p);
            *variance += of(*m);
        }
        // Both sums at once: an addition waits for the one before it.
        let mut both = [0.0; 2];
        let [plus_strands, minus_strands] = &strands;
        let pairs = plus_strands.iter().zip(minus_strands).chain(plus_rest.iter().zip(minus_rest));
        for (p, m) in pairs {
            both[0] += f64::from(*p);
            both[1] += f64::from(*m);
        }
        both[0] + both[1]
    }
}

/// The sum of conductances, in strands that one vector register holds.
fn sum_siemens(g: &[f32]) -> f64 {
    let (blocks, rest) = g.as_chunks::<LANES>();
    let mut strands = [0.0_f32; LANES];
    for block in blocks {
        for (strand, g) in strands.iter_mut().zip(block) {
            *strand += g;
        }
    }
    strands.iter().chain(rest).map(|g| f64::from(*g)).sum()
}

fn any_pair(g: &[f32], minus: &[f32], holds: impl Fn(f32, f32) -> bool) -> bool {
    g.iter().zip(minus).fold(false, |any, (g, m)| any | holds(*g, *m))
}

fn count(tally: PulseTally, activity: &mut PassActivity) {
    activity.set_pulses += tally.set;
    activity.reset_pulses += tally.reset;
    activity.set_siemens += tally.set_siemens;
    activity.reset_siemens += tally.reset_siemens;
}
