//! Files of `data` that the command line and settings call by name.

use std::path::{Path, PathBuf};

use crate::spec::near_miss;
use crate::workspace;

/// Whether `name` is that of a file in a folder of `data`, without folder and ending, rather than a path.
pub fn is_bare(name: &Path) -> bool {
    name.components().count() == 1 && name.extension().is_none()
}

/// The folder `data/{kind}`.
pub fn folder(kind: &str) -> PathBuf {
    workspace::root().join("data").join(kind)
}

/// The file that is called `name`: one of `data/{kind}`, or the path that it is.
pub fn path(kind: &str, name: &Path) -> PathBuf {
    if is_bare(name) { folder(kind).join(name).with_extension("toml") } else { name.to_owned() }
}

/// Names that there are in `data/{kind}`, sorted.
pub fn known(kind: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder(kind))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// The end of a message that there is no `name` in `data/{kind}`: what it may have been meant to be, if anything is near.
pub fn hint(kind: &str, name: &Path) -> String {
    let known = known(kind);
    near_miss(&name.to_string_lossy(), known.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}
