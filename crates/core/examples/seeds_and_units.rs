//! Random numbers by path, and quantities with units: `cargo run -p bitpulse-core --example seeds_and_units`.

use bitpulse_core::SeedPath;
use bitpulse_core::units::{Ohms, Seconds, Siemens, Volts};
use rand::RngExt;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A stream belongs to what is drawn, not to when: the third epoch shuffles alike, whether or not the first two ran.
    let run = SeedPath::root(1);
    let third = run.child("shuffle").index(3);
    println!("epoch 3 draws {:?}", third.rng().random::<[u8; 4]>());
    println!("and again     {:?}", third.rng().random::<[u8; 4]>());
    println!("epoch 4 draws {:?}", run.child("shuffle").index(4).rng().random::<[u8; 4]>());

    // Quantities are read as people write them, and are plain SI inside.
    let (g, v, t): (Siemens, Volts, Seconds) = ("50 uS".parse()?, "1.5 V".parse()?, "100 ns".parse()?);
    println!("a pulse of {v} for {t} through {g} takes {:.1} pJ", v.0 * v.0 * g.0 * t.0 * 1e12);
    if let Err(error) = "1 kohms".parse::<Ohms>() {
        println!("refused: {error}");
    }
    Ok(())
}
