//! Devices that several tests start from.

#[allow(dead_code, reason = "not every test binary fits")]
pub(crate) mod coverage;
#[allow(dead_code, reason = "not every test binary measures")]
pub(crate) mod synthetic;

use std::path::Path;

use bitpulse_device::{Device, DeviceError, DeviceSpec, load_folder};

/// The shipped presets, by name.
pub(crate) fn presets() -> Vec<Device> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/devices");
    let devices = load_folder(&folder).unwrap_or_else(|error| panic!("{error}"));
    devices.into_values().collect()
}

/// A shipped preset, changed.
#[allow(dead_code, reason = "not every test binary changes a preset")]
pub(crate) fn preset(name: &str, change: impl FnOnce(&mut DeviceSpec)) -> Device {
    try_preset(name, change).unwrap_or_else(|error| panic!("{error}"))
}

/// A shipped preset, changed, perhaps for the worse.
#[allow(dead_code, reason = "not every test binary changes a preset")]
pub(crate) fn try_preset(name: &str, change: impl FnOnce(&mut DeviceSpec)) -> Result<Device, DeviceError> {
    let presets = presets();
    let mut spec = presets
        .iter()
        .find(|device| device.spec().name == name)
        .expect("the caller names a shipped preset")
        .spec()
        .clone();
    change(&mut spec);
    Device::try_from(spec)
}
