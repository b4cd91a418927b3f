//! How outer products of inputs and errors become pulses.

use bitpulse_core::{Accumulation, Accumulator, Pulse, Rng, SeedPath, Signal, Signals, Update, rows};
use bitpulse_device::{WriteVerify, Writing};
use rand::RngExt;

use super::digit::Digit;
use super::spec::{Digits, Gate, Trains, Write};
use super::{CrossbarMatrix, Scratch};

impl CrossbarMatrix {
    pub(super) fn write(
        &mut self,
        inputs: &Signals<f32>,
        errors: &Signals<f32>,
        update: Update,
        at: SeedPath,
    ) {
        let mut rng = at.child("gates").rng();
        match update {
            Update::Pulses { step, per_unit } if inputs.products_are_whole(errors, per_unit) => {
                for (sample, (input, error)) in (0..).zip(inputs.iter().zip(errors.iter())) {
                    if !error.is_silent() {
                        self.coincide(input, error, step, &mut rng, at.child("pulses").index(sample));
                    }
                }
            }
            Update::Pulses { step, per_unit } => {
                let whole = f64::from(per_unit);
                self.accumulate(inputs, errors, &mut rng, |product, rng| {
                    let steps = (whole * product.abs() + rng.random::<f64>()).floor();
                    (steps * step / whole).copysign(product)
                });
                self.write_change(true, &mut rng, at);
            }
            Update::Sign { step } => {
                self.accumulate(inputs, errors, &mut rng, |product, _| product);
                let width = self.shape.outputs;
                for &row in &self.scratch.dirty {
                    for change in &mut self.scratch.change[row as usize * width..][..width] {
                        // The sign of 0.0 would be that of a positive number.
                        *change = if *change == 0.0 { 0.0 } else { (step as f32).copysign(*change) };
                    }
                }
                self.write_change(true, &mut rng, at);
            }
            Update::Accumulated { step, accumulation } => {
                self.accumulate(inputs, errors, &mut rng, |product, _| product);
                self.keep(step, accumulation);
                self.write_numbers(&mut rng, at);
            }
            Update::Exact { step } => {
                if let Write::Trains(trains) = self.spec.write {
                    for (sample, (input, error)) in (0..).zip(inputs.iter().zip(errors.iter())) {
                        let at = at.child("trains").index(sample);
                        self.meet(input, error, step, trains, &mut rng, at);
                    }
                } else {
                    self.accumulate(inputs, errors, &mut rng, |product, _| step * product);
                    self.write_numbers(&mut rng, at);
                }
            }
        }
    }

    /// Writes the accumulated change as the spec says. Trains move weights by products; a change that is a number already is
    /// rounded in their place.
    fn write_numbers(&mut self, rng: &mut Rng, at: SeedPath) {
        match self.spec.write {
            Write::WriteVerify(verify) => self.write_memory(verify, at),
            Write::Rounded { stochastic } => self.write_change(stochastic, rng, at),
            Write::Trains(_) => self.write_change(true, rng, at),
        }
    }

    /// What one pulse, or one count where there are counters, moves a nominal weight by.
    fn unit(&self) -> f64 {
        match self.spec.digits {
            Digits::Counter { limit } => self.pulse_weight() / f64::from(limit),
            _ => self.pulse_weight(),
        }
    }

    /// Pulses where bits and signs meet, so that a product of 1 moves nominal weights by `step` on average.
    ///
    /// A line with several pulses is driven in as many phases; every phase of a row meets every phase of a column.
    fn coincide(
        &mut self,
        input: Signal<'_, f32>,
        error: Signal<'_, f32>,
        step: f64,
        rng: &mut Rng,
        at: SeedPath,
    ) {
        let (row_phases, column_phases) = (input.per_unit(), error.per_unit());
        let pulses = step / self.unit() / f64::from(row_phases) / f64::from(column_phases);
        let mut rows = std::mem::take(&mut self.scratch.rows);
        let mut columns = std::mem::take(&mut self.scratch.columns);
        // Rows of negative counts meet the columns with their signs turned, in phases of their own.
        let [_, negative] = input.signed_pulses();
        let signs: &[f32] = if negative > 0 { &[1.0, -1.0] } else { &[1.0] };
        for (turn, &sign) in (0..).zip(signs) {
            for row_phase in 1..=row_phases {
                for column_phase in 1..=column_phases {
                    // Gates thin out both lists, so every phase draws them up anew.
                    rows.clear();
                    match input {
                        Signal::Bits(lines) => rows.extend_from_slice(lines),
                        _ => input.for_each_active(|line, x| {
                            if (sign * x * f32::from(row_phases)).round() >= f32::from(row_phase) {
                                rows.push(line as u32);
                            }
                        }),
                    }
                    columns.clear();
                    error.for_each_active(|line, e| {
                        if (e.abs() * f32::from(column_phases)).round() >= f32::from(column_phase) {
                            let count = if e * sign < 0.0 { -1 } else { 1 };
                            columns.push(Pulse { line: line as u32, count });
                        }
                    });
                    let at = at.index(turn * u64::from(row_phases) + u64::from(row_phase));
                    self.pulse_often(&mut rows, &mut columns, pulses, rng, at.index(u64::from(column_phase)));
                }
            }
        }
        self.scratch.rows = rows;
        self.scratch.columns = columns;
    }

    /// Gives every crosspoint of `rows` and `columns` `pulses` pulses on average: the whole part for certain, what remains
    /// behind the gate.
    fn pulse_often(
        &mut self,
        rows: &mut Vec<u32>,
        columns: &mut Vec<Pulse>,
        pulses: f64,
        rng: &mut Rng,
        at: SeedPath,
    ) {
        let (whole, part) = (pulses.floor().min(f64::from(i16::MAX)) as i16, pulses.fract());
        // Probabilities to 16 bits, as the other random bits have.
        let chance = (part * 65536.0).round() as u32;
        if self.spec.gate == Gate::Rows && whole > 0 && whole < i16::MAX && chance > 0 {
            self.pulse_gated_rows(rows, columns, whole, chance, rng, at);
            return;
        }
        self.pulse_lines(rows, columns, whole, at.child("whole"));
        if chance == 0 {
            return;
        }
        let at = at.child("gated");
        let gates = match self.spec.gate {
            Gate::Rows => {
                let gates = rows.len();
                rows.retain(|_| fires(chance, rng));
                gates
            }
            Gate::Columns => {
                let gates = columns.len();
                columns.retain(|_| fires(chance, rng));
                gates
            }
            Gate::RowsAndColumns => {
                let gates = rows.len() + columns.len();
                let each = (part.sqrt() * 65536.0).round() as u32;
                rows.retain(|_| fires(each, rng));
                columns.retain(|_| fires(each, rng));
                gates
            }
            Gate::Array => {
                if !fires(chance, rng) {
                    rows.clear();
                }
                1
            }
            Gate::Crosspoints => {
                self.pulse_crosspoints(rows, columns, chance, rng, at);
                rows.len() * columns.len()
            }
        };
        self.activity.update.random_bits += gates as u64;
        if self.spec.gate != Gate::Crosspoints {
            self.pulse_lines(rows, columns, 1, at);
        }
    }

    /// `whole` pulses for every row and one more for those whose gate opens, each row at once: the devices of a row are far
    /// in memory.
    fn pulse_gated_rows(
        &mut self,
        rows: &[u32],
        columns: &mut [Pulse],
        whole: i16,
        chance: u32,
        rng: &mut Rng,
        at: SeedPath,
    ) {
        let mut open = std::mem::take(&mut self.scratch.open);
        let mut shut = std::mem::take(&mut self.scratch.shut);
        open.clear();
        shut.clear();
        for &row in rows {
            if fires(chance, rng) { open.push(row) } else { shut.push(row) }
        }
        self.activity.update.random_bits += rows.len() as u64;
        self.count_slots(rows.len(), columns.len(), whole);
        self.count_slots(open.len(), columns.len(), 1);
        self.pulse_crossings(&shut, columns, whole, at.child("whole"));
        self.pulse_crossings(&open, columns, whole + 1, at.child("gated"));
        self.scratch.open = open;
        self.scratch.shut = shut;
    }

    /// One pulse at every crosspoint whose own gate opens.
    fn pulse_crosspoints(
        &mut self,
        rows: &[u32],
        columns: &[Pulse],
        chance: u32,
        rng: &mut Rng,
        at: SeedPath,
    ) {
        let width = self.shape.outputs as u32;
        let mut cells = std::mem::take(&mut self.scratch.cells);
        let mut counts = std::mem::take(&mut self.scratch.counts);
        let mut draws = std::mem::take(&mut self.scratch.draws);
        cells.clear();
        counts.clear();
        draws.resize(columns.len(), 0);
        for &row in rows {
            rows::fill_draws(rng, &mut draws);
            for (column, &draw) in columns.iter().zip(&draws) {
                if u32::from(draw) < chance {
                    cells.push(row * width + column.line);
                    counts.push(column.count);
                }
            }
        }
        self.pulse_cells(&cells, &counts, at);
        self.scratch.cells = cells;
        self.scratch.counts = counts;
        self.scratch.draws = draws;
    }

    /// Pulses, or counts, where rows and columns cross: `times` pulses in the direction of a column's sign, in as many slots.
    fn pulse_lines(&mut self, rows: &[u32], columns: &mut [Pulse], times: i16, at: SeedPath) {
        self.count_slots(rows.len(), columns.len(), times);
        self.pulse_crossings(rows, columns, times, at);
    }

    /// Counts `times` slots in which so many rows and columns are driven together. Steps of counters are counted apart.
    fn count_slots(&mut self, rows: usize, columns: usize, times: i16) {
        let counted = matches!(self.spec.digits, Digits::Counter { .. });
        if rows > 0 && columns > 0 && !counted {
            let slots = u64::from(times.unsigned_abs());
            self.activity.update.pulse_slots += slots;
            self.activity.update.driven_lines += slots * (rows + columns) as u64;
        }
    }

    /// [`CrossbarMatrix::pulse_lines`] without its slots; `columns` have counts of 1 and -1, and get them back.
    fn pulse_crossings(&mut self, rows: &[u32], columns: &mut [Pulse], times: i16, at: SeedPath) {
        if rows.is_empty() || columns.is_empty() || times == 0 {
            return;
        }
        for column in columns.iter_mut() {
            column.count *= times;
        }
        if let Digits::Counter { limit } = self.spec.digits {
            self.count_lines(rows, columns, limit.cast_signed(), at);
        } else {
            for &row in rows {
                self.mark(row);
            }
            let Scratch { lists, .. } = &mut self.scratch;
            self.digits[0].pulse_lines(rows, columns, at, lists, &mut self.activity.update);
        }
        for column in columns {
            column.count = column.count.signum();
        }
    }

    /// Steps the counters where rows and columns cross; those that are full pulse their device.
    fn count_lines(&mut self, rows: &[u32], columns: &[Pulse], limit: i16, at: SeedPath) {
        let width = self.shape.outputs;
        let mut full = std::mem::take(&mut self.scratch.cells);
        let mut pulses = std::mem::take(&mut self.scratch.counts);
        full.clear();
        pulses.clear();
        for &row in rows {
            let first = row as usize * width;
            for column in columns {
                let cell = first + column.line as usize;
                step_counter(&mut self.counters[cell], column.count, limit, |count| {
                    full.push(cell as u32);
                    pulses.push(count);
                });
            }
        }
        let steps: u64 = columns.iter().map(|column| u64::from(column.count.unsigned_abs())).sum();
        self.activity.update.counter_steps += rows.len() as u64 * steps;
        self.pulse_listed(&full, &pulses, at);
        self.scratch.cells = full;
        self.scratch.counts = pulses;
    }

    /// Pulses, or counts, at the listed cells.
    fn pulse_cells(&mut self, cells: &[u32], counts: &[i16], at: SeedPath) {
        let Digits::Counter { limit } = self.spec.digits else {
            self.pulse_listed(cells, counts, at);
            return;
        };
        let (mut full, mut pulses) = (Vec::new(), Vec::new());
        for (&cell, &count) in cells.iter().zip(counts) {
            step_counter(&mut self.counters[cell as usize], count, limit.cast_signed(), |count| {
                full.push(cell);
                pulses.push(count);
            });
            self.activity.update.counter_steps += u64::from(count.unsigned_abs());
        }
        self.pulse_listed(&full, &pulses, at);
    }

    /// Pulses the devices of the lowest digit at the listed cells, ascending.
    fn pulse_listed(&mut self, cells: &[u32], counts: &[i16], at: SeedPath) {
        if cells.is_empty() {
            return;
        }
        self.activity.update.pulse_slots += slots_row_by_row(cells, counts, self.shape.outputs);
        for &cell in cells {
            self.mark(cell / self.shape.outputs as u32);
        }
        let Scratch { lists, .. } = &mut self.scratch;
        self.digits[0].pulse_cells(cells, counts, at, lists, &mut self.activity.update);
    }

    /// Adds `change(x e)` of every sample to the change that the batch asks for.
    fn accumulate(
        &mut self,
        inputs: &Signals<f32>,
        errors: &Signals<f32>,
        rng: &mut Rng,
        change: impl Fn(f64, &mut Rng) -> f64,
    ) {
        let width = self.shape.outputs;
        self.scratch.change.resize(self.shape.weights(), 0.0);
        let mut rows = std::mem::take(&mut self.scratch.active);
        let mut columns = std::mem::take(&mut self.scratch.squares);
        for (input, error) in inputs.iter().zip(errors.iter()) {
            error.list_active(1.0, &mut columns);
            if columns.is_empty() {
                continue;
            }
            input.list_active(1.0, &mut rows);
            self.activity.update.macs += (rows.len() * columns.len()) as u64;
            for &(row, x) in &rows {
                self.mark(row);
                let sums = &mut self.scratch.change[row as usize * width..][..width];
                for &(column, e) in &columns {
                    sums[column as usize] += change(f64::from(x * e), rng) as f32;
                }
            }
        }
        self.scratch.active = rows;
        self.scratch.squares = columns;
    }

    /// Puts the batch's summed products into the digital accumulators, and what comes of them in place of the change.
    fn keep(&mut self, step: f64, accumulation: Accumulation) {
        let weights = self.shape.weights();
        let accumulator = self.accumulator.get_or_insert_with(|| Accumulator::new(weights));
        accumulator.add(&mut self.scratch.change, step, accumulation);
        for row in 0..self.shape.inputs as u32 {
            self.mark(row);
        }
    }

    /// Rounds the accumulated change to whole pulses and gives them; none is left over.
    fn write_change(&mut self, stochastic: bool, rng: &mut Rng, at: SeedPath) {
        let unit = self.unit() as f32;
        let width = self.shape.outputs;
        let (mut cells, mut counts) = (Vec::new(), Vec::new());
        self.scratch.dirty.sort_unstable();
        for &row in &self.scratch.dirty {
            let first = row as usize * width;
            for (k, change) in self.scratch.change[first..first + width].iter_mut().enumerate() {
                let pulses = std::mem::take(change) / unit;
                if pulses == 0.0 {
                    continue;
                }
                let offset = if stochastic { rng.random::<f32>() } else { 0.5 };
                let count = (pulses.abs() + offset).floor().min(f32::from(i16::MAX)) as i16;
                if count > 0 {
                    cells.push((first + k) as u32);
                    counts.push(if pulses < 0.0 { -count } else { count });
                }
            }
        }
        self.pulse_cells(&cells, &counts, at.child("rounded"));
    }

    /// Adds the accumulated change to the digital memory, and writes the devices that are off by more than the tolerance.
    fn write_memory(&mut self, verify: WriteVerify, at: SeedPath) {
        let at = at.child("verify");
        let width = self.shape.outputs;
        let Self { scratch, memory, written, digits, activity, .. } = self;
        let digit: &mut Digit = &mut digits[0];
        let tolerance = digit.significance * 2.0 * verify.tolerance as f32;
        for &row in &scratch.dirty {
            let first = row as usize * width;
            for cell in first..first + width {
                memory[cell] += std::mem::take(&mut scratch.change[cell]);
                if (memory[cell] - written[cell]).abs() > tolerance {
                    let v = memory[cell] / digit.significance;
                    let at = at.index(cell as u64);
                    digit.program(cell, &[v], Writing::Verify(verify), at, &mut activity.update);
                    written[cell] = memory[cell];
                }
            }
        }
    }

    /// Lets stochastic pulse trains of rows and columns meet, so that nominal weights move by `step x e` on average as
    /// long as no probability exceeds 1.
    ///
    /// With `C = sqrt(step / (pulse length))`, a row pulses with probability `C x` and a column with `C e` in every slot.
    /// Update management scales them by the roots of `max e / max x` and of its inverse; length management takes
    /// `ceil(step max x max e / pulse)` slots, up to the length given.
    fn meet(
        &mut self,
        input: Signal<'_, f32>,
        error: Signal<'_, f32>,
        step: f64,
        trains: Trains,
        rng: &mut Rng,
        at: SeedPath,
    ) {
        let mut x = std::mem::take(&mut self.scratch.active);
        let mut e = std::mem::take(&mut self.scratch.squares);
        input.list_active(1.0, &mut x);
        error.list_active(1.0, &mut e);
        let most = |lines: &[(u32, f32)]| lines.iter().fold(0.0_f32, |most, (_, v)| most.max(v.abs()));
        let (most_x, most_e) = (f64::from(most(&x)), f64::from(most(&e)));
        if most_x > 0.0 && most_e > 0.0 {
            let pulse = self.unit();
            let slots = if trains.length_management {
                ((step * most_x * most_e / pulse).ceil() as u16).clamp(1, trains.length)
            } else {
                trains.length
            };
            let root = (step / (pulse * f64::from(slots))).sqrt();
            let balance = if trains.update_management { (most_e / most_x).sqrt() } else { 1.0 };
            let mut rows = std::mem::take(&mut self.scratch.rows);
            let mut columns = std::mem::take(&mut self.scratch.columns);
            for slot in 0..slots {
                let at = at.index(u64::from(slot));
                columns.clear();
                columns.extend(e.iter().filter_map(|&(line, e)| {
                    let fires = rng.random::<f64>() < root / balance * f64::from(e.abs());
                    fires.then_some(Pulse { line, count: if e < 0.0 { -1 } else { 1 } })
                }));
                // Rows of negative inputs pulse with the columns' signs turned.
                for sign in [1.0, -1.0] {
                    rows.clear();
                    rows.extend(x.iter().filter(|(_, x)| x * sign > 0.0).filter_map(|&(line, x)| {
                        let fires = rng.random::<f64>() < root * balance * f64::from(x.abs());
                        fires.then_some(line)
                    }));
                    let turned = if sign > 0.0 { "positive" } else { "negative" };
                    self.pulse_lines(&rows, &mut columns, 1, at.child(turned));
                    for column in &mut columns {
                        column.count = -column.count;
                    }
                }
            }
            self.activity.update.random_bits += u64::from(slots) * (x.len() + e.len()) as u64;
            self.scratch.rows = rows;
            self.scratch.columns = columns;
        }
        self.scratch.active = x;
        self.scratch.squares = e;
    }
}

/// Whether a gate that opens `chance` of 65536 times is open.
fn fires(chance: u32, rng: &mut Rng) -> bool {
    u32::from(rng.random::<u16>()) < chance
}

/// Adds `count` to a counter; when that fills it, it starts anew from what is left and `pulse` gets the whole pulses.
fn step_counter(counter: &mut i16, count: i16, limit: i16, pulse: impl FnOnce(i16)) {
    *counter += count;
    let pulses = *counter / limit;
    if pulses != 0 {
        *counter -= pulses * limit;
        pulse(pulses);
    }
}

/// Slots that pulses at listed cells take when a row is pulsed at a time, first all that rise and then all that fall.
pub(super) fn slots_row_by_row(cells: &[u32], counts: &[i16], width: usize) -> u64 {
    let mut slots = 0;
    let (mut row, mut rise, mut fall) = (u32::MAX, 0, 0);
    for (&cell, &count) in cells.iter().zip(counts) {
        if cell / width as u32 != row {
            slots += u64::from(rise + fall);
            (row, rise, fall) = (cell / width as u32, 0_u16, 0_u16);
        }
        if count > 0 {
            rise = rise.max(count.unsigned_abs());
        } else {
            fall = fall.max(count.unsigned_abs());
        }
    }
    slots + u64::from(rise + fall)
}
