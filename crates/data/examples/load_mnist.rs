//! Checks and loads MNIST, and prints how often each digit occurs.
//!
//! `cargo run --release -p bitpulse-data --example load_mnist -- data/mnist target/mnist`

use std::path::Path;

use bitpulse_data::{Dataset, Manifest, check, load_mnist};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, unpack_dir] = args.as_slice() else {
        return Err("usage: load_mnist <folder of the gz files> <folder to unpack into>".into());
    };
    match check(Path::new(dir), &Manifest::mnist()) {
        Ok(report) => print!("{report}"),
        Err(errors) => {
            for error in &errors {
                eprintln!("error: {error}");
            }
            return Err(format!("{} problems", errors.len()).into());
        }
    }
    let split = load_mnist(Path::new(dir), Path::new(unpack_dir))?.hold_out(10_000)?;
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
