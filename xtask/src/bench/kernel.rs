//! The walks over a matrix that training is made of, alone and from 64 to 8192 hidden neurons.
//!
//! The two numbers of each kernel, for `n` driven lines of `H` weights of four bytes (padding left out):
//!
//! | kernel | operations | bytes |
//! |---|---|---|
//! | `forward`, BS | `n H` sums | `4 n H` read |
//! | `update`, BS coincidence | a sum for every weight moved | 64 there and 64 back for every cache line with a weight that moves |
//! | `hp-forward` | `2 n H` | `4 n H` read |
//! | `hp-backward`, all lines `N` | `2 N H` | `4 N H` read |
//! | `hp-update` | `2 n H` | `8 n H`, there and back |
//!
//! They come to 1/16 to 1/2 of an operation a byte, so that bytes bind everywhere. Lines are drawn anew for every call: the
//! working set is the whole matrix, 784 rows of it.
//!
//! `stream` and `stream-update` are a plain walk over as many bytes as the matrix has, from the first to the last and again.
//! Where they fall below the roof of a cache that should hold the matrix, that cache is not this core's alone. They are no
//! roofs: of rows in random order a cache keeps more than of a walk in circles.

use std::hint::black_box;

use bitpulse_core::{Pulse, Readout, SeedPath, Shape, Signals, SynapticMatrix, Update, rows};
use bitpulse_learn::SoftwareMatrix;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::roofs::{self, Arithmetic, Stream, Work};
use super::{Figure, measure};

/// Lines of a sample of MNIST, and how many of them carry a bit on average.
pub const LINES: usize = 784;
pub const ACTIVE: usize = 102;

/// Lines whose pixel is not black, on average: what HP drives.
const LIT: usize = 150;

/// Hidden sizes that the two kernels of BS are measured at.
pub fn sizes() -> impl Iterator<Item = usize> {
    (6..=13).map(|power| 1 << power)
}

/// Samples that calls take turns with.
const SAMPLES: usize = 64;

const FLOAT: usize = size_of::<f32>();

/// Bytes and floats of a cache line.
const CACHE_LINE: usize = 64;
const LINE_FLOATS: u32 = (CACHE_LINE / FLOAT) as u32;

pub fn figures() -> Vec<Figure> {
    let mut figures = Vec::new();
    for hidden in sizes() {
        figures.push(forward(format!("kernel/forward/{hidden}"), hidden, ACTIVE));
    }
    for active in [ACTIVE / 2, 2 * ACTIVE, 4 * ACTIVE] {
        figures.push(forward(format!("kernel/forward/1024/active{active}"), 1024, active));
    }
    for hidden in sizes() {
        figures.push(update(format!("kernel/update/{hidden}"), hidden, ACTIVE));
    }
    for active in [ACTIVE / 2, 2 * ACTIVE, 4 * ACTIVE] {
        figures.push(update(format!("kernel/update/1024/active{active}"), 1024, active));
    }
    figures.extend(high_precision(256));
    for hidden in sizes() {
        let [read, update] = roofs::stream_rates(matrix_bytes(hidden));
        figures.push(Figure::plain(format!("kernel/stream/{hidden}"), read, "B/s"));
        figures.push(Figure::plain(format!("kernel/stream-update/{hidden}"), update, "B/s"));
    }
    figures
}

/// Bytes of the matrix before `hidden` neurons.
fn matrix_bytes(hidden: usize) -> usize {
    LINES * rows::stride(hidden) * FLOAT
}

fn path(name: &str) -> SeedPath {
    SeedPath::root(1).child("kernel").child(name)
}

/// For each sample, `count` lines of all, ascending.
pub fn lines(count: usize) -> Vec<Vec<u32>> {
    let lines = |sample| {
        let mut rng = path("lines").index(sample as u64).rng();
        let mut lines: Vec<u32> = (0..LINES as u32).collect();
        lines.shuffle(&mut rng);
        lines.truncate(count);
        lines.sort_unstable();
        lines
    };
    (0..SAMPLES).map(lines).collect()
}

/// Errors of a hidden layer: one pulse of either sign on half of the lines, as where the derivative of a hard sigmoid gates
/// signs.
pub fn errors(hidden: usize) -> Vec<Vec<Pulse>> {
    let errors = |sample| {
        let mut rng = path("errors").index(sample as u64).rng();
        let lines = (0..hidden as u32).filter_map(|line| {
            let [gate, sign] = rng.random::<[bool; 2]>();
            gate.then_some(Pulse { line, count: if sign { 1 } else { -1 } })
        });
        lines.collect()
    };
    (0..SAMPLES).map(errors).collect()
}

fn matrix(shape: Shape) -> SoftwareMatrix {
    let mut matrix = SoftwareMatrix::zeros(shape);
    let mut rng = path("weights").rng();
    let weights: Vec<f32> = (0..shape.weights()).map(|_| rng.random_range(-0.1..0.1)).collect();
    matrix.program(&weights, path("program"));
    matrix
}

/// A batch of one for each sample.
pub fn bits(active: usize) -> Vec<Signals<f32>> {
    let batch = |lines| {
        let mut batch = Signals::bits(LINES);
        batch.push_bits(lines);
        batch
    };
    lines(active).into_iter().map(batch).collect()
}

/// The kernel itself, on rows padded as matrices pad them.
fn forward(name: String, hidden: usize, active: usize) -> Figure {
    let mut rng = path("weights").rng();
    let stride = rows::stride(hidden);
    let mut weights = rows::Aligned::<f32>::zeros(LINES * stride);
    weights.fill_with(|| rng.random_range(-0.1..0.1));
    let lines = lines(active);
    let mut out = vec![0.0; hidden];
    let mut samples = lines.iter().cycle();
    let seconds = measure::seconds(|| {
        let lines = samples.next().expect("a cycle has no end");
        rows::sum_rows(&weights, stride, black_box(lines), &mut out);
        black_box(&out);
    });
    let weights_read = (active * hidden) as f64;
    let work = Work {
        bytes: FLOAT as f64 * weights_read,
        stream: Stream::Read,
        operations: weights_read,
        arithmetic: Arithmetic::Separate,
        working_set: matrix_bytes(hidden),
    };
    Figure::rate(name, seconds, 1.0, "samples/s").of(work, seconds.median)
}

/// Through the seam, with what it counts.
fn update(name: String, hidden: usize, active: usize) -> Figure {
    let mut matrix = matrix(Shape { inputs: LINES, outputs: hidden });
    let inputs = bits(active);
    let pulses = errors(hidden);
    let batch = |pulses: &Vec<Pulse>| {
        let mut batch = Signals::pulses(hidden, 1);
        batch.push_pulses(pulses.iter().copied());
        batch
    };
    let errors: Vec<Signals<f32>> = pulses.iter().map(batch).collect();
    let mut samples = inputs.iter().zip(&errors).cycle();
    let at = path("update");
    let seconds = measure::seconds(|| {
        let (inputs, errors) = samples.next().expect("a cycle has no end");
        // A step that the weights hold exactly, so that thousands of them there and back leave ordinary numbers.
        matrix.update(black_box(inputs), errors, Update::Pulses { step: 1.0 / 1024.0, per_unit: 1 }, at);
    });
    let mean = |total: usize| total as f64 / SAMPLES as f64;
    let moved = mean(pulses.iter().map(Vec::len).sum());
    let touched = mean(
        pulses
            .iter()
            .map(|pulses| pulses.chunk_by(|a, b| a.line / LINE_FLOATS == b.line / LINE_FLOATS).count())
            .sum(),
    );
    let work = Work {
        bytes: (2 * CACHE_LINE * active) as f64 * touched,
        stream: Stream::Update,
        operations: active as f64 * moved,
        arithmetic: Arithmetic::Separate,
        working_set: matrix_bytes(hidden),
    };
    Figure::rate(name, seconds, 1.0, "samples/s").of(work, seconds.median)
}

/// The same walks with levels in place of bits, and the read back through all lines, which only networks of more layers make.
fn high_precision(hidden: usize) -> Vec<Figure> {
    let shape = Shape { inputs: LINES, outputs: hidden };
    let mut matrix = matrix(shape);
    let level = |lines: Vec<u32>, sample: u64| {
        let mut batch = Signals::analog(LINES);
        let levels = batch.push_analog();
        let mut rng = path("levels").index(sample).rng();
        for line in lines {
            levels[line as usize] = rng.random_range(0.1..1.0);
        }
        batch
    };
    let inputs: Vec<Signals<f32>> =
        lines(LIT).into_iter().zip(0..).map(|(lines, sample)| level(lines, sample)).collect();
    let error = |sample: u64| {
        let mut batch = Signals::analog(hidden);
        let mut rng = path("hp-errors").index(sample).rng();
        batch.push_analog().fill_with(|| rng.random_range(-1.0..1.0));
        batch
    };
    let errors: Vec<Signals<f32>> = (0..SAMPLES as u64).map(error).collect();
    let mut samples = inputs.iter().zip(&errors).cycle();
    let mut next = || samples.next().expect("a cycle has no end");
    let at = path("hp");
    let (mut forward, mut backward) = (vec![0.0; hidden], vec![0.0; LINES]);
    let [reads, backs, updates] = [
        measure::seconds(|| {
            matrix.forward(black_box(next().0), Readout::Converter, at, &mut forward);
            black_box(&forward);
        }),
        measure::seconds(|| {
            matrix.backward(black_box(next().1), Readout::Converter, at, &mut backward);
            black_box(&backward);
        }),
        measure::seconds(|| {
            let (inputs, errors) = next();
            matrix.update(black_box(inputs), errors, Update::Exact { step: 1e-6 }, at);
        }),
    ];
    let work = |lines: usize, stream| {
        let weights = (lines * hidden) as f64;
        let ways = if stream == Stream::Read { 1.0 } else { 2.0 };
        Work {
            bytes: ways * FLOAT as f64 * weights,
            stream,
            operations: 2.0 * weights,
            arithmetic: Arithmetic::Separate,
            working_set: matrix_bytes(hidden),
        }
    };
    [
        ("forward", reads, work(LIT, Stream::Read)),
        ("backward", backs, work(LINES, Stream::Read)),
        ("update", updates, work(LIT, Stream::Update)),
    ]
    .map(|(name, seconds, work)| {
        Figure::rate(format!("kernel/hp-{name}/{hidden}"), seconds, 1.0, "samples/s").of(work, seconds.median)
    })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_what_the_figures_say() {
        for lines in lines(ACTIVE) {
            assert_eq!(lines.len(), ACTIVE);
            assert!(lines.is_sorted_by(|a, b| a < b) && lines[ACTIVE - 1] < LINES as u32);
        }
        let errors = errors(1024);
        let pulses: usize = errors.iter().map(Vec::len).sum();
        // 65536 fair gates: half of them, standard deviation 128; five of it.
        assert!(pulses.abs_diff(SAMPLES * 512) < 5 * 128, "{pulses}");
        assert!(errors.iter().flatten().all(|pulse| pulse.count.abs() == 1));
    }
}
