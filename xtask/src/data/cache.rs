//! Where fetched data sets are kept.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use bitpulse_data::Manifest;

use crate::failure::{Failure, Outcome};

/// The variable of the environment that says where data sets are kept.
const VARIABLE: &str = "BITPULSE_DATA";

/// The folder of all fetched data sets: `$BITPULSE_DATA`, else `bitpulse/datasets` in the platform's folder for caches.
pub fn root() -> Outcome<PathBuf> {
    if let Some(folder) = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) {
        return std::path::absolute(PathBuf::from(folder)).map_err(Failure::input);
    }
    dirs::cache_dir().map(|folder| folder.join("bitpulse/datasets")).ok_or_else(|| {
        Failure::input(anyhow!(
            "this platform names no folder for caches; set {VARIABLE} to a folder for data sets"
        ))
    })
}

/// The folder of a data set, which is there once it has been fetched.
pub fn folder(manifest: &Manifest) -> Outcome<PathBuf> {
    Ok(root()?.join(&manifest.name))
}

/// Whether `folder` has any file of the data set; whether they are right is seen when they are read.
pub fn holds(folder: &Path, manifest: &Manifest) -> bool {
    [&manifest.train, &manifest.test]
        .into_iter()
        .flat_map(|part| [&part.images, &part.labels])
        .any(|entry| folder.join(&entry.name).exists())
}
