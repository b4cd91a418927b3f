//! Checks and loads MNIST, and prints how often each digit occurs.
//!
//! `cargo run --release -p bitpulse-data --example load_mnist`, or with another folder of its files at the end.

use std::path::{Path, PathBuf};

use bitpulse_data::{Dataset, Manifest, check, load_mnist};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dir = std::env::args().nth(1).map_or_else(|| root.join("data/mnist"), PathBuf::from);
    match check(&dir, &Manifest::mnist()) {
        Ok(report) => print!("{report}"),
        Err(errors) => {
            for error in &errors {
                eprintln!("error: {error}");
            }
            return Err(format!("{} problems", errors.len()).into());
        }
    }
    let split = load_mnist(&dir, &root.join("target/mnist"))?.hold_out(10_000)?;
    for (name, part) in [("train", &split.train), ("validation", &split.validation), ("test", &split.test)] {
        println!("{name:10} {:5} samples, of each digit {:?}", part.len(), histogram(part));
    }
    Ok(())
}

fn histogram(part: &Dataset) -> Vec<usize> {
    let mut counts = vec![0; part.classes()];
    for &label in part.labels() {
        counts[usize::from(label)] += 1;
    }
    counts
}
