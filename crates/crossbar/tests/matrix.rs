//! The crossbar synaptic matrix: laws that hold for every spec.

use bitpulse_core::conformance::{self, Tolerance};
use bitpulse_core::{SeedPath, Shape};
use bitpulse_crossbar::{CrossbarMatrix, Mapping, MatrixSpec};
use bitpulse_device::Device;

/// A device of constant steps without variation or noise; `step` is a fraction of its window.
fn ideal(step: f64) -> Device {
    Device::from_toml(&format!(
        r#"
        name = "fine"
        description = "constant fine steps"
        [source]
        citation = "a test"
        table = "none"
        [window]
        g-min = "0 S"
        g-max = "2 S"
        reference = 0.5
        [response.constant-step]
        step-up = {step}
        step-down = {step}
        "#
    ))
    .expect("a valid device")
}

#[test]
fn conforms_on_fine_ideal_devices() {
    // 2^-20 of the window is 2^-19 of weight; the steps of the suite are whole numbers of pulses.
    let pulse = 2.0_f64.powi(-19);
    for mapping in [MatrixSpec::new(ideal(0.5 * pulse)).mapping, Mapping::Pair] {
        let spec = MatrixSpec { mapping, ..MatrixSpec::new(ideal(0.5 * pulse)) };
        // A weight is off by less than a pulse for every update, and by the rounding of f32.
        let tolerance = Tolerance { weight: 2.0 * pulse, read: 2e-6 };
        conformance::check(tolerance, |shape: Shape| {
            CrossbarMatrix::new(&spec, shape, SeedPath::root(9)).expect("a valid spec")
        });
    }
}
