//! High-precision updates are the gradient, binary ones point along it.

use bitpulse_core::SeedPath;
use bitpulse_learn::{
    Activation, Derivative, ErrorSignal, Examples, HiddenError, Inference, InputCoding, Loss, Network,
    OutputError, Rule, WeightUpdate, cosine, mean_update,
};
use rand::RngExt;

const WIDTHS: [usize; 4] = [12, 9, 7, 4];

/// Random patterns with half of their pixels above zero.
fn patterns(count: usize, lines: usize, classes: usize, at: SeedPath) -> Examples {
    let mut rng = at.rng();
    let pixels: Vec<u8> =
        (0..count * lines).map(|_| if rng.random() { rng.random_range(1..=255) } else { 0 }).collect();
    let labels: Vec<u8> = (0..count).map(|_| rng.random_range(0..classes as u8)).collect();
    Examples::from_dense(&pixels, &labels, lines, classes).expect("the pixels are built to fit")
}

/// The mean loss as the rule defines it, from the network's own class scores and pre-activations.
///
/// Cross-entropy comes from `evaluate`; squared error has no public read-out, so the forward pass is written out here.
fn loss(network: &mut Network<f64>, examples: &Examples, at: SeedPath) -> f64 {
    if network.rule().loss == Loss::SoftmaxCrossEntropy {
        return network.evaluate(examples, Inference::Expectation, at).cross_entropy;
    }
    let rule = network.rule().clone();
    let layers = network.architecture().check().expect("a network is built of layers that fit");
    let lines = layers.iter().map(|layer| layer.neurons.neurons());
    let widths: Vec<usize> = std::iter::once(layers[0].input.neurons()).chain(lines).collect();
    let weights: Vec<Vec<f64>> = network.matrices().iter().map(|matrix| matrix.weights()).collect();
    let mut sum = 0.0;
    for index in 0..examples.len() {
        let mut x = vec![0.0; widths[0]];
        let pixels = examples.pixels(index);
        for (&line, &level) in pixels.lines.iter().zip(pixels.levels) {
            x[usize::from(line)] = f64::from(level) / 255.0;
        }
        for (layer, weights) in weights.iter().enumerate() {
            x.push(1.0);
            let outputs = widths[layer + 1];
            let z: Vec<f64> = (0..outputs)
                .map(|j| x.iter().enumerate().map(|(i, x)| x * weights[i * outputs + j]).sum())
                .collect();
            let last = layer + 1 == network.matrices().len();
            x = z
                .iter()
                .map(|&z| match rule.activation {
                    Activation::Relu if last => z,
                    activation => activation.value(rule.gain * z),
                })
                .collect();
        }
        for (class, y) in x.iter().enumerate() {
            let target = f64::from(u8::from(class == examples.label(index)));
            sum += 0.5 * (y - target).powi(2);
        }
    }
    sum / examples.len() as f64
}

#[test]
fn high_precision_updates_are_minus_the_gradient() {
    let seed = SeedPath::root(11);
    let examples = patterns(5, WIDTHS[0], WIDTHS[3], seed.child("patterns"));
    for activation in [Activation::Sigmoid, Activation::HardSigmoid, Activation::Relu] {
        for loss_kind in [Loss::SoftmaxCrossEntropy, Loss::SquaredError] {
            let rule = Rule { activation, gain: 1.3, loss: loss_kind, ..Rule::high_precision() };
            let mut network =
                Network::<f64>::software(rule, &WIDTHS, seed.child("init")).expect("a sound network");
            let found = mean_update(&mut network, &examples, 1, seed);
            // Finite differences lose what the loss loses to rounding: 1e-16 / h beside h^2 of the third derivative.
            let h = 1e-5;
            for (layer, found) in found.iter().enumerate() {
                let weights = network.matrices()[layer].weights();
                let numeric: Vec<f64> = (0..weights.len())
                    .map(|k| {
                        let mut at_offset = |offset: f64| {
                            let mut moved = weights.clone();
                            moved[k] += offset;
                            network.matrices_mut()[layer].program(&moved, seed);
                            let value = loss(&mut network, &examples, seed);
                            network.matrices_mut()[layer].program(&weights, seed);
                            value
                        };
                        -(at_offset(h) - at_offset(-h)) / (2.0 * h)
                    })
                    .collect();
                let length = numeric.iter().map(|g| g * g).sum::<f64>().sqrt();
                let distance = numeric.iter().zip(found).map(|(n, f)| (n - f).powi(2)).sum::<f64>().sqrt();
                assert!(
                    length > 1e-4,
                    "{activation:?} {loss_kind:?} layer {layer}: no gradient to compare with"
                );
                let relative = distance / length;
                assert!(
                    relative < 1e-6,
                    "{activation:?} {loss_kind:?} layer {layer}: relative error {relative:e}"
                );
            }
        }
    }
}

/// Relative distance of the mean update of `rule` from that of HP, and what sampling alone would leave.
fn bias(rule: Rule, reference: Rule, widths: &[usize], repeats: u32) -> (f64, f64) {
    let seed = SeedPath::root(12);
    let examples = patterns(4, widths[0], widths[widths.len() - 1], seed.child("patterns"));
    let mut exact = Network::<f64>::software(reference, widths, seed.child("init")).expect("a sound network");
    let wanted = mean_update(&mut exact, &examples, 1, seed).concat();
    let mut network = Network::<f64>::software(rule, widths, seed.child("init")).expect("a sound network");
    let halves = [0, 1].map(|half| mean_update(&mut network, &examples, repeats, seed.index(half)).concat());
    let length = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let scale = wanted.iter().map(|w| w * w).sum::<f64>().sqrt();
    let mean: Vec<f64> = halves[0].iter().zip(&halves[1]).map(|(a, b)| 0.5 * (a + b)).collect();
    // Half the distance of two independent halves has the spread of their mean.
    (length(&mean, &wanted) / scale, 0.5 * length(&halves[0], &halves[1]) / scale)
}

#[test]
fn each_unbiased_signal_alone_gives_the_gradient_on_average() {
    let hp = Rule { gain: 1.5, ..Rule::high_precision() };
    let ternary = ErrorSignal::Bs { output: OutputError::Ternary { pulses: 1 }, hidden: HiddenError::Sign };
    let categorical = ErrorSignal::Bs { output: OutputError::Categorical, hidden: HiddenError::Sign };
    let race = ErrorSignal::Bs { output: OutputError::Race { gain: 1.0 }, hidden: HiddenError::Sign };
    let deep = [12, 9, 4];
    let shallow = [12, 4];
    let cases: [(&str, Rule, &[usize]); 7] = [
        ("derivative bit", Rule { derivative: Derivative::Bs { pulses: 1 }, ..hp.clone() }, &deep),
        ("three derivative pulses", Rule { derivative: Derivative::Bs { pulses: 3 }, ..hp.clone() }, &deep),
        ("coincidence derivative", Rule { derivative: Derivative::Coincidence, ..hp.clone() }, &deep),
        ("whole pulses", Rule { update: WeightUpdate::Bs { pulses: 1 }, ..hp.clone() }, &deep),
        // With no hidden layer the output error is all there is.
        ("ternary output error", Rule { error: ternary, ..hp.clone() }, &shallow),
        ("categorical output error", Rule { error: categorical, ..hp.clone() }, &shallow),
        ("race output error", Rule { error: race, ..hp.clone() }, &shallow),
    ];
    for (name, rule, widths) in cases {
        let (distance, spread) = bias(rule, hp.clone(), widths, 4000);
        assert!(spread < 0.1, "{name}: too few repeats to tell, spread {spread}");
        // The distance of a mean without bias is about its spread; twice that is far beyond chance in so many weights.
        assert!(distance < 2.0 * spread, "{name}: distance {distance} from the gradient, spread {spread}");
    }
}

#[test]
fn binary_pulses_go_along_the_gradient_in_every_layer() {
    let seed = SeedPath::root(13);
    let widths = [30, 24, 16, 5];
    let examples = patterns(40, widths[0], widths[3], seed.child("patterns"));
    let gradient_rule = Rule {
        input: InputCoding::Analog,
        ..Rule { activation: Activation::HardSigmoid, ..Rule::high_precision() }
    };
    let rule = Rule::binary_stochastic();
    let gradient_rule = Rule { gain: rule.gain, ..gradient_rule };
    let mut exact =
        Network::<f64>::software(gradient_rule, &widths, seed.child("init")).expect("a sound network");
    let mut binary = Network::<f64>::software(rule, &widths, seed.child("init")).expect("a sound network");
    let gradient = mean_update(&mut exact, &examples, 1, seed);
    let pulses = mean_update(&mut binary, &examples, 2000, seed);
    for (layer, (pulses, gradient)) in pulses.iter().zip(&gradient).enumerate() {
        let cosine = cosine(pulses, gradient);
        println!("layer {layer}: cosine {cosine:.3} between mean pulses and gradient");
        // A random direction in n dimensions has a cosine of about 1/sqrt(n), here below 0.12.
        assert!(cosine > 0.5, "layer {layer}: cosine {cosine}");
    }
}
