//! What `xtask` reads itself: sweep files and checkpoints.
//!
//! It is a program and no library, so its modules are compiled here once more, at the root as they are in it.
#![allow(dead_code, unused_imports)]

#[path = "../xtask/src/columns.rs"]
mod columns;
#[path = "../xtask/src/data/mod.rs"]
mod data;
#[path = "../xtask/src/devices/mod.rs"]
mod devices;
#[path = "../xtask/src/energy/mod.rs"]
mod energy;
#[path = "../xtask/src/failure.rs"]
mod failure;
#[path = "../xtask/src/gallery.rs"]
mod gallery;
#[path = "../xtask/src/named.rs"]
mod named;
#[path = "../xtask/src/plot.rs"]
mod plot;
#[path = "../xtask/src/record.rs"]
mod record;
#[path = "../xtask/src/report/mod.rs"]
mod report;
#[path = "../xtask/src/spec/mod.rs"]
mod spec;
#[path = "../xtask/src/sweep/mod.rs"]
mod sweep;
#[path = "../xtask/src/train.rs"]
mod train;
#[path = "../xtask/src/wiring.rs"]
mod wiring;
#[path = "../xtask/src/workspace.rs"]
mod workspace;

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use sweep::checkpoint::{checksum, decode};

/// Reads `bytes` as a sweep file.
pub fn read_sweep(bytes: &[u8]) {
    // What is no text is refused by whoever reads the file.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(sweep) = spec::parse("fuzzed", Path::new("fuzzed.toml"), text, &[]) {
        assert!(!sweep.runs.is_empty(), "a sweep that is read has runs");
    }
}

/// Reads `bytes` as a checkpoint.
pub fn read_checkpoint(bytes: &[u8]) {
    drop(decode("abc", bytes));
    // Nobody guesses a checksum: the same file, with the right one.
    if let Some(sealed) = sealed(bytes) {
        drop(decode("abc", &sealed));
    }
}

fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (_, head) = SafeTensors::read_metadata(bytes).ok()?;
    let mut metadata = head.metadata().clone().unwrap_or_default();
    let tensors = SafeTensors::deserialize(bytes).ok()?;
    let views: BTreeMap<&str, TensorView<'_>> = tensors.iter().collect();
    metadata.insert("sha256".into(), checksum(&metadata, &views));
    safetensors::serialize(views, Some(metadata)).ok()
}
