//! Inputs that fuzzers found or that were once wrong, and thousands like them: nothing that is read from a file panics.

#[path = "../../fuzz/inputs.rs"]
mod inputs;
#[path = "../../fuzz/mutate.rs"]
mod mutate;

use std::fs;
use std::path::Path;

use bitpulse_core::SeedPath;

/// Mutations of each input.
const MUTATIONS: u64 = 30;
/// What only `xtask` reads: the corpora of its own tests.
const OF_XTASK: [&str; 2] = ["checkpoint", "sweep"];

#[test]
fn inputs_of_the_corpus_and_their_like_are_read_or_refused() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let mut kinds = 0;
    for folder in fs::read_dir(corpus).expect("the corpus") {
        let folder = folder.expect("a folder").path();
        let kind = folder.file_name().and_then(|name| name.to_str()).expect("kinds have plain names");
        kinds += 1;
        if OF_XTASK.contains(&kind) {
            continue;
        }
        let at = SeedPath::root(1).child(kind);
        for (name, bytes) in mutate::corpus(kind) {
            inputs::read(kind, &bytes);
            for mutation in mutate::mutations(&bytes, MUTATIONS, at.child(&name)) {
                inputs::read(kind, &mutation);
            }
        }
    }
    assert_eq!(kinds, 16, "every fuzzer has a corpus");
}
