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
        let least = least_that_carries(carry.read, whole);
        for row in 0..self.shape.inputs {
            self.count_carry_read(low, row, carry.read);
            // Most rows hold no cell near a whole carry: what noise their read has makes no difference.
            if !chop && !self.digits[low].can_reach(row, least) {
                continue;
            }
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

    /// Counts what reading a digit of one row takes.
    fn count_carry_read(&mut self, digit: usize, row: usize, read: CarryRead) {
        let width = self.shape.outputs as u64;
        let devices = self.digits[digit].devices();
        let siemens = self.digits[digit].row_siemens(row);
        let pass = &mut self.activity.carry;
        pass.reads += devices;
        pass.driven_lines += devices;
        pass.driven_cells += devices * width;
        pass.driven_siemens += siemens;
        match read {
            CarryRead::Adc(bits) => pass.adc.by_bits[usize::from(bits) - 1] += width,
            CarryRead::Comparators => pass.comparisons += 2 * width,
        }
    }

    /// Reads a digit of one row as a carry sees it: `v` to the steps of a converter, or as whole carries of -1, 0 and 1.
    fn read_digit(
        &self,
        digit: usize,
        row: usize,
        read: CarryRead,
        whole: f32,
        at: SeedPath,
        reading: &mut Reading,
    ) {
        self.digits[digit].read_row(row, at, reading);
        let values = &mut reading.v;
        match read {
            CarryRead::Adc(bits) => {
                let steps = converter_steps(bits);
                for v in values {
                    // The converter spans the digit, from -1 to 1.
                    let code = ((*v + 1.0) * 0.5).clamp(0.0, 1.0) * steps + 0.5;
                    *v = (code as i32) as f32 * (2.0 / steps) - 1.0;
                }
            }
            CarryRead::Comparators => {
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
        self.count_carry_read(0, row, transfer.read);
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

/// The least magnitude of a digit that a read may show as a `whole` carry: a converter rounds by half a step.
fn least_that_carries(read: CarryRead, whole: f32) -> f32 {
    match read {
        CarryRead::Adc(bits) => whole - 1.0 / converter_steps(bits),
        CarryRead::Comparators => whole,
    }
}

/// Steps of a converter of so many bits.
fn converter_steps(bits: u8) -> f32 {
    ((1_u32 << bits) - 1) as f32
}

#[cfg(test)]
mod tests {
    use bitpulse_core::Shape;
    use bitpulse_device::Device;
    use rand::RngExt;

    use super::super::{Mapping, MatrixSpec, Reference};
    use super::*;

    #[test]
    fn rows_that_cannot_reach_a_carry_read_none() {
        let device = Device::from_toml(
            r#"
            name = "noisy"
            description = "read noise, relative and absolute"
            [source]
            citation = "a test"
            table = "none"
            [window]
            g-min = "1 uS"
            g-max = "10 uS"
            reference = 0.5
            [response.constant-step]
            step-up = 0.015625
            step-down = 0.015625
            [read-noise]
            relative = 0.005
            absolute = "50 nS"
            "#,
        )
        .unwrap();
        let (inputs, outputs) = (64, 20);
        let (mut near, mut far) = (0, 0);
        for mapping in [Mapping::Pair, Mapping::Reference(Reference::Window)] {
            for read in [CarryRead::Comparators, CarryRead::Adc(4), CarryRead::Adc(8)] {
                let carry = Carry {
                    period: 1000,
                    read,
                    restore: Restore::OppositePulses,
                    most_pulses: 10,
                    chopper: false,
                };
                let digits = Digits::Positional { count: 2, base: 8, carry };
                let spec = MatrixSpec { mapping, digits, ..MatrixSpec::new(device.clone()) };
                let shape = Shape { inputs, outputs };
                let mut matrix = CrossbarMatrix::new(&spec, shape, SeedPath::root(1)).unwrap();
                let whole = 8.0 * matrix.digits[1].step;
                // Rows whose largest digit lies from none to all of a carry.
                let mut rng = SeedPath::root(2).rng();
                let v: Vec<f32> = (0..shape.weights())
                    .map(|cell| {
                        whole * ((cell / outputs) as f32 / inputs as f32) * rng.random_range(-1.0..1.0)
                    })
                    .collect();
                let pass = &mut matrix.activity.carry;
                matrix.digits[0].program(0, &v, Writing::Exact, SeedPath::root(3), pass);
                let least = least_that_carries(read, whole);
                let mut reading = Reading::default();
                reading.resize(outputs);
                for row in 0..inputs {
                    if matrix.digits[0].can_reach(row, least) {
                        near += 1;
                        continue;
                    }
                    far += 1;
                    for draw in 0..200 {
                        let at = SeedPath::root(4).index(row as u64).index(draw);
                        matrix.read_digit(0, row, read, whole, at, &mut reading);
                        let none = reading.v.iter().all(|v| (*v / whole) as i32 == 0);
                        assert!(none, "{mapping:?}, {read:?}, row {row}: {:?}", reading.v);
                    }
                }
            }
        }
        assert!(near > 50 && far > 50, "{near} rows near a carry, {far} far from one");
    }
}
