//! Laws that every [`SynapticMatrix`] keeps, to be run by the tests of each implementation.
//!
//! An implementation with noisy devices runs them with its noise set to zero and its steps fine, and gives the
//! tolerance that its own quantisation justifies.

use crate::{
    Accumulation, Activity, Pulse, Readout, Real, SeedPath, Shape, Signals, State, SynapticMatrix, Update,
};

/// How far an implementation may be from real arithmetic.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Of a weight after programming or an update, absolute.
    pub weight: f64,
    /// Of a read, relative to the sum of the magnitudes of its terms.
    pub read: f64,
}

/// Runs every law on matrices that `make` builds.
///
/// # Panics
/// With the law, the shape and both values when one is broken.
pub fn check<R: Real, M: SynapticMatrix<R>>(tolerance: Tolerance, make: impl Fn(Shape) -> M) {
    for (inputs, outputs) in [(1, 1), (3, 2), (17, 10), (33, 70)] {
        let shape = Shape { inputs, outputs };
        let seed = SeedPath::root(0x5eed).index(inputs as u64).index(outputs as u64);
        programming_sets_the_weights(&mut make(shape), seed, tolerance);
        reads_are_products_with_the_weights(&mut make(shape), seed, tolerance);
        bits_and_pulses_read_as_their_values(&mut make(shape), seed, tolerance);
        listed_counts_are_the_pulses_they_list(&mut make(shape), &mut make(shape), seed, tolerance);
        a_batch_reads_as_its_samples(&mut make(shape), seed, tolerance);
        updates_add_the_outer_product(&mut make(shape), seed, tolerance);
        signs_move_weights_by_one_step(&mut make(shape), seed, tolerance);
        accumulated_updates_add_running_means(&mut make(shape), seed, tolerance);
        pulses_round_without_bias_to_whole_steps(&mut make(shape), seed, tolerance);
        silence_changes_nothing_and_pulses_nothing(&mut make(shape), seed);
        the_same_call_gives_the_same_bits(&mut make(shape), &mut make(shape), seed);
        activity_counts_from_the_last_call(&mut make(shape), seed);
        a_restored_matrix_goes_on_as_the_saved_one(&mut make(shape), &mut make(shape), seed);
        a_state_of_another_shape_is_refused(&make(shape), &mut make(Shape { inputs: inputs + 1, outputs }));
    }
}

/// Deterministic values in [-1, 1) that depend on `seed` and their place only.
fn values<R: Real>(seed: SeedPath, count: usize) -> Vec<R> {
    use rand::RngExt;
    let mut rng = seed.child("values").rng();
    (0..count).map(|_| R::of(rng.random_range(-1.0..1.0))).collect()
}

fn programmed<R: Real>(matrix: &mut impl SynapticMatrix<R>, seed: SeedPath) -> Vec<R> {
    let weights: Vec<R> =
        values(seed.child("weights"), matrix.shape().weights()).iter().map(|w: &R| *w * R::of(0.5)).collect();
    matrix.program(&weights, seed.child("program"));
    matrix.take_activity();
    matrix.weights()
}

fn analog<R: Real>(lines: usize, samples: &[Vec<R>]) -> Signals<R> {
    let mut batch = Signals::analog(lines);
    for sample in samples {
        batch.push_analog().copy_from_slice(sample);
    }
    batch
}

fn assert_near(law: &str, shape: Shape, found: f64, expected: f64, bound: f64) {
    assert!(
        (found - expected).abs() <= bound,
        "{law} ({} x {}): found {found}, expected {expected} within {bound}",
        shape.inputs,
        shape.outputs
    );
}

/// The product of the transposed or plain weights with `x`, and the sum of the magnitudes of each of its terms.
fn product<R: Real>(weights: &[R], shape: Shape, x: &[R], transposed: bool) -> Vec<(f64, f64)> {
    let (rows, columns) =
        if transposed { (shape.inputs, shape.outputs) } else { (shape.outputs, shape.inputs) };
    (0..rows)
        .map(|r| {
            (0..columns).fold((0.0, 0.0), |(sum, magnitude), c| {
                let (i, j) = if transposed { (r, c) } else { (c, r) };
                let term = weights[i * shape.outputs + j].as_f64() * x[c].as_f64();
                (sum + term, magnitude + term.abs())
            })
        })
        .collect()
}

fn programming_sets_the_weights<R: Real>(
    matrix: &mut impl SynapticMatrix<R>,
    seed: SeedPath,
    tolerance: Tolerance,
) {
    let shape = matrix.shape();
    let target: Vec<R> = values(seed, shape.weights()).iter().map(|w: &R| *w * R::of(0.5)).collect();
    matrix.program(&target, seed);
    for (found, expected) in matrix.weights().iter().zip(&target) {
        assert_near(
            "programming sets the weights",
            shape,
            found.as_f64(),
            expected.as_f64(),
            tolerance.weight,
        );
    }
}

fn reads_are_products_with_the_weights<R: Real>(
    matrix: &mut impl SynapticMatrix<R>,
    seed: SeedPath,
    tolerance: Tolerance,
) {
    let shape = matrix.shape();
    let weights = programmed(matrix, seed);
    for transposed in [false, true] {
        let (from, to) =
            if transposed { (shape.outputs, shape.inputs) } else { (shape.inputs, shape.outputs) };
        let x: Vec<R> = values(seed.child("x"), from);
        let mut out = vec![R::zero(); to];
        let batch = analog(from, std::slice::from_ref(&x));
        if transposed {
            matrix.backward(&batch, Readout::Converter, seed, &mut out);
        } else {
            matrix.forward(&batch, Readout::Converter, seed, &mut out);
        }
        for (found, (expected, scale)) in out.iter().zip(product(&weights, shape, &x, transposed)) {
            let law = if transposed { "a backward read is W e" } else { "a forward read is W^T x" };
            assert_near(law, shape, found.as_f64(), expected, tolerance.read * scale.max(1e-30));
        }
    }
}

fn bits_and_pulses_read_as_their_values<R: Real>(
    matrix: &mut impl SynapticMatrix<R>,
    seed: SeedPath,
    tolerance: Tolerance,
) {
    let shape = matrix.shape();
    let weights = programmed(matrix, seed);
    let counts: Vec<i16> = (0..shape.inputs).map(|i| [2, 0, 1][i % 3]).collect();
    let mut bits = Signals::bits(shape.inputs);
    bits.push_bits((0..).zip(&counts).filter(|(_, count)| **count != 0).map(|(line, _)| line));
    let mut pulses = Signals::pulses(shape.inputs, 2);
    pulses.push_pulses((0..).zip(&counts).map(|(line, &count)| Pulse { line, count }));
    for (batch, unit) in [(bits, None), (pulses, Some(2.0))] {
        let x: Vec<R> = counts
            .iter()
            .map(|&c| R::of(unit.map_or(f64::from(u8::from(c != 0)), |unit| f64::from(c) / unit)))
            .collect();
        let mut out = vec![R::zero(); shape.outputs];
        matrix.forward(&batch, Readout::Comparator { decisions: 1 }, seed, &mut out);
        for (found, (expected, scale)) in out.iter().zip(product(&weights, shape, &x, false)) {
            let law = "bits and pulses read as their values";
            assert_near(law, shape, found.as_f64(), expected, tolerance.read * scale.max(1e-30));
        }
    }
    let signs: Vec<i16> = (0..shape.outputs).map(|j| [1, -1, 0][j % 3]).collect();
    let mut errors = Signals::pulses(shape.outputs, 1);
    errors.push_pulses((0..).zip(&signs).map(|(line, &count)| Pulse { line, count }));
    let e: Vec<R> = signs.iter().map(|&s| R::of(f64::from(s))).collect();
    let mut out = vec![R::zero(); shape.inputs];
    matrix.backward(&errors, Readout::Comparator { decisions: 1 }, seed, &mut out);
    for (found, (expected, scale)) in out.iter().zip(product(&weights, shape, &e, true)) {
        let law = "signs read backward as their values";
        assert_near(law, shape, found.as_f64(), expected, tolerance.read * scale.max(1e-30));
    }
}

fn a_batch_reads_as_its_samples<R: Real>(
    matrix: &mut impl SynapticMatrix<R>,
    seed: SeedPath,
    tolerance: Tolerance,
) {
    let shape = matrix.shape();
    programmed(matrix, seed);
    let samples: Vec<Vec<R>> = (0..19).map(|s| values(seed.index(s), shape.inputs)).collect();
    let mut together = vec![R::zero(); samples.len() * shape.outputs];
    matrix.forward(&analog(shape.inputs, &samples), Readout::Converter, seed, &mut together);
    for (s, sample) in samples.iter().enumerate() {
        let mut alone = vec![R::zero(); shape.outputs];
        let batch = analog(shape.inputs, std::slice::from_ref(sample));
        matrix.forward(&batch, Readout::Converter, seed.index(s as u64), &mut alone);
        for (j, alone) in alone.iter().enumerate() {
            let found = together[s * shape.outputs + j].as_f64();
            let bound = tolerance.read * shape.inputs as f64;
            assert_near("a batch reads as its samples", shape, found, alone.as_f64(), bound);
        }
    }
}

fn updates_add_the_outer_product<R: Real>(
    matrix: &mut impl SynapticMatrix<R>,
    seed: SeedPath,
    tolerance: Tolerance,
) {
    let shape = matrix.shape();
    let before = programmed(matrix, seed);
    let samples = 18;
    let x: Vec<Vec<R>> = (0..samples).map(|s| values(seed.child("x").index(s), shape.inputs)).collect();
    let e: Vec<Vec<R>> = (0..samples).map(|s| values(seed.child("e").index(s), shape.outputs)).collect();
    let (inputs, errors) = (analog(shape.inputs, &x), analog(shape.outputs, &e));
    let step = 0.01;
    matrix.update(&inputs, &errors, Update::Exact { step }, seed);
    let after = matrix.weights();
    for i in 0..shape.inputs {
        for j in 0..shape.outputs {
            let product: f64 = x.iter().zip(&e).map(|(x, e)| x[i].as_f64() * e[j].as_f64()).sum();
            let k = i * shape.outputs + j;
            let expected = before[k].as_f64() + step * product;
            assert_near("an update adds step x e^T", shape, after[k].as_f64(), expected, tolerance.weight);
        }
    }
}

fn signs_move_weights_by_one_step<R: Real>(
    matrix: &mut impl SynapticMatrix<R>,
    seed: SeedPath,
    tolerance: Tolerance,
) {
    let shape = matrix.shape();
    let before = programmed(matrix, seed);
    let x: Vec<Vec<R>> = (0..3).map(|s| values(seed.child("x").index(s), shape.inputs)).collect();
    let e: Vec<Vec<R>> = (0..3).map(|s| values(seed.child("e").index(s), shape.outputs)).collect();
    let step = 1.0 / 128.0;
    for samples in [1, 3] {
        matrix.program(&before, seed.child("program"));
        let inputs = analog(shape.inputs, &x[..samples]);
        matrix.update(&inputs, &analog(shape.outputs, &e[..samples]), Update::Sign { step }, seed);
        for (k, (after, before)) in matrix.weights().iter().zip(&before).enumerate() {
            let (i, j) = (k / shape.outputs, k % shape.outputs);
            let sum: f64 = x.iter().zip(&e).take(samples).map(|(x, e)| x[i].as_f64() * e[j].as_f64()).sum();
            // A sum this close to zero may round to either side.
            if sum.abs() > 1e-6 {
                let expected = before.as_f64() + step * sum.signum();
                let law = "a sign update moves a weight by one step";
                assert_near(law, shape, after.as_f64(), expected, tolerance.weight);
            }
        }
    }
}

/// Whole counts from -2 to 2, two to a unit, as pulses and with every line listed.
fn counted<R: Real>(lines: usize, seed: SeedPath) -> [Signals<R>; 2] {
    let counts: Vec<i16> =
        values::<f64>(seed, lines).iter().map(|value| (value * 2.5).round() as i16).collect();
    let mut pulses = Signals::pulses(lines, 2);
    pulses.push_pulses((0..).zip(&counts).map(|(line, &count)| Pulse { line, count }));
    let mut listed = Signals::counts(lines, 2);
    for (value, count) in listed.push_listed(1).iter_mut().zip(counts) {
        *value = R::of(f64::from(count) / 2.0);
    }
    [pulses, listed]
}

fn listed_counts_are_the_pulses_they_list<R: Real>(
    one: &mut impl SynapticMatrix<R>,
    other: &mut impl SynapticMatrix<R>,
    seed: SeedPath,
    tolerance: Tolerance,
) {
    let shape = one.shape();
    programmed(one, seed);
    programmed(other, seed);
    let [x, e] = [counted(shape.inputs, seed.child("x")), counted(shape.outputs, seed.child("e"))];
    let mut found = [Vec::new(), Vec::new()];
    for ((matrix, found), (x, e)) in [&mut *one as &mut dyn SynapticMatrix<R>, &mut *other]
        .into_iter()
        .zip(&mut found)
        .zip(x.iter().zip(&e))
    {
        let (mut z, mut a) = (vec![R::zero(); shape.outputs], vec![R::zero(); shape.inputs]);
        matrix.forward(x, Readout::Converter, seed.child("forward"), &mut z);
        matrix.backward(e, Readout::Converter, seed.child("backward"), &mut a);
        matrix.update(x, e, Update::Pulses { step: 1.0 / 64.0, per_unit: 4 }, seed.child("update"));
        found.extend(z.into_iter().chain(a).chain(matrix.weights()));
    }
    let reach = tolerance.read * (shape.inputs + shape.outputs) as f64 + tolerance.weight;
    let law = "counts listed for every line are those pulses";
    for (pulses, listed) in found[0].iter().zip(&found[1]) {
        assert_near(law, shape, listed.as_f64(), pulses.as_f64(), reach);
    }
    let [pulses, listed] = [one.take_activity(), other.take_activity()];
    assert_eq!(listed.forward.driven_lines, pulses.forward.driven_lines, "{law}");
    assert_eq!(listed.backward.reads, pulses.backward.reads, "{law}");
    assert_eq!(listed.update.pulses(), pulses.update.pulses(), "{law}");
}

fn accumulated_updates_add_running_means<R: Real>(
    matrix: &mut impl SynapticMatrix<R>,
    seed: SeedPath,
    tolerance: Tolerance,
) {
    let shape = matrix.shape();
    let before = programmed(matrix, seed);
    let accumulation = Accumulation { leak: 0.75, normalise: false, pulse: 0.0 };
    let (step, batches) = (0.02, 4);
    let mut expected: Vec<f64> = before.iter().map(|w| w.as_f64()).collect();
    let mut content = vec![0.0; expected.len()];
    for batch in 0..batches {
        let at = seed.index(batch);
        let x: Vec<Vec<R>> = (0..3).map(|s| values(at.child("x").index(s), shape.inputs)).collect();
        let e: Vec<Vec<R>> = (0..3).map(|s| values(at.child("e").index(s), shape.outputs)).collect();
        let (inputs, errors) = (analog(shape.inputs, &x), analog(shape.outputs, &e));
        matrix.update(&inputs, &errors, Update::Accumulated { step, accumulation }, at);
        for (k, (content, expected)) in content.iter_mut().zip(&mut expected).enumerate() {
            let (i, j) = (k / shape.outputs, k % shape.outputs);
            let product: f64 = x.iter().zip(&e).map(|(x, e)| x[i].as_f64() * e[j].as_f64()).sum();
            *content = 0.75 * *content + 0.25 * product;
            *expected += step * *content;
        }
    }
    let bound = tolerance.weight * f64::from(u32::try_from(batches).expect("a few batches"));
    for (found, expected) in matrix.weights().iter().zip(expected) {
        let law = "an accumulated update adds step times a running mean";
        assert_near(law, shape, found.as_f64(), expected, bound);
    }
}

fn pulses_round_without_bias_to_whole_steps<R: Real>(
    matrix: &mut impl SynapticMatrix<R>,
    seed: SeedPath,
    tolerance: Tolerance,
) {
    let shape = matrix.shape();
    let before = programmed(matrix, seed);
    let (x, e) = (vec![R::of(0.5); shape.inputs], vec![R::of(-0.5); shape.outputs]);
    let (inputs, errors) =
        (analog(shape.inputs, std::slice::from_ref(&x)), analog(shape.outputs, std::slice::from_ref(&e)));
    // The weights move by -1/4 of a step on average, in whole steps.
    let (step, repeats) = (1.0 / 1024.0, 400_u16);
    let mut sum = 0.0;
    for repeat in 0..repeats {
        let from = matrix.weights();
        matrix.update(&inputs, &errors, Update::Pulses { step, per_unit: 1 }, seed.index(u64::from(repeat)));
        for (from, to) in from.iter().zip(matrix.weights()) {
            let steps = (to - *from).as_f64() / step;
            let slack = 2.0 * tolerance.weight / step + 1e-3;
            let whole = steps.abs() <= slack || (steps + 1.0).abs() <= slack;
            assert!(whole, "a pulse moves a weight by one whole step, not {steps}");
        }
    }
    for (from, to) in before.iter().zip(matrix.weights()) {
        sum += (to - *from).as_f64() / step;
    }
    let draws = f64::from(repeats) * shape.weights() as f64;
    // Bernoulli(1/4): five standard deviations of the mean.
    let bound = 5.0 * (0.25 * 0.75 / draws).sqrt();
    assert_near("pulses round without bias", shape, sum / draws, -0.25, bound + 1e-3);
}

fn silence_changes_nothing_and_pulses_nothing<R: Real>(matrix: &mut impl SynapticMatrix<R>, seed: SeedPath) {
    let shape = matrix.shape();
    let before = programmed(matrix, seed);
    let mut silent = Signals::pulses(shape.outputs, 1);
    silent.push_pulses([]);
    let mut inputs = Signals::bits(shape.inputs);
    inputs.push_bits(0..shape.inputs as u32);
    let accumulation = Accumulation { leak: 0.5, normalise: true, pulse: 0.0 };
    for update in [
        Update::Exact { step: 0.1 },
        Update::Pulses { step: 0.1, per_unit: 1 },
        Update::Sign { step: 0.1 },
        Update::Accumulated { step: 0.1, accumulation },
    ] {
        matrix.update(&inputs, &silent, update, seed);
    }
    assert_eq!(matrix.weights(), before, "zero error changes no weight");
    let activity = matrix.take_activity();
    assert_eq!(activity.update.set_pulses + activity.update.reset_pulses, 0, "zero error means zero pulses");
}

fn the_same_call_gives_the_same_bits<R: Real>(
    one: &mut impl SynapticMatrix<R>,
    other: &mut impl SynapticMatrix<R>,
    seed: SeedPath,
) {
    let shape = one.shape();
    let x: Vec<R> = values(seed.child("x"), shape.inputs);
    let e: Vec<R> = values(seed.child("e"), shape.outputs);
    let mut out = [vec![R::zero(); shape.outputs], vec![R::zero(); shape.outputs]];
    let (inputs, errors) =
        (analog(shape.inputs, std::slice::from_ref(&x)), analog(shape.outputs, std::slice::from_ref(&e)));
    programmed(one, seed);
    programmed(other, seed);
    one.update(&inputs, &errors, Update::Pulses { step: 0.01, per_unit: 2 }, seed);
    other.update(&inputs, &errors, Update::Pulses { step: 0.01, per_unit: 2 }, seed);
    one.forward(&inputs, Readout::Converter, seed, &mut out[0]);
    other.forward(&inputs, Readout::Converter, seed, &mut out[1]);
    assert_eq!(out[0], out[1], "the same call at the same path gives the same bits");
    assert_eq!(one.weights(), other.weights(), "the same update at the same path gives the same weights");
}

fn activity_counts_from_the_last_call<R: Real>(matrix: &mut impl SynapticMatrix<R>, seed: SeedPath) {
    let shape = matrix.shape();
    programmed(matrix, seed);
    let mut inputs = Signals::bits(shape.inputs);
    inputs.push_bits([0]);
    let mut out = vec![R::zero(); shape.outputs];
    matrix.forward(&inputs, Readout::Comparator { decisions: 1 }, seed, &mut out);
    let activity = matrix.take_activity();
    assert!(activity.forward.reads >= 1, "a read is counted");
    assert!(activity.forward.driven_lines >= 1, "a driven line is counted");
    assert!(activity.forward.comparisons >= shape.outputs as u64, "every comparator is counted");
    assert_eq!(activity.forward.adc.total(), 0, "comparators convert nothing");
    assert_eq!(matrix.take_activity(), Activity::default(), "taking starts counting anew");
}

/// Some learning: reads in both directions and updates of both kinds, each at its own path.
fn exercised<R: Real>(
    matrix: &mut impl SynapticMatrix<R>,
    rounds: std::ops::Range<u64>,
    seed: SeedPath,
) -> Vec<R> {
    let shape = matrix.shape();
    let mut read = Vec::new();
    for round in rounds {
        let at = seed.index(round);
        let x: Vec<R> = values(at.child("x"), shape.inputs);
        let e: Vec<R> = values(at.child("e"), shape.outputs);
        let inputs = analog(shape.inputs, std::slice::from_ref(&x));
        let errors = analog(shape.outputs, std::slice::from_ref(&e));
        let (mut z, mut a) = (vec![R::zero(); shape.outputs], vec![R::zero(); shape.inputs]);
        matrix.forward(&inputs, Readout::Converter, at.child("forward"), &mut z);
        matrix.backward(&errors, Readout::Comparator { decisions: 1 }, at.child("backward"), &mut a);
        matrix.update(&inputs, &errors, Update::Pulses { step: 0.01, per_unit: 2 }, at.child("pulses"));
        matrix.update(&inputs, &errors, Update::Exact { step: 0.01 }, at.child("exact"));
        let accumulation = Accumulation { leak: 0.5, normalise: true, pulse: 0.0 };
        matrix.update(&inputs, &errors, Update::Accumulated { step: 0.01, accumulation }, at.child("kept"));
        read.extend(z.into_iter().chain(a));
    }
    read
}

fn a_restored_matrix_goes_on_as_the_saved_one<R: Real>(
    saved: &mut impl SynapticMatrix<R>,
    fresh: &mut impl SynapticMatrix<R>,
    seed: SeedPath,
) {
    programmed(saved, seed);
    // An uneven number of rounds, so that whatever happens now and then is under way when the state is taken.
    exercised(saved, 0..7, seed);
    saved.take_activity();
    let state = saved.save();
    // What the other did before must not matter.
    programmed(fresh, seed.child("other"));
    exercised(fresh, 0..3, seed.child("other"));
    fresh.restore(&state).expect("a state is restored into a matrix built alike");
    assert_eq!(fresh.save(), state, "a state that was restored is saved again as it was");
    assert_eq!(fresh.take_activity(), Activity::default(), "a restored matrix counts anew");
    assert_eq!(fresh.weights(), saved.weights(), "a restored matrix has the weights that were saved");
    let [expected, found] = [exercised(saved, 7..30, seed), exercised(fresh, 7..30, seed)];
    assert_eq!(found, expected, "a restored matrix reads as the saved one");
    assert_eq!(fresh.weights(), saved.weights(), "a restored matrix is moved as the saved one");
    assert_eq!(fresh.take_activity(), saved.take_activity(), "a restored matrix counts as the saved one");
}

fn a_state_of_another_shape_is_refused<R: Real>(
    matrix: &impl SynapticMatrix<R>,
    other: &mut impl SynapticMatrix<R>,
) {
    assert!(other.restore(&matrix.save()).is_err(), "the state of a matrix of another shape is refused");
    assert!(other.restore(&State::default()).is_err(), "an empty state is refused");
}
