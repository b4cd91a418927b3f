use crate::{Real, rows};

/// One line that carries pulses: `count` of them, a negative count on the line of opposite sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Which line.
    pub line: u32,
    /// How many pulses, never 0.
    pub count: i16,
}

/// One sample as it stands on the lines of a matrix. Values are dimensionless; a line at 1 is fully driven.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Signal<'a, R> {
    /// A level for every line: what a digital-to-analog converter drives.
    Analog(&'a [R]),
    /// The lines that carry one pulse, ascending; their value is 1, that of all others 0.
    Bits(&'a [u32]),
    /// Signed pulse counts, lines ascending; a line's value is `count / per_unit`, that of lines not named 0.
    Pulses {
        /// The lines that carry pulses.
        pulses: &'a [Pulse],
        /// How many pulses make a value of 1.
        per_unit: u16,
    },
    /// Signed pulse counts as [`Signal::Pulses`], with every line listed: for maps on which most lines carry pulses.
    Counts {
        /// `count / per_unit` of every line.
        values: &'a [R],
        /// How many pulses make a value of 1.
        per_unit: u16,
    },
}

impl<R: Real> Signal<'_, R> {
    /// Calls `visit(line, value)` for every line whose value is not zero, lines ascending.
    pub fn for_each_active(&self, mut visit: impl FnMut(usize, R)) {
        match *self {
            Signal::Analog(levels) | Signal::Counts { values: levels, .. } => {
                for (line, &level) in levels.iter().enumerate() {
                    if level != R::zero() {
                        visit(line, level);
                    }
                }
            }
            Signal::Bits(lines) => {
                for &line in lines {
                    visit(line as usize, R::one());
                }
            }
            Signal::Pulses { pulses, per_unit } => {
                for pulse in pulses {
                    let count = f64::from(pulse.count);
                    // Single pulses, the signals of the paper's rule, are spared a division each.
                    let value = if per_unit == 1 { count } else { count / f64::from(per_unit) };
                    visit(pulse.line as usize, R::of(value));
                }
            }
        }
    }

    /// Fills `out` with the lines that are not zero and their values times `scale`, lines ascending.
    pub fn list_active(&self, scale: R, out: &mut Vec<(u32, R)>) {
        out.clear();
        if let Signal::Analog(levels) | Signal::Counts { values: levels, .. } = self {
            rows::nonzero(levels, scale, out);
        } else {
            self.for_each_active(|line, x| out.push((line as u32, x * scale)));
        }
    }

    /// How often lines are pulsed with positive and with negative sign; an analog line counts once.
    pub fn signed_pulses(&self) -> [u64; 2] {
        match self {
            Signal::Analog(levels) => rows::count_signs(levels),
            Signal::Bits(lines) => [lines.len() as u64, 0],
            Signal::Pulses { pulses, .. } => {
                let (mut all, mut negative) = (0, 0);
                for pulse in *pulses {
                    let count = u64::from(pulse.count.unsigned_abs());
                    all += count;
                    negative += if pulse.count < 0 { count } else { 0 };
                }
                [all - negative, negative]
            }
            Signal::Counts { values, per_unit } => {
                // Exact as long as all counts together stay below 2^24.
                rows::sum_signs(values).map(|sum| (sum * R::of(f64::from(*per_unit))).round().as_f64() as u64)
            }
        }
    }

    /// [`Signal::signed_pulses`] of every part of `lines` lines; lines that are left over are left out.
    ///
    /// # Panics
    /// If this signal does not list every line.
    pub(crate) fn signed_pulses_of_parts(&self, lines: usize) -> Vec<[u64; 2]> {
        let (values, unit) = match *self {
            Signal::Analog(levels) => (levels, None),
            Signal::Counts { values, per_unit } => (values, Some(R::of(f64::from(per_unit)))),
            Signal::Bits(_) | Signal::Pulses { .. } => panic!("only signals that list every line have parts"),
        };
        let mut pulses = Vec::with_capacity(values.len() / lines);
        rows::signs_by_row(values, lines, unit, &mut pulses);
        pulses
    }

    /// How many pulses make a value of 1; 1 for levels and bits.
    pub fn per_unit(&self) -> u16 {
        match self {
            Signal::Pulses { per_unit, .. } | Signal::Counts { per_unit, .. } => *per_unit,
            Signal::Analog(_) | Signal::Bits(_) => 1,
        }
    }

    /// Read phases that bring the signal onto the lines: one for levels and bits; for pulse counts one for each pulse of
    /// a unit and each sign that occurs.
    pub fn phases(&self) -> u64 {
        match self {
            Signal::Analog(_) | Signal::Bits(_) => 1,
            Signal::Pulses { .. } | Signal::Counts { .. } => self.phases_of(self.signed_pulses()),
        }
    }

    /// [`Signal::phases`] of a signal that is coded as this one and has other [`Signal::signed_pulses`].
    pub fn phases_of(&self, [positive, negative]: [u64; 2]) -> u64 {
        match self {
            Signal::Analog(_) | Signal::Bits(_) => 1,
            Signal::Pulses { .. } | Signal::Counts { .. } => {
                u64::from(self.per_unit()) * (u64::from(positive > 0) + u64::from(negative > 0)).max(1)
            }
        }
    }

    /// Whether no line carries anything.
    pub fn is_silent(&self) -> bool {
        match self {
            Signal::Analog(levels) | Signal::Counts { values: levels, .. } => {
                levels.iter().all(|level| *level == R::zero())
            }
            Signal::Bits(lines) => lines.is_empty(),
            Signal::Pulses { pulses, .. } => pulses.is_empty(),
        }
    }
}

/// A batch of samples on the same `lines`, in a buffer that is filled, read and cleared without allocating anew.
///
/// Online learning is a batch of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Signals<R> {
    lines: usize,
    body: Body<R>,
}

#[derive(Clone, Debug, PartialEq)]
enum Body<R> {
    Analog { levels: Vec<R> },
    Bits { active: Vec<u32>, ends: Vec<usize> },
    Pulses { pulses: Vec<Pulse>, ends: Vec<usize>, per_unit: u16 },
    Counts { values: Vec<R>, per_unit: u16 },
}

impl<R: Real> Signals<R> {
    /// An empty batch of analog samples.
    pub fn analog(lines: usize) -> Self {
        Self { lines, body: Body::Analog { levels: Vec::new() } }
    }

    /// An empty batch of one-pulse samples.
    pub fn bits(lines: usize) -> Self {
        Self { lines, body: Body::Bits { active: Vec::new(), ends: Vec::new() } }
    }

    /// An empty batch of pulse-count samples, `per_unit` pulses to a value of 1.
    ///
    /// # Panics
    /// If `per_unit` is 0, which would leave values undefined.
    pub fn pulses(lines: usize, per_unit: u16) -> Self {
        assert!(per_unit > 0, "a value of 1 takes at least one pulse");
        Self { lines, body: Body::Pulses { pulses: Vec::new(), ends: Vec::new(), per_unit } }
    }

    /// An empty batch of pulse-count samples in which every line is listed, `per_unit` pulses to a value of 1.
    ///
    /// # Panics
    /// If `per_unit` is 0, which would leave values undefined.
    pub fn counts(lines: usize, per_unit: u16) -> Self {
        assert!(per_unit > 0, "a value of 1 takes at least one pulse");
        Self { lines, body: Body::Counts { values: Vec::new(), per_unit } }
    }

    /// An empty batch on `lines` lines that codes values as this one does.
    pub(crate) fn empty_like(&self, lines: usize) -> Self {
        match self.body {
            Body::Analog { .. } => Self::analog(lines),
            Body::Bits { .. } => Self::bits(lines),
            Body::Pulses { per_unit, .. } => Self::pulses(lines, per_unit),
            Body::Counts { per_unit, .. } => Self::counts(lines, per_unit),
        }
    }

    /// How many lines every sample has.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// How many samples the batch holds.
    pub fn samples(&self) -> usize {
        match &self.body {
            Body::Analog { levels: values } | Body::Counts { values, .. } => values.len() / self.lines.max(1),
            Body::Bits { ends, .. } | Body::Pulses { ends, .. } => ends.len(),
        }
    }

    /// Whether every product of a line of this batch and one of `errors` is a whole number of pulses when `per_unit` make
    /// a product of 1, so that nothing is left to chance.
    pub fn products_are_whole(&self, errors: &Self, per_unit: u16) -> bool {
        self.analog_levels().is_none()
            && errors.analog_levels().is_none()
            && self.iter().zip(errors.iter()).all(|(input, error)| {
                let unit = u32::from(input.per_unit()) * u32::from(error.per_unit());
                u32::from(per_unit).is_multiple_of(unit)
            })
    }

    /// Forgets all samples, keeps the memory.
    pub fn clear(&mut self) {
        match &mut self.body {
            Body::Analog { levels: values } | Body::Counts { values, .. } => values.clear(),
            Body::Bits { active, ends } => {
                active.clear();
                ends.clear();
            }
            Body::Pulses { pulses, ends, .. } => {
                pulses.clear();
                ends.clear();
            }
        }
    }

    /// Sample number `index`.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn get(&self, index: usize) -> Signal<'_, R> {
        match &self.body {
            Body::Analog { levels } => Signal::Analog(&levels[index * self.lines..(index + 1) * self.lines]),
            Body::Bits { active, ends } => Signal::Bits(&active[span(ends, index)]),
            Body::Pulses { pulses, ends, per_unit } => {
                Signal::Pulses { pulses: &pulses[span(ends, index)], per_unit: *per_unit }
            }
            Body::Counts { values, per_unit } => Signal::Counts {
                values: &values[index * self.lines..(index + 1) * self.lines],
                per_unit: *per_unit,
            },
        }
    }

    /// [`Signal::signed_pulses`] of every sample.
    pub fn signed_pulses(&self) -> Vec<[u64; 2]> {
        match &self.body {
            Body::Analog { levels } => Signal::Analog(levels).signed_pulses_of_parts(self.lines),
            Body::Counts { values, per_unit } => {
                Signal::Counts { values, per_unit: *per_unit }.signed_pulses_of_parts(self.lines)
            }
            Body::Bits { .. } | Body::Pulses { .. } => {
                self.iter().map(|signal| signal.signed_pulses()).collect()
            }
        }
    }

    /// All samples in order.
    pub fn iter(&self) -> impl Iterator<Item = Signal<'_, R>> {
        (0..self.samples()).map(|index| self.get(index))
    }

    /// All levels of an analog batch, sample after sample; `None` for pulses.
    pub fn analog_levels(&self) -> Option<&[R]> {
        match &self.body {
            Body::Analog { levels } => Some(levels),
            Body::Bits { .. } | Body::Pulses { .. } | Body::Counts { .. } => None,
        }
    }

    /// Whether every sample lists the values of all lines.
    pub fn is_listed(&self) -> bool {
        matches!(self.body, Body::Analog { .. } | Body::Counts { .. })
    }

    /// The values of all lines, sample after sample, of a batch that lists every line; `None` for bits and pulses.
    pub fn listed_values(&self) -> Option<&[R]> {
        match &self.body {
            Body::Analog { levels: values } | Body::Counts { values, .. } => Some(values),
            Body::Bits { .. } | Body::Pulses { .. } => None,
        }
    }

    /// Adds `samples` samples to a batch that lists every line and returns their values, sample after sample, all zero, to
    /// be filled in: levels, or whole counts over the pulses of a unit.
    ///
    /// # Panics
    /// If this batch is one of bits or of listed pulses.
    pub fn push_listed(&mut self, samples: usize) -> &mut [R] {
        let (Body::Analog { levels: values } | Body::Counts { values, .. }) = &mut self.body else {
            panic!("a batch of single pulses takes no listed sample")
        };
        let start = values.len();
        values.resize(start + samples * self.lines, R::zero());
        &mut values[start..]
    }

    /// Makes this a batch of `samples` samples that lists every line and returns their values to be overwritten: what
    /// stands in them is left over.
    ///
    /// # Panics
    /// If this batch is one of bits or of listed pulses.
    pub fn relist(&mut self, samples: usize) -> &mut [R] {
        let (Body::Analog { levels: values } | Body::Counts { values, .. }) = &mut self.body else {
            panic!("a batch of single pulses takes no listed sample")
        };
        values.resize(samples * self.lines, R::zero());
        values
    }

    /// Adds an analog sample and returns its levels, all zero, to be filled in.
    ///
    /// # Panics
    /// If this batch is not analog.
    pub fn push_analog(&mut self) -> &mut [R] {
        let Body::Analog { levels } = &mut self.body else {
            panic!("a batch of pulses takes no analog sample")
        };
        let start = levels.len();
        levels.resize(start + self.lines, R::zero());
        &mut levels[start..]
    }

    /// Adds a one-pulse sample: the lines that fire, ascending.
    ///
    /// # Panics
    /// If this batch is not of bits, or in debug builds if a line is out of range or not ascending.
    pub fn push_bits(&mut self, lines: impl IntoIterator<Item = u32>) {
        let Body::Bits { active, ends } = &mut self.body else { panic!("this batch does not hold bits") };
        let start = active.len();
        active.extend(lines);
        debug_assert!(active[start..].is_sorted_by(|a, b| a < b), "lines must ascend");
        debug_assert!(active.last().is_none_or(|&line| (line as usize) < self.lines), "line out of range");
        ends.push(active.len());
    }

    /// Adds a one-pulse sample by writing its ascending lines straight into the buffer of this batch.
    ///
    /// `fill` appends to the vector; what stood in it before must stay. This is [`Signals::push_bits`] for
    /// kernels that compress a mask into line numbers.
    ///
    /// # Panics
    /// As [`Signals::push_bits`].
    pub fn push_bits_with(&mut self, fill: impl FnOnce(&mut Vec<u32>)) {
        let Body::Bits { active, ends } = &mut self.body else { panic!("this batch does not hold bits") };
        let start = active.len();
        fill(active);
        debug_assert!(active[start..].is_sorted_by(|a, b| a < b), "lines must ascend");
        debug_assert!(active.last().is_none_or(|&line| (line as usize) < self.lines), "line out of range");
        ends.push(active.len());
    }

    /// Adds a pulse-count sample: pulses with ascending lines; zero counts are left out.
    ///
    /// # Panics
    /// If this batch does not hold pulse counts, or in debug builds if a line is out of range or not ascending.
    pub fn push_pulses(&mut self, sample: impl IntoIterator<Item = Pulse>) {
        let Body::Pulses { pulses, ends, .. } = &mut self.body else {
            panic!("this batch does not hold pulse counts")
        };
        let start = pulses.len();
        pulses.extend(sample.into_iter().filter(|pulse| pulse.count != 0));
        debug_assert!(pulses[start..].is_sorted_by(|a, b| a.line < b.line), "lines must ascend");
        debug_assert!(
            pulses.last().is_none_or(|pulse| (pulse.line as usize) < self.lines),
            "line out of range"
        );
        ends.push(pulses.len());
    }
}

fn span(ends: &[usize], index: usize) -> std::ops::Range<usize> {
    let start = if index == 0 { 0 } else { ends[index - 1] };
    start..ends[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_back_as_pushed() {
        let mut batch = Signals::<f32>::pulses(5, 4);
        batch.push_pulses([
            Pulse { line: 1, count: 2 },
            Pulse { line: 3, count: 0 },
            Pulse { line: 4, count: -4 },
        ]);
        batch.push_pulses([]);
        assert_eq!(batch.samples(), 2);
        let mut seen = Vec::new();
        batch.get(0).for_each_active(|line, value| seen.push((line, value)));
        assert_eq!(seen, [(1, 0.5), (4, -1.0)]);
        assert!(batch.get(1).is_silent());
        batch.clear();
        assert_eq!(batch.samples(), 0);
    }

    #[test]
    fn analog_samples_are_rows_of_one_slice() {
        let mut batch = Signals::<f64>::analog(2);
        batch.push_analog().copy_from_slice(&[0.5, 0.0]);
        batch.push_analog().copy_from_slice(&[0.0, -1.0]);
        assert_eq!(batch.analog_levels(), Some(&[0.5, 0.0, 0.0, -1.0][..]));
        let mut seen = Vec::new();
        batch.get(1).for_each_active(|line, value| seen.push((line, value)));
        assert_eq!(seen, [(1, -1.0)]);
    }
}
