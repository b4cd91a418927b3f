use thiserror::Error;

/// Labelled patterns to learn from: pixels of 0 to 255 on `lines` input lines, only those above 0 stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examples {
    lines: usize,
    classes: usize,
    pixel_lines: Vec<u16>,
    pixel_levels: Vec<u8>,
    ends: Vec<usize>,
    labels: Vec<u8>,
}

/// The pixels above 0 of one pattern: `levels[k]` stands on line `lines[k]`, lines ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pixels<'a> {
    /// Which lines.
    pub lines: &'a [u16],
    /// Their levels, 1 to 255.
    pub levels: &'a [u8],
}

impl Pixels<'_> {
    /// The pattern mirrored left to right, where it is made of rows of `width` pixels: written to `lines` and `levels`.
    pub(crate) fn mirrored<'a>(
        &self,
        width: usize,
        lines: &'a mut Vec<u16>,
        levels: &'a mut Vec<u8>,
    ) -> Pixels<'a> {
        lines.clear();
        levels.clear();
        let mut rest = self.levels;
        for row in self.lines.chunk_by(|a, b| usize::from(*a) / width == usize::from(*b) / width) {
            let start = usize::from(row[0]) / width * width;
            lines.extend(row.iter().rev().map(|&line| (2 * start + width - 1 - usize::from(line)) as u16));
            let (row, after) = rest.split_at(row.len());
            levels.extend(row.iter().rev());
            rest = after;
        }
        Pixels { lines, levels }
    }
}

/// Patterns that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // the messages say what each variant and field means
pub enum ExamplesError {
    #[error("{lines} input lines: allowed are 1 to 65535")]
    Lines { lines: usize },
    #[error("{found} pixel bytes for {labels} labels of {lines} lines each: expected {}", labels * lines)]
    Length { found: usize, labels: usize, lines: usize },
    #[error("label {label} of example {index}: allowed are 0 to {}", classes - 1)]
    Label { index: usize, label: u8, classes: usize },
}

impl Examples {
    /// From dense pixels, example after example, `lines` bytes each, and one label below `classes` for each.
    ///
    /// # Errors
    /// When the lengths do not fit, a label is out of range, or there are more lines than 16 bits can number.
    pub fn from_dense(
        pixels: &[u8],
        labels: &[u8],
        lines: usize,
        classes: usize,
    ) -> Result<Self, ExamplesError> {
        if !(1..=usize::from(u16::MAX)).contains(&lines) {
            return Err(ExamplesError::Lines { lines });
        }
        if pixels.len() != labels.len() * lines {
            return Err(ExamplesError::Length { found: pixels.len(), labels: labels.len(), lines });
        }
        if let Some((index, &label)) =
            labels.iter().enumerate().find(|(_, label)| usize::from(**label) >= classes)
        {
            return Err(ExamplesError::Label { index, label, classes });
        }
        let active = pixels.iter().filter(|&&level| level > 0).count();
        let mut examples = Self {
            lines,
            classes,
            pixel_lines: Vec::with_capacity(active),
            pixel_levels: Vec::with_capacity(active),
            ends: Vec::with_capacity(labels.len()),
            labels: labels.to_vec(),
        };
        for pattern in pixels.chunks_exact(lines) {
            for (line, &level) in (0_u16..).zip(pattern) {
                if level > 0 {
                    examples.pixel_lines.push(line);
                    examples.pixel_levels.push(level);
                }
            }
            examples.ends.push(examples.pixel_lines.len());
        }
        Ok(examples)
    }

    /// The first `count` examples, or all where there are fewer.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        let count = count.min(self.len());
        let pixels = if count == 0 { 0 } else { self.ends[count - 1] };
        Self {
            lines: self.lines,
            classes: self.classes,
            pixel_lines: self.pixel_lines[..pixels].to_vec(),
            pixel_levels: self.pixel_levels[..pixels].to_vec(),
            ends: self.ends[..count].to_vec(),
            labels: self.labels[..count].to_vec(),
        }
    }

    /// How many examples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Input lines of every pattern.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Number of classes; labels lie below it.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Label of example `index`.
    ///
    /// # Panics
    /// If there is no such example.
    #[inline]
    pub fn label(&self, index: usize) -> usize {
        usize::from(self.labels[index])
    }

    /// Pixels of example `index`.
    ///
    /// # Panics
    /// If there is no such example.
    #[inline]
    pub fn pixels(&self, index: usize) -> Pixels<'_> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        let span = start..self.ends[index];
        Pixels { lines: &self.pixel_lines[span.clone()], levels: &self.pixel_levels[span] }
    }

    /// Asks memory for the pixels of example `index`, which are wanted soon. Examples are learnt in an order that no cache
    /// foresees, and waiting for them is a tenth of an online step.
    pub(crate) fn prefetch(&self, index: usize) {
        let Pixels { lines, levels } = self.pixels(index);
        prefetch(lines);
        prefetch(levels);
    }
}

/// Fetches `values` into the caches, where the processor knows how to be asked.
#[inline]
fn prefetch<T>(values: &[T]) {
    const CACHE_LINE: usize = 64;
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(CACHE_LINE / size_of::<T>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // A prefetch is a hint: it reads nothing that the program sees, and faults on no address. There is no other way to
        // give it.
        #[allow(unsafe_code)]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, CACHE_LINE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_only_pixels_above_zero() {
        let examples = Examples::from_dense(&[0, 7, 0, 255, 0, 0], &[1, 0], 3, 2).unwrap();
        assert_eq!(examples.pixels(0), Pixels { lines: &[1], levels: &[7] });
        assert_eq!(examples.pixels(1), Pixels { lines: &[0], levels: &[255] });
        assert_eq!((examples.label(0), examples.label(1)), (1, 0));
        let first = examples.first(1);
        assert_eq!((first.len(), first.pixels(0)), (1, examples.pixels(0)));
        assert!(examples.first(0).is_empty());
        assert_eq!(examples.first(9), examples);
    }

    #[test]
    fn any_example_can_be_asked_for_and_stays_as_it_is() {
        let examples = Examples::from_dense(&[0, 7, 0, 0, 0, 0, 9, 9, 9], &[1, 0, 0], 3, 2).unwrap();
        let before = examples.clone();
        for index in 0..3 {
            examples.prefetch(index);
        }
        assert_eq!(examples, before);
    }

    #[test]
    fn patterns_are_mirrored_row_by_row() {
        let examples = Examples::from_dense(&[1, 2, 0, 4, 0, 6, 7, 0, 0], &[0], 9, 2).unwrap();
        let (mut lines, mut levels) = (vec![5], vec![5]);
        let mirrored = examples.pixels(0).mirrored(3, &mut lines, &mut levels);
        assert_eq!(mirrored, Pixels { lines: &[1, 2, 3, 5, 8], levels: &[2, 1, 6, 4, 7] });
    }

    #[test]
    fn refuses_what_does_not_fit() {
        assert_eq!(
            Examples::from_dense(&[0; 6], &[0, 9], 3, 9),
            Err(ExamplesError::Label { index: 1, label: 9, classes: 9 })
        );
        assert!(matches!(Examples::from_dense(&[0; 5], &[0, 1], 3, 2), Err(ExamplesError::Length { .. })));
        assert!(matches!(Examples::from_dense(&[], &[], 0, 2), Err(ExamplesError::Lines { .. })));
    }
}
