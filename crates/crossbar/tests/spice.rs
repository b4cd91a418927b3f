//! The same circuits in ngspice, where it is installed.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test says what it does in its name and may panic")]

use std::process::Command;
use std::{env, fs};

use bitpulse_core::{SeedPath, units::Ohms};
use bitpulse_crossbar::{BitEnds, Circuit, Read, Settings, Solver, Wires, WordEnds, netlist};
use rand::RngExt;

/// Output currents by ngspice; `None` where it is missing.
fn ngspice(name: &str, netlist: &str) -> Option<Vec<f64>> {
    let file = env::temp_dir().join(format!("bitpulse-{name}-{}.cir", std::process::id()));
    fs::write(&file, netlist).expect("the temporary folder is writable");
    let run = Command::new("ngspice").arg("-b").arg(&file).output();
    fs::remove_file(&file).expect("the file was just written");
    let run = match run {
        Ok(run) => run,
        Err(error) => {
            println!("skipped: ngspice does not run here ({error}); it is Debian's package ngspice");
            return None;
        }
    };
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let values =
        text.lines().filter_map(|line| line.strip_prefix("i(vout_")?.split('=').nth(1)?.trim().parse().ok());
    Some(values.collect())
}

#[test]
fn ngspice_agrees_forward_and_transposed() {
    let mut rng = SeedPath::root(5).child("spice").rng();
    let g: Vec<f64> =
        (0..256).map(|_| if rng.random_bool(0.1) { 0.0 } else { rng.random_range(1e-6..1e-4) }).collect();
    let volts: Vec<f64> = (0..16).map(|_| rng.random_range(-0.2..0.2)).collect();
    let wires = Wires {
        word_segment: Ohms(2.5),
        bit_segment: Ohms(7.0),
        driver: Ohms(120.0),
        sense: Ohms(35.0),
        ..Wires::default()
    };
    let ideal_words = Wires { word_segment: Ohms(0.0), driver: Ohms(0.0), ..wires };
    let everywhere = Wires { word_ends: WordEnds::Both, bit_ends: BitEnds::Both, ..wires };
    let elsewhere =
        Wires { word_ends: WordEnds::Right, bit_ends: BitEnds::Top, bit_segment: Ohms(0.0), ..wires };
    for (k, wires) in [wires, ideal_words, everywhere, elsewhere].into_iter().enumerate() {
        let circuit = Circuit::new(16, 16, g.clone(), wires).unwrap();
        for read in [Read::Forward, Read::Transposed] {
            let ours =
                Solver::new(&circuit, read).solve(&volts, &Settings::default()).unwrap().output_amperes;
            let Some(theirs) = ngspice(&format!("{k}-{read:?}"), &netlist(&circuit, read, &volts)) else {
                return;
            };
            assert_eq!(theirs.len(), ours.len(), "{wires:?}");
            let largest = ours.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert!((ours - theirs).abs() <= 1e-6 * largest, "{wires:?} {read:?}: {ours:e} {theirs:e}");
            }
        }
    }
}
