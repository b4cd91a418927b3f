//! Laws that every circuit obeys, on random arrays with every kind of wire and connection.
#![allow(clippy::needless_range_loop, reason = "nodes are named by row and column")]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test says what it does in its name and may panic")]

use bitpulse_core::SeedPath;
use bitpulse_core::units::{Ohms, Volts};
use bitpulse_crossbar::{
    BitEnds, Circuit, Law, Nodes, Read, Settings, Solver, Wires, WordEnds, effective_map, solve_nonlinear,
};
use bitpulse_device::{Device, Iv};
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use rand::RngExt;

fn ohms() -> impl Strategy<Value = Ohms> {
    prop_oneof![1 => Just(Ohms(0.0)), 3 => (-2.0..2.0_f64).prop_map(|e| Ohms(10_f64.powf(e)))]
}

fn wires() -> impl Strategy<Value = Wires> {
    let words = prop_oneof![Just(WordEnds::Left), Just(WordEnds::Right), Just(WordEnds::Both)];
    let bits = prop_oneof![Just(BitEnds::Top), Just(BitEnds::Bottom), Just(BitEnds::Both)];
    (ohms(), ohms(), ohms(), ohms(), words, bits).prop_map(
        |(word_segment, bit_segment, driver, sense, word_ends, bit_ends)| Wires {
            word_segment,
            bit_segment,
            driver,
            sense,
            word_ends,
            bit_ends,
        },
    )
}

/// Rows, columns, conductances, wires and one voltage for every line of the longer side.
fn arrays() -> impl Strategy<Value = (Circuit, Vec<f64>)> {
    (1..12_usize, 1..12_usize, wires()).prop_flat_map(|(rows, cols, wires)| {
        let cell = prop_oneof![1 => Just(0.0), 6 => (-6.0..-3.0_f64).prop_map(|e| 10_f64.powf(e))];
        let cells = prop::collection::vec(cell, rows * cols);
        let volts = prop::collection::vec(-0.5..0.5_f64, rows.max(cols));
        (cells, volts).prop_map(move |(g, volts)| (Circuit::new(rows, cols, g, wires).unwrap(), volts))
    })
}

fn reads() -> impl Strategy<Value = Read> {
    prop_oneof![Just(Read::Forward), Just(Read::Transposed)]
}

fn solve(circuit: &Circuit, read: Read, volts: &[f64]) -> Nodes {
    let volts = &volts[..circuit.inputs(read)];
    Solver::new(circuit, read).solve_nodes(volts, None, &Settings::default()).unwrap()
}

fn with_cells(circuit: &Circuit, g: Vec<f64>) -> Circuit {
    Circuit::new(circuit.rows(), circuit.cols(), g, *circuit.wires()).unwrap()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |a, b| a.max(b.abs()))
}

fn close(a: &[f64], b: &[f64], scale: f64, tolerance: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.len(), b.len());
    for (k, (a, b)) in a.iter().zip(b).enumerate() {
        prop_assert!(
            (a - b).abs() <= tolerance * scale.max(1e-30),
            "{}: {} against {} (scale {})",
            k,
            a,
            b,
            scale
        );
    }
    Ok(())
}

/// Ohms from a node to its terminal at the word and at the bit lines.
fn terminals(circuit: &Circuit, read: Read) -> (f64, f64) {
    let w = circuit.wires();
    let (at_word, at_bit) = match read {
        Read::Forward => (w.driver.0, w.sense.0),
        Read::Transposed => (w.sense.0, w.driver.0),
    };
    (w.word_segment.0 + at_word, w.bit_segment.0 + at_bit)
}

/// Node voltages by Gaussian elimination of the whole circuit, word-line nodes first; segments must have resistance.
fn dense(circuit: &Circuit, read: Read, volts: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (m, n, w) = (circuit.rows(), circuit.cols(), circuit.wires());
    let cells = m * n;
    let mut a = DMatrix::<f64>::zeros(2 * cells, 2 * cells);
    let mut b = DVector::<f64>::zeros(2 * cells);
    let mut join = |p: usize, q: usize, g: f64| {
        a[(p, p)] += g;
        a[(q, q)] += g;
        a[(p, q)] -= g;
        a[(q, p)] -= g;
    };
    for i in 0..m {
        for j in 0..n {
            let k = i * n + j;
            join(k, cells + k, circuit.g_siemens()[k]);
            if j > 0 {
                join(k - 1, k, 1.0 / w.word_segment.0);
            }
            if i > 0 {
                join(cells + k - n, cells + k, 1.0 / w.bit_segment.0);
            }
        }
    }
    let (word, bit) = terminals(circuit, read);
    let mut tie = |node: usize, ohm: f64, volts: f64| {
        a[(node, node)] += 1.0 / ohm;
        b[node] += volts / ohm;
    };
    for i in 0..m {
        let v = if read == Read::Forward { volts[i] } else { 0.0 };
        if w.word_ends != WordEnds::Right {
            tie(i * n, word, v);
        }
        if w.word_ends != WordEnds::Left {
            tie(i * n + n - 1, word, v);
        }
    }
    for j in 0..n {
        let v = if read == Read::Transposed { volts[j] } else { 0.0 };
        if w.bit_ends != BitEnds::Bottom {
            tie(cells + j, bit, v);
        }
        if w.bit_ends != BitEnds::Top {
            tie(cells + (m - 1) * n + j, bit, v);
        }
    }
    let x = a.lu().solve(&b).unwrap();
    (x.as_slice()[..cells].to_vec(), x.as_slice()[cells..].to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_dense_solve_of_all_nodes_agrees((circuit, volts) in arrays(), read in reads()) {
        let w = circuit.wires();
        prop_assume!(w.word_segment.0 > 0.0 && w.bit_segment.0 > 0.0);
        let nodes = solve(&circuit, read, &volts);
        let (word, bit) = dense(&circuit, read, &volts);
        close(&nodes.word_volts, &word, largest(&volts), 1e-10)?;
        close(&nodes.bit_volts, &bit, largest(&volts), 1e-10)?;
    }

    #[test]
    fn passive_bounds_no_node_leaves_the_range_of_the_sources((circuit, volts) in arrays(), read in reads()) {
        let nodes = solve(&circuit, read, &volts);
        let used = &volts[..circuit.inputs(read)];
        let low = used.iter().fold(0.0_f64, |a, b| a.min(*b)) - 1e-12;
        let high = used.iter().fold(0.0_f64, |a, b| a.max(*b)) + 1e-12;
        for v in nodes.word_volts.iter().chain(&nodes.bit_volts) {
            prop_assert!((low..=high).contains(v), "{} outside {}..{}", v, low, high);
        }
    }

    #[test]
    fn kirchhoff_the_currents_at_every_node_cancel((circuit, volts) in arrays(), read in reads()) {
        let nodes = solve(&circuit, read, &volts);
        let (m, n) = (circuit.rows(), circuit.cols());
        let sign = if read == Read::Forward { 1.0 } else { -1.0 };
        let scale = largest(&nodes.word_amperes).max(largest(&nodes.bit_amperes));
        for i in 0..m {
            for j in 0..n {
                let cell = sign * nodes.cell_amperes[i * n + j];
                let word = nodes.word_amperes[i * (n + 1) + j] - nodes.word_amperes[i * (n + 1) + j + 1] - cell;
                let bit = nodes.bit_amperes[i * n + j] - nodes.bit_amperes[(i + 1) * n + j] + cell;
                prop_assert!(word.abs() <= 1e-12 * scale && bit.abs() <= 1e-12 * scale, "{} {}", word, bit);
            }
        }
    }

    #[test]
    fn ohm_every_segment_drops_its_current_times_its_resistance((circuit, volts) in arrays(), read in reads()) {
        let nodes = solve(&circuit, read, &volts);
        let (m, n, w) = (circuit.rows(), circuit.cols(), circuit.wires());
        let scale = largest(&volts);
        for i in 0..m {
            for j in 0..n {
                let k = i * n + j;
                if j > 0 {
                    let drop = w.word_segment.0 * nodes.word_amperes[i * (n + 1) + j];
                    prop_assert!((nodes.word_volts[k - 1] - nodes.word_volts[k] - drop).abs() <= 1e-10 * scale);
                }
                if i > 0 {
                    let drop = w.bit_segment.0 * nodes.bit_amperes[i * n + j];
                    prop_assert!((nodes.bit_volts[k - n] - nodes.bit_volts[k] - drop).abs() <= 1e-10 * scale);
                }
            }
        }
    }

    #[test]
    fn power_in_is_heat((circuit, volts) in arrays(), read in reads()) {
        let nodes = solve(&circuit, read, &volts);
        let (m, n, w) = (circuit.rows(), circuit.cols(), circuit.wires());
        let (word, bit) = terminals(&circuit, read);
        let mut heat = nodes.cell_watts();
        for i in 0..m {
            for (j, current) in nodes.word_amperes[i * (n + 1)..(i + 1) * (n + 1)].iter().enumerate() {
                heat += current * current * if j == 0 || j == n { word } else { w.word_segment.0 };
            }
        }
        for (k, current) in nodes.bit_amperes.iter().enumerate() {
            let i = k / n;
            heat += current * current * if i == 0 || i == m { bit } else { w.bit_segment.0 };
        }
        let input: f64 = match read {
            Read::Forward => (0..m).map(|i| {
                volts[i] * (nodes.word_amperes[i * (n + 1)] - nodes.word_amperes[i * (n + 1) + n])
            }).sum(),
            Read::Transposed => (0..n).map(|j| volts[j] * (nodes.bit_amperes[j] - nodes.bit_amperes[m * n + j])).sum(),
        };
        prop_assert!((heat - input).abs() <= 1e-10 * heat, "{} W in, {} W of heat", input, heat);
    }

    #[test]
    fn wires_cost_a_cell_the_part_of_its_voltage_that_it_lacks((circuit, volts) in arrays(), read in reads()) {
        let nodes = solve(&circuit, read, &volts);
        prop_assert_eq!((nodes.rows(), nodes.cols(), nodes.read()), (circuit.rows(), circuit.cols(), read));
        let volts = &volts[..circuit.inputs(read)];
        let lost = nodes.ir_loss(&circuit, volts);
        prop_assert_eq!(lost.len(), circuit.g_siemens().len());
        for (cell, (lost, g)) in lost.iter().zip(circuit.g_siemens()).enumerate() {
            let line = if read == Read::Forward { cell / circuit.cols() } else { cell % circuit.cols() };
            let across = nodes.driven_volts()[cell] - nodes.sensed_volts()[cell];
            let expected = if *g == 0.0 || volts[line] == 0.0 { 0.0 } else { 1.0 - across / volts[line] };
            prop_assert!((lost - expected).abs() <= 1e-9 * (1.0 + expected.abs()), "{} {}", lost, expected);
        }
    }

    #[test]
    fn superposition_currents_of_a_sum_are_the_sum_of_currents((circuit, volts) in arrays(), read in reads()) {
        let other: Vec<f64> = volts.iter().map(|v| (40.0 * v).sin()).collect();
        let sum: Vec<f64> = volts.iter().zip(&other).map(|(a, b)| 2.0 * a - b).collect();
        let (a, b, c) = (solve(&circuit, read, &volts), solve(&circuit, read, &other), solve(&circuit, read, &sum));
        let combined: Vec<f64> = a.output_amperes.iter().zip(&b.output_amperes).map(|(a, b)| 2.0 * a - b).collect();
        let scale = largest(&a.cell_amperes).max(largest(&b.cell_amperes));
        close(&combined, &c.output_amperes, scale, 1e-9)?;
    }

    #[test]
    fn reciprocity_with_equal_periphery_the_transposed_map_is_the_forward_map((circuit, _) in arrays()) {
        let wires = Wires { sense: circuit.wires().driver, ..*circuit.wires() };
        let circuit = Circuit::new(circuit.rows(), circuit.cols(), circuit.g_siemens().to_vec(), wires).unwrap();
        let forward = effective_map(&circuit, Read::Forward, &Settings::default()).unwrap();
        let transposed = effective_map(&circuit, Read::Transposed, &Settings::default()).unwrap();
        close(&forward, &transposed, largest(&forward), 1e-10)?;
    }

    #[test]
    fn the_effective_map_reproduces_every_read((circuit, volts) in arrays(), read in reads()) {
        let map = effective_map(&circuit, read, &Settings::default()).unwrap();
        let nodes = solve(&circuit, read, &volts);
        let used = &volts[..circuit.inputs(read)];
        let mapped = with_cells(&circuit, map.iter().map(|g| g.max(0.0)).collect());
        let mut amperes = vec![0.0; circuit.outputs(read)];
        mapped.ideal_currents(read, used, &mut amperes);
        close(&amperes, &nodes.output_amperes, largest(&nodes.cell_amperes), 1e-9)?;
    }

    #[test]
    fn rayleigh_more_conductance_anywhere_never_draws_less_power(
        (circuit, volts) in arrays(), read in reads(), at in any::<prop::sample::Index>()
    ) {
        let mut g = circuit.g_siemens().to_vec();
        let cell = at.index(g.len());
        g[cell] = 2.0 * g[cell] + 1e-5;
        let more = with_cells(&circuit, g);
        // Power = V^T I at the sources; all sources equal makes it the summed output current.
        let equal = vec![0.1; volts.len()];
        let before: f64 = solve(&circuit, read, &equal).output_amperes.iter().sum();
        let after: f64 = solve(&more, read, &equal).output_amperes.iter().sum();
        prop_assert!(after >= before * (1.0 - 1e-11), "{} became {}", before, after);
    }

    #[test]
    fn wires_to_zero_is_the_ideal_product((circuit, volts) in arrays(), read in reads()) {
        let used = &volts[..circuit.inputs(read)];
        let mut ideal = vec![0.0; circuit.outputs(read)];
        circuit.ideal_currents(read, used, &mut ideal);
        let cells: f64 = circuit.g_siemens().iter().sum();
        for (ohm, tolerance) in [(1e-9, 1e-9), (0.0, 1e-14)] {
            let w = Wires { driver: Ohms(0.0), sense: Ohms(0.0), word_segment: Ohms(ohm), bit_segment: Ohms(ohm),
                ..*circuit.wires() };
            let c = Circuit::new(circuit.rows(), circuit.cols(), circuit.g_siemens().to_vec(), w).unwrap();
            close(&solve(&c, read, &volts).output_amperes, &ideal, cells, tolerance)?;
        }
    }

    #[test]
    fn permuting_rows_of_ideal_bit_lines_permutes((circuit, volts) in arrays()) {
        let (m, n) = (circuit.rows(), circuit.cols());
        let wires = Wires { bit_segment: Ohms(0.0), ..*circuit.wires() };
        let straight = Circuit::new(m, n, circuit.g_siemens().to_vec(), wires).unwrap();
        let turned: Vec<f64> = (0..m).rev().flat_map(|i| circuit.g_siemens()[i * n..(i + 1) * n].to_vec()).collect();
        let turned = Circuit::new(m, n, turned, wires).unwrap();
        let reversed: Vec<f64> = volts[..m].iter().rev().copied().collect();
        let (a, b) = (solve(&straight, Read::Forward, &volts), solve(&turned, Read::Forward, &reversed));
        close(&a.output_amperes, &b.output_amperes, largest(&a.cell_amperes), 1e-9)?;
    }

    #[test]
    fn an_open_column_carries_nothing((circuit, volts) in arrays(), at in any::<prop::sample::Index>()) {
        let open = at.index(circuit.cols());
        let mut g = circuit.g_siemens().to_vec();
        g.iter_mut().skip(open).step_by(circuit.cols()).for_each(|g| *g = 0.0);
        let nodes = solve(&with_cells(&circuit, g), Read::Forward, &volts);
        prop_assert_eq!(nodes.output_amperes[open], 0.0);
    }

    #[test]
    fn transposed_is_the_forward_read_of_the_mirrored_circuit((circuit, volts) in arrays()) {
        // Mirrored at the diagonal, rows become columns, left becomes top and right becomes bottom.
        let (m, n, w) = (circuit.rows(), circuit.cols(), circuit.wires());
        let mirrored: Vec<f64> = (0..n * m).map(|k| circuit.g_siemens()[(k % m) * n + k / m]).collect();
        let wires = Wires {
            word_segment: w.bit_segment,
            bit_segment: w.word_segment,
            word_ends: match w.bit_ends {
                BitEnds::Top => WordEnds::Left,
                BitEnds::Bottom => WordEnds::Right,
                BitEnds::Both => WordEnds::Both,
            },
            bit_ends: match w.word_ends {
                WordEnds::Left => BitEnds::Top,
                WordEnds::Right => BitEnds::Bottom,
                WordEnds::Both => BitEnds::Both,
            },
            ..*w
        };
        let mirrored = Circuit::new(n, m, mirrored, wires).unwrap();
        let (a, b) = (solve(&circuit, Read::Transposed, &volts), solve(&mirrored, Read::Forward, &volts));
        close(&a.output_amperes, &b.output_amperes, largest(&a.cell_amperes), 1e-10)?;
    }

    #[test]
    fn many_vectors_give_what_each_gives_alone((circuit, volts) in arrays(), read in reads()) {
        let inputs = circuit.inputs(read);
        let many: Vec<f64> = (0..9).flat_map(|k| volts[..inputs].iter().map(move |v| (v * f64::from(k + 1)).sin())).collect();
        let mut solver = Solver::new(&circuit, read);
        let together = solver.solve(&many, &Settings::default()).unwrap();
        let outputs = circuit.outputs(read);
        for (k, volts) in many.chunks(inputs).enumerate() {
            let alone = solver.solve_nodes(volts, None, &Settings::default()).unwrap();
            let scale = largest(&alone.cell_amperes);
            close(&together.output_amperes[k * outputs..(k + 1) * outputs], &alone.output_amperes, scale, 1e-9)?;
        }
    }

    #[test]
    fn a_start_changes_nothing_but_the_way((circuit, volts) in arrays(), read in reads()) {
        let used = &volts[..circuit.inputs(read)];
        let mut solver = Solver::new(&circuit, read);
        let cold = solver.solve_nodes(used, None, &Settings::default()).unwrap();
        let warm = solver.solve_nodes(used, Some(&cold), &Settings::default()).unwrap();
        prop_assert!(warm.iterations <= cold.iterations);
        close(&warm.output_amperes, &cold.output_amperes, largest(&cold.cell_amperes), 1e-10)?;
    }

    #[test]
    fn non_linear_cells_carry_what_their_law_says((circuit, volts) in arrays(), read in reads(), kind in 0..3) {
        let law = match kind {
            0 => Iv::Linear,
            1 => Iv::Sinh { v0: Volts(0.1) },
            _ => Iv::Cubic { cubic: 4.0 },
        };
        let law = Law::new(law, Some(Volts(0.2))).unwrap();
        let settings = Settings { tolerance: 1e-10, ..Settings::default() };
        let used = &volts[..circuit.inputs(read)];
        let nodes = solve_nonlinear(&circuit, read, &law, used, &settings).unwrap();
        let scale = largest(&nodes.cell_amperes);
        let drops = nodes.driven_volts().iter().zip(nodes.sensed_volts()).map(|(a, b)| a - b);
        for ((v, g), i) in drops.zip(circuit.g_siemens()).zip(&nodes.cell_amperes) {
            use bitpulse_crossbar::CurrentLaw;
            prop_assert!((law.current_and_slope(*g, v).0 - i).abs() <= 1e-8 * scale);
        }
        if kind == 0 {
            close(&nodes.output_amperes, &solve(&circuit, read, &volts).output_amperes, scale, 1e-9)?;
        }
    }
}

#[test]
fn a_device_brings_its_law_and_the_voltage_at_which_it_was_measured() {
    let text = r#"
        name = "test"
        description = "a device for tests"
        source = { citation = "a test", table = "none" }
        window = { g-min = "1 uS", g-max = "11 uS", reference = 0.5 }
        response = { constant-step = { step-up = 0.01, step-down = 0.01 } }
        pulse = { read-voltage = "0.2 V" }
        iv = { sinh = { v0 = "0.3 V" } }
    "#;
    let law = Law::from(&Device::from_toml(text).unwrap());
    assert_eq!(law, Law::new(Iv::Sinh { v0: Volts(0.3) }, Some(Volts(0.2))).unwrap());
    assert!(!law.is_linear());
}

#[test]
fn laws_as_steep_as_fifty_scales_of_their_voltage_are_solved() {
    let mut rng = SeedPath::root(9).child("steep").rng();
    for (v0, most_volts, ohm) in [(0.3, 0.3, 1.0), (0.05, 0.5, 10.0), (0.02, 1.0, 1.0), (0.02, 1.0, 100.0)] {
        let law = Law::new(Iv::Sinh { v0: Volts(v0) }, Some(Volts(0.2))).unwrap();
        let wires = Wires { driver: Ohms(50.0), sense: Ohms(20.0), ..Wires::uniform(Ohms(ohm)) };
        for _ in 0..12 {
            let (rows, cols) = (rng.random_range(1..30), rng.random_range(1..30));
            let mut cell = || 10_f64.powf(rng.random_range(-6.0..-3.0));
            let g = (0..rows * cols).map(|_| cell()).collect();
            let circuit = Circuit::new(rows, cols, g, wires).unwrap();
            let volts: Vec<f64> = (0..rows).map(|_| rng.random_range(-most_volts..most_volts)).collect();
            let nodes = solve_nonlinear(&circuit, Read::Forward, &law, &volts, &Settings::default()).unwrap();
            // What the cells carry by their law at the voltages returned is what the wires bring.
            let drops = nodes.driven_volts().iter().zip(nodes.sensed_volts()).map(|(a, b)| a - b);
            let scale = largest(&nodes.cell_amperes);
            for ((v, g), i) in drops.zip(circuit.g_siemens()).zip(&nodes.cell_amperes) {
                let by_law = g * 0.2 * (v / v0).sinh() / (0.2 / v0).sinh();
                assert!((by_law - i).abs() <= 1e-10 * scale, "{v0} {most_volts} {ohm}: {by_law:e} {i:e}");
            }
        }
    }
}

#[test]
fn blocks_of_vectors_of_larger_arrays_give_what_each_gives_alone() {
    // Sizes that fill neither the last group of rows nor the last block of vectors; wires from hardly any loss to most.
    for (rows, cols, ohm) in [(37, 29, 0.01), (64, 21, 1.0), (33, 70, 20.0), (48, 48, 200.0)] {
        let wires = Wires { word_ends: WordEnds::Both, sense: Ohms(3.0), ..Wires::uniform(Ohms(ohm)) };
        let g = (0..rows * cols).map(|k| 5e-5 * (1.0 + (k as f64 * 1.7).sin())).collect();
        let circuit = Circuit::new(rows, cols, g, wires).unwrap();
        for read in [Read::Forward, Read::Transposed] {
            let (inputs, outputs) = (circuit.inputs(read), circuit.outputs(read));
            let mut volts: Vec<f64> = (0..19 * inputs).map(|k| 0.3 * (k as f64 * 0.7).cos()).collect();
            // Among them nothing at all, and one line alone.
            volts[inputs..2 * inputs].fill(0.0);
            volts[2 * inputs + 1..3 * inputs].fill(0.0);
            let settings = Settings::default();
            let mut solver = Solver::new(&circuit, read);
            let together = solver.solve(&volts, &settings).unwrap();
            assert!(together.residual <= settings.tolerance);
            for (k, volts) in volts.chunks(inputs).enumerate() {
                let alone = solver.solve_nodes(volts, None, &settings).unwrap();
                let scale = largest(&alone.cell_amperes);
                let ours = &together.output_amperes[k * outputs..(k + 1) * outputs];
                for (ours, alone) in ours.iter().zip(&alone.output_amperes) {
                    let error = (ours - alone).abs();
                    assert!(
                        error <= 1e-10 * scale,
                        "{rows} x {cols}, {ohm} ohm, {read:?}, {k}: {error:e} of {scale:e}"
                    );
                }
            }
        }
    }
}
