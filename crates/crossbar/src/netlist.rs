use std::fmt::Write as _;

use crate::circuit::{BitEnds, Circuit, Read, WordEnds};
use crate::nonlinear::Law;

/// The circuit as a SPICE netlist for one vector of voltages, ready for `ngspice -b`: it prints the output currents,
/// sensed line after sensed line, as `i(vout_<line>) = <amperes>`.
///
/// Cells are resistors, or sources of current that follow `law`, with the tolerances of ngspice set fine enough for these
/// to agree as well as resistors do. The voltage up to which the law of a device holds is not in it.
///
/// Nodes are called `w_<row>_<col>` and `b_<row>_<col>`; nodes joined by a wire without resistance are one node.
///
/// # Panics
/// If there is not one voltage for every driven line.
pub fn netlist(circuit: &Circuit, law: &Law, read: Read, volts: &[f64]) -> String {
    assert_eq!(volts.len(), circuit.inputs(read), "one voltage for every driven line");
    let wires = circuit.wires();
    let (rows, cols) = (circuit.rows(), circuit.cols());
    let (at_word, at_bit) = match read {
        Read::Forward => (wires.driver.0, wires.sense.0),
        Read::Transposed => (wires.sense.0, wires.driver.0),
    };
    let mut text = format!("* crossbar {rows} x {cols}, {read:?} read\n");
    let mut put = |line: std::fmt::Arguments<'_>| {
        text.write_fmt(line).expect("writing to a string cannot fail");
        text.push('\n');
    };
    if !law.is_linear() {
        put(format_args!(".options reltol=1e-10 abstol=1e-18 vntol=1e-13 gmin=1e-20"));
    }
    // With ideal wire and terminal the whole line is its terminal.
    let word = |i: usize, j: usize| match wires.word_segment.0 {
        r if r + at_word == 0.0 => format!("tw_{i}"),
        0.0 => format!("w_{i}_0"),
        _ => format!("w_{i}_{j}"),
    };
    let bit = |i: usize, j: usize| match wires.bit_segment.0 {
        r if r + at_bit == 0.0 => format!("tb_{j}"),
        0.0 => format!("b_0_{j}"),
        _ => format!("b_{i}_{j}"),
    };
    for (index, &g) in circuit.g_siemens().iter().enumerate().filter(|&(_, &g)| g > 0.0) {
        let (i, j) = (index / cols, index % cols);
        let (word, bit) = (word(i, j), bit(i, j));
        if law.is_linear() {
            put(format_args!("rc_{i}_{j} {word} {bit} {:e}", 1.0 / g));
        } else {
            let (from, to) = if read == Read::Forward { (word, bit) } else { (bit, word) };
            let current = law.expression(g, &format!("v({from},{to})"));
            put(format_args!("bc_{i}_{j} {from} {to} i={current}"));
        }
    }
    let word_terminal = wires.word_segment.0 + at_word;
    let bit_terminal = wires.bit_segment.0 + at_bit;
    for i in 0..rows {
        for j in 1..cols {
            if wires.word_segment.0 > 0.0 {
                put(format_args!("rw_{i}_{j} {} {} {:e}", word(i, j - 1), word(i, j), wires.word_segment.0));
            }
        }
        if word_terminal > 0.0 {
            if wires.word_ends != WordEnds::Right {
                put(format_args!("rwl_{i} tw_{i} {} {word_terminal:e}", word(i, 0)));
            }
            if wires.word_ends != WordEnds::Left {
                put(format_args!("rwr_{i} tw_{i} {} {word_terminal:e}", word(i, cols - 1)));
            }
        }
    }
    for j in 0..cols {
        for i in 1..rows {
            if wires.bit_segment.0 > 0.0 {
                put(format_args!("rb_{i}_{j} {} {} {:e}", bit(i - 1, j), bit(i, j), wires.bit_segment.0));
            }
        }
        if bit_terminal > 0.0 {
            if wires.bit_ends != BitEnds::Bottom {
                put(format_args!("rbt_{j} tb_{j} {} {bit_terminal:e}", bit(0, j)));
            }
            if wires.bit_ends != BitEnds::Top {
                put(format_args!("rbb_{j} tb_{j} {} {bit_terminal:e}", bit(rows - 1, j)));
            }
        }
    }
    // A source of 0 V is an ammeter.
    let (driven, sensed) = match read {
        Read::Forward => ("tw", "tb"),
        Read::Transposed => ("tb", "tw"),
    };
    for (line, v) in volts.iter().enumerate() {
        put(format_args!("vin_{line} {driven}_{line} 0 {v:e}"));
    }
    for line in 0..circuit.outputs(read) {
        put(format_args!("vout_{line} {sensed}_{line} 0 0"));
    }
    put(format_args!(".control\nset numdgt=16\nop"));
    for line in 0..circuit.outputs(read) {
        put(format_args!("print i(vout_{line})"));
    }
    put(format_args!("quit 0\n.endc\n.end"));
    text
}
