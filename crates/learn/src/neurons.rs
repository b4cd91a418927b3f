//! Forward signals: how pixels and neurons send, and the buffers and read-outs that this takes.

use bitpulse_core::{Pulse, Readout, Real, Rng, SeedPath, Shape, Signals, rows};
use rand::RngExt;

use crate::draw::{self, pulse_count};
use crate::kernels::{fast, maps};
use crate::rule::{Forward, Initial, InputCoding, Polarity, thermometer};
use crate::{Activation, Pixels, Rule};

pub(crate) fn initial_weights<R: Real>(shape: Shape, rule: &Rule, at: SeedPath) -> Vec<R> {
    let Shape { inputs, outputs } = shape;
    let neurons = inputs - 1;
    let (bound, drawn) = match (rule.initial, rule.activation) {
        (Initial::Balanced, Activation::Relu) => ((6.0 / neurons as f64).sqrt(), neurons),
        (Initial::Balanced, _) => ((6.0 / (neurons + outputs) as f64).sqrt(), neurons),
        (Initial::FanIn, _) => (1.0 / (neurons as f64).sqrt(), inputs),
        (Initial::Unit, _) => (1.0, neurons),
    };
    let mut rng = at.rng();
    let mut weights: Vec<R> = (0..drawn * outputs).map(|_| R::of(rng.random_range(-bound..bound))).collect();
    weights.resize(inputs * outputs, R::zero());
    weights
}

/// Signals of pixels; pulses stand on listed lines for the patches of a convolution.
pub(crate) fn input_buffer<R: Real>(coding: InputCoding, lines: usize, listed: bool) -> Signals<R> {
    match coding {
        InputCoding::Analog => Signals::analog(lines),
        InputCoding::Bits { pulses } if listed => Signals::counts(lines, pulses),
        InputCoding::Threshold { .. } | InputCoding::Thermometer { .. } if listed => {
            Signals::counts(lines, 1)
        }
        InputCoding::Bits { pulses: 1 } | InputCoding::Threshold { .. } | InputCoding::Thermometer { .. } => {
            Signals::bits(lines)
        }
        InputCoding::Bits { pulses } => Signals::pulses(lines, pulses),
    }
}

/// Signals of hidden neurons; pulses stand on listed lines for the patches of a convolution, and where both signs occur.
pub(crate) fn hidden_buffer<R: Real>(rule: &Rule, lines: usize, listed: bool) -> Signals<R> {
    let listed = listed || rule.polarity == Polarity::Bipolar;
    match rule.forward {
        Forward::Hp => Signals::analog(lines),
        Forward::Bs { pulses } if listed => Signals::counts(lines, pulses),
        Forward::Threshold if listed => Signals::counts(lines, 1),
        Forward::Bs { pulses: 1 } | Forward::Threshold => Signals::bits(lines),
        Forward::Bs { pulses } => Signals::pulses(lines, pulses),
    }
}

pub(crate) fn hidden_readout(rule: &Rule) -> Readout {
    match rule.forward {
        Forward::Hp => Readout::Converter,
        Forward::Threshold => Readout::Comparator { decisions: 1 },
        Forward::Bs { pulses } => Readout::Comparator { decisions: pulses },
    }
}

/// Writes what pixels send on average to lines that are all listed, bias line included; all are zero before. `place` says
/// before how many other pixels the lines of a pixel stand.
pub(crate) fn list_expected<R: Real>(
    coding: InputCoding,
    pixels: Pixels<'_>,
    place: impl Fn(usize) -> usize,
    out: &mut [R],
) {
    let lines = coding.lines_per_pixel();
    for (&pixel, &level) in pixels.lines.iter().zip(pixels.levels) {
        let own = &mut out[place(usize::from(pixel)) * lines..][..lines];
        for (line, out) in own.iter_mut().enumerate() {
            *out = R::of(coding.mean(level, line));
        }
    }
    out[out.len() - 1] = R::one();
}

/// Writes one coded pattern as [`list_expected`] writes its mean.
pub(crate) fn list_input<R: Real>(
    coding: InputCoding,
    pixels: Pixels<'_>,
    place: impl Fn(usize) -> usize,
    rng: &mut Rng,
    out: &mut [R],
) {
    let InputCoding::Bits { pulses } = coding else {
        list_expected(coding, pixels, place, out);
        return;
    };
    let Pixels { lines, levels } = pixels;
    let mut draws = vec![0; lines.len()];
    rows::fill_draws(rng, &mut draws);
    let unit = 1.0 / f64::from(pulses);
    for ((&pixel, &level), draw) in lines.iter().zip(levels).zip(draws) {
        let count = pulse_count(draw::PIXEL_VALUE[usize::from(level)], pulses, draw);
        out[place(usize::from(pixel))] = R::of(f64::from(count) * unit);
    }
    out[out.len() - 1] = R::one();
}

/// Writes the signals of one sample's hidden neurons to lines that are all listed, bias line included.
pub(crate) fn list_fired<R: Real>(rule: &Rule, z: &[R], rng: &mut Rng, out: &mut [R]) {
    let Forward::Bs { pulses } = rule.forward else {
        activate(rule, z, out);
        return;
    };
    let mut draws = vec![0; z.len()];
    rows::fill_draws(rng, &mut draws);
    maps::fire(rule.activation, rule.polarity, R::of(rule.gain), pulses, z, &draws, out);
    out[z.len()] = R::one();
}

/// Appends one coded pattern, bias line included.
pub(crate) fn code_input<R: Real>(
    coding: InputCoding,
    pixels: Pixels<'_>,
    rng: &mut Rng,
    draws: &mut Vec<u16>,
    out: &mut Signals<R>,
) {
    let bias = out.lines() as u32 - 1;
    let Pixels { lines, levels } = pixels;
    let coded = || lines.iter().zip(levels);
    match coding {
        InputCoding::Analog => {
            let out = out.push_analog();
            for (&line, &level) in coded() {
                out[usize::from(line)] = R::of(draw::PIXEL_VALUE[usize::from(level)]);
            }
            out[bias as usize] = R::one();
        }
        InputCoding::Threshold { level: least } => {
            let fires = coded().filter(|(_, level)| **level >= least).map(|(&line, _)| u32::from(line));
            out.push_bits(fires.chain([bias]));
        }
        InputCoding::Thermometer { lines } => {
            let fires = coded().flat_map(|(&pixel, &level)| {
                let first = u32::from(pixel) * u32::from(lines);
                first..first + u32::from(thermometer(level, lines))
            });
            out.push_bits(fires.chain([bias]));
        }
        InputCoding::Bits { pulses } => {
            draws.resize(lines.len(), 0);
            rows::fill_draws(rng, draws);
            if pulses == 1 {
                out.push_bits_with(|out| {
                    fast::pixel_bits(lines, levels, draws, out);
                    out.push(bias);
                });
            } else {
                let counted = coded().zip(draws.iter()).map(|((&line, &level), &draw)| Pulse {
                    line: u32::from(line),
                    count: pulse_count(draw::PIXEL_VALUE[usize::from(level)], pulses, draw),
                });
                out.push_pulses(counted.chain([Pulse { line: bias, count: pulses.cast_signed() }]));
            }
        }
    }
}

/// Appends the signals of one sample's hidden neurons, bias line included.
pub(crate) fn fire<R: Real>(
    rule: &Rule,
    z: &[R],
    rng: &mut Rng,
    draws: &mut Vec<u16>,
    counts: &mut Vec<Pulse>,
    out: &mut Signals<R>,
) {
    let gain = R::of(rule.gain);
    let bias = z.len() as u32;
    let pulses = match rule.forward {
        Forward::Hp => {
            activate(rule, z, out.push_analog());
            return;
        }
        Forward::Threshold => {
            let fires = (0..).zip(z).filter(|(_, z)| **z >= R::zero()).map(|(line, _)| line);
            out.push_bits(fires.chain([bias]));
            return;
        }
        Forward::Bs { pulses } => pulses,
    };
    draws.resize(z.len(), 0);
    rows::fill_draws(rng, draws);
    if pulses == 1 && rule.activation == Activation::HardSigmoid {
        out.push_bits_with(|out| {
            fast::hard_sigmoid_bits(z, gain, draws, out);
            out.push(bias);
        });
        return;
    }
    counts.clear();
    for (line, (&z, &draw)) in (0..).zip(z.iter().zip(draws.iter())) {
        counts.push(Pulse { line, count: pulse_count(rule.activation.value(gain * z), pulses, draw) });
    }
    counts.push(Pulse { line: bias, count: pulses.cast_signed() });
    if pulses == 1 {
        out.push_bits(counts.drain(..).filter(|pulse| pulse.count > 0).map(|pulse| pulse.line));
    } else {
        out.push_pulses(counts.drain(..));
    }
}

/// Writes what one sample's neurons send on average, and the bias line after them.
pub(crate) fn activate<R: Real>(rule: &Rule, z: &[R], out: &mut [R]) {
    if rule.forward == Forward::Threshold {
        for (out, &z) in out.iter_mut().zip(z) {
            *out = rule.polarity.sent(R::of(f64::from(u8::from(z >= R::zero()))));
        }
    } else {
        maps::activate(rule.activation, rule.polarity, R::of(rule.gain), z, out);
    }
    out[z.len()] = R::one();
}
