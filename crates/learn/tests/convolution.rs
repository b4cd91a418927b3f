//! Convolution, pooling and normalisation: gradients by finite differences, binary pulses along them, and the same bits on
//! any number of threads.

use bitpulse_core::{Accumulation, SeedPath};
use bitpulse_learn::{
    Activation, Architecture, Decay, Derivative, ErrorSignal, Examples, Forward, HiddenError, Inference,
    InputCoding, Layer, MapShape, Network, OutputError, Polarity, Pooling, Rule, Schedule, Synapses,
    Training, WeightUpdate, cosine, mean_update,
};
use proptest::prelude::*;
use rand::RngExt;

const INPUT: MapShape = MapShape { channels: 2, height: 7, width: 6 };
const CLASSES: usize = 3;

/// Random patterns without a pixel at 0, where a convolution with padding meets real zeros only at the edge.
fn patterns(count: usize, at: SeedPath) -> Examples {
    let mut rng = at.rng();
    let pixels: Vec<u8> = (0..count * INPUT.neurons()).map(|_| rng.random_range(1..=255)).collect();
    let labels: Vec<u8> = (0..count).map(|_| rng.random_range(0..CLASSES as u8)).collect();
    Examples::from_dense(&pixels, &labels, INPUT.neurons(), CLASSES).expect("the pixels are built to fit")
}

fn convolution(channels: usize, kernel: usize, stride: usize, padding: usize) -> Layer {
    let synapses = Synapses::Convolution { channels, kernel, stride, padding };
    Layer { synapses, pool: None, pool_size: 2, normalise: false }
}

fn network(layers: Vec<Layer>) -> Architecture {
    Architecture { input: INPUT, layers }
}

/// Networks with every kind of layer, alone and behind others.
fn networks() -> Vec<(&'static str, Architecture)> {
    let pooled = |pool, layer| Layer { pool: Some(pool), ..layer };
    let normalised = |layer| Layer { normalise: true, ..layer };
    let dense = Layer::dense(CLASSES);
    vec![
        ("convolution", network(vec![convolution(4, 3, 1, 1), dense])),
        ("stride", network(vec![convolution(4, 3, 2, 0), convolution(3, 2, 1, 1), dense])),
        (
            "max pool",
            network(vec![pooled(Pooling::Max, convolution(4, 3, 1, 1)), convolution(3, 2, 1, 0), dense]),
        ),
        (
            "mean pool",
            network(vec![pooled(Pooling::Average, convolution(4, 3, 1, 1)), Layer::dense(5), dense]),
        ),
        (
            "normalised",
            network(vec![normalised(convolution(4, 3, 1, 1)), normalised(Layer::dense(5)), dense]),
        ),
        (
            "all",
            network(vec![
                normalised(pooled(Pooling::Max, convolution(4, 3, 1, 1))),
                normalised(convolution(3, 2, 1, 1)),
                dense,
            ]),
        ),
    ]
}

/// Minus the slope of the mean loss along every weight that the state `tensor` holds, with means and deviations that depend on
/// the weights or, where `constant`, with those that the network answers with.
fn numeric(network: &mut Network<f64>, tensor: &str, examples: &Examples, constant: bool) -> Vec<f64> {
    let before = network.save();
    let held = before.tensors().find(|(name, _)| *name == tensor).expect("the state has the tensor").1;
    let shape = held.shape().to_vec();
    let weights: Vec<f64> = before.get(tensor, &shape).expect("weights are in f64").to_vec();
    let h = 1e-6;
    let slopes = (0..weights.len()).map(|k| {
        let mut loss = |offset: f64| {
            let (mut moved, mut state) = (weights.clone(), before.clone());
            moved[k] += offset;
            state.put(tensor, &shape, moved);
            network.restore(&state).expect("a state of this network");
            if !constant {
                // Over one batch, so that the means and deviations are those that learning sees.
                network.calibrate(examples, SeedPath::root(0));
            }
            network.evaluate(examples, Inference::Expectation, SeedPath::root(0)).cross_entropy
        };
        -(loss(h) - loss(-h)) / (2.0 * h)
    });
    let slopes = slopes.collect();
    network.restore(&before).expect("a state of this network");
    slopes
}

fn has_norm(network: &Architecture) -> bool {
    network.layers.iter().any(|layer| layer.normalise)
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn updates_of_every_layer_are_minus_the_gradient() {
    let seed = SeedPath::root(31);
    let examples = patterns(6, seed.child("patterns"));
    let activations = [
        (Activation::Relu, Polarity::Unipolar),
        (Activation::Sigmoid, Polarity::Unipolar),
        (Activation::Sigmoid, Polarity::Bipolar),
        (Activation::HardSigmoid, Polarity::Bipolar),
    ];
    let cases = networks().into_iter().flat_map(|network| [(network.clone(), false), (network, true)]);
    for ((name, architecture), constant) in cases.filter(|((_, network), held)| !held || has_norm(network)) {
        for (activation, polarity) in activations {
            let norm_period = if constant { 2 } else { 1 };
            let rule = Rule { activation, polarity, gain: 1.2, norm_period, ..Rule::high_precision() };
            let mut network = Network::<f64>::software(rule, &architecture, seed.child("init")).unwrap();
            // Biases and shifts too: where all inputs of a patch are silent, ReLU neurons would stand at their kink.
            let mut start = network.save();
            for (name, held) in network.save().tensors().filter(|(name, _)| name.ends_with("/weights")) {
                let weights: &[f64] = start.get(name, held.shape()).unwrap();
                let mut rng = seed.child(name).rng();
                let moved = weights.iter().map(|w| w + rng.random_range(-0.2..0.2)).collect();
                start.put(name, held.shape(), moved);
            }
            network.restore(&start).unwrap();
            let unit = Schedule { output: 1.0, hidden: 1.0, decay: Decay::Constant, floor: 1.0 };
            let batch: Vec<u32> = (0..examples.len() as u32).collect();
            if constant {
                // A batch that measures and moves nothing, so that the next one holds what it found.
                let still = Schedule { output: 0.0, hidden: 0.0, ..unit };
                network.learn(&examples, &batch, &still, 0.0, seed);
                network.calibrate(&examples, seed);
                start = network.save();
            }
            network.learn(&examples, &batch, &unit, 0.0, seed);
            let end = network.save();
            network.restore(&start).unwrap();
            for (tensor, held) in start.tensors().filter(|(name, _)| name.ends_with("/weights")) {
                let [before, after] =
                    [&start, &end].map(|state| state.get::<f64>(tensor, held.shape()).unwrap().to_vec());
                let found: Vec<f64> =
                    before.iter().zip(&after).map(|(b, a)| (a - b) / examples.len() as f64).collect();
                let numeric = numeric(&mut network, tensor, &examples, constant);
                let length = numeric.iter().map(|g| g * g).sum::<f64>().sqrt();
                assert!(length > 1e-5, "{name} {activation:?} {tensor}: no gradient to compare with");
                let relative = distance(&numeric, &found) / length;
                assert!(relative < 2e-6, "{name} {activation:?} {polarity:?} {tensor}: off by {relative:e}");
            }
        }
    }
}

/// The binary rule for maps with so many pulses forward and phases of the output error.
fn binary(pulses: u16, phases: u16) -> Rule {
    Rule {
        activation: Activation::HardSigmoid,
        polarity: Polarity::Bipolar,
        gain: 2.0,
        input: InputCoding::Analog,
        forward: Forward::Bs { pulses },
        derivative: Derivative::Bs { pulses: 1 },
        error: ErrorSignal::Bs {
            output: OutputError::Ternary { pulses: phases },
            hidden: HiddenError::StochasticSign { pulses: 1, saturation: 3.0 },
        },
        update: WeightUpdate::Hp,
        ..Rule::binary_stochastic()
    }
}

#[test]
fn binary_pulses_go_along_the_gradient_of_every_convolution() {
    let seed = SeedPath::root(32);
    let examples = patterns(30, seed.child("patterns"));
    let pooled = Layer { pool: Some(Pooling::Max), ..convolution(8, 3, 1, 1) };
    let architecture = network(vec![pooled, convolution(6, 2, 1, 0), Layer::dense(CLASSES)]);
    let exact =
        Rule { forward: Forward::Hp, error: ErrorSignal::Hp, derivative: Derivative::Hp, ..binary(1, 1) };
    let start = |rule| Network::<f64>::software(rule, &architecture, seed.child("init")).unwrap();
    let gradient = mean_update(&mut start(exact), &examples, 1, seed);
    // The fewer pulses, the more presentations a mean takes.
    let directions = [(1, 1, 3000), (4, 16, 300)].map(|(pulses, phases, repeats)| {
        mean_update(&mut start(binary(pulses, phases)), &examples, repeats, seed)
    });
    for (layer, gradient) in gradient.iter().enumerate() {
        let [one, more] = [0, 1].map(|k| cosine(&directions[k][layer], gradient));
        println!("layer {layer}: cosine {one:.3} with one pulse, {more:.3} with 4 and 16 phases");
        // One bit a neuron is so much noise on the sums of 33 lines that the gradient itself is another; four pulses are
        // not. A random direction in the 198 dimensions of the smallest layer has a cosine of about 0.07.
        assert!(one > 0.2 && more > 0.9, "layer {layer}: cosines {one} and {more}");
    }
}

#[test]
fn centred_errors_have_no_mean_and_biases_before_a_normalisation_learn_nothing() {
    let seed = SeedPath::root(37);
    let examples = patterns(6, seed.child("patterns"));
    let pooled = Layer { pool: Some(Pooling::Max), normalise: true, ..convolution(4, 3, 1, 1) };
    let architecture = network(vec![pooled, Layer::dense(CLASSES)]);
    let biases = |centred| {
        let rule = Rule { centred, ..binary(1, 1) };
        let mut network = Network::<f64>::software(rule, &architecture, seed.child("init")).unwrap();
        let mean = mean_update(&mut network, &examples, 20, seed);
        let sums = mean[0].chunks_exact(4).last().expect("the last line is that of the biases").to_vec();
        sums.iter().map(|sum| sum.abs()).sum::<f64>()
    };
    assert!(biases(true) < 1e-12, "{}", biases(true));
    assert!(biases(false) > 1e-2, "{}", biases(false));
}

#[test]
fn between_two_measurements_a_normalised_layer_converts_nothing() {
    let seed = SeedPath::root(41);
    let examples = patterns(5, seed.child("patterns"));
    let pooled = Layer { pool: Some(Pooling::Max), normalise: true, ..convolution(4, 3, 1, 1) };
    let architecture = network(vec![pooled, Layer::dense(CLASSES)]);
    let rule = Rule { norm_period: 3, ..binary(2, 1) };
    let mut network = Network::<f32>::software(rule, &architecture, seed.child("init")).unwrap();
    let schedule = Schedule { output: 0.01, hidden: 0.01, decay: Decay::Constant, floor: 1.0 };
    let places = (INPUT.height * INPUT.width) as u64;
    for step in 0..7 {
        network.learn(&examples, &[0, 1, 2, 3, 4], &schedule, 0.0, seed.index(step));
        let forward = network.take_activity().forward;
        // The three classes are values in every batch, in two phases of each sign; so are channels where they are measured.
        let is_measured = step % 3 == 0;
        let [converted, decided] = if is_measured { [5 * places * 4, 0] } else { [0, 5 * places * 4 * 2] };
        assert_eq!(forward.comparisons, decided, "batch {step}");
        let classes = 5 * CLASSES as u64;
        let phases = (forward.adc.total() - converted) / classes;
        assert!((2..=4).contains(&phases), "batch {step}: {phases} phases");
        assert_eq!(forward.macs > 0, is_measured, "batch {step}");
    }
}

#[test]
fn flips_show_each_image_as_it_is_or_mirrored() {
    let seed = SeedPath::root(39);
    let examples = patterns(1, seed.child("patterns"));
    let pixels: Vec<u8> = examples.pixels(0).levels.to_vec();
    let mirrored =
        pixels.chunks_exact(INPUT.width).flat_map(|row| row.iter().rev().copied()).collect::<Vec<_>>();
    let mirrored =
        Examples::from_dense(&mirrored, &[examples.label(0) as u8], INPUT.neurons(), CLASSES).unwrap();
    // Maps that enter a convolution, and maps whose pixels a dense layer takes.
    for first in [convolution(4, 3, 1, 1), Layer::dense(4)] {
        let architecture = network(vec![first, Layer::dense(CLASSES)]);
        let learnt = |examples: &Examples, flips, step: u64| {
            let rule = Rule { flips, ..Rule::high_precision() };
            let mut network = Network::<f64>::software(rule, &architecture, seed.child("init")).unwrap();
            let unit = Schedule { output: 1.0, hidden: 1.0, decay: Decay::Constant, floor: 1.0 };
            network.learn(examples, &[0], &unit, 0.0, seed.index(step));
            network.save()
        };
        let (as_is, turned) = (learnt(&examples, false, 0), learnt(&mirrored, false, 0));
        let seen: Vec<bool> = (0..20)
            .map(|step| {
                let state = learnt(&examples, true, step);
                assert!(state == as_is || state == turned);
                state == turned
            })
            .collect();
        assert!(seen.contains(&true) && seen.contains(&false), "{seen:?}");
    }
}

/// On which line of a network stands the line of a pixel.
type LineOfPixel = fn(usize, usize) -> usize;

#[test]
fn a_thermometer_is_a_network_behind_its_lines_written_out() {
    let seed = SeedPath::root(40);
    let examples = patterns(12, seed.child("patterns"));
    let input = InputCoding::Thermometer { lines: 5 };
    let wide = network(vec![]).coded(input).input;
    let labels: Vec<u8> = (0..examples.len()).map(|index| examples.label(index) as u8).collect();
    // A convolution sees the lines of a pixel as channels at its place; to a dense layer they are lines like any other.
    let as_channel =
        |pixel: usize, line| (pixel / INPUT.places() * 5 + line) * INPUT.places() + pixel % INPUT.places();
    let in_turn = |pixel: usize, line| pixel * 5 + line;
    let firsts: [(Layer, LineOfPixel); 2] =
        [(convolution(4, 3, 1, 1), as_channel), (Layer::dense(4), in_turn)];
    for (first, place) in firsts {
        let mut written_out = vec![0; examples.len() * wide.neurons()];
        for (index, out) in written_out.chunks_exact_mut(wide.neurons()).enumerate() {
            for (pixel, &level) in examples.pixels(index).levels.iter().enumerate() {
                for line in (0..5).filter(|line| 510 * line + 255 <= 10 * usize::from(level)) {
                    out[place(pixel, line)] = 255;
                }
            }
        }
        let written_out = Examples::from_dense(&written_out, &labels, wide.neurons(), CLASSES).unwrap();
        let layers = vec![first, Layer::dense(CLASSES)];
        let learnt = |input, map, examples: &Examples| {
            let rule = Rule { input, ..binary(2, 4) };
            let architecture = Architecture { input: map, layers: layers.clone() };
            let mut network = Network::<f32>::software(rule, &architecture, seed.child("init")).unwrap();
            let unit = Schedule { output: 0.1, hidden: 0.1, decay: Decay::Constant, floor: 1.0 };
            let batch: Vec<u32> = (0..12).collect();
            for step in 0..5 {
                network.learn(examples, &batch, &unit, 0.0, seed.index(step));
            }
            (
                network.take_activity(),
                network.save(),
                network.evaluate(examples, Inference::Expectation, seed),
            )
        };
        let found = learnt(input, INPUT, &examples);
        assert_eq!(found, learnt(InputCoding::Threshold { level: 128 }, wide, &written_out));
        assert_ne!(found.1, learnt(InputCoding::Threshold { level: 128 }, INPUT, &examples).1);
    }
}

/// Two epochs of learning in batches, on `threads` threads.
fn learnt(rule: &Rule, threads: usize) -> bitpulse_core::State {
    let seed = SeedPath::root(33);
    let examples = patterns(40, seed.child("patterns"));
    let normalised = |layer| Layer { normalise: true, ..layer };
    let pooled = Layer { pool: Some(Pooling::Max), ..convolution(5, 3, 1, 1) };
    let architecture =
        network(vec![normalised(pooled), normalised(convolution(4, 2, 1, 0)), Layer::dense(CLASSES)]);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be had");
    pool.install(|| {
        let network = Network::<f32>::software(rule.clone(), &architecture, seed.child("init"))
            .expect("a sound network");
        let schedule = Schedule { output: 0.01, hidden: 0.03, decay: Decay::Cosine, floor: 0.1 };
        let mut training = Training::new(network, schedule, 2, 16, seed.child("train"));
        while training.learn_epoch(&examples) {}
        training.save()
    })
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let accumulated = WeightUpdate::Accumulated(Accumulation { leak: 0.9, normalise: true, pulse: 0.001 });
    for rule in [Rule::high_precision(), Rule { update: accumulated, ..binary(2, 4) }] {
        assert_eq!(learnt(&rule, 1), learnt(&rule, 3), "{rule:?}");
    }
}

#[test]
fn a_run_on_maps_cut_at_any_batch_ends_with_the_same_bits() {
    let accumulated = WeightUpdate::Accumulated(Accumulation { leak: 0.9, normalise: true, pulse: 0.0 });
    let rule = Rule { update: accumulated, norm_period: 2, ..binary(1, 4) };
    let seed = SeedPath::root(34);
    let examples = patterns(20, seed.child("patterns"));
    let architecture =
        network(vec![Layer { normalise: true, ..convolution(4, 3, 1, 1) }, Layer::dense(CLASSES)]);
    let start = || {
        let network = Network::<f32>::software(rule.clone(), &architecture, seed.child("init")).unwrap();
        let schedule = Schedule { output: 0.01, hidden: 0.03, decay: Decay::Cosine, floor: 0.1 };
        Training::new(network, schedule, 2, 8, seed.child("train"))
    };
    let finish = |mut training: Training| {
        while training.learn_epoch(&examples) {}
        training.save()
    };
    let whole = finish(start());
    for batches in 0..=6 {
        let mut first = start();
        first.learn_batches(&examples, batches.min(3));
        if batches > 3 {
            first.learn_batches(&examples, batches - 3);
        }
        let mut second = start();
        second.restore(&first.save()).unwrap();
        assert_eq!(finish(second), whole, "cut after {batches} batches");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A convolution as its definition has it, place by place, against the network's answer.
    #[test]
    fn a_convolution_is_what_its_definition_says(
        channels in 1..4_usize, kernel in 1..4_usize, stride in 1..3_usize, padding in 0..2_usize, seed in any::<u64>()
    ) {
        prop_assume!(padding < kernel);
        let at = SeedPath::root(seed);
        let examples = patterns(1, at.child("patterns"));
        let architecture = network(vec![convolution(channels, kernel, stride, padding), Layer::dense(CLASSES)]);
        let shapes = architecture.check().unwrap();
        let rule = Rule { activation: Activation::Relu, ..Rule::high_precision() };
        let mut network = Network::<f64>::software(rule, &architecture, at.child("init")).unwrap();
        let answer = network.classify(&examples, &[0], Inference::Expectation, at, || true).unwrap();
        let mut image = vec![0.0; INPUT.neurons()];
        let pixels = examples.pixels(0);
        for (&line, &level) in pixels.lines.iter().zip(pixels.levels) {
            image[usize::from(line)] = f64::from(level) / 255.0;
        }
        let [w, v] = [0, 1].map(|layer| network.matrices()[layer].weights());
        let out = shapes[0].neurons;
        let mut scores = [0.0; CLASSES];
        for y in 0..out.height {
            for x in 0..out.width {
                for channel in 0..channels {
                    let mut sum = 0.0;
                    for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                        let (row, column) = ((y * stride + ky).wrapping_sub(padding), (x * stride + kx).wrapping_sub(padding));
                        if row < INPUT.height && column < INPUT.width {
                            for c in 0..INPUT.channels {
                                let line = (ky * kernel + kx) * INPUT.channels + c;
                                sum += w[line * channels + channel]
                                    * image[(c * INPUT.height + row) * INPUT.width + column];
                            }
                        }
                    }
                    let neuron = (y * out.width + x) * channels + channel;
                    for (class, score) in scores.iter_mut().enumerate() {
                        *score += sum.max(0.0) * v[neuron * CLASSES + class];
                    }
                }
            }
        }
        let total: f64 = scores.iter().map(|score| score.exp()).sum();
        for (score, found) in scores.iter().zip(answer) {
            prop_assert!((score.exp() / total - found).abs() < 1e-12);
        }
    }
}
