use serde::{Deserialize, Serialize};

use crate::{Real, Signal, Signals};

/// The shape of a map of neurons or pixels. A layer without place has height and width 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapShape {
    /// Channels, such as the three colours of an image.
    pub channels: usize,
    /// Rows of places.
    pub height: usize,
    /// Columns of places.
    pub width: usize,
}

impl MapShape {
    /// Neurons without place.
    pub const fn flat(neurons: usize) -> Self {
        Self { channels: neurons, height: 1, width: 1 }
    }

    /// Places, each with all channels; [`usize::MAX`] where that is not enough.
    pub const fn places(self) -> usize {
        self.height.saturating_mul(self.width)
    }

    /// Neurons: channels times places; [`usize::MAX`] where that is not enough.
    pub const fn neurons(self) -> usize {
        self.channels.saturating_mul(self.places())
    }
}

impl std::fmt::Display for MapShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {} x {}", self.channels, self.height, self.width)
    }
}

/// The patches of a map that a convolution sees: squares of `kernel` places, `stride` places apart, on a map with `padding`
/// places of zeros around it.
///
/// Maps are stored place by place with all channels of a place together and the bias line behind the last place. A patch is
/// stored the same way: its rows top to bottom, then the bias line, which is always driven.
///
/// ```
/// use bitpulse_core::{MapShape, Patches, Signals};
///
/// let patches = Patches { input: MapShape { channels: 1, height: 2, width: 3 }, kernel: 2, stride: 1, padding: 0 };
/// let mut maps = Signals::analog(7);
/// maps.push_analog().copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1.0]);
/// let gathered = patches.gather(&maps);
/// assert_eq!(gathered.listed_values(), Some(&[1.0, 2.0, 4.0, 5.0, 1.0, 2.0, 3.0, 5.0, 6.0, 1.0][..]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patches {
    /// The map.
    pub input: MapShape,
    /// Side of a patch, at most that of the padded map.
    pub kernel: usize,
    /// Places between one patch and the next, at least 1.
    pub stride: usize,
    /// Places of zeros around the map, less than `kernel`.
    pub padding: usize,
}

impl Patches {
    /// Lines of a patch, the bias line included.
    pub const fn lines(&self) -> usize {
        self.input.channels.saturating_mul(self.kernel.saturating_mul(self.kernel)).saturating_add(1)
    }

    /// Rows of patches.
    pub const fn height(&self) -> usize {
        (self.input.height + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Patches of a row.
    pub const fn width(&self) -> usize {
        (self.input.width + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Patches of a map.
    pub const fn places(&self) -> usize {
        self.height() * self.width()
    }

    /// Calls `visit` for every row of the patch at `place`, top to bottom: its first line, how many of its places lie left
    /// of the map and how many on it, and the first place of the latter on the map.
    fn for_each_row(&self, place: usize, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let MapShape { channels, height, width } = self.input;
        let (top, left) = (place / self.width() * self.stride, place % self.width() * self.stride);
        // In columns of the patch: the first on the map, and the first beyond it.
        let first = self.padding.saturating_sub(left).min(self.kernel);
        let end = (width + self.padding).saturating_sub(left).clamp(first, self.kernel);
        for ky in 0..self.kernel {
            let line = ky * self.kernel * channels;
            match (top + ky).checked_sub(self.padding).filter(|y| *y < height) {
                Some(y) if end > first => {
                    visit(line, first, end - first, y * width + left + first - self.padding);
                }
                _ => visit(line, 0, 0, 0),
            }
        }
    }

    /// The patches of `maps`, samples and places in order, with zeros where a patch leaves the map.
    ///
    /// # Panics
    /// If `maps` are of another shape or do not list every line.
    pub fn gather<R: Real>(&self, maps: &Signals<R>) -> Signals<R> {
        let channels = self.input.channels;
        let lines = self.lines();
        assert_eq!(maps.lines(), self.input.neurons() + 1, "the maps are of another shape");
        let values = maps.listed_values().expect("maps list every line");
        let mut gathered = maps.empty_like(lines);
        let out = gathered.push_listed(maps.samples() * self.places());
        for (map, out) in values.chunks_exact(maps.lines()).zip(out.chunks_exact_mut(self.places() * lines)) {
            for (place, patch) in out.chunks_exact_mut(lines).enumerate() {
                patch[lines - 1] = R::one();
                self.for_each_row(place, |line, before, count, from| {
                    patch[line + before * channels..][..count * channels]
                        .copy_from_slice(&map[from * channels..][..count * channels]);
                });
            }
        }
        gathered
    }

    /// Adds the values of `patches` (samples x places x lines) up where they lie on the map, in `maps` (samples x (neurons +
    /// bias)), which is overwritten. What stands on the bias lines of patches is left out, and those of maps become 0.
    pub fn scatter<R: Real>(&self, patches: &[R], maps: &mut [R]) {
        let (channels, lines) = (self.input.channels, self.lines());
        let samples = patches.chunks_exact(self.places() * lines);
        for (patches, map) in samples.zip(maps.chunks_exact_mut(self.input.neurons() + 1)) {
            map.fill(R::zero());
            for (place, patch) in patches.chunks_exact(lines).enumerate() {
                self.for_each_row(place, |line, before, count, to| {
                    let values = &patch[line + before * channels..][..count * channels];
                    for (sum, &value) in map[to * channels..][..count * channels].iter_mut().zip(values) {
                        *sum += value;
                    }
                });
            }
        }
    }

    /// [`Signal::signed_pulses`] of every patch of `map`, one sample as [`Patches::gather`] takes it.
    pub fn signed_pulses<R: Real>(&self, map: &Signal<'_, R>) -> Vec<[u64; 2]> {
        let at_places = map.signed_pulses_of_parts(self.input.channels);
        let Self { input, kernel, stride, padding } = *self;
        let mut sums = vec![[u64::from(map.per_unit()), 0]; self.places()];
        // Of every row of the map, with the zeros around it, what patches see of it; then each where it is seen.
        let mut row = vec![[0; 2]; input.width + 2 * padding];
        let mut seen = vec![[0; 2]; self.width()];
        // What stands behind the last place is the bias line.
        let places = at_places.chunks_exact(input.width).take(input.height);
        for (y, places) in (padding..).zip(places) {
            row[padding..padding + input.width].copy_from_slice(places);
            seen.fill([0; 2]);
            for column in 0..kernel {
                add(&mut seen, row[column..].iter().step_by(stride));
            }
            let first = (y + 1).saturating_sub(kernel).div_ceil(stride);
            let end = (y / stride + 1).min(self.height());
            for sums in sums.chunks_exact_mut(self.width()).take(end).skip(first) {
                add(sums, seen.iter());
            }
        }
        sums
    }
}

fn add<'a>(sums: &mut [[u64; 2]], parts: impl Iterator<Item = &'a [u64; 2]>) {
    for (sum, part) in sums.iter_mut().zip(parts) {
        sum[0] += part[0];
        sum[1] += part[1];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pulses_of_patches_are_those_of_patches_written_out(
            channels in 1..4_usize,
            (height, width) in (1..6_usize, 1..6_usize),
            kernel in 1..4_usize,
            (stride, padding) in (1..4_usize, 0..3_usize),
            counts in prop::collection::vec(-3..4_i8, 2 * 3 * 25),
            analog: bool,
        ) {
            let input = MapShape { channels, height, width };
            prop_assume!(padding < kernel && kernel <= height.min(width) + 2 * padding);
            let patches = Patches { input, kernel, stride, padding };
            let lines = input.neurons() + 1;
            let mut maps = if analog { Signals::<f32>::analog(lines) } else { Signals::counts(lines, 3) };
            for (map, counts) in maps.push_listed(2).chunks_exact_mut(lines).zip(counts.chunks_exact(75)) {
                for (value, &count) in map.iter_mut().zip(counts) {
                    *value = f32::from(count) / 3.0;
                }
                map[lines - 1] = 1.0;
            }
            let gathered = patches.gather(&maps);
            let found: Vec<[u64; 2]> = maps.iter().flat_map(|map| patches.signed_pulses(&map)).collect();
            prop_assert_eq!(&found, &gathered.iter().map(|patch| patch.signed_pulses()).collect::<Vec<_>>());
            prop_assert_eq!(found, gathered.signed_pulses());
        }
    }
}
