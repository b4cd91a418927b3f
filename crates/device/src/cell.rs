//! One device of a population: its parameters in `f32` siemens, and a pulse.

use bitpulse_core::Rng;
use rand_distr::{Distribution, StandardNormal};

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

/// What one device is: eight floats, so that a pulse touches one half of a cache line beside the conductance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cell {
    /// Lower bound in siemens.
    pub(crate) low: f32,
    /// Upper bound in siemens.
    pub(crate) high: f32,
    up: Side,
    down: Side,
}

/// One polarity of one device; what `scale` and `slope` mean is the curve's affair.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Side {
    scale: f32,
    slope: f32,
    /// The part of the C2C standard deviation that does not depend on the state, in siemens.
    sigma: f32,
}

/// The part of the C2C standard deviation that depends on the state, the same for all devices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Noise {
    of_step: f32,
    of_state: f32,
    /// The window's reference in siemens.
    pub(crate) reference: f32,
}

/// Mean step of a device of `cell` at `g`, as a magnitude, and the spread that belongs to it, both in siemens.
pub(crate) trait Steps {
    fn step<const UP: bool>(&self, cell: &Cell, g: f32) -> (f32, f32);
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
    fn step<const UP: bool>(&self, cell: &Cell, g: f32) -> (f32, f32) {
        let side = cell.side::<UP>();
        ((side.scale + side.slope * g).max(0.0), 0.0)
    }
}

impl Steps for Exp {
    #[inline]
    fn step<const UP: bool>(&self, cell: &Cell, g: f32) -> (f32, f32) {
        let side = cell.side::<UP>();
        let i = usize::from(!UP);
        let exponential = (self.offset[i] + side.slope * (g - self.reference)).exp();
        (side.scale * (1.0 - self.amplitude[i] * exponential).max(0.0), 0.0)
    }
}

impl Steps for Power {
    #[inline]
    fn step<const UP: bool>(&self, cell: &Cell, g: f32) -> (f32, f32) {
        let side = cell.side::<UP>();
        let u = cell.fraction(g);
        let distance = if UP { 1.0 - u } else { u };
        (side.scale * distance.powf(side.slope), 0.0)
    }
}

impl Steps for Table {
    #[inline]
    fn step<const UP: bool>(&self, cell: &Cell, g: f32) -> (f32, f32) {
        let side = cell.side::<UP>();
        let u = cell.fraction(g);
        let knots = &self.knots[usize::from(!UP)];
        let after = knots.partition_point(|knot| knot[0] <= u).clamp(1, knots.len() - 1);
        let [a, b] = [knots[after - 1], knots[after]];
        let t = (u - a[0]) / (b[0] - a[0]);
        (side.scale * (a[1] + t * (b[1] - a[1])), side.scale * (a[2] + t * (b[2] - a[2])))
    }
}

impl Cell {
    #[inline]
    fn side<const UP: bool>(&self) -> &Side {
        if UP { &self.up } else { &self.down }
    }

    /// `g` brought into the device's window.
    #[inline]
    pub(crate) fn clip(&self, g: f32) -> f32 {
        g.max(self.low).min(self.high)
    }

    /// Where `g` stands in the device's window; 0 for a stuck device, which has none.
    #[inline]
    fn fraction(&self, g: f32) -> f32 {
        let range = self.high - self.low;
        if range > 0.0 { ((g - self.low) / range).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Draws a device: first its window, then its steps, then its shape.
    pub(crate) fn draw(device: &Device, rng: &mut Rng) -> Self {
        let spec = device.spec();
        let window = device.window();
        let variation = &spec.device_to_device;
        let [low, high] = draw_window(window, variation, rng);
        let (Some(response), Some(law)) = (&spec.response, device.law()) else {
            let still = Side { scale: 0.0, slope: 0.0, sigma: 0.0 };
            return Self { low: low as f32, high: high as f32, up: still, down: still };
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
            Side {
                scale: (factors[i] * lines[i][0]) as f32,
                slope: match response {
                    // Exponent and rate are no part of the step's size.
                    Response::ExpStep(_) | Response::PowStep(_) => lines[i][1] as f32,
                    _ => (factors[i] * lines[i][1]) as f32,
                },
                sigma: (spec.cycle_to_cycle.of_nominal_step * factors[i] * nominal
                    + spec.cycle_to_cycle.of_window * window.range_siemens()) as f32,
            }
        };
        Self { low: low as f32, high: high as f32, up: side(0, &law.up), down: side(1, &law.down) }
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
        Self {
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
    pub(crate) fn step<const UP: bool>(&self, cell: &Cell, g: f32) -> f32 {
        match self {
            Curve::Affine(steps) => steps.step::<UP>(cell, g).0,
            Curve::Exp(steps) => steps.step::<UP>(cell, g).0,
            Curve::Power(steps) => steps.step::<UP>(cell, g).0,
            Curve::Table(steps) => steps.step::<UP>(cell, g).0,
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
        rng: &mut Rng,
        tally: &mut PulseTally,
    ) -> f32 {
        match self {
            Curve::Affine(steps) => pulse_cell(steps, noise, cell, g, count, rng, tally),
            Curve::Exp(steps) => pulse_cell(steps, noise, cell, g, count, rng, tally),
            Curve::Power(steps) => pulse_cell(steps, noise, cell, g, count, rng, tally),
            Curve::Table(steps) => pulse_cell(steps, noise, cell, g, count, rng, tally),
            Curve::None => panic!("a device without response is pulsed"),
        }
    }
}

/// A standard normal number.
#[inline]
pub(crate) fn normal(rng: &mut Rng) -> f32 {
    StandardNormal.sample(rng)
}

/// Gives one device `count` pulses in the direction of its sign and returns its new state.
#[inline]
pub(crate) fn pulse_cell<S: Steps>(
    steps: &S,
    noise: Noise,
    cell: &Cell,
    mut g: f32,
    count: i32,
    rng: &mut Rng,
    tally: &mut PulseTally,
) -> f32 {
    if count >= 0 {
        tally.set += u64::from(count.unsigned_abs());
        for _ in 0..count {
            tally.set_siemens += f64::from(g);
            g = one_pulse::<S, true>(steps, noise, cell, g, rng);
        }
    } else {
        tally.reset += u64::from(count.unsigned_abs());
        for _ in count..0 {
            tally.reset_siemens += f64::from(g);
            g = one_pulse::<S, false>(steps, noise, cell, g, rng);
        }
    }
    g
}

#[inline]
fn one_pulse<S: Steps, const UP: bool>(steps: &S, noise: Noise, cell: &Cell, g: f32, rng: &mut Rng) -> f32 {
    let (step, spread) = steps.step::<UP>(cell, g);
    let sigma = noise.of_step * step
        + cell.side::<UP>().sigma
        + noise.of_state * (g - noise.reference).abs()
        + spread;
    let mut change = if UP { step } else { -step };
    if sigma > 0.0 {
        change += sigma * normal(rng);
    }
    cell.clip(g + change)
}
