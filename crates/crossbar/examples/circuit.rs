//! Solves a small array behind real wires and shows where the voltage goes.

use bitpulse_core::units::Ohms;
use bitpulse_crossbar::{Circuit, Read, Settings, Solver, Wires};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (rows, cols) = (8, 8);
    let circuit = Circuit::new(rows, cols, vec![1e-4; rows * cols], Wires::uniform(Ohms(20.0)))?;
    let volts = vec![0.2; rows];
    let nodes = Solver::new(&circuit, Read::Forward).solve_nodes(&volts, None, &Settings::default())?;
    println!("current lost to the wires, in per cent of every cell's own:");
    for row in nodes.ir_loss(&circuit, &volts).chunks(cols) {
        let cells: Vec<String> = row.iter().map(|loss| format!("{:5.1}", 100.0 * loss)).collect();
        println!("{}", cells.join(" "));
    }
    println!("residual {:.1e} after {} iterations", nodes.residual, nodes.iterations);
    Ok(())
}
