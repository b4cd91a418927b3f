//! Fidelity ladder, periphery and tiles.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test says what it does in its name and may panic")]

use bitpulse_core::units::{Amperes, Ohms, Volts};
use bitpulse_core::{PassActivity, SeedPath, Shape};
use bitpulse_crossbar::periphery::{
    Adc, AdcSpec, Comparator, ComparatorSpec, Dac, DacSpec, Noise, PulseCoder, PulseCoderSpec,
    Transimpedance, TransimpedanceSpec, count_read,
};
use bitpulse_crossbar::{
    Array, ArrayError, Fidelity, PartialSums, Read, Settings, Tiling, TilingSpec, Wires,
};
use rand::RngExt;

fn random(cells: usize, low: f64, high: f64, name: &str) -> Vec<f64> {
    let mut rng = SeedPath::root(3).child(name).rng();
    (0..cells).map(|_| rng.random_range(low..high)).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let change: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    (change / b.iter().map(|b| b * b).sum::<f64>()).sqrt()
}

#[test]
fn the_rungs_of_the_ladder_meet_when_wires_vanish() {
    let (g, volts) = (random(20 * 12, 1e-6, 1e-4, "g"), random(20, 0.0, 0.2, "v"));
    let back = random(12, -0.2, 0.2, "b");
    for (ohm, apart) in [(1.0, true), (1e-7, false)] {
        let at = |fidelity| {
            let wires = Wires { sense: Ohms(ohm), ..Wires::uniform(Ohms(ohm)) };
            let mut array = Array::new(20, 12, g.clone(), wires, fidelity, Settings::default()).unwrap();
            (array.read(Read::Forward, &volts).unwrap(), array.read(Read::Transposed, &back).unwrap())
        };
        let ideal = at(Fidelity::Ideal);
        let effective = at(Fidelity::Effective { refresh: 1 });
        let exact = at(Fidelity::Exact);
        assert!(distance(&effective.0, &exact.0) < 1e-10 && distance(&effective.1, &exact.1) < 1e-10);
        let error = distance(&ideal.0, &exact.0).max(distance(&ideal.1, &exact.1));
        assert!(if apart { error > 1e-3 } else { error < 1e-8 }, "{error}");
    }
    let never = Array::new(
        1,
        1,
        vec![0.0],
        Wires::default(),
        Fidelity::Effective { refresh: 0 },
        Settings::default(),
    );
    assert_eq!(never.unwrap_err(), ArrayError::Refresh);
}

#[test]
fn a_stale_map_says_how_wrong_it_was() {
    let mut g = random(32 * 32, 1e-6, 1e-4, "g");
    let volts = random(32, 0.0, 0.2, "v");
    let build = |fidelity| {
        Array::new(32, 32, g.clone(), Wires::uniform(Ohms(2.0)), fidelity, Settings::default()).unwrap()
    };
    let (mut stale, mut exact) = (build(Fidelity::Effective { refresh: 10 }), build(Fidelity::Exact));
    let start = stale.read(Read::Forward, &volts).unwrap();
    let change = random(32 * 32, -4e-6, 4e-6, "change");
    for update in 1..=10 {
        for (g, change) in g.iter_mut().zip(&change) {
            *g = (*g + change).clamp(1e-6, 1e-4);
        }
        stale.update(g.clone()).unwrap();
        exact.update(g.clone()).unwrap();
        let (ours, truth) =
            (stale.read(Read::Forward, &volts).unwrap(), exact.read(Read::Forward, &volts).unwrap());
        let error = distance(&ours, &truth);
        if update < 10 {
            // The map moves along with the cells: far closer than one that had stood still.
            assert!(error < 0.1 * distance(&start, &truth), "{update}: {error}");
            assert_eq!(stale.staleness().refreshes, 0);
        } else {
            assert!(error < 1e-10, "just refreshed: {error}");
        }
    }
    let staleness = stale.staleness();
    assert_eq!(staleness.refreshes, 1);
    assert!(
        staleness.last > 1e-5 && staleness.last < 0.02 && staleness.worst == staleness.last,
        "{staleness:?}"
    );
    assert!(stale.update(vec![-1.0; 32 * 32]).is_err());
    assert_eq!(stale.circuit().g_siemens(), g);
}

#[test]
fn an_update_of_some_cells_is_an_update() {
    let (rows, cols) = (18, 7);
    let g = random(rows * cols, 1e-6, 1e-4, "g");
    let (volts, back) = (random(rows, 0.0, 0.2, "v"), random(cols, -0.2, 0.2, "b"));
    let cells = [3, 120, 77, 3, 125];
    let new = random(cells.len(), 1e-6, 1e-4, "new");
    let mut changed = g.clone();
    for (&cell, &g) in cells.iter().zip(&new) {
        changed[cell as usize] = g;
    }
    // With equal periphery one map serves both directions, with other periphery each has its own.
    for sense in [0.0, 40.0] {
        let wires = Wires { sense: Ohms(sense), ..Wires::uniform(Ohms(5.0)) };
        for fidelity in [Fidelity::Ideal, Fidelity::Effective { refresh: 2 }, Fidelity::Exact] {
            let array = || {
                let mut array =
                    Array::new(rows, cols, g.clone(), wires, fidelity, Settings::default()).unwrap();
                array.read(Read::Forward, &volts).unwrap();
                array.read(Read::Transposed, &back).unwrap();
                array
            };
            let (mut whole, mut some) = (array(), array());
            for update in 1..=2 {
                whole.update(changed.clone()).unwrap();
                some.update_cells(&cells, &new).unwrap();
                assert_eq!(some.circuit(), whole.circuit());
                for (read, volts) in [(Read::Forward, &volts), (Read::Transposed, &back)] {
                    let (a, b) = (some.read(read, volts).unwrap(), whole.read(read, volts).unwrap());
                    assert!(distance(&a, &b) < 1e-12, "{fidelity:?} {read:?} {update}: {}", distance(&a, &b));
                }
            }
            let maps = if sense == 0.0 { 1 } else { 2 };
            let measured = matches!(fidelity, Fidelity::Effective { .. });
            assert_eq!(some.staleness().refreshes, if measured { maps } else { 0 });
            let error = some.update_cells(&[126 - 7], &[-1.0]).unwrap_err().to_string();
            assert!(error.contains("row 17, column 0"), "{error}");
            assert_eq!(some.circuit().g_siemens(), changed);
        }
    }
}

#[test]
fn converters_quantise_clip_and_count() {
    let mut activity = PassActivity::default();
    let mut rng = SeedPath::root(1).rng();
    let dac = Dac::try_from(DacSpec { bits: 2, full_scale: Volts(0.3) }).unwrap();
    let mut volts = [0.0; 5];
    dac.convert(&[0.0, 0.34, 1.0, 7.0, -0.6], &mut volts, &mut activity);
    for (v, expected) in volts.iter().zip([0.0, 0.1, 0.3, 0.3, -0.2]) {
        assert!((v - expected).abs() < 1e-15, "{volts:?}");
    }
    assert_eq!(activity.dac.by_bits[1], 5);

    let spec = AdcSpec {
        bits: 3,
        low: Amperes(-3e-6),
        high: Amperes(4e-6),
        offset: Amperes(0.0),
        gain_error: 0.0,
        noise: Amperes(0.0),
    };
    let adc = Adc::try_from(spec).unwrap();
    let codes = [-9e-6, -3e-6, 0.4e-6, 0.6e-6, 4e-6, 9e-6].map(|i| adc.convert(i, &mut rng, &mut activity));
    assert_eq!(codes, [0, 0, 3, 4, 7, 7]);
    assert!((adc.amperes(4) - 1e-6).abs() < 1e-18);
    let skewed = Adc::try_from(AdcSpec { offset: Amperes(1e-6), gain_error: 1.0, ..spec }).unwrap();
    assert_eq!(skewed.convert(1e-6, &mut rng, &mut activity), 6);
    assert_eq!(activity.adc.by_bits[2], 7);

    // Uniform noise-free error has a standard deviation of step / sqrt 12; with noise of one step it adds in squares.
    let noisy = Adc::try_from(AdcSpec { bits: 10, noise: Amperes(1e-7), ..spec }).unwrap();
    let n = 20_000;
    let squares: f64 =
        (0..n).map(|_| (noisy.amperes(noisy.convert(1e-6, &mut rng, &mut activity)) - 1e-6).powi(2)).sum();
    // Relative standard deviation of a variance is sqrt(2 / n) = 1 %; five of them, and 0.04 % of quantisation.
    assert!((squares / f64::from(n) / 1e-14 - 1.0).abs() < 0.05, "{squares}");

    let tia = Transimpedance::try_from(TransimpedanceSpec { gain: Ohms(1e6), swing: Volts(0.5) }).unwrap();
    assert_eq!([tia.volts(0.25e-6), tia.volts(1e-5), tia.volts(-1.0)], [0.25, 0.5, -0.5]);
}

#[test]
fn every_resolution_reaches_its_ends_and_knows_them() {
    let mut activity = PassActivity::default();
    let mut rng = SeedPath::root(1).rng();
    for bits in 1..=16_u8 {
        let spec = AdcSpec {
            bits,
            low: Amperes(-1e-6),
            high: Amperes(1e-6),
            offset: Amperes(0.0),
            gain_error: 0.0,
            noise: Amperes(0.0),
        };
        let adc = Adc::try_from(spec).unwrap();
        let last = u16::try_from((1_u32 << bits) - 1).unwrap();
        let [low, high] = [-1e-6, 1e-6].map(|i| adc.convert(i, &mut rng, &mut activity));
        assert_eq!((low, high, adc.bits()), (0, last, bits));
        assert!((adc.amperes(low) + 1e-6).abs() < 1e-18 && (adc.amperes(high) - 1e-6).abs() < 1e-18);
        let clipping: Vec<u16> = (0..=last).filter(|code| adc.clips(*code)).collect();
        assert_eq!(clipping, [0, last]);
        let dac = Dac::try_from(DacSpec { bits, full_scale: Volts(0.3) }).unwrap();
        let mut volts = [0.0; 2];
        dac.convert(&[1.0, -1.0], &mut volts, &mut activity);
        assert_eq!(volts, [0.3, -0.3]);
        assert_eq!(
            (activity.adc.by_bits[usize::from(bits) - 1], activity.dac.by_bits[usize::from(bits) - 1]),
            (2, 2)
        );
        // Without noise nothing is drawn.
        assert_eq!(rng.random::<u64>(), SeedPath::root(1).rng().random::<u64>());
        rng = SeedPath::root(1).rng();
    }
}

#[test]
fn pulse_counts_mean_what_they_code() {
    let mut activity = PassActivity::default();
    let coder = PulseCoder::try_from(PulseCoderSpec { pulses: 4, amplitude: Volts(0.2) }).unwrap();
    let levels = [0.0, 0.26, -0.5, 1.0];
    let mut mean = [0.0; 4];
    coder.convert(&levels, &mut mean, &mut activity);
    assert_eq!(activity.dac.by_bits[0], 1 + 2 + 4);
    let mut sum = [0.0; 4];
    let line_siemens = [1e-4; 4];
    coder.for_each_phase(&levels, |volts| {
        count_read(volts, 0.2, &line_siemens, 10, &mut activity);
        for (sum, v) in sum.iter_mut().zip(volts) {
            *sum += v / f64::from(coder.phases());
        }
    });
    assert_eq!(sum, mean);
    assert_eq!((activity.reads, activity.driven_lines, activity.driven_cells), (4, 7, 70));
    assert!((activity.driven_siemens - 7e-4).abs() < 1e-15);
}

#[test]
fn comparators_fire_with_the_probability_of_their_noise() {
    let n = 40_000;
    let sigma = Amperes(1e-6);
    // Phi(1) = 0.841345 (Abramowitz & Stegun, table 26.1); 1 / (1 + 1/e) = 0.731059.
    for (noise, expected) in [
        (Noise::Gaussian { sigma }, 0.841_345),
        (Noise::Logistic { scale: sigma }, 0.731_059),
        (Noise::None, 1.0),
    ] {
        let comparator = Comparator::try_from(ComparatorSpec { offset: Amperes(0.5e-6), noise }).unwrap();
        let mut activity = PassActivity::default();
        let mut rng = SeedPath::root(9).child("comparator").rng();
        let ones = (0..n).filter(|_| comparator.fires(2.5e-6, 2e-6, &mut rng, &mut activity)).count();
        // Five standard deviations of a binomial share.
        let bound = 5.0 * (expected * (1.0 - expected) / f64::from(n)).sqrt();
        let share = ones as f64 / f64::from(n);
        assert!((share - expected).abs() <= bound, "{noise:?}: {share}");
        assert_eq!(activity.comparisons, 40_000);
        assert_eq!(activity.random_bits, if noise == Noise::None { 0 } else { 40_000 });
    }
}

#[test]
fn bad_parts_list_every_problem() {
    let adc = AdcSpec {
        bits: 0,
        low: Amperes(1.0),
        high: Amperes(1.0),
        offset: Amperes(f64::NAN),
        gain_error: -1.0,
        noise: Amperes(-1.0),
    };
    let error = Adc::try_from(adc).unwrap_err();
    assert_eq!(error.0.len(), 5, "{error}");
    assert!(error.to_string().contains("adc: `bits` is 0, it must be 1 to 16"), "{error}");
    assert_eq!(Dac::try_from(DacSpec { bits: 17, full_scale: Volts(0.0) }).unwrap_err().0.len(), 2);
    assert_eq!(
        PulseCoder::try_from(PulseCoderSpec { pulses: 0, amplitude: Volts(-1.0) }).unwrap_err().0.len(),
        2
    );
    let noise = Noise::Gaussian { sigma: Amperes(0.0) };
    assert_eq!(Comparator::try_from(ComparatorSpec { offset: Amperes(0.0), noise }).unwrap_err().0.len(), 1);
    let noise = Noise::Logistic { scale: Amperes(f64::INFINITY) };
    let error = Comparator::try_from(ComparatorSpec { offset: Amperes(f64::NAN), noise }).unwrap_err();
    assert_eq!(error.0.len(), 2, "{error}");
    let noisy =
        AdcSpec { bits: 17, low: Amperes(0.0), high: Amperes(1.0), noise: Amperes(f64::INFINITY), ..adc };
    assert_eq!(Adc::try_from(noisy).unwrap_err().0.len(), 4);
    let tia = TransimpedanceSpec { gain: Ohms(f64::INFINITY), swing: Volts(0.0) };
    assert_eq!(Transimpedance::try_from(tia).unwrap_err().0.len(), 2);
}

#[test]
fn tiles_add_up_and_count() {
    let matrix = Shape { inputs: 300, outputs: 50 };
    let (g, volts) = (random(matrix.weights(), 1e-6, 1e-4, "g"), random(300, 0.0, 0.2, "v"));
    let adc = Adc::try_from(AdcSpec {
        bits: 16,
        low: Amperes(0.0),
        high: Amperes(4e-3),
        offset: Amperes(0.0),
        gain_error: 0.0,
        noise: Amperes(0.0),
    })
    .unwrap();
    let mut whole = vec![0.0; 50];
    for (row, v) in g.chunks(50).zip(&volts) {
        for (sum, g) in whole.iter_mut().zip(row) {
            *sum += g * v;
        }
    }
    for (partial_sums, conversions, adds) in [(PartialSums::Analog, 50, 0), (PartialSums::Digital, 150, 100)]
    {
        let tiling = Tiling::new(matrix, TilingSpec { rows: 128, cols: 32, partial_sums }).unwrap();
        assert_eq!(tiling.arrays(), 6);
        let currents: Vec<Vec<f64>> = tiling
            .tiles()
            .map(|tile| {
                let cells = tiling.cells_of(&tile, &g);
                let mut array = Array::new(
                    tile.inputs.len(),
                    tile.outputs.len(),
                    cells,
                    Wires::default(),
                    Fidelity::Exact,
                    Settings::default(),
                )
                .unwrap();
                array.read(Read::Forward, &volts[tile.inputs]).unwrap()
            })
            .collect();
        let mut activity = PassActivity::default();
        let read = tiling.convert(&currents, &adc, &mut SeedPath::root(0).rng(), &mut activity);
        assert_eq!((activity.adc.by_bits[15], activity.adds, activity.macs), (conversions, adds, 0));
        // Half a step of every conversion that adds up.
        let bound = 0.5 * 4e-3 / 65_535.0 * f64::from(u32::try_from(conversions / 50).unwrap());
        let joined = tiling.join(&currents);
        assert_eq!((read.len(), joined.len()), (50, 50));
        for ((read, joined), whole) in read.iter().zip(joined).zip(&whole) {
            assert!((read - whole).abs() <= 1.001 * bound, "{read} {whole}");
            assert!((joined - whole).abs() <= 1e-12 * whole);
        }
    }
    for (inputs, outputs, rows, cols) in [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)] {
        let spec = TilingSpec { rows, cols, partial_sums: PartialSums::Analog };
        let error = Tiling::new(Shape { inputs, outputs }, spec).unwrap_err().to_string();
        let told = format!("a matrix of {inputs} x {outputs} in arrays of {rows} x {cols};");
        assert!(error.contains(&told), "{error}");
    }
}

#[test]
fn every_cell_lies_on_one_tile() {
    for (inputs, outputs, rows, cols) in [(7, 5, 3, 2), (6, 4, 3, 2), (2, 3, 8, 8), (5, 1, 1, 1)] {
        let matrix = Shape { inputs, outputs };
        let spec = TilingSpec { rows, cols, partial_sums: PartialSums::Analog };
        let tiling = Tiling::new(matrix, spec).unwrap();
        let numbers: Vec<f64> = (0..matrix.weights()).map(|cell| cell as f64).collect();
        let mut found = vec![f64::NAN; matrix.weights()];
        let mut tiles = 0;
        for tile in tiling.tiles() {
            tiles += 1;
            assert!((1..=rows).contains(&tile.inputs.len()) && (1..=cols).contains(&tile.outputs.len()));
            let mut cells = tiling.cells_of(&tile, &numbers).into_iter();
            for i in tile.inputs {
                for j in tile.outputs.clone() {
                    let cell = &mut found[i * outputs + j];
                    assert!(cell.is_nan(), "cell {i}, {j} lies on two tiles");
                    *cell = cells.next().unwrap();
                }
            }
            assert_eq!(cells.next(), None);
        }
        assert_eq!((tiles, found), (tiling.arrays(), numbers));
    }
}
