//! The shipped device files: all read, and populations drawn from them have the statistics they state.

mod common;

use bitpulse_core::units::{Seconds, Siemens};
use bitpulse_core::{SeedPath, Shape};
use bitpulse_device::{
    Decay, Device, DeviceError, DeviceSpec, DeviceVariation, Drift, Endurance, Exponential, Lifetime,
    Polarity, Population, PowStep, Response, SoftBounds, Spread, Tabulated, Telegraph,
};
use common::{presets, try_preset};

#[test]
fn all_presets_are_there() {
    let names: Vec<_> = presets().iter().map(|device| device.spec().name.clone()).collect();
    // Others may be added, and all tests of presets find them.
    for published in [
        "ag-a-si",
        "aihwkit-constant-step",
        "aihwkit-soft-bounds",
        "alox-hfo2",
        "capacitor",
        "ecram",
        "ecram-mo",
        "epiram",
        "gokmen-vlasov",
        "gst-pcm",
        "hfo2-1t1r-milo2021",
        "hzo-fefet",
        "ideal",
        "idealised",
        "mod",
        "pcm-joshi2020",
        "pcm-nandakumar2020",
        "pcmo",
        "reram-array-hfo2",
        "reram-array-om",
        "reram-es",
        "reram-sb",
        "rram-wan2022",
        "taox-hfox",
        "taox-tio2",
    ] {
        assert!(names.iter().any(|name| name == published), "{published} is missing among {names:?}");
    }
}

/// Moments of numbers as they come.
#[derive(Default)]
struct Moments {
    n: f64,
    sum: [f64; 2],
    squares: [f64; 3],
}

impl Moments {
    fn add(&mut self, x: f64, y: f64, weight: f64) {
        self.n += weight;
        self.sum[0] += weight * x;
        self.sum[1] += weight * y;
        self.squares[0] += weight * x * x;
        self.squares[1] += weight * y * y;
        self.squares[2] += weight * x * y;
    }

    fn mean(&self, i: usize) -> f64 {
        self.sum[i] / self.n
    }

    fn variance(&self, i: usize) -> f64 {
        (self.squares[i] / self.n - self.mean(i) * self.mean(i)).max(0.0)
    }

    fn correlation(&self) -> f64 {
        let covariance = self.squares[2] / self.n - self.mean(0) * self.mean(1);
        covariance / (self.variance(0) * self.variance(1)).sqrt()
    }
}

/// Calls `visit(x, y, density)` on a fine grid of two standard normal numbers, for sums that stand for integrals.
fn normal_plane(mut visit: impl FnMut(f64, f64, f64)) {
    let grid = (-320..=320).map(|i| f64::from(i) * 0.025);
    for x in grid.clone() {
        for y in grid.clone() {
            visit(x, y, (-0.5 * (x * x + y * y)).exp());
        }
    }
}

fn transform(spread: Spread, xi: f64) -> f64 {
    match spread {
        Spread::Normal(sigma) => 1.0 + sigma * xi,
        Spread::LogNormal(sigma) => (sigma * xi).exp(),
    }
}

const DEVICES: usize = 40_000;

/// Asserts that a mean and variance over `DEVICES` draws agree with those of the distribution. The standard error of the
/// mean is sqrt(var/n), that of the variance sqrt((m4 - var^2)/n); five of them are allowed.
#[track_caller]
fn assert_agree(what: &str, sample: &[f64], weighted: impl Fn(&mut dyn FnMut(f64, f64))) {
    let n = sample.len() as f64;
    let mean = sample.iter().sum::<f64>() / n;
    let variance = sample.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let (mut total, mut first) = (0.0, 0.0);
    weighted(&mut |x, weight| {
        total += weight;
        first += weight * x;
    });
    let expected = first / total;
    let (mut second, mut fourth) = (0.0, 0.0);
    weighted(&mut |x, weight| {
        second += weight * (x - expected).powi(2) / total;
        fourth += weight * (x - expected).powi(4) / total;
    });
    // Single precision and the edge of the truncated grid leave 1e-4 of the value.
    let of_mean = 5.0 * (second / n).sqrt() + 1e-4 * expected.abs();
    assert!((mean - expected).abs() <= of_mean, "{what}: mean {mean}, expected {expected} within {of_mean}");
    let of_variance = 5.0 * ((fourth - second * second).max(0.0) / n).sqrt() + 5e-3 * second + 1e-12;
    assert!(
        (variance - second).abs() <= of_variance,
        "{what}: variance {variance}, expected {second} within {of_variance}"
    );
}

#[test]
fn bounds_have_the_stated_spread_for_every_preset() {
    for device in presets() {
        let (name, window) = (&device.spec().name, device.window());
        let variation = device.spec().device_to_device;
        let shape = Shape { inputs: 200, outputs: DEVICES / 200 };
        let population = Population::new(&device, shape, SeedPath::root(11).child(name));
        let reference = window.reference_siemens();
        let bound = |i: usize| -> Vec<f64> {
            (0..DEVICES).map(|cell| f64::from(population.window(cell)[i])).collect()
        };
        // In units of the nominal distance from the reference, so that tolerances have a scale.
        for (i, spread, distance, limit) in [
            (0, variation.g_min, reference - window.g_min.0, reference),
            (1, variation.g_max, window.g_max.0 - reference, f64::INFINITY),
        ] {
            if distance == 0.0 {
                assert!(bound(i).iter().all(|&g| (g - reference).abs() <= 1e-6 * reference));
                continue;
            }
            let sample: Vec<f64> = bound(i).iter().map(|g| (g - reference).abs() / distance).collect();
            assert_agree(&format!("{name}, bound {i}"), &sample, |add| {
                for step in -8000..=8000 {
                    let xi = f64::from(step) * 1e-3;
                    let factor = transform(spread, xi);
                    if factor > 0.0 && factor < limit / distance {
                        add(factor, (-0.5 * xi * xi).exp());
                    }
                }
            });
        }
    }
}

/// Nominal SET and RESET steps against the larger of them, of models that have such.
fn relative_steps(response: &Response) -> [f64; 2] {
    let models = toml::Table::try_from(response).expect("a response is a table of its model");
    let parameters = models.values().next().expect("it has one model");
    let step = |key| parameters.get(key).and_then(toml::Value::as_float);
    match (step("step-up"), step("step-down")) {
        (Some(up), Some(down)) => [up / up.max(down), down / up.max(down)],
        _ => [1.0; 2],
    }
}

#[test]
fn steps_have_the_stated_spread_and_correlation_for_every_preset() {
    for preset in presets() {
        let Some(response) = &preset.spec().response else { continue };
        let mut spec = preset.spec().clone();
        // The step of these models at the reference is the same whatever the device's own bounds; that of others follows
        // them, and their spread is told by the bounds' own test.
        let anchored = matches!(
            response,
            Response::ConstantStep(_)
                | Response::LinearStep(_)
                | Response::SoftBounds(_)
                | Response::ExpStep(_)
        );
        if !anchored {
            spec.device_to_device.g_min = Spread::default();
            spec.device_to_device.g_max = Spread::default();
        }
        let device = Device::try_from(spec).unwrap();
        let law = device.law().expect("there is a response");
        let (name, window) = (&device.spec().name, device.window());
        let variation = device.spec().device_to_device;
        let shape = Shape { inputs: 200, outputs: DEVICES / 200 };
        // Fresh devices stand at the reference, where the nominal step is quoted.
        let population = Population::new(&device, shape, SeedPath::root(12).child(name));
        let at_reference = {
            let mut spec = device.spec().clone();
            spec.device_to_device = DeviceVariation::default();
            let plain = Device::try_from(spec).unwrap();
            let one = Shape { inputs: 1, outputs: 1 };
            let steps = Population::new(&plain, one, SeedPath::root(0)).steps(0).map(f64::from);
            // The law clips at the bounds, steps do not.
            let law = law.step(window.reference, Polarity::Set) * window.range_siemens();
            assert!((law - steps[0]).abs() < 1e-5 * steps[0], "{name}: {law} against {}", steps[0]);
            steps
        };
        // A model whose RESET step vanishes at g_min has no RESET statistics there.
        let shaped = variation.shape > 0.0;
        let relative = relative_steps(response);
        let factors: Vec<[f64; 2]> = (0..DEVICES)
            .map(|cell| {
                let steps = population.steps(cell).map(f64::from);
                [steps[0] / at_reference[0], steps[1] / at_reference[1]]
            })
            .collect();
        let expected = |visit: &mut dyn FnMut([f64; 2], f64)| {
            normal_plane(|x, y, density| {
                let gain = transform(variation.step, x);
                let skew = variation.asymmetry * y;
                let pair = [1.0 + (gain - 1.0 + skew) / relative[0], 1.0 + (gain - 1.0 - skew) / relative[1]];
                if gain > 0.0 && pair[0] >= 0.0 && pair[1] >= 0.0 {
                    visit(pair, density);
                }
            });
        };
        let varied = variation.step != Spread::default() || variation.asymmetry > 0.0;
        for i in 0..2 {
            if at_reference[i] <= 0.0 {
                continue;
            }
            let sample: Vec<f64> = factors.iter().map(|pair| pair[i]).collect();
            if varied {
                assert_agree(&format!("{name}, step {i}"), &sample, |add| {
                    expected(&mut |pair, weight| add(pair[i], weight));
                });
            } else {
                assert!(
                    sample.iter().all(|factor| (factor - 1.0).abs() < 1e-4),
                    "{name}: a step varies without a stated spread"
                );
            }
        }
        if varied && !shaped && at_reference[1] > 0.0 {
            let (mut sampled, mut stated) = (Moments::default(), Moments::default());
            for pair in &factors {
                sampled.add(pair[0], pair[1], 1.0);
            }
            expected(&mut |pair, weight| stated.add(pair[0], pair[1], weight));
            // Standard error of a correlation of normal numbers: (1 - rho^2)/sqrt(n); log-normal tails are wider, so
            // ten of them.
            let rho = stated.correlation();
            let tolerance = 10.0 * (1.0 - rho * rho) / (DEVICES as f64).sqrt() + 1e-4;
            assert!(
                (sampled.correlation() - rho).abs() <= tolerance,
                "{name}: correlation {} against {rho} within {tolerance}",
                sampled.correlation()
            );
        }
    }
}

/// A device file that is right but for `body`.
fn problems_of(body: &str) -> Vec<String> {
    let head = "name = \"x\"\ndescription = \"\"\nsource = { citation = \"c\", table = \"t\" }\n";
    let error = Device::from_toml(&format!("{head}{body}")).expect_err("the body is wrong");
    error.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn all_values_out_of_range_come_at_once_with_their_places() {
    let body = "levels = 1\n\
                [window]\n\
                g-min = \"20 uS\"\n\
                g-max = \"10 uS\"\n\
                reference = 2.0\n\
                [response.constant-step]\n\
                step-up = -0.1\n\
                step-down = 0.1\n\
                [cycle-to-cycle]\n\
                of-window = 7.0\n\
                [faults]\n\
                at-g-min = 0.6\n\
                at-g-max = 0.7\n\
                [retention.drift]\n\
                exponent = 0.05\n\
                t0 = \"0 s\"\n";
    assert_eq!(
        problems_of(body),
        [
            "line 4, column 10: `levels` must be at least 2",
            "line 7, column 9: `window.g-max` must lie above `g-min`",
            "line 8, column 13: `window.reference` must lie within 0 and 1",
            "line 13, column 13: `cycle-to-cycle.of-window` must lie within 0 and 1",
            "line 14, column 2: `faults` the stuck parts must not exceed 1 together",
            "line 19, column 6: `retention.drift.t0` must be positive",
            "line 10, column 11: `response.constant-step.step-up` must lie within 0 and 1: a step is a fraction of the window",
        ]
    );
}

const EXPONENTIAL: Exponential =
    Exponential { nonlinearity_up: 9.0, nonlinearity_down: -9.0, pulses_up: 1.0, pulses_down: 1.0 };
const POWER: PowStep = PowStep { step_up: 1.0, step_down: 0.0, gamma_up: 0.0, gamma_down: 0.0 };

/// A device that is right, with something changed.
fn changed(change: impl FnOnce(&mut DeviceSpec)) -> Result<Device, DeviceError> {
    try_preset("ideal", |spec| {
        spec.window.reference = 0.5;
        change(spec);
    })
}

#[track_caller]
fn assert_one_problem(key: &str, device: Result<Device, DeviceError>) {
    let problems = device.expect_err(key).problems;
    assert!(problems.len() == 1 && problems[0].key == key, "{key}: {problems:?}");
}

#[test]
fn every_wrong_value_is_the_one_problem_of_its_device() {
    type Wrong = (&'static str, fn(&mut DeviceSpec));
    changed(|_| ()).expect("nothing is wrong yet");
    let wrong: &[Wrong] = &[
        ("device-to-device.step", |d| d.device_to_device.step = Spread::Normal(3.1)),
        ("device-to-device.step", |d| d.device_to_device.step = Spread::LogNormal(-0.1)),
        ("device-to-device.g-max", |d| d.device_to_device.g_max = Spread::Normal(3.1)),
        ("device-to-device.g-min", |d| d.device_to_device.g_min = Spread::Normal(3.1)),
        ("device-to-device.asymmetry", |d| d.device_to_device.asymmetry = 3.1),
        ("device-to-device.shape", |d| d.device_to_device.shape = -0.1),
        ("device-to-device.reference", |d| d.device_to_device.reference = f64::NAN),
        ("read-noise.relative", |d| d.read_noise.relative = 1.1),
        ("read-noise.absolute", |d| d.read_noise.absolute = Siemens(-1e-9)),
        ("read-noise.telegraph.amplitude", |d| {
            d.read_noise.telegraph = Some(Telegraph { amplitude: 1.1, occupancy: 0.5, fraction: 0.5 });
        }),
        ("read-noise.telegraph.occupancy", |d| {
            d.read_noise.telegraph = Some(Telegraph { amplitude: 0.5, occupancy: -0.1, fraction: 0.5 });
        }),
        ("read-noise.telegraph.fraction", |d| {
            d.read_noise.telegraph = Some(Telegraph { amplitude: 0.5, occupancy: 0.5, fraction: 1.1 });
        }),
        ("retention.drift.exponent", |d| {
            d.retention.drift = Some(Drift { exponent: 1.1, spread: 0.0, t0: Seconds(1.0) });
        }),
        ("retention.drift.spread", |d| {
            d.retention.drift = Some(Drift { exponent: 0.1, spread: -0.1, t0: Seconds(1.0) });
        }),
        ("retention.decay.lifetime", |d| {
            let lifetime = Lifetime::Updates(0.0);
            d.retention.decay = Some(Decay { lifetime, spread: Spread::default(), rest: 0.5 });
        }),
        ("retention.decay.lifetime", |d| {
            let lifetime = Lifetime::Time(Seconds(-1.0));
            d.retention.decay = Some(Decay { lifetime, spread: Spread::default(), rest: 0.5 });
        }),
        ("retention.decay.rest", |d| {
            let lifetime = Lifetime::Updates(1.0);
            d.retention.decay = Some(Decay { lifetime, spread: Spread::default(), rest: 1.1 });
        }),
        ("endurance.pulses", |d| d.endurance = Some(Endurance { pulses: 0.5, spread: Spread::default() })),
        ("endurance.pulses", |d| {
            d.endurance = Some(Endurance { pulses: f64::INFINITY, spread: Spread::default() });
        }),
        ("pulse.set-width", |d| d.pulse.set_width = Some(Seconds(0.0))),
    ];
    for (key, change) in wrong {
        assert_one_problem(key, changed(change));
    }
}

#[test]
fn every_wrong_parameter_is_the_one_problem_of_its_law() {
    type WrongTable = (&'static str, fn(&mut Tabulated));
    let with = |law: Response| changed(|spec| spec.response = Some(law));
    let of_tables: &[WrongTable] = &[
        ("at", |t| t.at = vec![0.0, 0.7, 0.3, 1.0]),
        ("at", |t| t.at[0] = 0.1),
        ("at", |t| t.at[3] = 0.9),
        ("step-up", |t| t.step_up.truncate(3)),
        ("step-down", |t| t.step_down[2] = 1.1),
        ("spread-up", |t| t.spread_up[1] = -0.1),
        ("spread-down", |t| t.spread_down.push(0.0)),
    ];
    let of_laws: &[(&str, Response)] = &[
        ("soft-bounds.step-up", Response::SoftBounds(SoftBounds { step_up: 1.1, step_down: 0.1 })),
        (
            "exponential.nonlinearity-down",
            Response::Exponential(Exponential { nonlinearity_down: -9.1, ..EXPONENTIAL }),
        ),
        ("exponential.pulses-up", Response::Exponential(Exponential { pulses_up: 0.5, ..EXPONENTIAL })),
        (
            "exponential.pulses-down",
            Response::Exponential(Exponential { pulses_down: f64::INFINITY, ..EXPONENTIAL }),
        ),
        ("pow-step.gamma-up", Response::PowStep(PowStep { gamma_up: -0.1, ..POWER })),
        ("pow-step.gamma-down", Response::PowStep(PowStep { gamma_down: f64::INFINITY, ..POWER })),
    ];
    let table = Tabulated {
        at: vec![0.0, 0.3, 0.7, 1.0],
        step_up: vec![0.01; 4],
        step_down: vec![0.01; 4],
        spread_up: vec![0.0; 4],
        spread_down: vec![0.0; 4],
    };
    let right =
        [Response::Tabulated(table.clone()), Response::Exponential(EXPONENTIAL), Response::PowStep(POWER)];
    for law in right {
        with(law).expect("values at their ends");
    }
    for (key, change) in of_tables {
        let mut table = table.clone();
        change(&mut table);
        assert_one_problem(&format!("response.tabulated.{key}"), with(Response::Tabulated(table)));
    }
    for (key, law) in of_laws {
        assert_one_problem(&format!("response.{key}"), with(law.clone()));
    }
}

#[test]
fn wrong_texts_are_placed_and_explained() {
    for (body, place, words) in [
        ("[window]\ng-min = \"5 V\"\ng-max = \"6 uS\"", (5, 9), "unknown unit `V`"),
        ("[window]\ng-min = 5\ng-max = \"6 uS\"", (5, 9), "a conductance as a string"),
        ("[window]\ng-mim = \"5 uS\"", (5, 1), "unknown field `g-mim`"),
        ("[response.soft-bouns]\nstep-up = 1", (4, 11), "unknown variant `soft-bouns`"),
        ("[window", (4, 8), ""),
        ("", (1, 1), "missing field `window`"),
    ] {
        let head = "name = \"x\"\ndescription = \"\"\nsource = { citation = \"c\", table = \"t\" }\n";
        let error = Device::from_toml(&format!("{head}{body}")).unwrap_err();
        let [problem] = &error.problems[..] else { panic!("{body}: {error}") };
        assert_eq!(problem.place, Some(place), "{body}: {problem}");
        assert!(problem.message.contains(words), "{body}: {problem}");
    }
}

#[test]
fn a_device_needs_a_way_to_be_written_and_a_model_its_reference() {
    let window = "[window]\ng-min = \"1 uS\"\ng-max = \"2 uS\"\n";
    let found = problems_of(window);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("`response` is missing"), "{found:?}");
    let soft = format!("{window}[response.soft-bounds]\nstep-up = 0.1\nstep-down = 0.1\n");
    let found = problems_of(&soft);
    assert!(found[0].contains("needs `window.reference` between 0 and 1"), "{found:?}");
}

#[test]
fn every_preset_survives_being_written_and_read_again() {
    for device in presets() {
        let back = Device::from_toml(&device.spec().to_toml()).unwrap_or_else(|error| panic!("{error}"));
        // Quantities are written with twelve digits.
        assert_eq!(back.spec().response, device.spec().response);
        let (a, b) = (back.window(), device.window());
        assert!((a.g_max.0 / b.g_max.0 - 1.0).abs() < 1e-11);
        assert!(!device.spec().source.table.is_empty());
    }
}
