//! Numbers that others published, from their own constants.

mod common;

use bitpulse_core::units::{Seconds, Siemens, Volts};
use bitpulse_core::{Activity, PassActivity};
use bitpulse_energy::{
    Architecture, Constant, Device, Dimension, Kind, Layer, PartialSums, Pass, Plant, Range, Recorded, price,
};
use common::technology;

fn constant(key: &str, dimension: Dimension, value: f64) -> Constant {
    Constant {
        key: key.into(),
        dimension,
        range: Range::exactly(value),
        definition: "as published".into(),
        sources: vec!["see the test".into()],
    }
}

/// One array of 128 x 128 cells of ISAAC (ISCA 2016) reads an input of 16 bits in 16 phases of one bit, each of 100 ns;
/// its 128 columns are converted in every phase.
#[test]
fn an_array_read_of_isaac() {
    let phases = 16;
    let mut forward = PassActivity {
        reads: phases,
        driven_lines: 128 * phases,
        driven_cells: 128 * 128 * phases,
        // Every code is shifted and added to the sum of its column.
        adds: 128 * phases,
        ..PassActivity::default()
    };
    forward.dac.by_bits[0] = 128 * phases;
    forward.adc.by_bits[7] = 128 * phases;
    // 2.4 mW for 8 arrays: 30 pJ for a phase of 100 ns. With 1 V and 1 s standing for them, siemens are joules.
    forward.driven_siemens = 2.4e-3 / 8.0 * 100e-9 * phases as f64;
    let isaac = Architecture {
        name: "isaac".into(),
        kind: Kind::HpMemristor {
            adc_bits: 8,
            dac_bits: 1,
            partial_sums: PartialSums::Digital,
            integrators: false,
        },
        device: "isaac".into(),
        plant: Plant {
            layers: Layer::dense(&[127, 128]),
            rows: 128,
            columns: 128,
            cells_per_weight: 1.0,
            columns_per_adc: 128.0,
            mac_units: 1.0,
            recorded: Recorded::Arrays { forward_at_once: 1.0, backward_at_once: 1.0 },
        },
        constants: vec![
            constant("read-voltage", Dimension::Voltage, 1.0),
            constant("read-time", Dimension::Time, 1.0),
        ],
    };
    let bill =
        price(&Activity { samples: 1, forward, ..Activity::default() }, &isaac, &technology("cmos-32nm"))
            .unwrap();
    // Its component table, milliwatts for the 8 arrays of one unit: converters, drivers, sample and hold, arrays,
    // shift and add; over 16 phases of 100 ns and 8 arrays.
    let published = (16.0 + 4.0 + 0.01 + 2.4 + 0.2) * 1e-3 * 16.0 * 100e-9 / 8.0;
    let ours = ["ADC", "row drivers", "sample and hold", "cells", "partial sums"];
    let joules: f64 = bill
        .positions()
        .iter()
        .filter(|(_, component, _)| ours.contains(component))
        .map(|(.., spread)| spread.nominal)
        .sum();
    println!("ISAAC: {joules:.4e} J against {published:.4e} J");
    // Apart by 6 %: a converter of 1.2 GS/s makes 120 conversions in 100 ns, not 128, and Accelergy raises the energy
    // of a drive for the same reason.
    assert!((joules / published - 1.0).abs() < 0.1, "{joules:e} against {published:e}");
    assert!(joules / published > 1.05);
}

/// MLP+NeuroSim V3.0 with Ag:a-Si devices prints 3.355e-6 J for the reads of its first epoch: 400-100-10 on 8,000 images
/// of one bit a pixel, 32 nm, 0.5 V, 5 ns.
#[test]
fn the_read_energy_of_neurosim() {
    const PUBLISHED: f64 = 3.355e-6;
    const IMAGES: u64 = 8000;
    // Pixels above half of full, of an image cropped to 20 x 20: those of the whole image, 100.4 on average over MNIST.
    const LIT: u64 = 100;
    let machine = Architecture {
        name: "neurosim".into(),
        kind: Kind::BsMemristor { adc_bits: 8, dac_bits: 1, integrators: false },
        device: "ag-a-si".into(),
        plant: Plant {
            layers: Layer::dense(&[399, 100, 10]),
            rows: 400,
            columns: 100,
            cells_per_weight: 1.0,
            columns_per_adc: 16.0,
            mac_units: 1.0,
            recorded: Recorded::Arrays { forward_at_once: 1.0, backward_at_once: 1.0 },
        },
        constants: vec![
            constant("read-voltage", Dimension::Voltage, 0.5),
            constant("read-time", Dimension::Time, 5e-9),
        ],
    };
    let device = Device {
        name: "ag-a-si".into(),
        window: [Siemens(3.0769e-9), Siemens(38.462e-9)],
        set: (Volts(3.2), Seconds(300e-6)),
        reset: (Volts(-2.8), Seconds(300e-6)),
        source: "data/devices/ag-a-si.toml".into(),
    };
    let mean_siemens = 0.5 * (device.window[0].0 + device.window[1].0);
    let list = technology("tool-neurosim");
    let joules = |driven: u64, siemens: f64, component: &str| {
        let forward =
            PassActivity { driven_cells: driven, driven_siemens: siemens, ..PassActivity::default() };
        let activity = Activity { samples: IMAGES, forward, ..Activity::default() };
        let bill = price(&activity, &machine, &list).unwrap();
        bill.positions()
            .iter()
            .filter(|(pass, c, _)| *pass == Pass::Forward && *c == component)
            .map(|(.., spread)| spread.nominal)
            .sum::<f64>()
    };
    // Its loop reads one column at a time: for each of 100 columns it charges the lines of all lit rows, 100 cells
    // long, anew, and opens the select lines of all 400 rows anew; likewise for 10 columns of 100 rows, half of them lit.
    let lit_line_cells = IMAGES * (100 * LIT * 100 + 10 * 50 * 10);
    let select_line_cells = IMAGES * (100 * 400 * 100 + 10 * 100 * 10);
    let read_cells = IMAGES * (100 * LIT + 10 * 50);
    let lines = joules(lit_line_cells, 1e-30, "lines");
    let gates = joules(select_line_cells, 1e-30, "access gates");
    let cells = joules(1, mean_siemens * read_cells as f64, "cells");
    let ours = lines + gates + cells;
    println!(
        "NeuroSim: lines {lines:.3e}, select lines {gates:.3e}, cells {cells:.3e}: {ours:.3e} J against {PUBLISHED:.3e}"
    );
    assert!((0.5..2.0).contains(&(ours / PUBLISHED)), "{ours:e} against {PUBLISHED:e}");
    // What is left of the published number for its periphery is less than the wires; the memristors themselves take a
    // thousandth: the number says what it costs to open 400 select lines for each column, not what cells cost.
    assert!(cells < 1e-3 * PUBLISHED, "{cells:e}");
    assert!(gates > 0.9 * ours);
}
