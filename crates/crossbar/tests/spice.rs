//! The same circuits in ngspice, where it is installed.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test says what it does in its name and may panic")]

use std::process::Command;
use std::{env, fs};

use bitpulse_core::SeedPath;
use bitpulse_core::units::{Ohms, Volts};
use bitpulse_crossbar::{
    BitEnds, Circuit, Law, Read, Settings, Solver, Wires, WordEnds, netlist, solve_nonlinear,
};
use bitpulse_device::Iv;
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
            let Some(theirs) =
                ngspice(&format!("{k}-{read:?}"), &netlist(&circuit, &Law::default(), read, &volts))
            else {
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

#[test]
fn ngspice_agrees_on_non_linear_cells_behind_wires() {
    let mut rng = SeedPath::root(6).child("spice").rng();
    let g: Vec<f64> =
        (0..96).map(|_| if rng.random_bool(0.1) { 0.0 } else { rng.random_range(1e-6..1e-3) }).collect();
    let volts: Vec<f64> = (0..12).map(|_| rng.random_range(-0.5..0.5)).collect();
    let wires = Wires { driver: Ohms(100.0), sense: Ohms(20.0), ..Wires::uniform(Ohms(10.0)) };
    let circuit = Circuit::new(12, 8, g, wires).unwrap();
    let cubic = Iv::LogPolynomial { quadratic: vec![6e-5], cubic: vec![3e-4], limit: Volts(2.0) };
    for (name, iv) in
        [("sinh", Iv::Sinh { v0: Volts(0.15) }), ("cubic", Iv::Cubic { cubic: 3.0 }), ("skewed", cubic)]
    {
        let law = Law::new(iv.clone(), Some(Volts(0.2))).unwrap();
        for read in [Read::Forward, Read::Transposed] {
            let volts = &volts[..circuit.inputs(read)];
            // Written here once more, in place of the resistors: sources of current from the driven line on.
            let linear = netlist(&circuit, &Law::default(), read, volts);
            let cells = linear.lines().map(|line| {
                let Some(cell) = line.strip_prefix("rc_") else { return line.to_owned() };
                let [place, word, bit, ohm] = cell.split(' ').collect::<Vec<_>>()[..] else { unreachable!() };
                let (from, to) = if read == Read::Forward { (word, bit) } else { (bit, word) };
                let v = format!("v({from},{to})");
                let current = match iv {
                    Iv::Sinh { .. } => format!("0.2/{ohm}*sinh({v}/0.15)/sinh(0.2/0.15)"),
                    Iv::Cubic { .. } => format!("{v}/{ohm}*(1+3*{v}*{v})/(1+3*0.04)"),
                    Iv::LogPolynomial { .. } => format!("{v}/{ohm}+6e-5*{v}*{v}+3e-4*{v}*{v}*{v}"),
                    Iv::Linear => unreachable!("not among the laws above"),
                };
                format!("bc_{place} {from} {to} i={current}")
            });
            let mut text: Vec<String> = cells.collect();
            text.insert(1, ".options reltol=1e-10 abstol=1e-18 vntol=1e-13 gmin=1e-20".into());
            let Some(theirs) = ngspice(&format!("{name}-{read:?}"), &text.join("\n")) else { return };
            let written =
                ngspice(&format!("{name}-{read:?}-own"), &netlist(&circuit, &law, read, volts)).unwrap();
            let ours =
                solve_nonlinear(&circuit, read, &law, volts, &Settings::default()).unwrap().output_amperes;
            assert_eq!((theirs.len(), written.len()), (ours.len(), ours.len()));
            let largest = ours.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
            for (ours, theirs) in ours.iter().chain(&ours).zip(theirs.iter().chain(&written)) {
                assert!((ours - theirs).abs() <= 1e-6 * largest, "{law:?} {read:?}: {ours:e} {theirs:e}");
            }
            // The law matters: without it the currents differ by a thousand times what is allowed above.
            let ohmic =
                Solver::new(&circuit, read).solve(volts, &Settings::default()).unwrap().output_amperes;
            assert!(ohmic.iter().zip(&ours).any(|(a, b)| (a - b).abs() > 1e-3 * largest));
        }
    }
}
