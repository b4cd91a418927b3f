//! What is refused, and what is said.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test says what it does in its name and may panic")]

use bitpulse_core::units::{Ohms, Siemens, Volts};
use bitpulse_crossbar::{
    Case, Circuit, CircuitProblem, Law, Read, Settings, SolveError, Solver, Wires, solve_nonlinear,
};
use bitpulse_device::Iv;

fn case(resistances: &str, volts: &str, word: &str) -> String {
    format!(
        r#"{{"resistances": {resistances}, "applied_voltages": {volts}, "r_i_word_line": {word}, "r_i_bit_line": 1}}"#
    )
}

#[test]
fn a_bad_case_names_the_place() {
    let whole = case("[[1e4, \"inf\"], [2e4, 1e3]]", "[[0.1], [0.2]]", "1");
    assert!(Case::from_json(&whole).is_ok());
    let lawful = |law: &str, read: &str| {
        let read = if read.is_empty() { String::new() } else { format!(r#", "read_voltage": {read}"#) };
        whole.replace('}', &format!(r#", "law": {law}{read}}}"#))
    };
    let found = Case::from_json(&lawful(r#"{"sinh": {"v0": "0.3 V"}}"#, r#""0.2 V""#)).unwrap();
    assert_eq!(found.law, Law::new(Iv::Sinh { v0: Volts(0.3) }, Some(Volts(0.2))).unwrap());
    for (text, expected) in [
        (case("[[1e4], [-5]]", "[[0.1], [0.2]]", "1"), "`resistances[1][0]` is -5.0 ohm, not a resistance"),
        (
            case("[[1e4], [1e-320]]", "[[0.1], [0.2]]", "0"),
            "`resistances[1][0]` is 1e-320 ohm, so little that",
        ),
        (case("[[1e4], [1, 2]]", "[[0.1], [0.2]]", "1"), "`resistances[1]` has 2 values"),
        (case("[[1e4], [NaN]]", "[[0.1], [0.2]]", "1"), "at `resistances[1]"),
        (case("[[1e4], [\"open\"]]", "[[0.1], [0.2]]", "1"), "at `resistances[1][0]`"),
        (case("[[1e4], [1e3]]", "[[0.1]]", "1"), "`applied_voltages` has 1 lines, the array 2"),
        (case("[[1e4], [1e3]]", "[[0.1], [0.2, 0.3]]", "1"), "`applied_voltages[1]` has 2 values"),
        (case("[[1e4], [1e3]]", "[[], []]", "1"), "no vector"),
        (case("[[1e4]]", "[[0.1]]", "-1"), "word-line segment resistance is -1 ohm"),
        (case("[[1e4]]", "[[0.1]]", "\"inf\""), "at `r_i_word_line`"),
        (case("[]", "[]", "1"), "no vector"),
        (whole[..40].to_owned(), "EOF"),
        (whole.replace("r_i_bit_line", "r_bit"), "unknown field `r_bit`"),
        (lawful(r#"{"sinh": {"v0": "0.3 V"}}"#, ""), "`read_voltage` is needed by a law of sinh"),
        (lawful(r#"{"sinh": {"v0": "-0.3 V"}}"#, r#""0.2 V""#), "`law.sinh.v0` must be positive"),
        (lawful(r#"{"cubic": {"cubic": -2}}"#, r#""0.2 V""#), "`law.cubic.cubic` must not be negative"),
        (lawful(r#"{"cosh": {"v0": "0.3 V"}}"#, ""), "at `law`: unknown variant `cosh`"),
        (lawful(r#"{"cubic": {"cubic": 1, "x": 1}}"#, r#""0.2 V""#), "at `law.cubic.x`: unknown field `x`"),
        (lawful(r#"{"sinh": {"v0": 0.3}}"#, r#""0.2 V""#), "at `law.sinh.v0`"),
        (lawful(r#""linear""#, r#""0.2 ohm""#), "at `read_voltage`"),
        (String::new(), "EOF"),
        (format!("{whole} x"), "end of the file"),
    ] {
        let message = Case::from_json(&text).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}\n{message}\nwithout {expected}");
    }
}

#[test]
fn a_bad_circuit_lists_every_problem() {
    let wires = Wires { driver: Ohms(f64::NAN), sense: Ohms(f64::INFINITY), ..Wires::uniform(Ohms(1.0)) };
    let error = Circuit::new(1, 3, vec![-1e-6, 1.0, f64::INFINITY], wires).unwrap_err();
    let problem = |col, g| CircuitProblem::Conductance { row: 0, col, found: Siemens(g) };
    assert_eq!(error.0.len(), 4, "{error}");
    assert_eq!(error.0[..2], [problem(0, -1e-6), problem(2, f64::INFINITY)]);
    let message = |rows, cols| Circuit::new(rows, cols, vec![], Wires::default()).unwrap_err().to_string();
    assert!(message(0, 4).contains("at least one row"));
    assert!(message(2, 4).contains("need 8 conductances, got 0"));
    assert!(message(100_000, 100_000).contains("need 10000000000 conductances, got 0"));
    assert!(message(usize::MAX, 2).contains("tiles"));
}

#[test]
fn bad_voltages_and_an_unreachable_residual_are_errors() {
    let circuit = Circuit::new(2, 2, vec![1e-3; 4], Wires::uniform(Ohms(100.0))).unwrap();
    let mut solver = Solver::new(&circuit, Read::Forward);
    let settings = Settings::default();
    for volts in [&[][..], &[0.1], &[0.1; 3]] {
        assert!(matches!(solver.solve(volts, &settings), Err(SolveError::WrongLength { inputs: 2, .. })));
    }
    let error = solver.solve(&[0.1, 0.2, 0.3, f64::NAN], &settings).unwrap_err();
    assert!(matches!(error, SolveError::Voltage { vector: 1, line: 1, .. }), "{error}");
    for (vector, found) in [([1e300, 0.2], 1e300), ([-1e-300, 1e-310], -1e-300)] {
        let error = solver.solve(&vector, &settings).unwrap_err();
        assert_eq!(error, SolveError::Voltage { vector: 0, line: 0, found });
    }
    assert!(solver.solve(&[1e100, 1e-200], &settings).is_ok() && solver.solve(&[0.0; 2], &settings).is_ok());
    let short = Circuit::new(1, 2, vec![1e300, 1e200], Wires::default()).unwrap();
    let short = Solver::new(&short, Read::Forward).solve(&[0.1], &settings);
    assert_eq!(short.unwrap_err(), SolveError::Overflow);
    let steep = Law::new(Iv::Sinh { v0: Volts(1e-4) }, Some(Volts(0.2))).unwrap();
    let steep = solve_nonlinear(&circuit, Read::Forward, &steep, &[0.1, 0.2], &settings).unwrap_err();
    assert_eq!(steep, SolveError::Overflow);
    let impossible = Settings { tolerance: 0.0, max_iterations: 50, ..settings };
    match solver.solve(&[0.1, 0.2], &impossible) {
        Ok(solution) => assert_eq!(solution.residual, 0.0),
        Err(error) => assert!(matches!(error, SolveError::NotConverged { .. }), "{error}"),
    }
    let hasty = Settings { tolerance: 1e-14, max_iterations: 1, max_bytes: Solver::bytes(2, 2, 1) };
    let mut solver = Solver::new(&circuit, Read::Forward);
    assert!(matches!(solver.solve(&[0.1, 0.2], &hasty), Err(SolveError::NotConverged { iterations: 1, .. })));
}

#[test]
fn currents_that_drown_in_rounding_are_no_solution() {
    let solve = |contact: f64, vectors: usize| {
        let g = vec![1.0, 0.5, 1.0 / 3.0, contact];
        let circuit = Circuit::new(2, 2, g, Wires::uniform(Ohms(1.0))).unwrap();
        Solver::new(&circuit, Read::Forward).solve(&[0.1, 0.2].repeat(vectors), &Settings::default())
    };
    for vectors in [1, 8] {
        let found = solve(1e5, vectors).unwrap().output_amperes;
        // By a nodal solve in exact fractions.
        for (found, exact) in found.iter().zip([0.042_756_209_878_908_95, 0.061_130_563_136_700_29]) {
            assert!((found - exact).abs() < 1e-11, "{found} {exact}");
        }
        for contact in [1e14, 1e20, 1e100] {
            let error = solve(contact, vectors).unwrap_err();
            assert!(matches!(error, SolveError::NotConverged { residual, .. } if residual > 1e-5), "{error}");
        }
    }
}

#[test]
fn nothing_driven_and_nothing_connected_is_zero() {
    let circuit = Circuit::new(3, 2, vec![0.0; 6], Wires::uniform(Ohms(1.0))).unwrap();
    let solution = Solver::new(&circuit, Read::Forward).solve(&[0.2; 3], &Settings::default()).unwrap();
    assert_eq!((solution.output_amperes, solution.residual), (vec![0.0; 2], 0.0));
}

#[test]
fn a_solve_that_would_take_too_much_memory_names_its_sizes() {
    let circuit = Circuit::new(64, 128, vec![1e-5; 64 * 128], Wires::uniform(Ohms(1.0))).unwrap();
    let mut solver = Solver::new(&circuit, Read::Forward);
    for vectors in [1, 8] {
        let needed = Solver::bytes(64, 128, vectors);
        let volts = vec![0.1; 64 * vectors];
        let enough = Settings { max_bytes: needed, ..Settings::default() };
        assert!(solver.solve(&volts, &enough).is_ok());
        let short = Settings { max_bytes: needed - 1, ..enough };
        let error = solver.solve(&volts, &short).unwrap_err();
        assert_eq!(
            error,
            SolveError::Memory { rows: 64, cols: 128, vectors, needed, allowed: needed - 1 },
            "{error}"
        );
        let message = error.to_string();
        assert!(message.contains("64 x 128 cells") && message.contains("MiB allowed"), "{message}");
        assert!(solver.solve_nodes(&volts[..64], None, &short).is_ok() == (vectors == 8));
    }
    // What no machine holds does not overflow either.
    assert_eq!(Solver::bytes(usize::MAX, usize::MAX, 1), u64::MAX);
}

#[test]
fn a_cell_of_0_ohm_is_refused_and_said_to_be_a_short() {
    let ideal =
        case("[[1e4], [0]]", "[[0.1], [0.2]]", "0").replace("\"r_i_bit_line\": 1", "\"r_i_bit_line\": 0");
    let message = Case::from_json(&ideal).unwrap_err().to_string();
    assert!(
        message.contains("`resistances[1][0]` is 0.0 ohm, a short across source and ground"),
        "{message}"
    );
    for wired in [case("[[1e4], [0]]", "[[0.1], [0.2]]", "1"), ideal.replace('{', "{\"r_driver\": 5, ")] {
        let message = Case::from_json(&wired).unwrap_err().to_string();
        assert!(message.contains("`resistances[1][0]` is 0.0 ohm, a short between its lines"), "{message}");
    }
}

#[test]
fn a_cell_beyond_its_law_is_named() {
    // By hand: 1e-4 - 4e-4 V, the slope, is zero at 0.25 V; the cell of 2e-4 S turns at 0.5 V, where the law ends too.
    let iv = Iv::LogPolynomial { quadratic: vec![-2e-4], cubic: vec![0.0], limit: Volts(0.5) };
    let law = Law::new(iv, None).unwrap();
    let circuit = Circuit::new(2, 2, vec![2e-4, 0.0, 2e-4, 1e-4], Wires::uniform(Ohms(1.0))).unwrap();
    let solve = |volts| solve_nonlinear(&circuit, Read::Forward, &law, &[volts, volts], &Settings::default());
    assert!(solve(0.2).is_ok());
    let error = solve(0.4).unwrap_err();
    assert!(matches!(error, SolveError::BeyondLaw { row: 1, col: 1, .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("of 100 uS at row 1, column 1") && message.contains("up to 250.000 mV"),
        "{message}"
    );
}
