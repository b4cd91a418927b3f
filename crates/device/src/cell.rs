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
    pub(crate) fn draw(device: &Device, rng: &mut Rng) -> Self {
        let spec = device.spec();
        let window = device.window();
        let variation = &spec.device_to_device;
        let [low, high] = draw_window(window, variation, rng);
        let (Some(response), Some(law)) = (&spec.response, device.law()) else {
            let still = Side { line: [0.0; 2], sigma: 0.0 };
            return Self { bounds: [low as f32, high as f32], sides: [still; 2] };
        };
        let factors = variation.step_factors(relative_steps(response), rng);
        let shape = |rng: &mut Rng| match variation.shape {
            0.0 => 0.0,
            sigma => sigma * f64::from(normal(rng)),
        };
        let shapes = [shape(rng), shape(rng)];
        let lines = draw_lines(response, law, window, [low, high], shapes);
        let side = |i: usize, branch: &Branch| {
            let nominal = branch.magnitude(window.reference) * window.range_siemens();
            let slope = match response {
                // Exponent and rate are no part of the step's size.
                Response::ExpStep(_) | Response::PowStep(_) => lines[i][1],
                _ => factors[i] * lines[i][1],
            };
            Side {
                line: [(factors[i] * lines[i][0]) as f32, slope as f32],
                sigma: (spec.cycle_to_cycle.of_nominal_step * factors[i] * nominal
                    + spec.cycle_to_cycle.of_window * window.range_siemens()) as f32,
            }
        };
        Self { bounds: [low as f32, high as f32], sides: [side(0, &law.up), side(1, &law.down)] }
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

/// Columns that the fast path takes at once.
const CHUNK: usize = 64;
/// Devices that one round of its vector loops takes.
const LANES: usize = 16;

/// Gives every device where a row meets a column one pulse, in the order and with the numbers of [`pulse_cell`], and returns
/// the conductance that SET and RESET pulses met. `cells` and `g` are rows of `width`; all counts are 1 or -1.
///
/// A chunk of devices is gathered into lists, moved as vectors, and put back: for each pulse a handful of loads and stores
/// remain. The sums alone may differ from the plain ones, in their last bits: they are added in another order.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn pulse_rows_once(
    noise: Noise,
    width: usize,
    rows: &[u32],
    columns: &[Pulse],
    cells: &[Cell],
    g: &mut [f32],
    gaussians: &mut Gaussians,
) -> [f64; 2] {
    // Pairs, because a core stores fewer floats in a cycle than it loads.
    let [mut line_of, mut bounds] = [[[0.0_f32; 2]; CHUNK]; 2];
    let [mut sigma, mut at, mut xi] = [[0.0_f32; CHUNK]; 3];
    let mut sign = [1_i32; CHUNK];
    // Sums over all pulses, and over SET less RESET: no branch on the sign, and no sum waits for the one before it.
    let [mut all, mut net] = [[0.0_f64; LANES]; 2];
    for &row in rows {
        let start = row as usize * width;
        let (cells, g) = (&cells[start..start + width], &mut g[start..start + width]);
        for columns in columns.chunks(CHUNK) {
            let n = columns.len();
            if noise.any {
                gaussians.fill(&mut xi[..n]);
            }
            for (k, column) in columns.iter().enumerate() {
                let cell = &cells[column.line as usize];
                let side = &cell.sides[usize::from(column.count < 0)];
                line_of[k] = side.line;
                sigma[k] = side.sigma;
                bounds[k] = cell.bounds;
                sign[k] = i32::from(column.count);
                at[k] = g[column.line as usize];
            }
            // The lanes that fill up a round count for nothing.
            let full = n.next_multiple_of(LANES);
            at[n..full].fill(0.0);
            for first in (0..full).step_by(LANES) {
                for i in 0..LANES {
                    let k = first + i;
                    let (met, sign) = (at[k], sign[k] as f32);
                    all[i] += f64::from(met);
                    net[i] += f64::from(sign * met);
                    let step = larger(line_of[k][0] + line_of[k][1] * met, 0.0);
                    let sigma =
                        noise.of_step * step + sigma[k] + noise.of_state * (met - noise.reference).abs();
                    let to = met + (sign * step + sigma * xi[k]);
                    at[k] = smaller(larger(to, bounds[k][0]), bounds[k][1]);
                }
            }
            for (column, at) in columns.iter().zip(&at) {
                g[column.line as usize] = *at;
            }
        }
    }
    // Bit for bit equal or opposite where all pulses have one sign, so that the other sum is exactly 0.
    let (all, net) = (all.iter().sum::<f64>(), net.iter().sum::<f64>());
    [0.5 * (all + net), 0.5 * (all - net)]
}
