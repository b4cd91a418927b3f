//! Synthetic measurements are fitted back to what made them, and spoilt ones are survived or refused.

mod common;

use std::fmt::Write as _;

use bitpulse_core::units::Siemens;
use bitpulse_core::{SeedPath, Shape};
use bitpulse_device::fit::{Fit, FitError, FitOptions, Model, PulseData, fit};
use bitpulse_device::{
    ConstantStep, CycleNoise, Device, ExpStep, Exponential, LinearStep, Population, PowStep, ReadNoise,
    Response, SoftBounds, Spread, Tabulated, Writing,
};
use common::preset;

/// A device with a window of 10 to 60 uS, the reference in the middle.
fn device(response: Response, cycle: CycleNoise, read_us: f64) -> Device {
    preset("ideal", |spec| {
        spec.window.g_min = Siemens(10e-6);
        spec.window.g_max = Siemens(60e-6);
        spec.window.reference = 0.5;
        spec.response = Some(response);
        spec.cycle_to_cycle = cycle;
        spec.read_noise = ReadNoise { absolute: Siemens(read_us * 1e-6), ..ReadNoise::default() };
    })
}

/// Measures devices: every cycle starts at the bottom, `pulses` up and as many down, one row per reading.
fn measure(device: &Device, devices: usize, cycles: usize, pulses: usize, seed: u64) -> Vec<String> {
    let at = SeedPath::root(seed);
    let shape = Shape { inputs: 1, outputs: devices };
    let mut population = Population::new(device, shape, at.child("devices"));
    let mut rows = Vec::new();
    let mut reading = 0;
    for cycle in 0..cycles {
        let start: Vec<f32> = (0..devices)
            .map(|cell| {
                let [low, high] = population.window(cell);
                low + 0.05 * (high - low)
            })
            .collect();
        population.program(0, &start, Writing::Exact, at.child("start").index(cycle as u64));
        let cells: Vec<u32> = (0..devices as u32).collect();
        for pulse in 0..=2 * pulses {
            let count = if pulse <= pulses { 1 } else { -1 };
            reading += 1;
            if pulse > 0 {
                let counts = vec![count; devices];
                population.pulse_cells(&cells, &counts, at.child("pulse").index(reading));
            }
            let mut out = vec![0.0; devices];
            population.read(0, at.child("read").index(reading), &mut out);
            for (cell, g) in out.iter().enumerate() {
                let polarity = if count > 0 { "set" } else { "reset" };
                rows.push(format!("{cell},{cycle},{pulse},{polarity},{}", f64::from(*g) * 1e6));
            }
        }
    }
    rows
}

fn csv(rows: &[String]) -> String {
    let mut text = String::from("device,cycle,pulse,polarity,conductance (uS)\n");
    for row in rows {
        writeln!(text, "{row}").expect("a String takes any text");
    }
    text
}

fn options(model: Option<Model>, known_window: bool) -> FitOptions {
    FitOptions {
        model,
        window: known_window.then_some([Siemens(10e-6), Siemens(60e-6)]),
        name: "fitted".into(),
    }
}

fn fitted(rows: &[String], options: &FitOptions) -> Result<Fit, FitError> {
    let data = PulseData::from_csv(&csv(rows)).unwrap_or_else(|error| panic!("{error}"));
    fit(&data, options)
}

#[track_caller]
fn assert_recovers(fit: &Fit, truth: &[(&str, f64)]) {
    for (name, value) in truth {
        let named = fit.parameters.iter().find(|p| p.name == *name);
        let parameter = named.unwrap_or_else(|| panic!("{}: no parameter {name}", fit.model));
        let off = (parameter.value - value) / parameter.standard_error;
        assert!(
            off.abs() <= 3.0,
            "{}: {name} is {} +- {}, truth {value}: {off:.2} standard errors",
            fit.model,
            parameter.value,
            parameter.standard_error
        );
        // A standard error of the size of the value would make this test empty.
        assert!(
            parameter.standard_error < 0.35 * value.abs().max(0.2),
            "{}: {name} {value} is known to {} only",
            fit.model,
            parameter.standard_error
        );
    }
}

const OF_WINDOW: CycleNoise =
    CycleNoise { of_step: 0.0, of_nominal_step: 0.0, of_window: 0.002, of_state: 0.0, write_noise: 0.0 };
const OF_STEP: CycleNoise = CycleNoise { of_step: 0.3, of_window: 0.0, ..OF_WINDOW };

type Truth = Vec<(&'static str, f64)>;

/// Every model with its parameters, as the fit names them.
fn truths() -> Vec<(Model, Response, Truth)> {
    vec![
        (
            Model::ConstantStep,
            Response::ConstantStep(ConstantStep { step_up: 0.011, step_down: 0.008 }),
            vec![("step-up", 0.011), ("step-down", 0.008)],
        ),
        (
            Model::SoftBounds,
            Response::SoftBounds(SoftBounds { step_up: 0.02, step_down: 0.015 }),
            vec![("step-up", 0.02), ("step-down", 0.015), ("g-min", 10e-6), ("g-max", 60e-6)],
        ),
        (
            Model::Exponential,
            Response::Exponential(Exponential {
                nonlinearity_up: 2.4,
                nonlinearity_down: -4.88,
                pulses_up: 97.0,
                pulses_down: 100.0,
            }),
            vec![
                ("nonlinearity-up", 2.4),
                ("nonlinearity-down", -4.88),
                ("pulses-up", 97.0),
                ("pulses-down", 100.0),
            ],
        ),
        (
            Model::LinearStep,
            Response::LinearStep(LinearStep {
                step_up: 0.012,
                step_down: 0.015,
                gamma_up: 0.4,
                gamma_down: 0.6,
            }),
            vec![("step-up", 0.012), ("step-down", 0.015), ("gamma-up", 0.4), ("gamma-down", 0.6)],
        ),
        (
            Model::PowStep,
            Response::PowStep(PowStep { step_up: 0.03, step_down: 0.04, gamma_up: 1.8, gamma_down: 2.2 }),
            vec![("step-up", 0.03), ("step-down", 0.04), ("gamma-up", 1.8), ("gamma-down", 2.2)],
        ),
        (
            Model::ExpStep,
            Response::ExpStep(ExpStep {
                step_up: 0.006,
                step_down: 0.008,
                amplitude_up: -1.0,
                amplitude_down: -0.6,
                gamma_up: -4.0,
                gamma_down: -5.0,
                a: 0.5,
                b: 0.0,
            }),
            vec![
                ("step-up", 0.006),
                ("step-down", 0.008),
                ("amplitude-up", -1.0),
                ("amplitude-down", -0.6),
                ("gamma-up", -4.0),
                ("gamma-down", -5.0),
            ],
        ),
    ]
}

#[test]
fn every_model_is_fitted_back_within_three_standard_errors() {
    for (seed, (model, response, truth)) in truths().into_iter().enumerate() {
        for (noise, read_us) in [(OF_WINDOW, 0.0), (OF_STEP, 0.0), (OF_WINDOW, 0.1)] {
            let device = device(response.clone(), noise, read_us);
            let rows = measure(&device, 1, 12, 100, 20 + seed as u64);
            let fit = fitted(&rows, &options(Some(model), model != Model::SoftBounds))
                .unwrap_or_else(|error| panic!("{model}: {error}"));
            assert_recovers(&fit, &truth);
            let found = fit.device.spec();
            if noise.of_step > 0.0 {
                let found = found.cycle_to_cycle.of_step;
                assert!((found / 0.3 - 1.0).abs() < 0.05, "{model}: C2C of step {found}");
            } else {
                let found = found.cycle_to_cycle.of_window;
                assert!((found / 0.002 - 1.0).abs() < 0.1, "{model}: C2C of window {found}");
            }
            let read = found.read_noise.absolute.0 * 1e6;
            assert!((read - read_us).abs() < 0.02, "{model}: read noise {read} uS");
        }
    }
}

#[test]
fn standard_errors_are_honest() {
    let (model, response, truth) = truths().swap_remove(2);
    let device = device(response, OF_WINDOW, 0.05);
    let mut squares = vec![0.0; truth.len()];
    let seeds = 24;
    for seed in 0..seeds {
        let fit = fitted(&measure(&device, 1, 5, 100, 100 + seed), &options(Some(model), true)).unwrap();
        for ((name, value), square) in truth.iter().zip(&mut squares) {
            let parameter = fit.parameters.iter().find(|p| p.name == *name).unwrap();
            *square += ((parameter.value - value) / parameter.standard_error).powi(2);
        }
    }
    for ((name, _), square) in truth.iter().zip(squares) {
        // Chi-squared with 24 degrees of freedom: 1e-4 quantiles 6.4 and 58.
        assert!((6.4..58.0).contains(&square), "{name}: {square} for {seeds} seeds");
    }
}

#[test]
fn a_table_is_fitted_back_within_three_standard_errors() {
    let at: Vec<f64> = (0..9).map(|i| f64::from(i) / 8.0).collect();
    let step_up = vec![0.03, 0.02, 0.018, 0.016, 0.012, 0.011, 0.009, 0.005, 0.002];
    let step_down = vec![0.002, 0.006, 0.008, 0.013, 0.012, 0.014, 0.018, 0.02, 0.03];
    let response = Response::Tabulated(Tabulated {
        at,
        step_up: step_up.clone(),
        step_down: step_down.clone(),
        spread_up: vec![0.003; 9],
        spread_down: vec![0.003; 9],
    });
    let device = device(response, CycleNoise::default(), 0.0);
    let rows = measure(&device, 1, 30, 150, 1);
    let fit = fitted(&rows, &options(Some(Model::Tabulated), true)).unwrap();
    let names: Vec<String> =
        (0..9).map(|i| format!("step-up[{i}]")).chain((0..9).map(|i| format!("step-down[{i}]"))).collect();
    for (i, (name, truth)) in names.iter().zip(step_up.iter().chain(&step_down)).enumerate() {
        // The knots ahead at the bound are not measured: noise is cut there.
        if i == 8 || i == 9 {
            continue;
        }
        assert_recovers(&fit, &[(name, *truth)]);
    }
    let Some(Response::Tabulated(table)) = &fit.device.spec().response else {
        panic!("a table was asked for")
    };
    assert!((table.spread_up[4] / 0.003 - 1.0).abs() < 0.1);
}

#[test]
fn the_best_model_is_the_one_that_made_the_data_or_its_equal() {
    for (seed, (model, response, _)) in truths().into_iter().enumerate() {
        let device = device(response, OF_STEP, 0.0);
        let rows = measure(&device, 1, 10, 100, 50 + seed as u64);
        let fit = fitted(&rows, &options(None, true)).unwrap();
        // A straight line has three names.
        let lines = [Model::SoftBounds, Model::Exponential, Model::LinearStep];
        assert!(
            fit.model == model || (lines.contains(&model) && lines.contains(&fit.model)),
            "{model} was taken for {}: {:?}",
            fit.model,
            fit.candidates
        );
        assert_eq!(fit.candidates.len(), Model::ALL.len());
    }
}

#[test]
fn several_devices_give_their_spread() {
    let response =
        Response::LinearStep(LinearStep { step_up: 0.012, step_down: 0.015, gamma_up: 0.4, gamma_down: 0.6 });
    let nominal = device(response, OF_WINDOW, 0.05);
    let mut spec = nominal.spec().clone();
    spec.device_to_device.step = Spread::Normal(0.2);
    spec.device_to_device.asymmetry = 0.1;
    spec.device_to_device.shape = 0.1;
    let varied = Device::try_from(spec).unwrap();
    let rows = measure(&varied, 50, 3, 60, 3);
    let fit = fitted(&rows, &options(Some(Model::LinearStep), true)).unwrap();
    assert_recovers(
        &fit,
        &[("step-up", 0.012), ("step-down", 0.015), ("gamma-up", 0.4), ("gamma-down", 0.6)],
    );
    // The standard error of a standard deviation of 50 is 10 %; three of them.
    let spread = fit.device.spec().device_to_device;
    assert!((spread.step.sigma() / 0.2 - 1.0).abs() < 0.3, "{spread:?}");
    assert!((spread.asymmetry / 0.1 - 1.0).abs() < 0.3, "{spread:?}");
    assert!((spread.shape / 0.1 - 1.0).abs() < 0.3, "{spread:?}");
}

fn exponential_rows() -> Vec<String> {
    let (_, response, _) = truths().swap_remove(2);
    measure(&device(response, OF_WINDOW, 0.05), 1, 12, 100, 9)
}

#[test]
fn outliers_missing_values_and_shuffled_rows_are_survived() {
    use rand::RngExt;
    use rand::seq::SliceRandom;
    let (_, _, truth) = truths().swap_remove(2);
    let clean = exponential_rows();
    let mut rng = SeedPath::root(4).rng();
    let mut spoilt: Vec<String> = clean
        .iter()
        .filter_map(|row| {
            let (head, _) = row.rsplit_once(',').unwrap();
            match rng.random_range(0..100) {
                // 5 % outliers anywhere from 0 to 150 uS, 3 % empty, 3 % rows gone.
                0..5 => Some(format!("{head},{}", rng.random_range(0.0..150.0))),
                5..8 => Some(format!("{head},")),
                8..11 => None,
                _ => Some(row.clone()),
            }
        })
        .collect();
    spoilt.shuffle(&mut rng);
    let fit = fitted(&spoilt, &options(Some(Model::Exponential), true)).unwrap();
    assert_recovers(&fit, &truth);
    // Some outliers land where the reading might be.
    let share = fit.outliers as f64 / spoilt.len() as f64;
    assert!((0.035..0.06).contains(&share), "{share}");
    assert!(fit.missing > 30);

    let mut shuffled = clean.clone();
    shuffled.shuffle(&mut rng);
    let options = options(Some(Model::Exponential), true);
    assert_eq!(
        fitted(&clean, &options).unwrap(),
        fitted(&shuffled, &options).unwrap(),
        "order is no information"
    );
}

#[test]
fn without_a_known_window_the_range_of_the_readings_serves() {
    let fit = fitted(&exponential_rows(), &options(Some(Model::Exponential), false)).unwrap();
    let window = fit.device.window();
    // RESET reaches the bottom, SET ends short of the top; read noise widens both by three or four of its deviations.
    assert!((9.7e-6..10.5e-6).contains(&window.g_min.0), "{window:?}");
    assert!((58e-6..60.3e-6).contains(&window.g_max.0), "{window:?}");
}

#[test]
fn what_cannot_be_fitted_is_refused_in_one_clear_sentence() {
    let rows = exponential_rows();
    let only_set: Vec<String> = rows.iter().filter(|row| row.contains(",set,")).cloned().collect();
    let message = |rows: &[String]| fitted(rows, &options(None, true)).unwrap_err().to_string();
    assert_eq!(message(&only_set), "no RESET pulses in the data: a device needs both polarities");
    let few: Vec<String> = rows.iter().filter(|row| row.starts_with("0,0,10")).cloned().collect();
    assert!(message(&few).contains("too few"), "{}", message(&few));
    let still: Vec<String> =
        (0..80).map(|pulse| format!("0,0,{pulse},{},20", if pulse < 40 { "set" } else { "reset" })).collect();
    let error = fitted(&still, &options(None, false)).unwrap_err();
    assert_eq!(error.to_string(), "the readings span no window: 20 uS to 20 uS");
}

#[test]
fn a_fitted_device_survives_its_file() {
    let fit = fitted(&exponential_rows(), &options(None, true)).unwrap();
    let text = fit.device.spec().to_toml();
    let back = Device::from_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let (a, b) = (fit.device.law().unwrap(), back.law().unwrap());
    for u in [0.1, 0.5, 0.9] {
        let polarity = bitpulse_device::Polarity::Set;
        assert!((a.step(u, polarity) - b.step(u, polarity)).abs() < 1e-12);
    }
    // One point for every reading, the trajectory through them.
    let rows = exponential_rows();
    assert_eq!(fit.points.len(), rows.len());
    let residuals: Vec<f64> =
        fit.points.iter().filter(|point| !point.outlier).filter_map(|point| point.residual).collect();
    let n = residuals.len() as f64;
    let variance = residuals.iter().map(|z| z * z).sum::<f64>() / n;
    assert!((variance - 1.0).abs() < 5.0 * (2.0 / n).sqrt() + 0.02, "{variance}");
}
