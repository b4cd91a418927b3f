//! A data set of your own as four IDX files, read with every check: `cargo run -p bitpulse-data --example own_data_set`.

use std::path::Path;

use bitpulse_core::SeedPath;
use bitpulse_data::{Manifest, read, synthetic_digits};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let seed = SeedPath::root(1);
    let [train, test] =
        [(200, "train"), (50, "test")].map(|(count, name)| synthetic_digits(count, seed.child(name)));
    let shape = train.shape();
    for (stem, part) in [("train", &train), ("t10k", &test)] {
        let count = part.len() as u32;
        let sides = [count, shape.rows as u32, shape.cols as u32];
        write(&folder.path().join(format!("{stem}-images-idx3-ubyte")), 0x0803, &sides, part.images())?;
        write(&folder.path().join(format!("{stem}-labels-idx1-ubyte")), 0x0801, &[count], part.labels())?;
    }

    let manifest = Manifest::unpinned(shape, 10);
    let found = read(folder.path(), &manifest)?;
    println!(
        "{} images to learn from, {} to test on, {}",
        found.train.len(),
        found.test.len(),
        found.train.shape()
    );

    // A file that lost its end is refused with what was expected of it.
    let images = folder.path().join("train-images-idx3-ubyte");
    let bytes = std::fs::read(&images)?;
    std::fs::write(&images, &bytes[..bytes.len() - 7])?;
    if let Err(error) = read(folder.path(), &manifest) {
        println!("refused: {error}");
    }
    Ok(())
}

/// Writes an IDX file of bytes: magic number, sides, values.
fn write(path: &Path, magic: u32, sides: &[u32], values: &[u8]) -> std::io::Result<()> {
    let mut bytes: Vec<u8> = [&[magic], sides].concat().iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.extend_from_slice(values);
    std::fs::write(path, bytes)
}
