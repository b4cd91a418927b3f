//! Circuits on which the iteration does not come down to its tolerance, and others, solved directly.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test says what it does in its name and may panic")]

use bitpulse_core::units::{Ohms, Volts};
use bitpulse_core::{Rng, SeedPath};
use bitpulse_crossbar::{
    BitEnds, Circuit, Law, Read, Settings, SolveError, Solver, Wires, WordEnds, effective_map,
    solve_nonlinear,
};
use bitpulse_device::Iv;
use rand::RngExt;

/// Cells from open to 3 S behind wires from 0 ohm to 1 kohm, and voltages for as many vectors as asked for.
fn extreme(rng: &mut Rng, most_lines: usize, vectors: usize) -> (Circuit, Read, Vec<f64>) {
    let (rows, cols) = (rng.random_range(1..=most_lines), rng.random_range(1..=most_lines));
    let mut cell = || if rng.random_bool(0.1) { 0.0 } else { 10_f64.powf(rng.random_range(-3.0..0.5)) };
    let g = (0..rows * cols).map(|_| cell()).collect();
    let mut ohm = || Ohms(if rng.random_bool(0.15) { 0.0 } else { 10_f64.powf(rng.random_range(0.0..3.0)) });
    let wires = Wires {
        word_segment: ohm(),
        bit_segment: ohm(),
        driver: ohm(),
        sense: ohm(),
        word_ends: [WordEnds::Left, WordEnds::Right, WordEnds::Both][rng.random_range(0..3)],
        bit_ends: [BitEnds::Top, BitEnds::Bottom, BitEnds::Both][rng.random_range(0..3)],
    };
    let circuit = Circuit::new(rows, cols, g, wires).unwrap();
    let read = [Read::Forward, Read::Transposed][rng.random_range(0..2)];
    let volts = (0..vectors * circuit.inputs(read)).map(|_| rng.random_range(-0.3..0.3)).collect();
    (circuit, read, volts)
}

/// With these the first pass over the lines is followed by a direct solve, unless it is exact already.
fn directly() -> Settings {
    Settings { max_iterations: 1, ..Settings::default() }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

fn assert_close(found: &[f64], expected: &[f64], scale: f64, tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs();
        assert!(error <= tolerance * scale, "{what}: {found:e} against {expected:e}, {error:e} of {scale:e}");
    }
}

#[test]
fn extreme_circuits_are_solved_where_the_iteration_is_not_enough() {
    let mut rng = SeedPath::root(4).child("direct").rng();
    let settings = Settings::default();
    let (mut fell_back, mut compared) = (0, 0);
    for k in 0..400 {
        let (circuit, read, volts) = extreme(&mut rng, 40, 1);
        let mut solver = Solver::new(&circuit, read);
        let nodes = solver.solve_nodes(&volts, None, &settings).unwrap();
        let direct = Solver::new(&circuit, read).solve_nodes(&volts, None, &directly()).unwrap();
        assert!(nodes.residual <= settings.tolerance && direct.residual <= settings.tolerance);
        let only_iterate =
            Settings { max_bytes: Solver::bytes(circuit.rows(), circuit.cols(), 1), ..settings };
        match Solver::new(&circuit, read).solve_nodes(&volts, None, &only_iterate) {
            Ok(iterated) => {
                assert_eq!(iterated, nodes);
                let scale = largest(&direct.output_amperes);
                let what = format!("circuit {k}");
                assert_close(&iterated.output_amperes, &direct.output_amperes, scale, 1e-9, &what);
                compared += usize::from(direct.iterations > 1);
            }
            Err(error) => {
                assert!(matches!(error, SolveError::NotConverged { .. }), "{error}");
                // From now on directly at once.
                let again = solver.solve_nodes(&volts, None, &settings).unwrap();
                assert!(again.iterations < 5 && again.output_amperes == nodes.output_amperes);
                fell_back += 1;
            }
        }
    }
    println!("{fell_back} of 400 needed the direct solve, {compared} were solved both ways");
    assert!(fell_back >= 4 && compared >= 300, "{fell_back} {compared}");
}

/// Conductances between the terminals of a small crossbar, word lines before bit lines, by eliminating every node in
/// turn from star to mesh; nothing is subtracted, so that all are exact but for rounding.
fn terminal_conductances(circuit: &Circuit, read: Read) -> Vec<Vec<f64>> {
    let (m, n, w) = (circuit.rows(), circuit.cols(), circuit.wires());
    let (at_word, at_bit) = match read {
        Read::Forward => (w.driver.0, w.sense.0),
        Read::Transposed => (w.sense.0, w.driver.0),
    };
    let (word, bit) =
        (|i: usize, j: usize| m + n + i * n + j, |i: usize, j: usize| m + n + m * n + i * n + j);
    let nodes = m + n + 2 * m * n;
    let mut c = vec![vec![0.0; nodes]; nodes];
    let mut join = |p: usize, q: usize, siemens: f64| {
        c[p][q] += siemens;
        c[q][p] += siemens;
    };
    for i in 0..m {
        for j in 0..n {
            join(word(i, j), bit(i, j), circuit.g_siemens()[i * n + j]);
            if j > 0 {
                join(word(i, j - 1), word(i, j), 1.0 / w.word_segment.0);
            }
            if i > 0 {
                join(bit(i - 1, j), bit(i, j), 1.0 / w.bit_segment.0);
            }
        }
        if w.word_ends != WordEnds::Right {
            join(i, word(i, 0), 1.0 / (w.word_segment.0 + at_word));
        }
        if w.word_ends != WordEnds::Left {
            join(i, word(i, n - 1), 1.0 / (w.word_segment.0 + at_word));
        }
    }
    for j in 0..n {
        if w.bit_ends != BitEnds::Bottom {
            join(m + j, bit(0, j), 1.0 / (w.bit_segment.0 + at_bit));
        }
        if w.bit_ends != BitEnds::Top {
            join(m + j, bit(m - 1, j), 1.0 / (w.bit_segment.0 + at_bit));
        }
    }
    for k in (m + n..nodes).rev() {
        let star: Vec<f64> = c[k][..k].to_vec();
        let sum: f64 = star.iter().sum();
        for p in 0..k {
            for q in (0..k).filter(|&q| q != p) {
                c[p][q] += star[p] * star[q] / sum;
            }
        }
    }
    c
}

#[test]
fn small_extreme_circuits_agree_with_an_elimination_that_subtracts_nothing() {
    let mut rng = SeedPath::root(4).child("small").rng();
    let mut checked = 0;
    for k in 0..600 {
        let (circuit, read, volts) = extreme(&mut rng, 5, 1);
        let w = circuit.wires();
        if w.word_segment.0 == 0.0 || w.bit_segment.0 == 0.0 {
            continue;
        }
        let c = terminal_conductances(&circuit, read);
        let (m, n) = (circuit.rows(), circuit.cols());
        // Currents out of the sensed terminals, all of which are at 0 V.
        let expected: Vec<f64> = match read {
            Read::Forward => (0..n).map(|j| (0..m).map(|i| volts[i] * c[i][m + j]).sum()).collect(),
            Read::Transposed => (0..m).map(|i| (0..n).map(|j| volts[j] * c[i][m + j]).sum()).collect(),
        };
        let nodes = Solver::new(&circuit, read).solve_nodes(&volts, None, &directly()).unwrap();
        let scale = largest(&nodes.cell_amperes);
        assert_close(&nodes.output_amperes, &expected, scale, 1e-11, &format!("circuit {k}"));
        checked += 1;
    }
    assert!(checked > 300, "{checked}");
}

#[test]
fn many_vectors_and_maps_are_the_same_directly() {
    let mut rng = SeedPath::root(4).child("many").rng();
    for (rows, cols) in [(9, 23), (23, 9), (1, 12), (12, 1)] {
        let g = (0..rows * cols).map(|_| rng.random_range(1e-6..1e-4)).collect();
        let wires = Wires { driver: Ohms(40.0), sense: Ohms(7.0), ..Wires::uniform(Ohms(3.0)) };
        let circuit = Circuit::new(rows, cols, g, wires).unwrap();
        for read in [Read::Forward, Read::Transposed] {
            let volts: Vec<f64> =
                (0..19 * circuit.inputs(read)).map(|_| rng.random_range(-0.3..0.3)).collect();
            let ours = Solver::new(&circuit, read).solve(&volts, &Settings::default()).unwrap();
            let direct = Solver::new(&circuit, read).solve(&volts, &directly()).unwrap();
            let scale = largest(&ours.output_amperes);
            assert_close(&direct.output_amperes, &ours.output_amperes, scale, 1e-11, "vectors");
            let ours = effective_map(&circuit, read, &Settings::default()).unwrap();
            let direct = effective_map(&circuit, read, &directly()).unwrap();
            assert_close(&direct, &ours, largest(&ours), 1e-11, "map");
        }
    }
}

#[test]
fn non_linear_cells_are_the_same_directly() {
    let mut rng = SeedPath::root(4).child("law").rng();
    let wires = Wires { driver: Ohms(40.0), sense: Ohms(7.0), ..Wires::uniform(Ohms(30.0)) };
    for (rows, cols) in [(9, 14), (14, 9)] {
        let g = (0..rows * cols).map(|_| rng.random_range(1e-5..1e-3)).collect();
        let circuit = Circuit::new(rows, cols, g, wires).unwrap();
        let law = Law::new(Iv::Sinh { v0: Volts(0.1) }, Some(Volts(0.2))).unwrap();
        for read in [Read::Forward, Read::Transposed] {
            let volts: Vec<f64> = (0..circuit.inputs(read)).map(|_| rng.random_range(-0.3..0.3)).collect();
            let solve = |settings| solve_nonlinear(&circuit, read, &law, &volts, &settings).unwrap();
            let (ours, direct) = (solve(Settings::default()), solve(directly()));
            let scale = largest(&ours.output_amperes);
            assert_close(&direct.output_amperes, &ours.output_amperes, scale, 1e-10, "sinh");
        }
    }
}

#[test]
fn without_memory_for_it_what_does_not_converge_is_an_error() {
    let circuit = Circuit::new(24, 32, vec![1e-3; 24 * 32], Wires::uniform(Ohms(100.0))).unwrap();
    let mut solver = Solver::new(&circuit, Read::Forward);
    let short = Settings { max_bytes: Solver::bytes(24, 32, 1), ..directly() };
    let error = solver.solve(&[0.1; 24], &short).unwrap_err();
    assert!(
        matches!(error, SolveError::NotConverged { iterations: 1, residual, .. } if residual > 1e-6),
        "{error}"
    );
    assert!(solver.solve(&[0.1; 24], &directly()).is_ok());
}
