//! Circuits solved by badcrossbar 1.1.0 (scipy's `SuperLU`), held in `tests/cases`.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test says what it does in its name and may panic")]

use std::fs;

use bitpulse_crossbar::{Case, Cells, Settings, Solver};

/// Largest difference between `[row][col][vector]` values and ours, against the largest value.
fn worst(expected: &Cells, vector: usize, ours: impl Fn(usize, usize) -> f64) -> f64 {
    let (mut difference, mut largest) = (0.0_f64, f64::MIN_POSITIVE);
    for (i, row) in expected.iter().enumerate() {
        for (j, values) in row.iter().enumerate() {
            difference = difference.max((values[vector] - ours(i, j)).abs());
            largest = largest.max(values[vector].abs());
        }
    }
    difference / largest
}

/// What is compared, the expected values, and ours.
type Check<'a> = (&'a str, &'a Option<Cells>, &'a dyn Fn(usize, usize) -> f64);

#[test]
fn badcrossbar_agrees() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let case = Case::from_json(&fs::read_to_string(&path).unwrap()).unwrap();
        let name = case.name.clone().unwrap();
        let (inputs, cols) = (case.circuit.inputs(case.read), case.circuit.cols());
        let mut solver = Solver::new(&case.circuit, case.read);
        let together = solver.solve(&case.volts, &Settings::default()).unwrap();
        for (k, volts) in case.volts.chunks(inputs).enumerate() {
            let nodes = solver.solve_nodes(volts, None, &Settings::default()).unwrap();
            let expected = &case.expected.output_currents.as_ref().unwrap()[k];
            let largest = expected.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
            for (j, &expected) in expected.iter().enumerate() {
                for ours in [nodes.output_amperes[j], together.output_amperes[k * cols + j]] {
                    assert!(
                        (ours - expected).abs() <= 1e-10 * largest,
                        "{name}: output {j}: {ours} {expected}"
                    );
                }
            }
            let at = |values: &[f64], i: usize, j: usize| values[i * cols + j];
            let e = &case.expected;
            let checks: [Check<'_>; 5] = [
                ("word volts", &e.word_line_node_voltages, &|i, j| at(&nodes.word_volts, i, j)),
                ("bit volts", &e.bit_line_node_voltages, &|i, j| at(&nodes.bit_volts, i, j)),
                ("cells", &e.device_currents, &|i, j| at(&nodes.cell_amperes, i, j)),
                ("word lines", &e.word_line_currents, &|i, j| nodes.word_amperes[i * (cols + 1) + j]),
                ("bit lines", &e.bit_line_currents, &|i, j| at(&nodes.bit_amperes, i + 1, j)),
            ];
            for (what, expected, ours) in checks {
                if let Some(expected) = expected {
                    let error = worst(expected, k, ours);
                    assert!(error < 1e-9, "{name}: {what} differ by {error:e}");
                }
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 22, "cases in {folder}");
}
