//! `cargo xtask circuit`: crossbar circuits from case files.

mod map;
mod memory;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use bitpulse_crossbar::{Case, Law, Nodes, Settings, Solution, SolveError, Solver, netlist, solve_nonlinear};
use bitpulse_device::{Device, Window};
use clap::{Args, Subcommand};
use serde_json::{Map, Value as Json, json};

use crate::failure::{Failure, Outcome};
use crate::{devices, workspace};

/// `cargo xtask circuit`
#[derive(Args)]
pub struct Circuit {
    #[command(subcommand)]
    verb: CircuitVerb,
    /// Take the current law, and the voltage at which the resistances were measured, of this device rather than the case's:
    /// a preset of data/devices or a device file
    #[arg(long, value_name = "NAME|FILE", global = true)]
    device: Option<PathBuf>,
    /// Refuse what would take more memory than this to solve [default: what the machine can spare]
    #[arg(long, value_name = "MIB", global = true)]
    max_memory: Option<u64>,
}

#[derive(Subcommand)]
enum CircuitVerb {
    /// Solve a case for its output currents
    Solve {
        /// Case file, JSON with the keys of badcrossbar and others, see crates/crossbar/src/case.rs
        case: PathBuf,
        /// Print every node voltage and branch current too
        #[arg(long)]
        all: bool,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Write a case as a netlist for ngspice
    Netlist {
        /// Case file, JSON with the keys of badcrossbar and others, see crates/crossbar/src/case.rs
        case: PathBuf,
        /// Which vector of voltages, from 0
        #[arg(long, default_value_t = 0)]
        example: usize,
        /// Where it goes [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Draw the voltage across every cell and what the wires take of it, as SVG
    Map {
        /// Case file, JSON with the keys of badcrossbar and others, see crates/crossbar/src/case.rs
        case: PathBuf,
        /// Which vector of voltages, from 0
        #[arg(long, default_value_t = 0)]
        example: usize,
        /// Where it goes [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

impl Circuit {
    pub fn run(self) -> Outcome {
        let max_bytes = match self.max_memory {
            Some(mib) => mib.saturating_mul(1 << 20),
            None => memory::available().unwrap_or(u64::MAX),
        };
        let settings = Settings { max_bytes, ..Settings::default() };
        let device = self.device.as_deref().map(devices::read).transpose()?;
        let read = |path: &Path| -> Outcome<Case> {
            let case = read(path)?;
            Ok(match &device {
                Some(device) => of_device(case, device),
                None => case,
            })
        };
        match self.verb {
            CircuitVerb::Solve { case, all, json } => solve(&read(&case)?, all, json, settings),
            CircuitVerb::Netlist { case, example, out } => {
                let case = read(&case)?;
                let volts = vector(&case, example)?;
                deliver(&netlist(&case.circuit, &case.law, case.read, volts), out.as_deref())
            }
            CircuitVerb::Map { case, example, out } => {
                let case = read(&case)?;
                let volts = vector(&case, example)?;
                let nodes = solve_nonlinear(&case.circuit, case.read, &case.law, volts, &settings)
                    .map_err(failure)?;
                let title = case.name.as_deref().unwrap_or("crossbar");
                deliver(&map::draw(title, &case.circuit, &nodes, volts)?, out.as_deref())
            }
        }
    }
}

fn read(path: &Path) -> Outcome<Case> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(Failure::input)?;
    // The error's text holds that of its cause already.
    Case::from_json(&text).map_err(|error| Failure::input(anyhow::anyhow!("{}: {error}", path.display())))
}

/// The case with the current law of a device.
fn of_device(case: Case, device: &Device) -> Case {
    let case = Case { law: Law::from(device), ..case };
    let Window { g_min, g_max, .. } = device.window();
    let outside = |&&g: &&f64| g != 0.0 && !(g_min.0..=g_max.0).contains(&g);
    let cells = case.circuit.g_siemens().iter().filter(outside).count();
    if cells > 0 && !case.law.is_linear() {
        let name = &device.spec().name;
        eprintln!(
            "warning: {cells} cells lie outside the window of {name}, {g_min} to {g_max}; its law was found within"
        );
    }
    case
}

/// Voltages that are not solvable are the caller's; a circuit that does not converge is a failure of the run.
fn failure(error: SolveError) -> Failure {
    match error {
        SolveError::NotConverged { .. } => Failure::Run(error.into()),
        _ => Failure::input(error),
    }
}

/// The voltages of one vector of the case.
fn vector(case: &Case, example: usize) -> Outcome<&[f64]> {
    let inputs = case.circuit.inputs(case.read);
    let vectors = case.volts.len() / inputs;
    case.volts.chunks_exact(inputs).nth(example).ok_or_else(|| {
        Failure::input(anyhow::anyhow!(
            "--example {example}: the case has {vectors} vectors, numbered from 0"
        ))
    })
}

fn deliver(text: &str, out: Option<&Path>) -> Outcome {
    match out {
        Some(path) => {
            workspace::write_atomically(path, text.as_bytes())?;
            eprintln!("wrote {}", path.display());
        }
        None => print!("{text}"),
    }
    Ok(())
}

/// Bytes that `--all` takes for every cell and vector: five values, as numbers and in the tree of a JSON document.
const BYTES_LISTED: u64 = 5 * (8 + 32 + 24);

fn solve(case: &Case, all: bool, as_json: bool, mut settings: Settings) -> Outcome {
    if all {
        let values = case.volts.len() as u64 * case.circuit.outputs(case.read) as u64;
        settings.max_bytes = settings.max_bytes.saturating_sub(values.saturating_mul(BYTES_LISTED));
    }
    let outputs = case.circuit.outputs(case.read);
    let start = Instant::now();
    let (solution, nodes) = if case.law.is_linear() && !all {
        (Solver::new(&case.circuit, case.read).solve(&case.volts, &settings).map_err(failure)?, vec![])
    } else {
        one_by_one(case, all, &settings).map_err(failure)?
    };
    let seconds = start.elapsed().as_secs_f64();
    let mut document = summary(&solution, outputs, seconds);
    if all {
        document.extend(branches(&nodes));
    }
    if as_json {
        println!("{}", serde_json::to_string(&document)?);
        return Ok(());
    }
    for (example, currents) in solution.output_amperes.chunks_exact(outputs).enumerate() {
        let listed: Vec<String> = currents.iter().map(|current| format!("{current:.9e}")).collect();
        println!("output currents of vector {example}, A: {}", listed.join(" "));
    }
    for (name, values) in document.iter().filter(|(_, values)| all && values.is_array()).skip(1) {
        println!("{name} [row][column][vector]: {values}");
    }
    println!("residual {:.2e}, {} iterations, {seconds:.6} s", solution.residual, solution.iterations);
    Ok(())
}

/// Solves vector after vector, and keeps all nodes where asked to.
fn one_by_one(case: &Case, all: bool, settings: &Settings) -> Result<(Solution, Vec<Nodes>), SolveError> {
    let mut solution = Solution { output_amperes: vec![], residual: 0.0, iterations: 0 };
    let mut kept = Vec::new();
    for volts in case.volts.chunks_exact(case.circuit.inputs(case.read)) {
        let nodes = solve_nonlinear(&case.circuit, case.read, &case.law, volts, settings)?;
        solution.output_amperes.extend(&nodes.output_amperes);
        solution.residual = solution.residual.max(nodes.residual);
        solution.iterations = solution.iterations.max(nodes.iterations);
        if all {
            kept.push(nodes);
        }
    }
    Ok((solution, kept))
}

fn summary(solution: &Solution, outputs: usize, seconds: f64) -> Map<String, Json> {
    let currents: Vec<&[f64]> = solution.output_amperes.chunks_exact(outputs).collect();
    let mut document = Map::new();
    document.insert("output_currents".into(), json!(currents));
    document.insert("residual".into(), json!(solution.residual));
    document.insert("iterations".into(), json!(solution.iterations));
    document.insert("seconds".into(), json!(seconds));
    document
}

/// Node voltages in volt and branch currents in ampere as `[row][column][vector]`, with badcrossbar's names and places:
/// the current of the segment left of a node on word lines and below it on bit lines.
fn branches(nodes: &[Nodes]) -> Map<String, Json> {
    let (rows, cols) = (nodes[0].rows(), nodes[0].cols());
    let table = |at: &dyn Fn(&Nodes, usize, usize) -> f64| -> Json {
        let cells = |i, j| nodes.iter().map(|nodes| at(nodes, i, j)).collect::<Vec<f64>>();
        json!((0..rows).map(|i| (0..cols).map(|j| cells(i, j)).collect::<Vec<_>>()).collect::<Vec<_>>())
    };
    let mut document = Map::new();
    document.insert("word_line_node_voltages".into(), table(&|n, i, j| n.word_volts[i * cols + j]));
    document.insert("bit_line_node_voltages".into(), table(&|n, i, j| n.bit_volts[i * cols + j]));
    document.insert("device_currents".into(), table(&|n, i, j| n.cell_amperes[i * cols + j]));
    document.insert("word_line_currents".into(), table(&|n, i, j| n.word_amperes[i * (cols + 1) + j]));
    document.insert("bit_line_currents".into(), table(&|n, i, j| n.bit_amperes[(i + 1) * cols + j]));
    document
}
