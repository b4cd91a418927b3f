//! One device of a population: its parameters in `f32` siemens, and a pulse.

use bitpulse_core::{Pulse, Rng};
use multiversion::multiversion;
use rand_distr::{Distribution, StandardNormal};

use crate::gaussians::Gaussians;
use crate::preset::Device;
use crate::response::{Branch, LinearStep, PulseLaw, Response, linear_branches};
use crate::variation::DeviceVariation;
use crate::window::Window;

/// Pulses given, by polarity, with the conductance they met.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PulseTally {
    /// SET pulses.
    pub set: u64,
    /// RESET pulses.
    pub reset: u64,
    /// Conductance that showed when the SET pulses came, summed over pulses, in siemens.
    pub set_siemens: f64,
    /// Conductance that showed when the RESET pulses came, summed over pulses, in siemens.
    pub reset_siemens: f64,
}

impl PulseTally {
    /// Adds `times` pulses for each of `counts`, the way of its sign, and the conductance that SET and RESET pulses met.
    pub(crate) fn add(&mut self, times: usize, counts: impl Iterator<Item = i16>, met: [f64; 2]) {
        let (mut set, mut all) = (0, 0);
        for count in counts {
            set += u64::from(count > 0);
            all += 1;
        }
        self.set += times as u64 * set;
        self.reset += times as u64 * (all - set);
        self.set_siemens += met[0];
        self.reset_siemens += met[1];
    }
}

/// What one device is: eight floats, aligned so that a pulse touches one cache line beside the conductance.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(32))]
pub(crate) struct Cell {
    /// Lower and upper bound in siemens.
    pub(crate) bounds: [f32; 2],
    /// SET, RESET.
    sides: [Side; 2],
}

/// One polarity of one device; what scale and slope mean is the curve's affair.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Side {
    /// Scale and slope.
    line: [f32; 2],
    /// The part of the C2C standard deviation that does not depend on the state, in siemens.
    sigma: f32,
}

/// The part of the C2C standard deviation that depends on the state, the same for all devices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Noise {
    /// Whether a pulse draws a Gaussian at all.
    any: bool,
    of_step: f32,
    of_state: f32,
    /// The window's reference in siemens.
    pub(crate) reference: f32,
}

/// Index of a polarity in pairs of SET and RESET, and its sign. Data, not a type parameter: signs of columns are as good as
/// random, and a branch on them would be mispredicted every other time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Way {
    index: usize,
    sign: f32,
}

impl Way {
    pub(crate) const SET: Self = Self { index: 0, sign: 1.0 };
    pub(crate) const RESET: Self = Self { index: 1, sign: -1.0 };

    #[inline]
    fn of(count: i32) -> Self {
        Self { index: usize::from(count < 0), sign: if count < 0 { -1.0 } else { 1.0 } }
    }
}

/// Mean step of a device of `cell` at `g`, as a magnitude, and the spread that belongs to it, both in siemens.
pub(crate) trait Steps {
    fn step(&self, cell: &Cell, way: Way, g: f32) -> (f32, f32);
}

/// How a step depends on conductance, with the parameters that all devices share.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Curve {
    Affine(Affine),
    Exp(Exp),
    Power(Power),
    Table(Table),
    /// No response to pulses.
    None,
}

/// `scale + slope g`: constant, linear, soft-bounds and exponential responses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Affine;

/// `scale max(0, 1 - amplitude exp(offset + slope (g - reference)))`
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exp {
    /// SET, RESET.
    amplitude: [f32; 2],
    offset: [f32; 2],
    reference: f32,
}

/// `scale d^slope`, `d` the distance to the bound ahead as a fraction of the device's window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Power;

/// `scale` times straight lines between knots `(u, mean, spread)`, `u` a fraction of the device's window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    /// SET, RESET.
    knots: [Vec<[f32; 3]>; 2],
}

impl Steps for Affine {
    #[inline]
    fn step(&self, cell: &Cell, way: Way, g: f32) -> (f32, f32) {
        let side = &cell.sides[way.index];
        (larger(side.line[0] + side.line[1] * g, 0.0), 0.0)
    }
}

impl Steps for Exp {
    #[inline]
    fn step(&self, cell: &Cell, way: Way, g: f32) -> (f32, f32) {
        let side = &cell.sides[way.index];
        let exponential = (self.offset[way.index] + side.line[1] * (g - self.reference)).exp();
        (side.line[0] * larger(1.0 - self.amplitude[way.index] * exponential, 0.0), 0.0)
    }
}

impl Steps for Power {
    #[inline]
    fn step(&self, cell: &Cell, way: Way, g: f32) -> (f32, f32) {
        let side = &cell.sides[way.index];
        let u = cell.fraction(g);
        let distance = if way == Way::SET { 1.0 - u } else { u };
        (side.line[0] * distance.powf(side.line[1]), 0.0)
    }
}

impl Steps for Table {
    #[inline]
    fn step(&self, cell: &Cell, way: Way, g: f32) -> (f32, f32) {
        let side = &cell.sides[way.index];
        let u = cell.fraction(g);
        let knots = &self.knots[way.index];
        let after = knots.partition_point(|knot| knot[0] <= u).clamp(1, knots.len() - 1);
        let [a, b] = [knots[after - 1], knots[after]];
        let t = (u - a[0]) / (b[0] - a[0]);
        (side.line[0] * (a[1] + t * (b[1] - a[1])), side.line[0] * (a[2] + t * (b[2] - a[2])))
    }
}

impl Cell {
    /// `g` brought into the device's window.
    #[inline]
    pub(crate) fn clip(&self, g: f32) -> f32 {
        smaller(larger(g, self.bounds[0]), self.bounds[1])
    }

    /// Where `g` stands in the device's window; 0 for a stuck device, which has none.
    #[inline]
    fn fraction(&self, g: f32) -> f32 {
        let range = self.bounds[1] - self.bounds[0];
        if range > 0.0 { ((g - self.bounds[0]) / range).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Draws a device: first its window, then its steps, then its shape.
    fn draw(device: &Device, rng: &mut Rng) -> Self {
        let spec = device.spec();
        let variation = &spec.device_to_device;
        let bounds = draw_window(device.window(), variation, rng);
        let Some(response) = &spec.response else {
            let still = Side { line: [0.0; 2], sigma: 0.0 };
            return Self { bounds: bounds.map(|bound| bound as f32), sides: [still; 2] };
        };
        let factors = variation.step_factors(relative_steps(response), rng).map(|factor| factor as f32);
        let mut shape = || match variation.shape {
            0.0 => 0.0,
            sigma => sigma * f64::from(normal(rng)),
        };
        let shapes = [shape(), shape()];
        // Exponent and rate are no part of the step's size.
        let of_slope = !matches!(response, Response::ExpStep(_) | Response::PowStep(_));
        Nominal::of(device, bounds, shapes).scaled(factors, of_slope)
    }
}

/// A device before the factors on its steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Nominal {
    /// Of its spread, what goes with the step.
    cell: Cell,
    /// The spread that does not, in siemens.
    sigma: f32,
}

impl Nominal {
    /// # Panics
    /// Without a response to pulses.
    fn of(device: &Device, bounds: [f64; 2], shapes: [f64; 2]) -> Self {
        let spec = device.spec();
        let window = device.window();
        let proof = "a device with a response has its law";
        let (response, law) = (spec.response.as_ref().expect(proof), device.law().expect(proof));
        let lines = draw_lines(response, law, window, bounds, shapes);
        let side = |[scale, slope]: [f64; 2], branch: &Branch| Side {
            line: [scale as f32, slope as f32],
            sigma: (spec.cycle_to_cycle.of_nominal_step
                * branch.magnitude(window.reference)
                * window.range_siemens()) as f32,
        };
        Self {
            cell: Cell {
                bounds: bounds.map(|bound| bound as f32),
                sides: [side(lines[0], &law.up), side(lines[1], &law.down)],
            },
            sigma: (spec.cycle_to_cycle.of_window * window.range_siemens()) as f32,
        }
    }

    /// With factors on the sizes of SET and RESET steps, and on their slopes or not.
    #[inline]
    fn scaled(&self, factors: [f32; 2], of_slope: bool) -> Cell {
        let side = |way: usize| {
            let (Side { line: [scale, slope], sigma }, factor) = (self.cell.sides[way], factors[way]);
            Side {
                line: [factor * scale, if of_slope { factor * slope } else { slope }],
                sigma: factor * sigma + self.sigma,
            }
        };
        Cell { bounds: self.cell.bounds, sides: [side(0), side(1)] }
    }
}

/// What the devices of a population are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cells {
    /// They differ in the sizes of their steps alone: the nominal device, and every device's factors on SET and RESET. A
    /// pulse waits for memory more than for anything else, and this is a quarter of it.
    Alike { nominal: Nominal, factors: Vec<[f32; 2]> },
    /// Each for itself.
    Each(Vec<Cell>),
}

impl Cells {
    /// Draws `n` devices.
    pub(crate) fn draw(device: &Device, n: usize, rng: &mut Rng) -> Self {
        let spec = device.spec();
        let variation = &spec.device_to_device;
        let one_window = variation.g_min.sigma() == 0.0 && variation.g_max.sigma() == 0.0;
        // Faults and wear close windows.
        let closes = spec.faults.total() > 0.0 || spec.endurance.is_some();
        let (Some(response), true) = (&spec.response, one_window && variation.shape == 0.0 && !closes) else {
            return Self::Each((0..n).map(|_| Cell::draw(device, rng)).collect());
        };
        if !matches!(Curve::of(device), Curve::Affine(_)) {
            return Self::Each((0..n).map(|_| Cell::draw(device, rng)).collect());
        }
        let relative = relative_steps(response);
        let mut factors = || variation.step_factors(relative, rng).map(|factor| factor as f32);
        let window = device.window();
        Self::Alike {
            nominal: Nominal::of(device, [window.g_min.0, window.g_max.0], [0.0; 2]),
            factors: (0..n).map(|_| factors()).collect(),
        }
    }

    /// Device `index`.
    ///
    /// # Panics
    /// If there is no such device.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Cell {
        match self {
            Self::Alike { nominal, factors } => nominal.scaled(factors[index], true),
            Self::Each(cells) => cells[index],
        }
    }

    /// Ends the window of device `index` at `g` on both sides.
    ///
    /// # Panics
    /// If the devices cannot fail: see [`Cells::draw`].
    pub(crate) fn close(&mut self, index: usize, g: f32) {
        match self {
            Self::Alike { .. } => unreachable!("devices that can fail are described each for itself"),
            Self::Each(cells) => cells[index].bounds = [g, g],
        }
    }
}

/// The bounds of one device, in siemens.
fn draw_window(window: &Window, variation: &DeviceVariation, rng: &mut Rng) -> [f64; 2] {
    let reference = window.reference_siemens();
    let below = reference - window.g_min.0;
    let low = if below > 0.0 {
        reference - below * variation.g_min.factor_below(reference / below, rng)
    } else {
        window.g_min.0
    };
    let high = reference + (window.g_max.0 - reference) * variation.g_max.factor(rng);
    [low, high]
}

/// Nominal SET and RESET steps relative to the larger of them; 1 for models without a step parameter.
fn relative_steps(response: &Response) -> [f64; 2] {
    let [up, down] = response.steps().unwrap_or([1.0; 2]);
    let larger = up.max(down);
    if larger > 0.0 { [up / larger, down / larger] } else { [0.0; 2] }
}

/// Scale and slope of SET and of RESET of a device with bounds `low..high`, in siemens, before the factors on its steps.
///
/// Constant and linear steps are sizes in siemens whatever the device's own window, as in aihwkit; soft bounds, exponential
/// and table follow the device's own bounds.
fn draw_lines(
    response: &Response,
    law: &PulseLaw,
    window: &Window,
    [low, high]: [f64; 2],
    shapes: [f64; 2],
) -> [[f64; 2]; 2] {
    let range = window.range_siemens();
    let reference = window.reference_siemens();
    let on = |branch: &Branch, low: f64, range: f64| match branch {
        Branch::Affine { constant, slope } => [range * constant - slope * low, *slope],
        _ => [range, 0.0],
    };
    match response {
        Response::ConstantStep(_) => {
            [on(&law.up, window.g_min.0, range), on(&law.down, window.g_min.0, range)]
        }
        Response::LinearStep(p) => {
            let gamma = |gamma: f64, shape: f64| {
                if shape == 0.0 { gamma } else { (gamma + shape).abs() }
            };
            let own = LinearStep {
                gamma_up: gamma(p.gamma_up, shapes[0]),
                gamma_down: gamma(p.gamma_down, shapes[1]),
                ..*p
            };
            linear_branches(&own, window.reference).map(|branch| on(&branch, window.g_min.0, range))
        }
        Response::SoftBounds(p) => {
            let up = range * p.step_up / (high - reference);
            let down = range * p.step_down / (reference - low);
            [[up * high, -up], [-down * low, down]]
        }
        Response::Exponential(p) => {
            let label = |label: f64, shape: f64| (label + shape).clamp(-9.0, 9.0);
            let own = if shapes == [0.0; 2] {
                [law.up.clone(), law.down.clone()]
            } else {
                p.branches(label(p.nonlinearity_up, shapes[0]), label(p.nonlinearity_down, shapes[1]))
            };
            own.map(|branch| on(&branch, low, high - low))
        }
        Response::ExpStep(p) => {
            let rate = 2.0 * p.a / (high - low);
            [[range * p.step_up, p.gamma_up * rate], [range * p.step_down, -p.gamma_down * rate]]
        }
        Response::PowStep(p) => [
            [range * p.step_up, (p.gamma_up + shapes[0]).max(0.0)],
            [range * p.step_down, (p.gamma_down + shapes[1]).max(0.0)],
        ],
        Response::Tabulated(_) => [[high - low, 0.0]; 2],
    }
}

impl Noise {
    pub(crate) fn of(device: &Device) -> Self {
        let noise = &device.spec().cycle_to_cycle;
        let of_table = |law: &PulseLaw| {
            [&law.up, &law.down].into_iter().any(|branch| match branch {
                Branch::Table { knots } => knots.iter().any(|knot| knot[2] > 0.0),
                _ => false,
            })
        };
        let terms = noise.of_step + noise.of_nominal_step + noise.of_window + noise.of_state;
        Self {
            any: terms > 0.0 || device.law().is_some_and(of_table),
            of_step: noise.of_step as f32,
            of_state: noise.of_state as f32,
            reference: device.window().reference_siemens() as f32,
        }
    }
}

impl Curve {
    pub(crate) fn of(device: &Device) -> Self {
        let Some(law) = device.law() else {
            return Curve::None;
        };
        let knots = |knots: &[[f64; 3]]| knots.iter().map(|knot| knot.map(|x| x as f32)).collect();
        match (&device.spec().response, &law.up, &law.down) {
            (Some(Response::ExpStep(p)), ..) => Curve::Exp(Exp {
                amplitude: [p.amplitude_up as f32, p.amplitude_down as f32],
                offset: [(p.gamma_up * p.b) as f32, (-p.gamma_down * p.b) as f32],
                reference: device.window().reference_siemens() as f32,
            }),
            (_, Branch::Power { .. }, _) => Curve::Power(Power),
            (_, Branch::Table { knots: up }, Branch::Table { knots: down }) => {
                Curve::Table(Table { knots: [knots(up), knots(down)] })
            }
            _ => Curve::Affine(Affine),
        }
    }

    /// The mean step in siemens, as a magnitude.
    pub(crate) fn step(&self, cell: &Cell, way: Way, g: f32) -> f32 {
        match self {
            Curve::Affine(steps) => steps.step(cell, way, g).0,
            Curve::Exp(steps) => steps.step(cell, way, g).0,
            Curve::Power(steps) => steps.step(cell, way, g).0,
            Curve::Table(steps) => steps.step(cell, way, g).0,
            Curve::None => 0.0,
        }
    }

    /// Gives one device `count` pulses and returns its new state.
    ///
    /// # Panics
    /// Without a response to pulses.
    pub(crate) fn pulse(
        &self,
        noise: Noise,
        cell: &Cell,
        g: f32,
        count: i32,
        gaussians: &mut Gaussians,
        tally: &mut PulseTally,
    ) -> f32 {
        match self {
            Curve::Affine(steps) => pulse_cell(steps, noise, cell, g, count, gaussians, tally),
            Curve::Exp(steps) => pulse_cell(steps, noise, cell, g, count, gaussians, tally),
            Curve::Power(steps) => pulse_cell(steps, noise, cell, g, count, gaussians, tally),
            Curve::Table(steps) => pulse_cell(steps, noise, cell, g, count, gaussians, tally),
            Curve::None => panic!("a device without response is pulsed"),
        }
    }
}

/// A standard normal number.
pub(crate) fn normal(rng: &mut Rng) -> f32 {
    StandardNormal.sample(rng)
}

/// The larger of two numbers, one instruction where `f32::max`, which looks for NaN, takes five.
#[inline]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The smaller of two numbers, as [`larger`].
#[inline]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Gives one device `count` pulses in the direction of its sign and returns its new state.
#[inline]
pub(crate) fn pulse_cell<S: Steps>(
    steps: &S,
    noise: Noise,
    cell: &Cell,
    mut g: f32,
    count: i32,
    gaussians: &mut Gaussians,
    tally: &mut PulseTally,
) -> f32 {
    let way = Way::of(count);
    for _ in 0..count.unsigned_abs() {
        let met = f64::from(g);
        let up = way == Way::SET;
        tally.set += u64::from(up);
        tally.reset += u64::from(!up);
        tally.set_siemens += if up { met } else { 0.0 };
        tally.reset_siemens += if up { 0.0 } else { met };
        let (step, spread) = steps.step(cell, way, g);
        let mut change = way.sign * step;
        if noise.any {
            let sigma = noise.of_step * step
                + cell.sides[way.index].sigma
                + noise.of_state * (g - noise.reference).abs()
                + spread;
            change += sigma * gaussians.draw();
        }
        g = cell.clip(g + change);
    }
    g
}

/// Devices that the fast path takes at once.
pub(crate) const CHUNK: usize = 64;
/// Devices that one round of its vector loops takes.
const LANES: usize = 16;
/// Most pulses that it gives a device in a call.
pub(crate) const MOST_TIMES: usize = 16;

/// Gives every device where a row meets a column `times` pulses, in the order and with the numbers of [`pulse_cell`], and
/// returns the conductance that SET and RESET pulses met. `g` is rows of `width`; the sign of a column's count says which way.
///
/// A chunk of devices is gathered into lists, moved as vectors, and put back: for each device a handful of loads and stores
/// remain. The sums alone may differ from the plain ones, in their last bits: they are added in another order.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
#[allow(clippy::too_many_arguments, reason = "parts of one population, borrowed apart")]
pub(crate) fn pulse_rows(
    noise: Noise,
    width: usize,
    rows: &[u32],
    columns: &[Pulse],
    times: usize,
    cells: &Cells,
    g: &mut [f32],
    gaussians: &mut Gaussians,
) -> [f64; 2] {
    match cells {
        Cells::Alike { nominal, factors } => {
            let lanes = AlikeLanes { nominal: *nominal, factors, factor: Lots::default() };
            Chunks::new(noise, times, lanes).pulse_rows(width, rows, columns, g, gaussians)
        }
        Cells::Each(cells) => {
            let lanes = EachLanes::new(cells);
            Chunks::new(noise, times, lanes).pulse_rows(width, rows, columns, g, gaussians)
        }
    }
}

/// As [`pulse_rows`], for the listed devices, at most [`CHUNK`] and each listed once.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
#[allow(clippy::too_many_arguments, reason = "parts of one population, borrowed apart")]
pub(crate) fn pulse_list(
    noise: Noise,
    devices: &[u32],
    counts: &[i16],
    times: usize,
    cells: &Cells,
    g: &mut [f32],
    gaussians: &mut Gaussians,
) -> [f64; 2] {
    match cells {
        Cells::Alike { nominal, factors } => {
            let lanes = AlikeLanes { nominal: *nominal, factors, factor: Lots::default() };
            Chunks::new(noise, times, lanes).pulse_list(devices, counts, g, gaussians)
        }
        Cells::Each(cells) => {
            let lanes = EachLanes::new(cells);
            Chunks::new(noise, times, lanes).pulse_list(devices, counts, g, gaussians)
        }
    }
}

/// A number for every lane of a chunk, by rounds of the vector loops.
type Lots = [[f32; LANES]; CHUNK / LANES];

/// The devices of a chunk, each pulsed one way.
trait Lanes {
    /// Puts device `index`, pulsed the way of a number, on a lane.
    fn gather(&mut self, lane: usize, index: usize, way: usize);

    /// What the devices of a round are; `sign` is the way each is pulsed.
    fn describe(&self, round: usize, sign: &[f32; LANES]) -> Described;
}

/// What the devices of a round are, in the terms of [`Cell`].
struct Described {
    scale: [f32; LANES],
    slope: [f32; LANES],
    sigma: [f32; LANES],
    low: [f32; LANES],
    high: [f32; LANES],
}

struct AlikeLanes<'a> {
    nominal: Nominal,
    factors: &'a [[f32; 2]],
    factor: Lots,
}

impl Lanes for AlikeLanes<'_> {
    #[inline(always)]
    fn gather(&mut self, lane: usize, index: usize, way: usize) {
        self.factor.as_flattened_mut()[lane] = self.factors[index][way];
    }

    #[inline(always)]
    fn describe(&self, round: usize, sign: &[f32; LANES]) -> Described {
        let Nominal { cell: Cell { bounds, sides: [set, reset] }, sigma } = self.nominal;
        let factor = &self.factor[round];
        let times = |of_set: f32, of_reset: f32| {
            let mut product = *factor;
            for (product, sign) in product.iter_mut().zip(sign) {
                *product *= if *sign < 0.0 { of_reset } else { of_set };
            }
            product
        };
        let mut spread = times(set.sigma, reset.sigma);
        for spread in &mut spread {
            *spread += sigma;
        }
        Described {
            scale: times(set.line[0], reset.line[0]),
            slope: times(set.line[1], reset.line[1]),
            sigma: spread,
            low: [bounds[0]; LANES],
            high: [bounds[1]; LANES],
        }
    }
}

struct EachLanes<'a> {
    cells: &'a [Cell],
    // Pairs, because a core stores fewer floats in a cycle than it loads.
    line: [[[f32; 2]; LANES]; CHUNK / LANES],
    bounds: [[[f32; 2]; LANES]; CHUNK / LANES],
    sigma: Lots,
}

impl<'a> EachLanes<'a> {
    #[inline(always)]
    fn new(cells: &'a [Cell]) -> Self {
        let pairs = [[[0.0; 2]; LANES]; CHUNK / LANES];
        Self { cells, line: pairs, bounds: pairs, sigma: Lots::default() }
    }
}

impl Lanes for EachLanes<'_> {
    #[inline(always)]
    fn gather(&mut self, lane: usize, index: usize, way: usize) {
        let Cell { bounds, sides } = &self.cells[index];
        let side = &sides[way];
        self.line.as_flattened_mut()[lane] = side.line;
        self.sigma.as_flattened_mut()[lane] = side.sigma;
        self.bounds.as_flattened_mut()[lane] = *bounds;
    }

    #[inline(always)]
    fn describe(&self, round: usize, _sign: &[f32; LANES]) -> Described {
        let (line, bounds) = (&self.line[round], &self.bounds[round]);
        Described {
            scale: line.map(|line| line[0]),
            slope: line.map(|line| line[1]),
            sigma: self.sigma[round],
            low: bounds.map(|bounds| bounds[0]),
            high: bounds.map(|bounds| bounds[1]),
        }
    }
}

/// Pulses by the chunk.
struct Chunks<L> {
    noise: Noise,
    times: usize,
    lanes: L,
    sign: Lots,
    at: Lots,
    /// Normal numbers, pulse after pulse.
    xi: [Lots; MOST_TIMES],
    /// Conductance met by all pulses, and by SET less RESET: no branch on the sign, and no sum waits for the one before it.
    all: [f64; LANES],
    net: [f64; LANES],
}

impl<L: Lanes> Chunks<L> {
    #[inline(always)]
    fn new(noise: Noise, times: usize, lanes: L) -> Self {
        assert!(times <= MOST_TIMES, "the caller takes another path for more");
        Self {
            noise,
            times,
            lanes,
            sign: [[1.0; LANES]; CHUNK / LANES],
            at: Lots::default(),
            xi: [Lots::default(); MOST_TIMES],
            all: [0.0; LANES],
            net: [0.0; LANES],
        }
    }

    #[inline(always)]
    fn pulse_rows(
        mut self,
        width: usize,
        rows: &[u32],
        columns: &[Pulse],
        g: &mut [f32],
        gaussians: &mut Gaussians,
    ) -> [f64; 2] {
        for &row in rows {
            let start = row as usize * width;
            for columns in columns.chunks(CHUNK) {
                let device = |k: usize| start + columns[k].line as usize;
                self.pulse(columns.len(), device, |k| columns[k].count, g, gaussians);
            }
        }
        self.met()
    }

    #[inline(always)]
    fn pulse_list(
        mut self,
        devices: &[u32],
        counts: &[i16],
        g: &mut [f32],
        gaussians: &mut Gaussians,
    ) -> [f64; 2] {
        self.pulse(devices.len(), |k| devices[k] as usize, |k| counts[k], g, gaussians);
        self.met()
    }

    /// Pulses `n` devices.
    #[inline(always)]
    fn pulse(
        &mut self,
        n: usize,
        device: impl Fn(usize) -> usize,
        count: impl Fn(usize) -> i16,
        g: &mut [f32],
        gaussians: &mut Gaussians,
    ) {
        assert!(n <= CHUNK, "a chunk is at most {CHUNK} devices");
        let times = self.times;
        if self.noise.any && times == 1 {
            gaussians.fill(&mut self.xi[0].as_flattened_mut()[..n]);
        } else if self.noise.any {
            // They come device after device.
            for k in 0..n {
                for xi in &mut self.xi[..times] {
                    xi.as_flattened_mut()[k] = gaussians.draw();
                }
            }
        }
        for k in 0..n {
            let (index, falls) = (device(k), count(k) < 0);
            self.lanes.gather(k, index, usize::from(falls));
            self.sign.as_flattened_mut()[k] = if falls { -1.0 } else { 1.0 };
            self.at.as_flattened_mut()[k] = g[index];
        }
        for round in 0..n.div_ceil(LANES) {
            self.pulse_round(round, n - round * LANES);
        }
        for k in 0..n {
            g[device(k)] = self.at.as_flattened()[k];
        }
    }

    /// Pulses one round of devices, the first `n` of its lanes.
    #[inline(always)]
    fn pulse_round(&mut self, round: usize, n: usize) {
        let Noise { of_step, of_state, reference, .. } = self.noise;
        let sign = self.sign[round];
        let Described { scale, slope, sigma, low, high } = self.lanes.describe(round, &sign);
        let mut at = self.at[round];
        // Copies: so the compiler sees that no store changes what a loop reads.
        let (mut all, mut net) = (self.all, self.net);
        for xi in &self.xi[..self.times] {
            let xi = xi[round];
            // The lanes that fill up a round count for nothing.
            if n < LANES {
                at[n..].fill(0.0);
            }
            for i in 0..LANES {
                all[i] += f64::from(at[i]);
                net[i] += f64::from(sign[i] * at[i]);
            }
            for i in 0..LANES {
                let met = at[i];
                let step = larger(scale[i] + slope[i] * met, 0.0);
                let sigma = of_step * step + sigma[i] + of_state * (met - reference).abs();
                let to = met + (sign[i] * step + sigma * xi[i]);
                at[i] = smaller(larger(to, low[i]), high[i]);
            }
        }
        (self.all, self.net, self.at[round]) = (all, net, at);
    }

    /// The conductance that SET and RESET pulses met. Bit for bit equal or opposite where all pulses have one sign, so that
    /// the other sum is exactly 0.
    #[inline(always)]
    fn met(&self) -> [f64; 2] {
        let [all, net] = [&self.all, &self.net].map(|strands| strands.iter().sum::<f64>());
        [0.5 * (all + net), 0.5 * (all - net)]
    }
}
