//! How the content of a low digit reaches the next one.

use bitpulse_core::SeedPath;
use bitpulse_device::{WriteVerify, Writing};

use super::digit::Reading;
use super::spec::{Carry, CarryRead, Restore, Transfer};
use super::update::slots_row_by_row;
use super::{CrossbarMatrix, Digits, Scratch};

/// How a refresh of one-sided pairs writes their difference anew where the digits do not say.
const REFRESH: WriteVerify = WriteVerify { tolerance: 0.01, max_pulses: 100 };

impl CrossbarMatrix {
    /// Carries every digit whose turn it is.
    pub(super) fn carry(&mut self, base: u16, carry: Carry, at: SeedPath) {
        let mut period = u64::from(carry.period);
        for low in 0..self.digits.len() - 1 {
            if !self.updates.is_multiple_of(period) {
                return;
            }
            let chop = carry.chopper && low == 0;
            self.carry_digit(low, base, carry, chop, at.index(low as u64));
            period *= u64::from(base);
        }
    }

    /// Reads digit `low` row by row, gives the next digit one pulse for every whole carry, and brings `low` back.
    fn carry_digit(&mut self, low: usize, base: u16, carry: Carry, chop: bool, at: SeedPath) {
        let width = self.shape.outputs;
        let mut reading = std::mem::take(&mut self.scratch.reading);
        let mut cells = std::mem::take(&mut self.scratch.cells);
        let mut counts = std::mem::take(&mut self.scratch.counts);
        reading.resize(width);
        // What one pulse of the next digit is worth in this one.
        let whole = f32::from(base) * self.digits[low + 1].step;
        let per_whole = 1.0 / whole;
        for row in 0..self.shape.inputs {
            let at = at.index(row as u64);
            self.read_digit(low, row, carry.read, whole, at.child("read"), &mut reading);
            cells.clear();
            counts.clear();
            let first = row * width;
            let most = i32::from(carry.most_pulses);
            for (k, v) in reading.v.iter_mut().enumerate() {
                // The cast truncates: a whole carry is one that the digit has reached.
                let count = ((*v * per_whole) as i32).clamp(-most, most) as i16;
                if count != 0 {
                    cells.push((first + k) as u32);
                    counts.push(count);
                    *v -= f32::from(count) * whole;
                }
            }
            if cells.is_empty() && !chop {
                continue;
            }
            self.mark(row as u32);
            let Scratch { lists, .. } = &mut self.scratch;
            let pass = &mut self.activity.carry;
            pass.pulse_slots += slots_row_by_row(&cells, &counts, width);
            self.digits[low + 1].pulse_cells(&cells, &counts, at.child("up"), lists, pass);
            let digit = &mut self.digits[low];
            match carry.restore {
                Restore::OppositePulses => {
                    for count in &mut counts {
                        *count = -count.saturating_mul(base.cast_signed());
                    }
                    pass.pulse_slots += slots_row_by_row(&cells, &counts, width);
                    digit.pulse_cells(&cells, &counts, at.child("down"), lists, pass);
                }
                Restore::WriteVerify(verify) => {
                    let at = at.child("rewrite");
                    if chop {
                        digit.sign = -digit.sign;
                        digit.program(first, &reading.v, Writing::Verify(verify), at, pass);
                        digit.sign = -digit.sign;
                    } else {
                        for &cell in &cells {
                            let v = reading.v[cell as usize - first];
                            let at = at.index(u64::from(cell));
                            digit.program(cell as usize, &[v], Writing::Verify(verify), at, pass);
                        }
                    }
                }
                Restore::SymmetryPoint { pairs } => {
                    for pair in 0..u64::from(pairs) {
                        for sign in [1, -1] {
                            counts.fill(sign);
                            let at = at.child(if sign > 0 { "set" } else { "reset" }).index(pair);
                            pass.pulse_slots += slots_row_by_row(&cells, &counts, width);
                            digit.pulse_cells(&cells, &counts, at, lists, pass);
                        }
                    }
                }
            }
        }
        if chop {
            self.digits[low].sign = -self.digits[low].sign;
        }
        self.scratch.reading = reading;
        self.scratch.cells = cells;
        self.scratch.counts = counts;
    }

    /// Reads a digit of one row as a carry sees it: `v` to the steps of a converter, or as whole carries of -1, 0 and 1.
    fn read_digit(
        &mut self,
        digit: usize,
        row: usize,
        read: CarryRead,
        whole: f32,
        at: SeedPath,
        reading: &mut Reading,
    ) {
        self.digits[digit].read_row(row, at, reading);
        let values = &mut reading.v;
        let devices = self.digits[digit].devices();
        let siemens = self.digits[digit].row_siemens(row);
        let pass = &mut self.activity.carry;
        pass.reads += devices;
        pass.driven_lines += devices;
        pass.driven_cells += devices * values.len() as u64;
        pass.driven_siemens += siemens;
        match read {
            CarryRead::Adc(bits) => {
                pass.adc.by_bits[usize::from(bits) - 1] += values.len() as u64;
                let steps = ((1_u32 << bits) - 1) as f32;
                for v in values {
                    // The converter spans the digit, from -1 to 1.
                    let code = ((*v + 1.0) * 0.5).clamp(0.0, 1.0) * steps + 0.5;
                    *v = (code as i32) as f32 * (2.0 / steps) - 1.0;
                }
            }
            CarryRead::Comparators => {
                pass.comparisons += 2 * values.len() as u64;
                for v in values {
                    *v = whole * ((*v / whole) as i32).clamp(-1, 1) as f32;
                }
            }
        }
    }

    /// Moves part of the fast digit's content of one row to the slow digit, where its turn has come.
    pub(super) fn transfer(&mut self, transfer: Transfer, at: SeedPath) {
        if !self.updates.is_multiple_of(u64::from(transfer.period)) {
            return;
        }
        let turn = self.updates / u64::from(transfer.period) - 1;
        let row = (turn % self.shape.inputs as u64) as usize;
        let width = self.shape.outputs;
        let mut reading = std::mem::take(&mut self.scratch.reading);
        reading.resize(width);
        let step = self.digits[1].step;
        self.read_digit(0, row, transfer.read, step, at.child("read"), &mut reading);
        let (mut cells, mut counts) = (Vec::new(), Vec::new());
        let mut rng = at.child("rounding").rng();
        for (k, v) in reading.v.iter().enumerate() {
            let cell = row * width + k;
            let pulses = transfer.rate as f32 * v / step;
            let count = if let Some(held) = self.buffer.get_mut(cell) {
                *held += pulses;
                let whole = held.trunc();
                *held -= whole;
                whole
            } else {
                let draw: f32 = rand::RngExt::random(&mut rng);
                (pulses.abs() + draw).floor().copysign(pulses)
            };
            if count != 0.0 {
                cells.push(cell as u32);
                counts.push(count as i16);
            }
        }
        if !self.buffer.is_empty() {
            // One addition to the buffer for every cell.
            self.activity.carry.adds += width as u64;
        }
        if !cells.is_empty() {
            self.mark(row as u32);
            let Scratch { lists, .. } = &mut self.scratch;
            let pass = &mut self.activity.carry;
            pass.pulse_slots += slots_row_by_row(&cells, &counts, width);
            self.digits[1].pulse_cells(&cells, &counts, at.child("pulses"), lists, pass);
        }
        self.scratch.reading = reading;
    }

    /// Refreshes one-sided pairs of which one device nears its upper bound.
    pub(super) fn refresh(&mut self, above: f32, at: SeedPath) {
        let verify = match self.spec.digits {
            Digits::Positional { carry: Carry { restore: Restore::WriteVerify(verify), .. }, .. } => verify,
            _ => REFRESH,
        };
        let mut reading = Reading::default();
        reading.resize(self.shape.outputs);
        for digit in 0..self.digits.len() {
            for row in 0..self.shape.inputs {
                let at = at.index(digit as u64).index(row as u64);
                let pass = &mut self.activity.carry;
                if self.digits[digit].refresh_row(row, above, verify, at, &mut reading, pass) {
                    self.mark(row as u32);
                }
            }
        }
    }
}
