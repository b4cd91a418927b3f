//! Synthetic measurements are fitted back to what made them, and spoilt ones are survived or refused.

mod common;

use bitpulse_core::SeedPath;
use bitpulse_core::units::Siemens;
use bitpulse_device::fit::{Fit, FitError, FitOptions, Model, PulseData, fit};
use bitpulse_device::{CycleNoise, Device, LinearStep, Response, Spread, Tabulated};
use common::coverage::{TRIALS, deviations};
use common::synthetic::{OF_STEP, OF_WINDOW, csv, device, measure, truths};

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

#[test]
fn every_model_is_fitted_back_within_three_standard_errors() {
    for (model, response, truth) in truths() {
        for (noise, read_us) in [(OF_WINDOW, 0.0), (OF_STEP, 0.0), (OF_WINDOW, 0.1)] {
            let device = device(response.clone(), noise, read_us);
            let rows = measure(&device, 1, 12, 100, 1);
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

/// Fits many synthetic measurements, seeds 1, 2, 3 and so on, and holds the deviations from the truth to the standard errors.
#[track_caller]
fn assert_covers(model: Model) {
    const SEEDS: usize = 10;
    const SEEDS_OF_SEVERAL: usize = 3;
    let (mut far, mut far_of_several) = ([false; SEEDS], [false; SEEDS_OF_SEVERAL]);
    for trial in TRIALS {
        let far = if trial.devices == 1 { &mut far[..] } else { &mut far_of_several[..] };
        for (parameter, found) in deviations(model, &trial, far.len() as u64) {
            for (far, z) in far.iter_mut().zip(&found) {
                *far |= z.abs() > 3.0;
            }
            if trial.devices == 1 {
                // Chi-squared with 10 degrees of freedom: 1e-5 quantiles 0.4 and 42.
                let squares: f64 = found.iter().map(|z| z * z).sum();
                assert!(
                    (0.4..42.0).contains(&squares),
                    "{model}, {}, {parameter}: {squares} for {SEEDS} seeds",
                    trial.name
                );
            }
        }
    }
    // Measurements of one seed share their noise, and parameters of one fit err together: seeds are counted. At most 4
    // measurements of 6 parameters: one seed has any beyond three standard errors with a probability of at most 0.065, five
    // seeds of ten with 2e-4.
    let beyond = |far: &[bool]| far.iter().filter(|far| **far).count();
    assert!(beyond(&far) < 5, "{model}: {} seeds beyond three standard errors", beyond(&far));
    // Student's t of few devices has wide tails; 60 seeds have 20 of 2880 such deviations (docs/book/src/explanation/devices.md).
    let beyond = beyond(&far_of_several);
    assert!(beyond < SEEDS_OF_SEVERAL, "{model}, several devices: all seeds beyond three standard errors");
}

#[test]
fn standard_errors_of_a_constant_step_are_honest() {
    assert_covers(Model::ConstantStep);
}

#[test]
fn standard_errors_of_soft_bounds_are_honest() {
    assert_covers(Model::SoftBounds);
}

#[test]
fn standard_errors_of_an_exponential_are_honest() {
    assert_covers(Model::Exponential);
}

#[test]
fn standard_errors_of_a_linear_step_are_honest() {
    assert_covers(Model::LinearStep);
}

#[test]
fn standard_errors_of_a_pow_step_are_honest() {
    assert_covers(Model::PowStep);
}

#[test]
fn standard_errors_of_an_exp_step_are_honest() {
    assert_covers(Model::ExpStep);
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
    for (model, response, _) in truths() {
        let device = device(response, OF_STEP, 0.0);
        let rows = measure(&device, 1, 10, 100, 1);
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
    let rows = measure(&varied, 50, 3, 60, 1);
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
    measure(&device(response, OF_WINDOW, 0.05), 1, 12, 100, 1)
}

#[test]
fn outliers_missing_values_and_shuffled_rows_are_survived() {
    use rand::RngExt;
    use rand::seq::SliceRandom;
    let (_, _, truth) = truths().swap_remove(2);
    let clean = exponential_rows();
    let mut rng = SeedPath::root(1).rng();
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
