use std::collections::{BTreeMap, BTreeSet};

use bitpulse_core::{Activity, Conversions, PassActivity};
use thiserror::Error;

use crate::architecture::{Architecture, Format, Kind, PartialSums, Recorded};
use crate::bill::{Bill, Pass, Term};
use crate::quantity::Constant;
use crate::technology::Technology;

/// Why an activity cannot be priced.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("technology {technology} has no {}, which {architecture} needs for this activity", missing.join(", "))]
pub struct PriceError {
    /// The price list.
    pub technology: String,
    /// The machine.
    pub architecture: String,
    /// Constants that have no price, by name.
    pub missing: Vec<String>,
}

/// Bits in one access of an SRAM or DRAM as it is priced.
const ACCESS_BITS: f64 = 64.0;
/// Bits of a weight on the binary digital processor: steps of 0.003 in a range of a few units.
const BINARY_WEIGHT_BITS: f64 = 16.0;
/// Decisions that a window comparator makes for the derivative bit of one neuron.
const WINDOW_DECISIONS: f64 = 2.0;

/// What `activity` costs on `architecture` with the prices of `technology`.
///
/// The arithmetic is in `docs/book/src/explanation/energy.md`. Conductances that a simulation summed are priced as they
/// are; where there are none, as for weights in software, driven cells count with the mean conductance of the device.
///
/// # Errors
/// When something was done that the technology has no price for, all of it named.
pub fn price(
    activity: &Activity,
    architecture: &Architecture,
    technology: &Technology,
) -> Result<Bill, PriceError> {
    let samples = activity.samples as f64;
    let plant = &architecture.plant;
    let forward_macs = samples * plant.forward_macs();
    let mut biller = Biller {
        architecture,
        technology,
        activity,
        missing: BTreeSet::new(),
        bill: Bill {
            architecture: architecture.name.clone(),
            samples,
            macs: forward_macs + samples * plant.backward_macs(),
            forward_macs,
            energy: Vec::new(),
            time: Vec::new(),
            area: Vec::new(),
            unpriced_area: Vec::new(),
            constants: BTreeMap::new(),
        },
    };
    match architecture.kind {
        Kind::BsMemristor { adc_bits, dac_bits, integrators } => biller.memristor(Memristor {
            adc_bits,
            dac_bits,
            one_bit: true,
            partial_sums: PartialSums::Analog,
            integrators,
        }),
        Kind::HpMemristor { adc_bits, dac_bits, partial_sums, integrators } => {
            biller.memristor(Memristor { adc_bits, dac_bits, one_bit: false, partial_sums, integrators });
        }
        Kind::HpCmos { format } => biller.digital(&Digital::high_precision(format)),
        Kind::BinaryCmos => biller.digital(&Digital::binary()),
    }
    if biller.missing.is_empty() {
        return Ok(biller.bill);
    }
    Err(PriceError {
        technology: technology.name().into(),
        architecture: architecture.name.clone(),
        missing: biller.missing.into_iter().collect(),
    })
}

struct Biller<'a> {
    architecture: &'a Architecture,
    technology: &'a Technology,
    activity: &'a Activity,
    missing: BTreeSet<String>,
    bill: Bill,
}

/// What tells one memristor machine from another.
#[derive(Clone, Copy)]
struct Memristor {
    adc_bits: u8,
    dac_bits: u8,
    /// Lines are driven fully or not at all, and updates are pulses as counted.
    one_bit: bool,
    partial_sums: PartialSums,
    integrators: bool,
}

/// What tells one digital processor from another.
struct Digital {
    /// Components of the arithmetic of one driven cell.
    arithmetic: Vec<&'static str>,
    weight_bits: f64,
    activation_bits: f64,
    /// Random numbers are made and compared digitally.
    random: bool,
}

impl Digital {
    fn high_precision(format: Format) -> Self {
        let bits = f64::from(format.bits());
        Self {
            arithmetic: format.arithmetic().to_vec(),
            weight_bits: bits,
            activation_bits: bits,
            random: false,
        }
    }

    fn binary() -> Self {
        Self {
            arithmetic: vec!["add-int32.energy"],
            weight_bits: BINARY_WEIGHT_BITS,
            activation_bits: 1.0,
            random: true,
        }
    }
}

impl<'a> Biller<'a> {
    fn pass(&self, pass: Pass) -> &'a PassActivity {
        match pass {
            Pass::Forward => &self.activity.forward,
            Pass::Backward => &self.activity.backward,
            Pass::Update => &self.activity.update,
            Pass::Carry => &self.activity.carry,
        }
    }

    fn constant(&self, key: &str) -> Option<&'a Constant> {
        let own = self.architecture.constants.iter().find(|constant| constant.key == key);
        own.or_else(|| self.technology.constant(key))
    }

    /// A term, if everything in it has a price; what has none is remembered.
    fn term(&mut self, component: &'static str, count: f64, factors: &[(&str, i32)]) -> Option<Term> {
        if count == 0.0 {
            return None;
        }
        let mut complete = true;
        for (key, _) in factors {
            if let Some(constant) = self.constant(key) {
                self.bill.constants.entry((*key).to_owned()).or_insert_with(|| constant.clone());
            } else {
                self.missing.insert((*key).to_owned());
                complete = false;
            }
        }
        let factors = factors.iter().map(|(key, power)| ((*key).to_owned(), *power)).collect();
        complete.then_some(Term { component, count, factors })
    }

    fn charge(&mut self, pass: Pass, component: &'static str, count: f64, factors: &[(&str, i32)]) {
        let term = self.term(component, count, factors);
        self.bill.energy.extend(term.map(|term| (pass, term)));
    }

    fn wait(&mut self, pass: Pass, component: &'static str, count: f64, factors: &[(&str, i32)]) {
        let term = self.term(component, count, factors);
        self.bill.time.extend(term.map(|term| (pass, term)));
    }

    /// Area of `count` of `key`; what the technology has no area for is named instead.
    fn cover(&mut self, component: &'static str, count: f64, key: &str) {
        if count == 0.0 {
            return;
        }
        if self.constant(key).is_some() {
            let term = self.term(component, count, &[(key, 1)]);
            self.bill.area.extend(term);
        } else {
            self.bill.unpriced_area.push(component.into());
        }
    }

    /// Constant `key` of the device.
    fn of_device(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture.device)
    }

    fn memristor(&mut self, machine: Memristor) {
        for pass in [Pass::Forward, Pass::Backward, Pass::Carry] {
            self.cells_read(pass, machine);
            self.lines_driven(pass, machine);
            self.lines_sensed(pass, machine);
        }
        for pass in [Pass::Update, Pass::Carry] {
            self.cells_written(pass, machine);
        }
        for pass in Pass::ALL {
            self.logic(pass, machine);
        }
        self.memristor_area(machine);
    }

    /// `V^2 t` times the conductance of the driven cells, and the charge on their lines and gates.
    fn cells_read(&mut self, pass: Pass, machine: Memristor) {
        let counts = self.pass(pass);
        let cells = counts.driven_cells as f64 * self.cells_per_weight();
        if counts.driven_siemens > 0.0 {
            self.charge(pass, "cells", counts.driven_siemens, &[("read-voltage", 2), ("read-time", 1)]);
        } else {
            let conductance = self.of_device("conductance");
            let mut factors = vec![(conductance.as_str(), 1), ("read-voltage", 2), ("read-time", 1)];
            // A carry drives its line fully.
            if !machine.one_bit && pass != Pass::Carry {
                factors.push(("level-square", 1));
            }
            self.charge(pass, "cells", cells, &factors);
        }
        self.charge(pass, "lines", cells, &[("cell-line.capacitance", 1), ("read-voltage", 2)]);
        self.charge(pass, "access gates", cells, &[("access-gate.capacitance", 1), ("supply.voltage", 2)]);
        self.wait(pass, "read", self.reads_in_turn(pass), &[("read-time", 1)]);
    }

    /// Read phases that come one after the other. Rows of a carry are read one by one.
    fn reads_in_turn(&self, pass: Pass) -> f64 {
        let reads = self.pass(pass).reads as f64;
        match (self.architecture.plant.recorded, pass) {
            (Recorded::Arrays { forward_at_once, .. }, Pass::Forward) => reads / forward_at_once,
            (Recorded::Arrays { backward_at_once, .. }, Pass::Backward) => reads / backward_at_once,
            _ => reads,
        }
    }

    /// Cells of a driven weight: simulated hardware counts cells, a software matrix counts weights.
    fn cells_per_weight(&self) -> f64 {
        match self.architecture.plant.recorded {
            Recorded::Matrices | Recorded::Accumulators => self.architecture.plant.cells_per_weight,
            Recorded::Arrays { .. } => 1.0,
        }
    }

    fn lines_driven(&mut self, pass: Pass, machine: Memristor) {
        let counts = self.pass(pass);
        let plant = &self.architecture.plant;
        // A line that crosses several arrays is driven at each of them; either way of counting counts it once.
        let arrays = match pass {
            Pass::Backward => plant.arrays_above_backward(),
            _ => plant.arrays_beside(),
        };
        if machine.one_bit {
            self.charge(
                pass,
                "row drivers",
                counts.driven_lines as f64 * arrays,
                &[("row-driver.energy", 1)],
            );
        }
        for (bits, conversions) in converters(&counts.dac, machine.dac_bits, arrays) {
            // A one-bit conversion is the drive of a line, which is charged already on a machine of such lines.
            if bits == 1 && machine.one_bit {
                continue;
            }
            if bits == 1 {
                self.charge(pass, "row drivers", conversions, &[("row-driver.energy", 1)]);
                continue;
            }
            let key = format!("dac-{bits}.energy");
            self.charge(pass, "DAC", conversions, &[(&key, 1)]);
            self.charge(pass, "registers", conversions * f64::from(bits), &[("register.energy", 1)]);
        }
    }

    fn lines_sensed(&mut self, pass: Pass, machine: Memristor) {
        let counts = self.pass(pass);
        let plant = &self.architecture.plant;
        let arrays = match (plant.recorded, machine.partial_sums, pass) {
            (Recorded::Arrays { .. }, ..) | (_, PartialSums::Analog, _) => 1.0,
            (_, PartialSums::Digital, Pass::Backward) => plant.arrays_beside_backward(),
            (_, PartialSums::Digital, _) => plant.arrays_above(),
        };
        let columns_per_adc = plant.columns_per_adc;
        let reads = self.reads_in_turn(pass);
        for (bits, conversions) in converters(&counts.adc, machine.adc_bits, arrays) {
            let key = format!("adc-{bits}.energy");
            self.charge(pass, "ADC", conversions, &[(&key, 1)]);
            self.charge(pass, "sample and hold", conversions, &[("sample-hold.energy", 1)]);
            self.charge(pass, "registers", conversions * f64::from(bits), &[("register.energy", 1)]);
            if machine.integrators {
                self.charge(pass, "integrators", conversions, &[("integrator.energy", 1)]);
            }
            let time = format!("adc-{bits}.time");
            if self.constant(&time).is_some() {
                let in_turn = (reads * columns_per_adc).min(conversions);
                self.wait(pass, "conversion", in_turn, &[(&time, 1)]);
            }
        }
        // The sum of what n arrays convert takes n - 1 additions, which simulated hardware counts itself.
        let added = counts.adc.unquantised as f64 * (arrays - 1.0) + counts.adds as f64;
        self.charge(pass, "partial sums", added, &[("shift-add.energy", 1)]);
        let mut decisions = counts.comparisons as f64;
        if machine.integrators {
            self.charge(pass, "integrators", decisions, &[("integrator.energy", 1)]);
        }
        if pass == Pass::Backward {
            // A neuron whose error is decided has its derivative decided too, by a window of two thresholds.
            decisions *= 1.0 + WINDOW_DECISIONS;
        }
        self.charge(pass, "comparators", decisions, &[("comparator.energy", 1)]);
        self.charge(pass, "registers", counts.comparisons as f64, &[("register.energy", 1)]);
        if counts.comparisons > 0 && self.constant("comparator.time").is_some() {
            self.wait(pass, "decision", reads, &[("comparator.time", 1)]);
        }
    }

    /// Whether a pulse that was counted is an exact change of a weight in software.
    fn is_exact(&self, machine: Memristor) -> bool {
        match self.architecture.plant.recorded {
            Recorded::Matrices => !machine.one_bit,
            Recorded::Accumulators => true,
            Recorded::Arrays { .. } => false,
        }
    }

    /// Energy and time of programming pulses.
    fn cells_written(&mut self, pass: Pass, machine: Memristor) {
        let counts = self.pass(pass);
        let rows = self.architecture.plant.rows as f64;
        let conductance = self.of_device("conductance");
        // A weight moves when one cell of its pair is pulsed.
        for (pulses, siemens, polarity) in [
            (counts.set_pulses as f64, counts.set_siemens, "set"),
            (counts.reset_pulses as f64, counts.reset_siemens, "reset"),
        ] {
            let voltage = self.of_device(&format!("{polarity}-voltage"));
            let time = self.of_device(&format!("{polarity}-time"));
            // An exact change is written with as many pulses as the machine needs for it; whole pulses are counted.
            let exact = self.is_exact(machine);
            let mut cell = vec![(voltage.as_str(), 2), (time.as_str(), 1)];
            let mut line = vec![("cell-line.capacitance", 1), (voltage.as_str(), 2)];
            if exact {
                cell.push(("pulses-per-change", 1));
                line.push(("pulses-per-change", 1));
            }
            if siemens > 0.0 {
                self.charge(pass, "pulses", siemens, &cell);
            } else {
                cell.push((conductance.as_str(), 1));
                self.charge(pass, "pulses", pulses, &cell);
            }
            self.charge(pass, "lines", pulses * rows, &line);
        }
        let set_time = self.of_device("set-time");
        let reset_time = self.of_device("reset-time");
        let pulsed = counts.pulses();
        if pulsed > 0 {
            // Software counts no slots of time: of coincidence pulses a layer takes one for each polarity, of an
            // outer product one for each polarity and word line. Accumulators write all weights at once, line by line.
            let plant = &self.architecture.plant;
            let lines = plant.matrices().map(|shape| shape.inputs as f64).sum::<f64>();
            let slots = if counts.pulse_slots > 0 {
                0.5 * counts.pulse_slots as f64
            } else if plant.recorded == Recorded::Accumulators {
                pulsed as f64 / plant.weights() * lines
            } else if machine.one_bit {
                self.bill.samples * plant.matrices().count() as f64
            } else {
                self.bill.samples * lines
            };
            for time in [set_time, reset_time] {
                let mut factors = vec![(time.as_str(), 1)];
                if self.is_exact(machine) {
                    factors.push(("pulses-per-change", 1));
                }
                self.wait(pass, "pulses", slots, &factors);
            }
        }
    }

    /// What is done digitally beside the arrays.
    fn logic(&mut self, pass: Pass, machine: Memristor) {
        let counts = self.pass(pass);
        self.charge(pass, "activations", counts.activations as f64, &[("sigmoid.energy", 1)]);
        self.charge(pass, "arithmetic", counts.macs as f64, &[("multiply-int8.energy", 1)]);
        self.charge(pass, "arithmetic", counts.macs as f64, &[("add-int32.energy", 1)]);
        self.charge(pass, "registers", counts.buffer_bits as f64, &[("register.energy", 1)]);
        self.charge(pass, "counters", counts.counter_steps as f64, &[("counter.energy", 1)]);
        self.charge(pass, "random bits", self.drawn_bits(pass, machine) as f64, &[("random-bit.energy", 1)]);
    }

    /// Random bits that are made digitally. The noise of a comparator is free, what is drawn beyond its decisions is not;
    /// nor is the error of a class whose probability is computed: no comparator decides it.
    fn drawn_bits(&self, pass: Pass, machine: Memristor) -> u64 {
        let counts = self.pass(pass);
        let free = if machine.one_bit { counts.comparisons } else { 0 };
        let of_classes = if pass == Pass::Backward { counts.random_bits.min(counts.activations) } else { 0 };
        of_classes + (counts.random_bits - of_classes).saturating_sub(free)
    }

    /// Whether every weight has a counter beside the arrays.
    fn counts_steps(&self) -> bool {
        Pass::ALL.iter().any(|pass| self.pass(*pass).counter_steps > 0)
    }

    fn memristor_area(&mut self, machine: Memristor) {
        let plant = &self.architecture.plant;
        let cells = plant.weights() * plant.cells_per_weight;
        let arrays: Vec<(f64, f64, f64)> = plant
            .matrices()
            .map(|s| {
                let above = s.inputs.div_ceil(plant.rows) as f64;
                let beside = s.outputs.div_ceil(plant.columns) as f64;
                (s.inputs as f64 * beside, s.outputs as f64 * above, s.outputs as f64)
            })
            .collect();
        let rows: f64 = arrays.iter().map(|(rows, ..)| rows).sum();
        let columns: f64 = arrays.iter().map(|(_, columns, _)| columns).sum();
        let joined: f64 = arrays.iter().map(|(.., joined)| joined).sum();
        // Places of a convolution are sensed one after the other, so a bit line stands for all its neurons.
        let classes = arrays.last().map_or(0.0, |(.., joined)| *joined);
        let hidden = joined - classes;
        let per_adc = plant.columns_per_adc;
        self.cover("cells", cells, "cell.area");
        let adc = format!("adc-{}.area", machine.adc_bits);
        if machine.one_bit {
            self.cover("row drivers", rows, "row-driver.area");
            // One for every bit line, one and a window of two for every hidden neuron's error.
            self.cover("comparators", joined + (1.0 + WINDOW_DECISIONS) * hidden, "comparator.area");
            if self.activity.forward.adc.total() > 0 {
                self.cover("ADC", (classes / per_adc).ceil(), &adc);
                self.cover("activations", 1.0, "sigmoid.area");
            }
            if self.drawn_bits(Pass::Forward, machine) > 0 {
                let pixels = plant.layers.first().map_or(0.0, |layer| layer.shape.inputs as f64 - 1.0);
                self.cover("random bits", pixels, "random-bit.area");
            }
            if self.counts_steps() {
                self.cover("counters", plant.weights(), "counter.area");
            }
            return;
        }
        let sensed = match machine.partial_sums {
            PartialSums::Digital => columns,
            PartialSums::Analog => joined,
        };
        self.cover("DAC", rows + classes, &format!("dac-{}.area", machine.dac_bits));
        self.cover("ADC", (sensed / per_adc).ceil() + (hidden / per_adc).ceil(), &adc);
        self.cover("sample and hold", sensed + hidden, "sample-hold.area");
        self.cover("activations", 1.0, "sigmoid.area");
    }

    /// A digital processor that does what the activity counts: arithmetic for every driven cell, the weight it needs
    /// from memory, activations from a small memory.
    fn digital(&mut self, machine: &Digital) {
        let plant = &self.architecture.plant;
        let memory = weight_memory(plant.weights() * machine.weight_bits / 8.0);
        let weight_accesses = machine.weight_bits / ACCESS_BITS;
        let units = plant.mac_units;
        // Numbers in a memory have no low digit to carry from.
        for pass in [Pass::Forward, Pass::Backward, Pass::Update] {
            let counts = self.pass(pass);
            let changes = counts.pulses() as f64;
            let operations = counts.driven_cells as f64 + changes;
            for component in &machine.arithmetic {
                self.charge(pass, "arithmetic", operations, &[(component, 1)]);
            }
            // A change reads the weight and writes it.
            let accesses = (counts.driven_cells as f64 + 2.0 * changes) * weight_accesses;
            self.charge(pass, "weight memory", accesses, &[(memory, 1)]);
            let values = counts.driven_lines as f64 + (counts.adc.total() + counts.comparisons) as f64;
            let bits = values * machine.activation_bits + counts.buffer_bits as f64;
            self.charge(pass, "activation memory", bits / ACCESS_BITS, &[("sram-8k.energy", 1)]);
            self.charge(pass, "activations", counts.activations as f64, &[("sigmoid.energy", 1)]);
            self.charge(pass, "arithmetic", counts.adds as f64, &[("add-int32.energy", 1)]);
            if machine.random {
                self.charge(pass, "random bits", counts.random_bits as f64, &[("random-bit.energy", 1)]);
            }
            if !machine.random {
                for component in &machine.arithmetic {
                    self.charge(pass, "arithmetic", counts.macs as f64, &[(component, 1)]);
                }
            }
            if self.constant("clock.time").is_some() {
                self.wait(pass, "arithmetic", operations / units, &[("clock.time", 1)]);
            }
        }
        self.cover("adders", units, "add-int32.area");
        if !machine.random {
            self.cover("multipliers", units, "multiply-int32.area");
        }
        let kilobytes = plant.weights() * machine.weight_bits / 8.0 / 1024.0;
        self.cover("weight memory", (kilobytes / 64.0).ceil(), "edram-64k.area");
    }
}

/// The smallest memory with a price that holds `bytes`.
fn weight_memory(bytes: f64) -> &'static str {
    const SIZES: [(f64, &str); 3] = [
        (8.0 * 1024.0, "sram-8k.energy"),
        (32.0 * 1024.0, "sram-32k.energy"),
        (1024.0 * 1024.0, "sram-1m.energy"),
    ];
    SIZES.iter().find(|(size, _)| bytes <= *size).map_or("dram.energy", |(_, key)| key)
}

/// Conversions by bits; those of a software matrix count as `bits` and at each of the arrays that share the line.
fn converters(conversions: &Conversions, bits: u8, arrays: f64) -> impl Iterator<Item = (u8, f64)> {
    let unquantised = (bits, conversions.unquantised as f64 * arrays);
    let by_bits = conversions.by_bits;
    std::iter::once(unquantised)
        .chain((1..=16).map(move |bits| (bits, by_bits[usize::from(bits) - 1] as f64)))
        .filter(|(_, count)| *count > 0.0)
}
