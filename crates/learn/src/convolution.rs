//! The products of a convolution with floats in memory, without writing patches out, on all threads at hand.
//!
//! Samples are taken apart; sums over samples are taken in parts of the batch that are the same for any number of threads.

use std::borrow::Cow;

use bitpulse_core::rows::{self, LANES};
use bitpulse_core::{MapShape, Patches, Real};
use rayon::prelude::*;

use crate::kernels::convolution::{self as kernels, BEHIND, Walk};
use crate::kernels::sparse::{self, SparseMap};

/// Parts that the outer products of a batch are summed in.
const PARTS: usize = 8;

/// Up to this share of errors that are not 0, walking over these alone is faster. As long as numbers are finite, bits do not
/// depend on it.
const SPARSE: f64 = 0.3;

/// Whether so few errors are not 0, on maps so small that 32 bits number their values.
fn is_sparse<R: Real>(errors: &[R], padded: &Padded) -> bool {
    let [above, below] = rows::count_signs(errors);
    (above + below) as f64 <= SPARSE * errors.len() as f64 && u32::try_from(padded.values()).is_ok()
}

/// A map with zeros around it: `top` rows and columns before its first place, and as many behind as make it
/// `height x width`, places `apart` from each other.
struct Padded {
    map: MapShape,
    top: usize,
    apart: usize,
    height: usize,
    width: usize,
}

impl Padded {
    /// That on which the patches of a convolution lie.
    fn of_inputs(patches: &Patches) -> Self {
        let Patches { input, padding, .. } = *patches;
        let [height, width] = [input.height, input.width].map(|side| side + 2 * padding);
        Self { map: input, top: padding, apart: 1, height, width }
    }

    /// That on which the errors lie that reach each place of the input: one patch of errors for each.
    fn of_errors(patches: &Patches, channels: usize) -> Self {
        let Patches { input, kernel, stride, padding } = *patches;
        let map = MapShape { channels, height: patches.height(), width: patches.width() };
        let [height, width] = [input.height, input.width].map(|side| side + kernel - 1);
        Self { map, top: kernel - 1 - padding, apart: stride, height, width }
    }

    fn values(&self) -> usize {
        self.height * self.width * self.map.channels
    }

    /// All zeros.
    fn buffer<R: Real>(&self) -> Vec<R> {
        vec![R::zero(); self.values() + BEHIND]
    }

    /// Puts a map into a buffer that held another.
    fn fill<R: Real>(&self, map: &[R], buffer: &mut [R]) {
        let channels = self.map.channels;
        for (y, row) in map.chunks_exact(self.map.width * channels).take(self.map.height).enumerate() {
            let start = ((self.top + y * self.apart) * self.width + self.top) * channels;
            if self.apart == 1 {
                buffer[start..start + row.len()].copy_from_slice(row);
            } else {
                let places = buffer[start..].chunks_mut(self.apart * channels);
                for (place, values) in places.zip(row.chunks_exact(channels)) {
                    place[..channels].copy_from_slice(values);
                }
            }
        }
    }

    /// Where patches start that are `stride` apart, `rows x columns` of them.
    fn starts(&self, rows: usize, columns: usize, stride: usize) -> Vec<usize> {
        let start = |y, x| (y * stride * self.width + x * stride) * self.map.channels;
        (0..rows).flat_map(|y| (0..columns).map(move |x| start(y, x))).collect()
    }

    /// The walk over these patches.
    fn walk<'a>(&self, starts: &'a [usize], kernel: usize) -> Walk<'a> {
        let channels = self.map.channels;
        Walk { starts, rows: kernel, pitch: self.width * channels, run: kernel * channels }
    }
}

/// `out[s, p, j] = sum_i W[i, j] patch[s, p, i]` over the patches of `maps` (samples x (neurons + bias)); `weights` in rows
/// of `stride`, of which `outputs` count.
pub(crate) fn forward<R: Real>(
    weights: &[R],
    (outputs, stride): (usize, usize),
    patches: &Patches,
    maps: &[R],
    out: &mut [R],
) {
    let padded = Padded::of_inputs(patches);
    let starts = padded.starts(patches.height(), patches.width(), patches.stride);
    let walk = padded.walk(&starts, patches.kernel);
    let (weights, bias) = weights.split_at(weights.len() - stride);
    let samples = maps.par_chunks_exact(patches.input.neurons() + 1);
    samples.zip(out.par_chunks_exact_mut(starts.len() * outputs)).for_each_init(
        || padded.buffer(),
        |buffer, (map, out)| {
            padded.fill(map, buffer);
            kernels::read(buffer, &walk, weights, bias, out, outputs);
        },
    );
}

/// What `errors` (samples x places x outputs) send back through the weights of [`forward`] to every value of the maps: the
/// convolution of the errors with the patch turned round. `maps` (samples x (neurons + bias)) is overwritten, bias lines with
/// 0, for no error reaches them.
pub(crate) fn backward<R: Real>(
    weights: &[R],
    columns: (usize, usize),
    patches: &Patches,
    errors: &[R],
    maps: &mut [R],
) {
    let is_sparse = is_sparse(errors, &Padded::of_errors(patches, columns.0));
    backward_of(is_sparse, weights, columns, patches, errors, maps);
}

fn backward_of<R: Real>(
    is_sparse: bool,
    weights: &[R],
    (outputs, stride): (usize, usize),
    patches: &Patches,
    errors: &[R],
    maps: &mut [R],
) {
    let Patches { input: MapShape { channels, height, width }, kernel, .. } = *patches;
    let padded = Padded::of_errors(patches, outputs);
    let starts = padded.starts(height, width, 1);
    let walk = padded.walk(&starts, kernel);
    let turned_stride = rows::stride(channels);
    let mut turned = vec![R::zero(); kernel * kernel * outputs * turned_stride];
    let squares = weights.chunks_exact(channels * stride).take(kernel * kernel);
    for (square, turned) in squares.zip(turned.chunks_exact_mut(outputs * turned_stride).rev()) {
        for (channel, row) in square.chunks_exact(stride).enumerate() {
            for (&weight, turned) in row.iter().zip(turned.chunks_exact_mut(turned_stride)) {
                turned[channel] = weight;
            }
        }
    }
    let none = vec![R::zero(); turned_stride];
    let samples = errors.par_chunks_exact(patches.places() * outputs);
    samples.zip(maps.par_chunks_exact_mut(patches.input.neurons() + 1)).for_each_init(
        || (padded.buffer(), SparseMap::default()),
        |(buffer, few), (errors, map)| {
            padded.fill(errors, buffer);
            let (neurons, bias) = map.split_at_mut(patches.input.neurons());
            if is_sparse {
                few.fill(buffer, outputs);
                sparse::read(few, outputs, &walk, &turned, turned_stride, neurons, channels);
            } else {
                kernels::read(buffer, &walk, &turned, &none, neurons, channels);
            }
            bias.fill(R::zero());
        },
    );
}

/// Adds `factor sum_{s, p} patch[s, p, i] errors[s, p, j]` to `sums`, which stand as the weights of [`forward`] do.
pub(crate) fn add_outer<R: Real>(
    sums: &mut [R],
    columns: (usize, usize),
    patches: &Patches,
    factor: R,
    maps: &[R],
    errors: &[R],
) {
    let is_sparse = is_sparse(errors, &Padded::of_inputs(patches));
    add_outer_of(is_sparse, sums, columns, patches, factor, maps, errors);
}

fn add_outer_of<R: Real>(
    is_sparse: bool,
    sums: &mut [R],
    (outputs, stride): (usize, usize),
    patches: &Patches,
    factor: R,
    maps: &[R],
    errors: &[R],
) {
    let padded = Padded::of_inputs(patches);
    let starts = padded.starts(patches.height(), patches.width(), patches.stride);
    let walk = padded.walk(&starts, patches.kernel);
    let (map_len, errors_len) = (patches.input.neurons() + 1, starts.len() * outputs);
    let part = (maps.len() / map_len).div_ceil(PARTS).max(1);
    let parts =
        maps.par_chunks(part * map_len).zip(errors.par_chunks(part * errors_len)).map(|(maps, errors)| {
            let mut part = vec![R::zero(); sums.len()];
            let (products, bias) = part.split_at_mut(sums.len() - stride);
            let mut buffer = padded.buffer();
            let mut by_channel = is_sparse.then(|| ByChannel::new(outputs, &walk));
            for (map, errors) in maps.chunks_exact(map_len).zip(errors.chunks_exact(errors_len)) {
                padded.fill(map, &mut buffer);
                if let Some(by_channel) = &mut by_channel {
                    by_channel.add(&buffer, &walk, errors, bias);
                    continue;
                }
                let errors = pad_rows(errors, outputs, stride);
                kernels::add_outer(&buffer, &walk, &errors, products, stride);
                for errors in errors.chunks_exact(stride) {
                    for (sum, &error) in bias.iter_mut().zip(errors) {
                        *sum += error;
                    }
                }
            }
            if let Some(by_channel) = by_channel {
                by_channel.turn(&walk, products, stride);
            }
            part
        });
    let parts: Vec<Vec<R>> = parts.collect();
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += factor * part;
        }
    }
}

/// Outer products with errors most of which are 0, and their sums, channel by channel.
struct ByChannel<R> {
    /// Errors of the sample at hand that are not 0.
    few: Vec<(u32, R)>,
    /// The same of every channel, by where their patches start.
    errors: Vec<Vec<(u32, R)>>,
    /// Channels x rows of a patch, each row padded to whole vectors.
    sums: Vec<R>,
}

impl<R: Real> ByChannel<R> {
    fn new(channels: usize, walk: &Walk<'_>) -> Self {
        let sums = vec![R::zero(); channels * walk.rows * walk.run.next_multiple_of(LANES)];
        Self { few: Vec::new(), errors: vec![Vec::new(); channels], sums }
    }

    /// Adds what one sample gives, to lines of biases too.
    fn add(&mut self, map: &[R], walk: &Walk<'_>, errors: &[R], bias: &mut [R]) {
        let channels = self.errors.len();
        self.few.clear();
        rows::nonzero(errors, R::one(), &mut self.few);
        self.errors.iter_mut().for_each(Vec::clear);
        for &(at, error) in &self.few {
            let (place, channel) = (at as usize / channels, at as usize % channels);
            self.errors[channel].push((walk.starts[place] as u32, error));
            bias[channel] += error;
        }
        let patch = self.sums.len() / channels;
        for (errors, sums) in self.errors.iter().zip(self.sums.chunks_exact_mut(patch)) {
            if !errors.is_empty() {
                sparse::add_outer(map, walk, errors, sums);
            }
        }
    }

    /// Writes the sums as weights stand, line by line.
    fn turn(&self, walk: &Walk<'_>, lines: &mut [R], stride: usize) {
        let patch = self.sums.len() / self.errors.len();
        let run = patch / walk.rows;
        for (line, out) in lines.chunks_exact_mut(stride).enumerate() {
            let at = line / walk.run * run + line % walk.run;
            for (out, sums) in out.iter_mut().zip(self.sums.chunks_exact(patch)) {
                *out = sums[at];
            }
        }
    }
}

/// Rows of `columns` padded with zeros to `stride`.
fn pad_rows<R: Real>(rows: &[R], columns: usize, stride: usize) -> Cow<'_, [R]> {
    if columns == stride {
        return Cow::Borrowed(rows);
    }
    let mut padded = vec![R::zero(); rows.len() / columns * stride];
    for (padded, row) in padded.chunks_exact_mut(stride).zip(rows.chunks_exact(columns)) {
        padded[..columns].copy_from_slice(row);
    }
    Cow::Owned(padded)
}

#[cfg(test)]
mod tests {
    use bitpulse_core::{Readout, SeedPath, Shape, Signals, SynapticMatrix, Update};
    use proptest::prelude::*;
    use rand::RngExt;

    use crate::SoftwareMatrix;

    use super::*;

    /// Values in [-1, 1), of which so large a share is not 0.
    fn values(count: usize, share: f64, at: SeedPath) -> Vec<f32> {
        let mut rng = at.rng();
        let value = |_| if rng.random_bool(share) { rng.random_range(-1.0..1.0) } else { 0.0 };
        (0..count).map(value).collect()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    /// Values in [-1, 1), eighths so that sums of products are exact in any order.
    fn eighths(count: usize, at: SeedPath) -> Vec<f64> {
        let mut rng = at.rng();
        (0..count).map(|_| f64::from(rng.random_range(-8..8_i8)) / 8.0).collect()
    }

    proptest! {
        #[test]
        fn walks_over_few_errors_give_the_bits_of_walks_over_all(
            (channels, outputs) in (1..80_usize, 1..50_usize),
            (height, width) in (1..7_usize, 1..7_usize),
            kernel in 1..6_usize,
            (stride, padding) in (1..4_usize, 0..3_usize),
            samples in 1..20_usize,
            share in 0.0..1.0,
            seed: u64,
        ) {
            let input = MapShape { channels, height, width };
            prop_assume!(padding < kernel && kernel <= height.min(width) + 2 * padding);
            let patches = Patches { input, kernel, stride, padding };
            let at = SeedPath::root(seed);
            let columns = (outputs, rows::stride(outputs));
            let weights = values(patches.lines() * columns.1, 1.0, at.child("weights"));
            let maps = values(samples * (input.neurons() + 1), 0.9, at.child("maps"));
            let errors = values(samples * patches.places() * outputs, share, at.child("errors"));

            let [all, walked] = [false, true].map(|is_sparse| {
                let mut out = vec![3.0; maps.len()];
                backward_of(is_sparse, &weights, columns, &patches, &errors, &mut out);
                bits(&out)
            });
            prop_assert_eq!(all, walked);

            let [all, walked] = [false, true].map(|is_sparse| {
                let mut sums = weights.clone();
                add_outer_of(is_sparse, &mut sums, columns, &patches, 0.7, &maps, &errors);
                bits(&sums)
            });
            prop_assert_eq!(all, walked);
        }

        #[test]
        fn products_equal_those_of_patches_written_out(
            (channels, outputs) in (1..20_usize, 1..50_usize),
            (height, width) in (1..7_usize, 1..7_usize),
            kernel in 1..4_usize,
            (stride, padding) in (1..4_usize, 0..3_usize),
            samples in 1..20_usize,
            seed: u64,
        ) {
            let input = MapShape { channels, height, width };
            prop_assume!(padding < kernel && kernel <= height.min(width) + 2 * padding);
            let patches = Patches { input, kernel, stride, padding };
            let shape = Shape { inputs: patches.lines(), outputs };
            let at = SeedPath::root(seed);
            let mut matrix = SoftwareMatrix::<f64>::zeros(shape);
            matrix.program(&eighths(shape.weights(), at.child("weights")), at);
            let lines = input.neurons() + 1;
            let mut maps = Signals::counts(lines, 8);
            maps.push_listed(samples).copy_from_slice(&eighths(samples * lines, at.child("maps")));
            let mut errors = Signals::counts(outputs, 8);
            let count = samples * patches.places();
            errors.push_listed(count).copy_from_slice(&eighths(count * outputs, at.child("errors")));

            let readout = Readout::Converter;
            let gathered = patches.gather(&maps);
            let (mut a, mut b) = (vec![1.0; count * outputs], vec![2.0; count * outputs]);
            matrix.forward(&gathered, readout, at, &mut a);
            let counted = matrix.take_activity();
            matrix.forward_patches(&maps, &patches, readout, at, &mut b);
            prop_assert_eq!(a, b);
            prop_assert_eq!(matrix.take_activity(), counted);

            let mut read = vec![0.0; count * shape.inputs];
            matrix.backward(&errors, readout, at, &mut read);
            let counted = matrix.take_activity();
            let (mut a, mut b) = (vec![0.0; samples * lines], vec![0.0; samples * lines]);
            patches.scatter(&read, &mut a);
            matrix.backward_patches(&errors, &patches, readout, at, &mut b);
            prop_assert_eq!(a, b);
            prop_assert_eq!(matrix.take_activity(), counted);

            let mut other = matrix.clone();
            let pulses = [64, 3].map(|per_unit| Update::Pulses { step: 0.25, per_unit });
            for update in [&[Update::Exact { step: 0.5 }], &pulses[..]].concat() {
                matrix.update(&gathered, &errors, update, at);
                other.update_patches(&maps, &patches, &errors, update, at);
                prop_assert_eq!(matrix.weights(), other.weights());
                prop_assert_eq!(matrix.take_activity(), other.take_activity());
            }
        }
    }
}
