//! Many devices of one kind, as the crosspoints of an array.

use bitpulse_core::units::Siemens;
use bitpulse_core::{Pulse, Rng, SeedPath, Shape, Signal};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::cell::{
    CHUNK, Cells, Curve, MOST_TIMES, Noise, PulseTally, Steps, Way, normal, pulse_cell, pulse_list,
    pulse_rows,
};
use crate::gaussians::Gaussians;
use crate::noise::ReadNoise;
use crate::preset::Device;
use crate::retention::Elapsed;

/// Devices at the crosspoints of word lines (rows, inputs) and bit lines (columns, outputs), each with its own window and
/// steps, drawn once.
///
/// Device `(row, column)` stands at `row * shape.outputs + column` of every slice. State is conductance in siemens, in
/// `f32`. No method but [`Population::new`] and [`Population::state`] allocates; all randomness comes from the path given
/// to the call, so the same call on the same state gives the same bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    device: Device,
    shape: Shape,
    curve: Curve,
    noise: Noise,
    /// Standard deviation of what shows around the hidden state, in siemens.
    write_noise: f32,
    /// What shows, in siemens.
    g: Vec<f32>,
    /// What pulses move, where that differs from what shows (write noise, quantised states); else empty.
    hidden: Vec<f32>,
    cells: Cells,
    /// Devices with telegraph noise, ascending.
    telegraph: Vec<u32>,
    /// Empty without drift.
    drift: Vec<DriftState>,
    /// Factors on the lifetime; empty without decay.
    lifetime: Vec<f32>,
    /// Empty without endurance.
    wear: Vec<Wear>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct DriftState {
    exponent: f32,
    /// Seconds since the last pulse.
    age_s: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Wear {
    pulses: u32,
    limit: u32,
}

/// How devices are brought to a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Writing {
    /// Exactly, clipped to each device's window: an ideal programmer.
    Exact,
    /// With the error that the device's source publishes for its algorithm (`[programming]` of the device file).
    Published,
    /// Pulses and reads by turns.
    Verify(WriteVerify),
}

/// Programming by pulses, each followed by a noisy read: stop within the tolerance, else pulse towards the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WriteVerify {
    /// Accepted distance of the read conductance from the target, as a fraction of the nominal window.
    pub tolerance: f64,
    /// Most pulses per device.
    pub max_pulses: u32,
}

/// What programming cost and how it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Programmed {
    /// Pulses given.
    pub pulses: PulseTally,
    /// Single-device reads made.
    pub reads: u64,
    /// Devices that never read within the tolerance.
    pub missed: u64,
}

/// All that changes in a population, to store it and go on later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PopulationState {
    /// Conductance that shows, in siemens.
    pub conductances: Vec<f32>,
    /// Hidden state, in siemens; empty where it is what shows.
    pub hidden: Vec<f32>,
    /// Seconds since the last pulse; empty without drift.
    pub ages_s: Vec<f32>,
    /// Pulses so far; empty without endurance.
    pub pulses: Vec<u32>,
}

/// The random numbers of one read or programming call: Gaussians, and a generator for what is not Gaussian.
struct Draws {
    gaussians: Gaussians,
    telegraph: Rng,
}

impl Draws {
    fn new(at: SeedPath) -> Self {
        Self { gaussians: Gaussians::new(at), telegraph: at.child("telegraph").rng() }
    }
}

/// Which devices get how many pulses, as a visit in ascending order.
trait Plan {
    fn visit(self, pulse: impl FnMut(usize, i32));
}

struct Coincident<'a> {
    rows: &'a [u32],
    columns: &'a [Pulse],
    width: usize,
}

impl Plan for Coincident<'_> {
    #[inline]
    fn visit(self, mut pulse: impl FnMut(usize, i32)) {
        for &row in self.rows {
            let start = row as usize * self.width;
            for column in self.columns {
                pulse(start + column.line as usize, i32::from(column.count));
            }
        }
    }
}

struct Listed<'a> {
    cells: &'a [u32],
    counts: &'a [i16],
}

impl Plan for Listed<'_> {
    #[inline]
    fn visit(self, mut pulse: impl FnMut(usize, i32)) {
        for (&cell, &count) in self.cells.iter().zip(self.counts) {
            pulse(cell as usize, i32::from(count));
        }
    }
}

impl Population {
    /// Draws the devices of an array, all standing at the reference of the window (weight zero), or as near to it as their
    /// own window allows.
    pub fn new(device: &Device, shape: Shape, at: SeedPath) -> Self {
        let spec = device.spec();
        let window = device.window();
        let n = shape.weights();
        let noise = &spec.cycle_to_cycle;
        // One stream per property: asking for one more leaves the draws of the others as they are.
        let mut population = Self {
            curve: Curve::of(device),
            noise: Noise::of(device),
            write_noise: (noise.write_noise * window.range_siemens()) as f32,
            device: device.clone(),
            shape,
            g: Vec::with_capacity(n),
            hidden: Vec::new(),
            cells: Cells::draw(device, n, &mut at.child("cells").rng()),
            telegraph: Vec::new(),
            drift: Vec::new(),
            lifetime: Vec::new(),
            wear: Vec::new(),
        };
        if spec.faults.total() > 0.0 {
            let mut rng = at.child("faults").rng();
            for index in 0..n {
                let bounds = population.cells.get(index).bounds;
                if let Some(g) = spec.faults.stuck_at(rng.random(), bounds) {
                    population.cells.close(index, g);
                }
            }
        }
        let start = population.noise.reference;
        population.g.extend((0..n).map(|index| population.cells.get(index).clip(start)));
        if noise.write_noise > 0.0 || spec.levels.is_some() {
            population.hidden.clone_from(&population.g);
        }
        if let Some(telegraph) = spec.read_noise.telegraph {
            let mut rng = at.child("telegraph").rng();
            population.telegraph.extend((0..n as u32).filter(|_| rng.random_bool(telegraph.fraction)));
        }
        if let Some(drift) = spec.retention.drift {
            let mut rng = at.child("drift").rng();
            population.drift.extend((0..n).map(|_| {
                let exponent = loop {
                    let draw = drift.exponent + drift.spread * f64::from(normal(&mut rng));
                    if draw >= 0.0 {
                        break draw;
                    }
                };
                DriftState { exponent: exponent as f32, age_s: 0.0 }
            }));
        }
        if let Some(decay) = spec.retention.decay {
            let mut rng = at.child("decay").rng();
            population.lifetime.extend((0..n).map(|_| decay.spread.factor(&mut rng) as f32));
        }
        if let Some(endurance) = spec.endurance {
            let mut rng = at.child("endurance").rng();
            population.wear.extend((0..n).map(|_| Wear {
                pulses: 0,
                limit: (endurance.pulses * endurance.spread.factor(&mut rng)).max(1.0) as u32,
            }));
        }
        population
    }

    /// The kind of device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Word lines and bit lines.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What every device shows, in siemens, without read noise; row-major.
    pub fn conductances(&self) -> &[f32] {
        &self.g
    }

    /// The window of device `index` in siemens, lower bound first; the bounds are equal where the device is stuck.
    ///
    /// # Panics
    /// If there is no such device.
    pub fn window(&self, index: usize) -> [f32; 2] {
        self.cells.get(index).bounds
    }

    /// The mean SET and RESET step of device `index` where it stands, in siemens: magnitudes, not clipped to the window.
    ///
    /// # Panics
    /// If there is no such device.
    pub fn steps(&self, index: usize) -> [f32; 2] {
        let (cell, g) = (self.cells.get(index), self.state_of(index));
        [Way::SET, Way::RESET].map(|way| self.curve.step(&cell, way, g))
    }

    /// Pulses device `index` has had, where the device counts them for its endurance.
    ///
    /// # Panics
    /// If there is no such device.
    pub fn pulses_so_far(&self, index: usize) -> Option<u32> {
        assert!(index < self.g.len(), "no such device");
        self.wear.get(index).map(|wear| wear.pulses)
    }

    /// Pulses every device where an active row meets an active column, `count` times in the direction of its sign.
    ///
    /// Rows ascend. Devices are visited row by row; pulse for pulse, the mean step is taken at the present state, C2C noise
    /// drawn where this kind of device has any, and the result clipped to the device's window. A few pulses on devices whose
    /// step is a straight line in conductance, as many on every column, take a faster path, with the same numbers.
    ///
    /// # Panics
    /// If a line is out of range, or the device has no response to pulses.
    pub fn pulse_coincident(&mut self, rows: &[u32], columns: &[Pulse], at: SeedPath) -> PulseTally {
        let width = self.shape.outputs;
        assert!(columns.iter().all(|column| (column.line as usize) < width), "column out of range");
        let (gaussians, mut tally) = (&mut Gaussians::new(at), PulseTally::default());
        let counts = || columns.iter().map(|column| column.count);
        if let Some(times) = self.fast_times(counts()) {
            let Self { noise, cells, g, .. } = self;
            let met = pulse_rows(*noise, width, rows, columns, times, cells, g, gaussians);
            tally.add(rows.len() * times, counts(), met);
        } else {
            self.pulse(Coincident { rows, columns, width }, gaussians, &mut tally);
        }
        tally
    }

    /// Pulses the listed devices, each `count` times in the direction of its sign. Devices ascend, as the faster path of
    /// [`Population::pulse_coincident`] wants them.
    ///
    /// # Panics
    /// If the lists differ in length, a device does not exist or does not follow the one before it, or the device has no
    /// response to pulses.
    pub fn pulse_cells(&mut self, cells: &[u32], counts: &[i16], at: SeedPath) -> PulseTally {
        assert_eq!(cells.len(), counts.len(), "one count for every device");
        assert!(cells.is_sorted_by(|a, b| a < b), "devices must ascend");
        let (gaussians, mut tally) = (&mut Gaussians::new(at), PulseTally::default());
        for (cells, counts) in cells.chunks(CHUNK).zip(counts.chunks(CHUNK)) {
            if let Some(times) = self.fast_times(counts.iter().copied()) {
                let met = pulse_list(self.noise, cells, counts, times, &self.cells, &mut self.g, gaussians);
                tally.add(times, counts.iter().copied(), met);
            } else {
                self.pulse(Listed { cells, counts }, gaussians, &mut tally);
            }
        }
        tally
    }

    /// How many pulses each of these counts stands for, where the faster path can give them.
    fn fast_times(&self, mut counts: impl Iterator<Item = i16>) -> Option<usize> {
        let times = counts.next()?.unsigned_abs();
        let fits = (1..=MOST_TIMES).contains(&usize::from(times))
            && self.shows_state()
            && matches!(self.curve, Curve::Affine(_))
            && counts.all(|count| count.unsigned_abs() == times);
        fits.then_some(usize::from(times))
    }

    fn pulse(&mut self, plan: impl Plan, gaussians: &mut Gaussians, tally: &mut PulseTally) {
        // Taken out and put back so that the curve can be read while the devices are written.
        let curve = std::mem::replace(&mut self.curve, Curve::None);
        match &curve {
            Curve::Affine(steps) => self.pulse_by(steps, plan, gaussians, tally),
            Curve::Exp(steps) => self.pulse_by(steps, plan, gaussians, tally),
            Curve::Power(steps) => self.pulse_by(steps, plan, gaussians, tally),
            Curve::Table(steps) => self.pulse_by(steps, plan, gaussians, tally),
            Curve::None => panic!("{} responds to no pulses", self.device.spec().name),
        }
        self.curve = curve;
    }

    fn pulse_by<S: Steps>(
        &mut self,
        steps: &S,
        plan: impl Plan,
        gaussians: &mut Gaussians,
        tally: &mut PulseTally,
    ) {
        if self.shows_state() {
            let noise = self.noise;
            let Self { g, cells, .. } = self;
            plan.visit(|index, count| {
                let cell = cells.get(index);
                g[index] = pulse_cell(steps, noise, &cell, g[index], count, gaussians, tally);
            });
        } else {
            plan.visit(|index, count| {
                let (cell, state) = (self.cells.get(index), self.state_of(index));
                let state = pulse_cell(steps, self.noise, &cell, state, count, gaussians, tally);
                self.settle(index, state, count.unsigned_abs(), gaussians);
            });
        }
    }

    /// Whether the conductance that shows is all that pulses change.
    fn shows_state(&self) -> bool {
        self.hidden.is_empty() && self.drift.is_empty() && self.wear.is_empty()
    }

    /// The state that pulses move.
    #[inline]
    fn state_of(&self, index: usize) -> f32 {
        self.hidden.get(index).copied().unwrap_or(self.g[index])
    }

    /// Puts device `index` into `state` after `pulses` pulses: what shows, its age and its wear.
    fn settle(&mut self, index: usize, state: f32, pulses: u32, gaussians: &mut Gaussians) {
        if let Some(drift) = self.drift.get_mut(index) {
            drift.age_s = 0.0;
        }
        self.show(index, state, Some(gaussians));
        if let Some(wear) = self.wear.get_mut(index) {
            wear.pulses = wear.pulses.saturating_add(pulses);
            if wear.pulses >= wear.limit {
                self.close_window(index);
            }
        }
    }

    /// A worn-out device rests where it is.
    fn close_window(&mut self, index: usize) {
        self.cells.close(index, self.g[index]);
    }

    /// Makes device `index` show `state`: quantised, and with write noise where Gaussians are given.
    fn show(&mut self, index: usize, state: f32, write_noise: Option<&mut Gaussians>) {
        let Some(hidden) = self.hidden.get_mut(index) else {
            self.g[index] = state;
            return;
        };
        *hidden = state;
        let cell = self.cells.get(index);
        let mut shown = state;
        if let Some(gaussians) = write_noise
            && self.write_noise > 0.0
        {
            shown += self.write_noise * gaussians.draw();
        }
        if let Some(levels) = self.device.spec().levels
            && cell.bounds[1] > cell.bounds[0]
        {
            let [low, high] = cell.bounds;
            let spacing = (high - low) / (levels - 1) as f32;
            shown = low + ((shown - low) / spacing).round() * spacing;
        }
        self.g[index] = cell.clip(shown);
    }

    /// Programs devices `first..first + targets.len()` to `targets`, in siemens. Targets outside a device's window end at
    /// its bound.
    ///
    /// # Panics
    /// If there are not so many devices; with [`Writing::Published`] if the source publishes no error; with
    /// [`Writing::Verify`] if the device has no response to pulses.
    pub fn program(&mut self, first: usize, targets: &[f32], writing: Writing, at: SeedPath) -> Programmed {
        assert!(first + targets.len() <= self.g.len(), "more targets than devices");
        let mut draws = Draws::new(at);
        let mut programmed = Programmed::default();
        match writing {
            Writing::Exact => {
                for (index, &target) in (first..).zip(targets) {
                    self.place(index, target);
                }
            }
            Writing::Published => {
                for (index, &target) in (first..).zip(targets) {
                    let target = self.cells.get(index).clip(target);
                    let error = self.device.spec().programming.as_ref();
                    let error = error.expect("the caller chose an error that the device's source publishes");
                    let sigma = error.sigma(Siemens(f64::from(target))).0 as f32;
                    self.place(index, target + sigma * draws.gaussians.draw());
                }
            }
            Writing::Verify(verify) => {
                let curve = std::mem::replace(&mut self.curve, Curve::None);
                for (index, &target) in (first..).zip(targets) {
                    self.verify(&curve, index, target, verify, &mut draws, &mut programmed);
                }
                self.curve = curve;
            }
        }
        programmed
    }

    /// Puts device `index` at `g`, clipped to its window, without pulses.
    fn place(&mut self, index: usize, g: f32) {
        if let Some(drift) = self.drift.get_mut(index) {
            drift.age_s = 0.0;
        }
        let g = self.cells.get(index).clip(g);
        self.show(index, g, None);
    }

    fn verify(
        &mut self,
        curve: &Curve,
        index: usize,
        target: f32,
        verify: WriteVerify,
        draws: &mut Draws,
        programmed: &mut Programmed,
    ) {
        let tolerance = (verify.tolerance * self.device.window().range_siemens()) as f32;
        let read_noise = self.device.spec().read_noise;
        for pulse in 0.. {
            programmed.reads += 1;
            let error = self.read_one(index, read_noise, draws) - target;
            if error.abs() <= tolerance {
                return;
            }
            if pulse == verify.max_pulses {
                break;
            }
            let count = if error < 0.0 { 1 } else { -1 };
            let (cell, state, tally) = (self.cells.get(index), self.state_of(index), &mut programmed.pulses);
            let state = curve.pulse(self.noise, &cell, state, count, &mut draws.gaussians, tally);
            self.settle(index, state, 1, &mut draws.gaussians);
        }
        programmed.missed += 1;
    }

    /// One noisy read of one device.
    fn read_one(&self, index: usize, noise: ReadNoise, draws: &mut Draws) -> f32 {
        let mut g = self.g[index];
        let sigma = (noise.relative as f32 * g).hypot(noise.absolute.0 as f32);
        let level = self.telegraph_level(index, noise, &mut draws.telegraph);
        g *= level;
        if sigma > 0.0 {
            g += sigma * draws.gaussians.draw();
        }
        g
    }

    fn telegraph_level(&self, index: usize, noise: ReadNoise, rng: &mut Rng) -> f32 {
        match noise.telegraph {
            Some(telegraph) if self.telegraph.binary_search(&(index as u32)).is_ok() => {
                telegraph_factor(telegraph.amplitude, telegraph.occupancy, rng)
            }
            _ => 1.0,
        }
    }

    /// Reads devices `first..first + out.len()` with noise, in siemens.
    ///
    /// # Panics
    /// If there are not so many devices.
    pub fn read(&self, first: usize, at: SeedPath, out: &mut [f32]) {
        let noise = self.device.spec().read_noise;
        let last = first + out.len();
        out.copy_from_slice(&self.g[first..last]);
        if noise.is_none() {
            return;
        }
        let sigma = noise.absolute.0 as f32;
        if noise.relative == 0.0 && noise.telegraph.is_none() && sigma > 0.0 {
            // All devices alike: the numbers of `read_one`, without a root for each.
            let (mut gaussians, mut normals) = (Gaussians::new(at), [0.0; 64]);
            for values in out.chunks_mut(normals.len()) {
                let normals = &mut normals[..values.len()];
                gaussians.fill(normals);
                for (value, normal) in values.iter_mut().zip(normals) {
                    *value += sigma * *normal;
                }
            }
            return;
        }
        let mut draws = Draws::new(at);
        for (index, value) in (first..last).zip(out) {
            *value = self.read_one(index, noise, &mut draws);
        }
    }

    /// Drives rows and senses columns: `sums[j] = sum_i x_i G_ij` with read noise, in siemens.
    ///
    /// Gaussian noise of single devices is summed: one draw per column, of variance
    /// `sum_i x_i^2 ((relative G_ij)^2 + absolute^2)`, which is exact in distribution. Telegraph noise is drawn for the
    /// devices that have it. `squares` is room to work in, as long as `sums`.
    ///
    /// # Panics
    /// If `sums` and `squares` are not as long as the array has columns, or a driven row does not exist.
    pub fn sum_columns(&self, drive: Signal<'_, f32>, at: SeedPath, sums: &mut [f32], squares: &mut [f32]) {
        let width = self.shape.outputs;
        assert_eq!(sums.len(), width, "one sum for every column");
        assert_eq!(squares.len(), width, "one sum of squares for every column");
        sums.fill(0.0);
        let noise = self.device.spec().read_noise;
        if noise.is_none() {
            drive.for_each_active(|row, x| {
                for (sum, g) in sums.iter_mut().zip(&self.g[row * width..(row + 1) * width]) {
                    *sum += x * g;
                }
            });
            return;
        }
        squares.fill(0.0);
        let mut drive_squared = 0.0;
        let mut draws = Draws::new(at);
        drive.for_each_active(|row, x| {
            drive_squared += x * x;
            let start = row * width;
            for ((sum, square), g) in sums.iter_mut().zip(&mut *squares).zip(&self.g[start..start + width]) {
                let term = x * g;
                *sum += term;
                *square += term * term;
            }
            for &index in self.telegraph_within(start, start + width) {
                let index = index as usize;
                let level = self.telegraph_level(index, noise, &mut draws.telegraph);
                sums[index - start] += x * self.g[index] * (level - 1.0);
            }
        });
        let (relative, absolute) = (noise.relative as f32, noise.absolute.0 as f32);
        for (sum, square) in sums.iter_mut().zip(squares) {
            *sum += gaussian_sum(relative, absolute, *square, drive_squared, &mut draws.gaussians);
        }
    }

    /// Drives columns and senses rows: `sums[i] = sum_j x_j G_ij` with read noise, in siemens: the transposed read, with
    /// noise as in [`Population::sum_columns`].
    ///
    /// # Panics
    /// If `sums` is not as long as the array has rows, or a driven column does not exist.
    pub fn sum_rows(&self, drive: Signal<'_, f32>, at: SeedPath, sums: &mut [f32]) {
        let width = self.shape.outputs;
        assert_eq!(sums.len(), self.shape.inputs, "one sum for every row");
        let noise = self.device.spec().read_noise;
        let mut draws = Draws::new(at);
        let mut drive_squared = 0.0;
        drive.for_each_active(|_, x| drive_squared += x * x);
        let (relative, absolute) = (noise.relative as f32, noise.absolute.0 as f32);
        for (row, sum) in sums.iter_mut().enumerate() {
            let start = row * width;
            let g = &self.g[start..start + width];
            let (mut total, mut squares) = (0.0, 0.0);
            drive.for_each_active(|column, x| {
                let term = x * g[column];
                total += term;
                squares += term * term;
            });
            for &index in self.telegraph_within(start, start + width) {
                let index = index as usize;
                let x = level_of(drive, index - start);
                if x != 0.0 {
                    let level = self.telegraph_level(index, noise, &mut draws.telegraph);
                    total += x * self.g[index] * (level - 1.0);
                }
            }
            *sum = total + gaussian_sum(relative, absolute, squares, drive_squared, &mut draws.gaussians);
        }
    }

    /// Adds to `sums` what random telegraph noise alone adds to one read of the array, times `scale`: rows driven and
    /// columns sensed (`forward`), or the other way round. [`Population::sum_columns`] and [`Population::sum_rows`] hold it
    /// already.
    ///
    /// # Panics
    /// If `sums` is not as long as there are sensed lines, or a driven line does not exist.
    pub fn add_telegraph(
        &self,
        forward: bool,
        drive: Signal<'_, f32>,
        scale: f32,
        rng: &mut Rng,
        sums: &mut [f32],
    ) {
        let Shape { inputs, outputs: width } = self.shape;
        assert_eq!(sums.len(), if forward { width } else { inputs }, "one sum for every sensed line");
        let noise = self.device.spec().read_noise;
        for &index in &self.telegraph {
            let index = index as usize;
            let (row, column) = (index / width, index % width);
            let (driven, sensed) = if forward { (row, column) } else { (column, row) };
            let x = level_of(drive, driven);
            if x != 0.0 {
                sums[sensed] += scale * x * self.g[index] * (self.telegraph_level(index, noise, rng) - 1.0);
            }
        }
    }

    /// Devices with telegraph noise among `first..last`.
    fn telegraph_within(&self, first: usize, last: usize) -> &[u32] {
        let from = self.telegraph.partition_point(|&index| (index as usize) < first);
        let to = self.telegraph.partition_point(|&index| (index as usize) < last);
        &self.telegraph[from..to]
    }

    /// Lets all devices rest. What shows stays within the window; a population without drift and decay does not change.
    ///
    /// Two rests give what one of their sum gives, up to the rounding of `f32`, as long as no bound is met on the way.
    pub fn age(&mut self, elapsed: Elapsed) {
        let retention = self.device.spec().retention;
        let window = *self.device.window();
        for index in 0..self.g.len() {
            let mut state = f64::from(self.state_of(index));
            if let Some(decay) = retention.decay {
                let rest = window.conductance(decay.rest).0;
                state = rest + (state - rest) * decay.remainder(f64::from(self.lifetime[index]), elapsed);
            }
            if let (Some(drift), Elapsed::Time(t)) = (retention.drift, elapsed) {
                let clock = &mut self.drift[index];
                let (from, to) = (f64::from(clock.age_s), f64::from(clock.age_s) + t.0);
                state *= drift.factor(f64::from(clock.exponent), from, to);
                clock.age_s = to as f32;
            }
            if retention.decay.is_some() || retention.drift.is_some() {
                self.move_with_what_shows(index, state as f32);
            }
        }
    }

    /// Moves the hidden state and, by the same amount, what shows: ageing draws no new write noise.
    fn move_with_what_shows(&mut self, index: usize, state: f32) {
        let state = self.cells.get(index).clip(state);
        if self.device.spec().levels.is_some() || self.hidden.is_empty() {
            self.show(index, state, None);
        } else {
            let shown = self.g[index] + (state - self.hidden[index]);
            self.hidden[index] = state;
            self.g[index] = self.cells.get(index).clip(shown);
        }
    }

    /// Where SET and RESET steps of each device are equal, in siemens. A device that has no such point, since one step is
    /// always the larger, both are always equal or it does not respond to pulses, is held at the window's reference where
    /// that is inside its bounds, else in the middle of them: at a bound it could hold weights of one sign alone.
    ///
    /// # Panics
    /// If `out` is not as long as the population.
    pub fn symmetry_points(&self, out: &mut [f32]) {
        assert_eq!(out.len(), self.g.len(), "one value for every device");
        for (index, point) in out.iter_mut().enumerate() {
            let cell = self.cells.get(index);
            let gap = |g: f32| self.curve.step(&cell, Way::SET, g) - self.curve.step(&cell, Way::RESET, g);
            let [mut low, mut high] = cell.bounds;
            let (at_low, at_high) = (gap(low), gap(high));
            let reference = self.noise.reference;
            *point = if at_low * at_high >= 0.0 {
                if low < reference && reference < high { reference } else { f32::midpoint(low, high) }
            } else {
                // 24 halvings reach the precision of f32.
                for _ in 0..24 {
                    let middle = f32::midpoint(low, high);
                    if (gap(middle) > 0.0) == (at_high > 0.0) {
                        high = middle;
                    } else {
                        low = middle;
                    }
                }
                f32::midpoint(low, high)
            };
        }
    }

    /// Conductances of reference devices that are to hold each device's symmetry point, in siemens: the points with the
    /// error `device-to-device.reference` of the device file.
    ///
    /// # Panics
    /// If `out` is not as long as the population.
    pub fn references(&self, at: SeedPath, out: &mut [f32]) {
        self.symmetry_points(out);
        let sigma = self.device.spec().device_to_device.reference * self.device.window().range_siemens();
        if sigma > 0.0 {
            let mut gaussians = Gaussians::new(at);
            for (index, point) in out.iter_mut().enumerate() {
                *point = self.cells.get(index).clip(*point + sigma as f32 * gaussians.draw());
            }
        }
    }

    /// All that pulses, programming and ageing have changed.
    pub fn state(&self) -> PopulationState {
        PopulationState {
            conductances: self.g.clone(),
            hidden: self.hidden.clone(),
            ages_s: self.drift.iter().map(|drift| drift.age_s).collect(),
            pulses: self.wear.iter().map(|wear| wear.pulses).collect(),
        }
    }

    /// Puts back the state of a population drawn from the same device, shape and path.
    ///
    /// # Panics
    /// If the state is of another shape or kind of device.
    pub fn restore(&mut self, state: &PopulationState) {
        self.g.copy_from_slice(&state.conductances);
        self.hidden.copy_from_slice(&state.hidden);
        assert_eq!(self.drift.len(), state.ages_s.len(), "ages of another device");
        for (drift, &age_s) in self.drift.iter_mut().zip(&state.ages_s) {
            drift.age_s = age_s;
        }
        assert_eq!(self.wear.len(), state.pulses.len(), "pulses of another device");
        for (index, &pulses) in state.pulses.iter().enumerate() {
            self.wear[index].pulses = pulses;
            if pulses >= self.wear[index].limit {
                self.close_window(index);
            }
        }
    }
}

/// The factor on a conductance with telegraph noise at one read.
fn telegraph_factor(amplitude: f64, occupancy: f64, rng: &mut Rng) -> f32 {
    let upper = rng.random_bool(occupancy);
    (1.0 + amplitude * (f64::from(u8::from(upper)) - occupancy)) as f32
}

/// The summed Gaussian read noise of devices with `sum x^2 G^2 = squares` and `sum x^2 = drive_squared`.
#[inline]
fn gaussian_sum(
    relative: f32,
    absolute: f32,
    squares: f32,
    drive_squared: f32,
    gaussians: &mut Gaussians,
) -> f32 {
    let variance = relative * relative * squares + absolute * absolute * drive_squared;
    if variance > 0.0 { variance.sqrt() * gaussians.draw() } else { 0.0 }
}

/// The level of one line of a signal.
fn level_of(drive: Signal<'_, f32>, line: usize) -> f32 {
    match drive {
        Signal::Analog(levels) | Signal::Counts { values: levels, .. } => levels[line],
        Signal::Bits(lines) => f32::from(u8::from(lines.binary_search(&(line as u32)).is_ok())),
        Signal::Pulses { pulses, per_unit } => pulses
            .binary_search_by_key(&(line as u32), |pulse| pulse.line)
            .map_or(0.0, |at| f32::from(pulses[at].count) / f32::from(per_unit)),
    }
}
