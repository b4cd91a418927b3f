//! Pulses and reads of devices with soft bounds, 784 word lines by 256 bit lines of them.
//!
//! | figure | operations | bytes |
//! |---|---|---|
//! | a pulse | not counted: a normal number and a step, some dozens | its conductance there and back, two factors of the device |
//! | a cell read exactly | 1 sum | 4, its conductance |
//! | a cell read with noise | 1 sum, 1 product and 1 sum for the variance | 4 |
//!
//! Devices that lie beside each other come in one cache line, so a pulse on every other of them moves the whole line.

use std::hint::black_box;

use anyhow::Context;
use bitpulse_core::{Pulse, SeedPath, Shape, Signal, Signals, SynapticMatrix, Update};
use bitpulse_crossbar::CrossbarMatrix;
use bitpulse_device::{Device, Population};

use super::kernel::{ACTIVE, LINES, errors, lines};
use super::roofs::{Arithmetic, Stream, Work};
use super::{Figure, measure, train};
use crate::failure::Outcome;

const SHAPE: Shape = Shape { inputs: LINES, outputs: 256 };
const FLOAT: usize = size_of::<f32>();

/// # Errors
/// When the benchmark device or its sweep cannot be read.
pub fn figures() -> Outcome<Vec<Figure>> {
    let run = train::on_devices("bs-pulses", &[])?;
    let device = run.hardware.as_ref().context("the benchmark device is not software")?.device();
    let mut figures = vec![pulses(device)];
    for (name, noise) in [("exact", 0.0), ("noise", 0.01)] {
        let mut spec = device.spec().clone();
        spec.read_noise.relative = noise;
        let device = Device::try_from(spec).context("the benchmark device with read noise")?;
        figures.push(reads(name, &device));
    }
    // Updates of a matrix of two digits on pairs, with a carry after each of them and with none.
    for (name, period) in [("carry-each", "1"), ("carry-never", "1000000000")] {
        figures.push(updates(name, &format!("carry-period={period}"))?);
    }
    Ok(figures)
}

fn path(name: &str) -> SeedPath {
    SeedPath::root(1).child("device").child(name)
}

fn pulses(device: &Device) -> Figure {
    let mut population = Population::new(device, SHAPE, path("devices"));
    let (rows, columns) = (lines(ACTIVE), errors(SHAPE.outputs));
    let given = (ACTIVE * columns.iter().map(Vec::len).sum::<usize>()) as f64 / columns.len() as f64;
    let mut samples = rows.iter().zip(&columns).cycle();
    let mut step = 0;
    let seconds = measure::seconds(|| {
        let (rows, columns) = samples.next().expect("a cycle has no end");
        step += 1;
        black_box(population.pulse_coincident(black_box(rows), columns, path("pulses").index(step)));
    });
    let work = Work {
        bytes: ((2 + 2) * FLOAT * ACTIVE * SHAPE.outputs) as f64,
        stream: Stream::Update,
        operations: 0.0,
        arithmetic: Arithmetic::Separate,
        working_set: (1 + 2) * FLOAT * SHAPE.weights(),
    };
    let figure = Figure::rate("device/pulses/soft-bounds".into(), seconds, given, "pulses/s");
    figure.of(work, seconds.median)
}

fn reads(name: &str, device: &Device) -> Figure {
    let population = Population::new(device, SHAPE, path("devices"));
    let (mut sums, mut squares) = (vec![0.0; SHAPE.outputs], vec![0.0; SHAPE.outputs]);
    let rows = lines(ACTIVE);
    let mut samples = rows.iter().cycle();
    let mut step = 0;
    let seconds = measure::seconds(|| {
        let rows = samples.next().expect("a cycle has no end");
        step += 1;
        population.sum_columns(
            Signal::Bits(black_box(rows)),
            path("read").index(step),
            &mut sums,
            &mut squares,
        );
        black_box(&sums);
    });
    let cells = (ACTIVE * SHAPE.outputs) as f64;
    let work = Work {
        bytes: FLOAT as f64 * cells,
        stream: Stream::Read,
        operations: if name == "exact" { cells } else { 3.0 * cells },
        arithmetic: Arithmetic::Separate,
        working_set: FLOAT * SHAPE.weights(),
    };
    let figure = Figure::rate(format!("device/reads/{name}"), seconds, cells, "cells/s");
    figure.of(work, seconds.median)
}

fn updates(name: &str, setting: &str) -> Outcome<Figure> {
    let run = train::on_devices("bs-pulses", &[setting])?;
    let hardware = run.hardware.as_ref().context("the benchmark device is not software")?;
    let mut matrix = CrossbarMatrix::new(&hardware.layer(SHAPE), SHAPE, path("matrix"))
        .context("the benchmark's crossbar")?;
    let inputs: Vec<Signals<f32>> = super::kernel::bits(ACTIVE);
    let batch = |pulses: &Vec<Pulse>| {
        let mut batch = Signals::pulses(SHAPE.outputs, 1);
        batch.push_pulses(pulses.iter().copied());
        batch
    };
    let errors: Vec<Signals<f32>> = errors(SHAPE.outputs).iter().map(batch).collect();
    let mut samples = inputs.iter().zip(&errors).cycle();
    let step = run.schedule.hidden;
    let mut count = 0;
    let seconds = measure::seconds(|| {
        let (inputs, errors) = samples.next().expect("a cycle has no end");
        count += 1;
        matrix.update(inputs, errors, Update::Pulses { step, per_unit: 1 }, path("update").index(count));
    });
    Ok(Figure::rate(format!("device/updates/{name}"), seconds, 1.0, "updates/s"))
}
