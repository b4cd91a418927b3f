//! Inputs that are nearly what they should be, drawn from a seed: what a fuzzer does, without its feedback.

use std::fs;
use std::path::Path;

use bitpulse_core::SeedPath;
use rand::RngExt;

/// Words that readers of texts and headers look for, or choke on.
const WORDS: [&[u8]; 16] = [
    b"\"",
    b"[",
    b"]",
    b"{",
    b"}",
    b"=",
    b"-1",
    b"1e309",
    b"nan",
    b"inf",
    b"0",
    b"\n",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"18446744073709551616",
    b"\xe2\x84\xa6",
];

/// Names and contents of the inputs in the corpus of `kind`, sorted.
pub fn corpus(kind: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(kind);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an input").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("inputs have plain names");
            (name.to_owned(), fs::read(&path).expect("an input"))
        })
        .collect();
    inputs.sort();
    inputs
}

/// `count` inputs made from `bytes` by a few cuts, flips, copies and insertions each.
pub fn mutations(bytes: &[u8], count: u64, at: SeedPath) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..count).map(move |index| {
        let mut rng = at.index(index).rng();
        let mut input = bytes.to_vec();
        for _ in 0..rng.random_range(1..=6) {
            let length = input.len();
            let place = rng.random_range(0..=length);
            match rng.random_range(0..5) {
                0 if length > 0 => input[place.min(length - 1)] = rng.random(),
                1 if length > 0 => input[place.min(length - 1)] ^= 1 << rng.random_range(0..8),
                2 => input.truncate(place),
                3 => {
                    let end = length.min(place + rng.random_range(0..16));
                    let part = input[place..end].to_vec();
                    let to = rng.random_range(0..=length);
                    input.splice(to..to, part);
                }
                _ => {
                    let word = WORDS[rng.random_range(0..WORDS.len())];
                    input.splice(place..place, word.iter().copied());
                }
            }
        }
        input
    })
}
