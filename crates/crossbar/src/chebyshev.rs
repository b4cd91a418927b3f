//! Many right-hand sides: Chebyshev iteration on the same fixed point, `x = M_s^-1 D M_d^-1 (b + D x)`.
//!
//! Its coefficients depend on the network alone, so there are no scalar products, and a whole iteration is one pass
//! over the rows: the sensed lines are substituted from one end while they are eliminated towards it again, upwards
//! and downwards in turn. Five arrays move through memory where conjugate gradients move fifteen.
//! The sweep is a non-negative matrix with spectrum in `[0, rho]`; Collatz's quotients of a few power iterations bound
//! `rho` from above.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::lines::{Network, axpy, reversed, scale, solve_driven};

/// Vectors that travel together.
pub(crate) const LANES: usize = 8;
/// Rows solved abreast.
const ROWS: usize = 2;
/// Iterations beyond which conjugate gradients, which learn the spectrum as they go, are the better choice.
const MAX_ITERATIONS: usize = 40;
/// Power iterations for the bound.
const POWERS: usize = 3;
/// Cells between rows of the interleaved arrays: without a gap, rows of 128 cells lie 4096 bytes apart and push each
/// other out of the cache.
const GAP: usize = 2;

/// What is known of a network before any right-hand side.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The sensed lines, eliminated upwards.
    upward: Vec<f64>,
    /// Bound of the spectral radius of a sweep.
    radius: f64,
    /// Iterations that the last block took.
    iterations: usize,
}

impl Plan {
    pub(crate) fn new(network: &Network) -> Self {
        let cells = network.rows * network.cols;
        let mut plan =
            Self { upward: reversed(&network.g, network.cols, &network.sensed), radius: 0.0, iterations: 0 };
        let mut vector = vec![1.0; cells];
        let mut image = vec![[0.0]; cells];
        for _ in 0..POWERS {
            Arch::new().dispatch(Power { network, vector: &vector, image: &mut image });
            let quotients = image.iter().zip(&vector).filter(|&(_, v)| *v > 0.0).map(|([y], v)| y / v);
            plan.radius = quotients.fold(0.0, f64::max);
            for (v, [y]) in vector.iter_mut().zip(&image) {
                *v = *y;
            }
        }
        plan
    }

    fn sigma(&self) -> f64 {
        self.radius / (2.0 - self.radius)
    }

    /// Factor by which the error falls in one iteration.
    fn rate(&self) -> f64 {
        (-self.sigma().recip().acosh()).exp()
    }

    /// Whether this method suits the network: not where it would be slow, nor where bit lines without resistance
    /// leave nothing to iterate.
    pub(crate) fn applies(&self, network: &Network, tolerance: f64) -> bool {
        network.sensed.terminal_ohm > 0.0
            && self.radius > 0.0
            && tolerance.ln() / self.rate().ln() < MAX_ITERATIONS as f64
    }

    /// Solves one block, leaving the currents in `work.outputs`. Returns residual and iterations, or `None` if the
    /// tolerance is not to be had this way.
    pub(crate) fn solve(
        &mut self,
        network: &Network,
        tolerance: f64,
        work: &mut Work,
    ) -> Option<(f64, usize)> {
        if self.iterations == 0 {
            self.iterations = ((tolerance / self.radius).ln() / self.rate().ln()).ceil().max(1.0) as usize;
        }
        while self.iterations < MAX_ITERATIONS {
            let iterations = self.iterations;
            let residual = Arch::new().dispatch(Block { network, plan: self, work });
            if residual <= tolerance {
                // Vectors of one application are alike: if this block did better than asked, spare the next one work.
                let spare = ((residual.max(f64::EPSILON) / tolerance).ln() / self.rate().ln()) as usize;
                self.iterations -= spare.min(self.iterations - 1);
                return Some((residual, iterations + 2));
            }
            self.iterations += 1;
        }
        None
    }
}

/// `image = M_s^-1 D M_d^-1 D vector`.
struct Power<'a> {
    network: &'a Network,
    vector: &'a [f64],
    image: &'a mut [[f64; 1]],
}

impl WithSimd for Power<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { network, vector, image } = self;
        let (cols, sensed) = (network.cols, &network.sensed);
        for ((y, v), g) in image.iter_mut().zip(vector).zip(&network.g) {
            *y = [g * v];
        }
        solve_driven::<1, 8>(&network.driven, &network.driven.a, cols, None, image);
        for (y, g) in image.iter_mut().zip(&network.g) {
            *y = scale(*g, *y);
        }
        for row in 1..network.rows {
            let (above, here) = image.split_at_mut(row * cols);
            let above = &above[(row - 1) * cols..];
            for ((y, above), a) in here.iter_mut().zip(above).zip(&sensed.a[(row - 1) * cols..]).take(cols) {
                *y = axpy(*a, *above, *y);
            }
        }
        let last = (network.rows - 1) * cols;
        for (y, a) in image[last..].iter_mut().zip(&sensed.a[last..]) {
            *y = scale(*a * sensed.terminal_ohm, *y);
        }
        for row in (0..network.rows - 1).rev() {
            let (here, below) = image.split_at_mut((row + 1) * cols);
            let here = &mut here[row * cols..];
            for ((y, below), a) in here.iter_mut().zip(below).zip(&sensed.a[row * cols..]) {
                *y = scale(*a, axpy(sensed.segment_ohm, *y, *below));
            }
        }
    }
}

/// The arrays of a block of [`LANES`] vectors, interleaved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    /// Voltages of the drivers.
    pub(crate) sources: Vec<[f64; LANES]>,
    /// Currents out of the sensed lines.
    pub(crate) outputs: Vec<[f64; LANES]>,
    /// Voltages of the sensed lines' nodes, of this iteration and of the one before.
    x: Vec<[f64; LANES]>,
    x_old: Vec<[f64; LANES]>,
    /// Cell currents, had the sensed lines been at 0 V, eliminated along these lines.
    j: Vec<[f64; LANES]>,
    /// A few rows of the driven lines' voltages.
    group: Vec<[f64; LANES]>,
    /// The row before: of the fixed point, of `j` as it was, and of `j` as it is now.
    point: Vec<[f64; LANES]>,
    behind: Vec<[f64; LANES]>,
    carry: Vec<[f64; LANES]>,
}

impl Work {
    pub(crate) fn resize(&mut self, network: &Network) {
        let Network { rows, cols, .. } = *network;
        for vector in [&mut self.x, &mut self.x_old, &mut self.j] {
            vector.resize(rows * (cols + GAP), [0.0; LANES]);
        }
        for vector in [&mut self.outputs, &mut self.point, &mut self.behind, &mut self.carry] {
            vector.resize(cols, [0.0; LANES]);
        }
        self.sources.resize(rows, [0.0; LANES]);
        self.group.resize(ROWS * (cols + GAP), [0.0; LANES]);
    }
}

/// All passes over one block; returns the largest residual.
struct Block<'a> {
    network: &'a Network,
    plan: &'a Plan,
    work: &'a mut Work,
}

impl WithSimd for Block<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let Self { network, plan, work } = self;
        let reference = start(network, work);
        let gamma = 2.0 / (2.0 - plan.radius);
        let sigma = plan.sigma();
        let mut omega = 1.0;
        for iteration in 0..plan.iterations {
            omega = match iteration {
                0 => 1.0,
                1 => 2.0 / (2.0 - sigma * sigma),
                _ => 4.0 / (4.0 - sigma * sigma * omega),
            };
            let mix = Mix {
                point: omega * gamma,
                x: if iteration == 0 { 0.0 } else { omega * (1.0 - gamma) },
                x_old: if iteration < 2 { 0.0 } else { 1.0 - omega },
            };
            if iteration % 2 == 0 {
                pass::<false>(network, plan, mix, work);
            } else {
                pass::<true>(network, plan, mix, work);
            }
        }
        let left = if plan.iterations.is_multiple_of(2) {
            finish::<false>(network, plan, work)
        } else {
            finish::<true>(network, plan, work)
        };
        let relative = left.iter().zip(reference).filter(|&(left, _)| *left > 0.0);
        relative.map(|(left, reference)| (left / reference).sqrt()).fold(0.0, f64::max)
    }
}

/// Weights of the fixed point and of the last two iterates in the next one.
#[derive(Clone, Copy)]
struct Mix {
    point: f64,
    x: f64,
    x_old: f64,
}

/// Solves the driven lines for sensed lines at 0 V and eliminates the sensed lines downwards; returns the squares of
/// the cell currents.
#[inline(always)]
fn start(network: &Network, work: &mut Work) -> [f64; LANES] {
    let cols = network.cols;
    let mut reference = [0.0; LANES];
    for rows in groups(network.rows) {
        let span = rows.start * cols..rows.end * cols;
        let group = &mut work.group[..span.len()];
        group.fill([0.0; LANES]);
        let sources = Some(&work.sources[rows.clone()]);
        solve_driven::<LANES, ROWS>(&network.driven, &network.driven.a[span.clone()], cols, sources, group);
        for (y, g) in group.iter_mut().zip(&network.g[span]) {
            *y = scale(*g, *y);
            reference = std::array::from_fn(|k| reference[k] + y[k] * y[k]);
        }
        for (row, y) in rows.zip(group.chunks_exact(cols)) {
            eliminate::<true>(network, &network.sensed.a, row, y, &mut work.carry, &mut work.j);
        }
    }
    // A step too small to square is still to be told from 0.
    reference.map(|square| square.max(f64::MIN_POSITIVE))
}

/// One iteration, `DOWN` the rows or up.
#[inline(always)]
fn pass<const DOWN: bool>(network: &Network, plan: &Plan, mix: Mix, work: &mut Work) {
    work.point.fill([0.0; LANES]);
    work.carry.fill([0.0; LANES]);
    let count = network.rows.div_ceil(ROWS);
    for n in 0..count {
        let rows = nth_group::<DOWN>(n, count, network.rows);
        if rows.len() == ROWS {
            advance::<DOWN, ROWS>(network, plan, mix, rows.start, work);
            release::<DOWN, ROWS>(network, plan, rows.start, work);
        } else {
            for row in in_order::<DOWN>(&rows) {
                advance::<DOWN, 1>(network, plan, mix, row, work);
                release::<DOWN, 1>(network, plan, row, work);
            }
        }
    }
    std::mem::swap(&mut work.x, &mut work.x_old);
}

/// Substitutes the sensed lines along `R` rows from `start` on, mixes the next iterate into `x_old`, and eliminates the
/// driven lines with it into `group`. All in one loop along the lines: its recurrence keeps the compiler from
/// rearranging the interleaved vectors, which cost more than the arithmetic.
#[inline(always)]
fn advance<const DOWN: bool, const R: usize>(
    network: &Network,
    plan: &Plan,
    mix: Mix,
    start: usize,
    work: &mut Work,
) {
    let cols = network.cols;
    let span = start * cols..(start + R) * cols;
    let wide = cols + GAP;
    let wide_span = start * wide..(start + R) * wide;
    let (back, _) = directions::<DOWN>(network, plan);
    let back = rows_of::<_, R>(&back[span.clone()], cols);
    let g = rows_of::<_, R>(&network.g[span.clone()], cols);
    let a = rows_of::<_, R>(&network.driven.a[span.clone()], cols);
    let j = rows_of::<_, R>(&work.j[wide_span.clone()], wide);
    let x = rows_of::<_, R>(&work.x[wide_span.clone()], wide);
    let x_old = rows_of_mut::<_, R>(&mut work.x_old[wide_span], wide);
    let group = rows_of_mut::<_, R>(&mut work.group[..R * wide], wide);
    let r: [f64; R] = std::array::from_fn(|row| segment::<DOWN>(network, start + row));
    let point = &mut work.point[..cols];
    let mut carry: [[f64; LANES]; R] =
        std::array::from_fn(|row| scale(network.driven.far_siemens, work.sources[start + row]));
    for col in (0..cols).rev() {
        let mut here = point[col];
        for n in 0..R {
            let row = if DOWN { n } else { R - 1 - n };
            here = scale(back[row][col], axpy(r[row], j[row][col], here));
            let new = axpy(mix.x_old, x_old[row][col], axpy(mix.x, x[row][col], scale(mix.point, here)));
            x_old[row][col] = new;
            let node = axpy(g[row][col], new, carry[row]);
            group[row][col] = node;
            carry[row] = scale(a[row][col], node);
        }
        point[col] = here;
    }
}

/// Substitutes the driven lines of `R` rows from `start` on and eliminates the sensed lines with their cell currents.
#[inline(always)]
fn release<const DOWN: bool, const R: usize>(network: &Network, plan: &Plan, start: usize, work: &mut Work) {
    let cols = network.cols;
    let span = start * cols..(start + R) * cols;
    let wide = cols + GAP;
    let wide_span = start * wide..(start + R) * wide;
    let (_, forth) = directions::<DOWN>(network, plan);
    let g = rows_of::<_, R>(&network.g[span.clone()], cols);
    let a = rows_of::<_, R>(&network.driven.a[span.clone()], cols);
    let group = rows_of::<_, R>(&work.group[..R * wide], wide);
    let j = rows_of_mut::<_, R>(&mut work.j[wide_span], wide);
    // Of the row before, in the order of the pass; before the first nothing is carried, whatever its share.
    let forth: [&[f64]; R] = std::array::from_fn(|row| {
        let row = start + row;
        let before = if DOWN { row.saturating_sub(1) } else { (row + 1).min(network.rows - 1) };
        &forth[before * cols..(before + 1) * cols]
    });
    let carry = &mut work.carry[..cols];
    let mut v: [[f64; LANES]; R] = std::array::from_fn(|row| work.sources[start + row]);
    let mut r = network.driven.terminal_ohm;
    for col in 0..cols {
        let mut here = carry[col];
        for n in 0..R {
            let row = if DOWN { n } else { R - 1 - n };
            v[row] = scale(a[row][col], axpy(r, group[row][col], v[row]));
            here = axpy(forth[row][col], here, scale(g[row][col], v[row]));
            j[row][col] = here;
        }
        carry[col] = here;
        r = network.driven.segment_ohm;
    }
}

#[inline(always)]
fn rows_of<T, const R: usize>(cells: &[T], cols: usize) -> [&[T]; R] {
    std::array::from_fn(|row| &cells[row * cols..(row + 1) * cols])
}

#[inline(always)]
fn rows_of_mut<T, const R: usize>(cells: &mut [T], cols: usize) -> [&mut [T]; R] {
    let mut rows = cells.chunks_exact_mut(cols);
    std::array::from_fn(|_| rows.next().expect("the slice holds R rows"))
}

/// A plain sweep: the output currents, and the squares of the current left over at the nodes of the sensed lines.
#[inline(always)]
fn finish<const DOWN: bool>(network: &Network, plan: &Plan, work: &mut Work) -> [f64; LANES] {
    let cols = network.cols;
    let wide = |row: usize| row * (cols + GAP)..row * (cols + GAP) + cols;
    let (back, _) = directions::<DOWN>(network, plan);
    // `j` was eliminated against the direction of this pass.
    let before: &[f64] = back;
    work.point.fill([0.0; LANES]);
    work.outputs.fill([0.0; LANES]);
    let mut left = [0.0; LANES];
    let count = network.rows.div_ceil(ROWS);
    for n in 0..count {
        let rows = nth_group::<DOWN>(n, count, network.rows);
        let span = rows.start * cols..rows.end * cols;
        let group = &mut work.group[..span.len()];
        for row in in_order::<DOWN>(&rows) {
            let here = row * cols..(row + 1) * cols;
            let y = &mut group[(row - rows.start) * cols..][..cols];
            let r = segment::<DOWN>(network, row);
            let given = work.j[wide(row)].iter().zip(&back[here.clone()]).zip(&network.g[here.clone()]);
            let kept = &mut work.x[wide(row)];
            for (((y, point), ((j, a), g)), x) in y.iter_mut().zip(&mut work.point).zip(given).zip(kept) {
                *point = scale(*a, axpy(r, *j, *point));
                *x = *point;
                *y = scale(*g, *point);
            }
        }
        let sources = Some(&work.sources[rows.clone()]);
        solve_driven::<LANES, ROWS>(&network.driven, &network.driven.a[span], cols, sources, group);
        for row in in_order::<DOWN>(&rows) {
            let here = row * cols..(row + 1) * cols;
            let y = &group[(row - rows.start) * cols..][..cols];
            // What the row brought into the last elimination is what it left less what came from the row before.
            let from = if DOWN { (row + 1 < network.rows).then_some(row + 1) } else { row.checked_sub(1) };
            let old = &mut work.behind;
            old.copy_from_slice(&work.j[wide(row)]);
            if let Some(from) = from {
                for ((old, j), a) in old.iter_mut().zip(&work.j[wide(from)]).zip(&before[from * cols..]) {
                    *old = axpy(-a, *j, *old);
                }
            }
            let cells = y.iter().zip(&work.x[wide(row)]).zip(&network.g[here]).zip(&*old);
            for ((((y, x), g), old), output) in cells.zip(&mut work.outputs) {
                let now = scale(*g, *y);
                left = std::array::from_fn(|k| left[k] + (now[k] - old[k]) * (now[k] - old[k]));
                *output = axpy(-g, *x, axpy(1.0, now, *output));
            }
        }
    }
    left
}

/// Adds row `row` of the cell currents `y` to the elimination `DOWN` the lines or up.
#[inline(always)]
fn eliminate<const DOWN: bool>(
    network: &Network,
    a: &[f64],
    row: usize,
    y: &[[f64; LANES]],
    carry: &mut [[f64; LANES]],
    j: &mut [[f64; LANES]],
) {
    let (rows, cols) = (network.rows, network.cols);
    let j = &mut j[row * (cols + GAP)..][..cols];
    let before = if DOWN { row.checked_sub(1) } else { (row + 1 < rows).then_some(row + 1) };
    if let Some(before) = before {
        let a = &a[before * cols..(before + 1) * cols];
        for (((j, y), carry), a) in j.iter_mut().zip(y).zip(carry).zip(a) {
            let new = axpy(*a, *carry, *y);
            *j = new;
            *carry = new;
        }
    } else {
        j.copy_from_slice(y);
        carry.copy_from_slice(y);
    }
}

/// Shares for substituting in the direction `DOWN` or up, and for eliminating in it.
#[inline(always)]
fn directions<'a, const DOWN: bool>(network: &'a Network, plan: &'a Plan) -> (&'a [f64], &'a [f64]) {
    if DOWN { (&plan.upward, &network.sensed.a) } else { (&network.sensed.a, &plan.upward) }
}

/// Ohms between row `row` and the one before it, going `DOWN` or up; before the first going down stands an open end,
/// whose share is a resistance already.
#[inline(always)]
fn segment<const DOWN: bool>(network: &Network, row: usize) -> f64 {
    match DOWN {
        true if row == 0 => 1.0,
        false if row + 1 == network.rows => network.sensed.terminal_ohm,
        _ => network.sensed.segment_ohm,
    }
}

fn groups(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows.div_ceil(ROWS)).map(move |group| group * ROWS..((group + 1) * ROWS).min(rows))
}

#[inline(always)]
fn nth_group<const DOWN: bool>(n: usize, count: usize, rows: usize) -> Range<usize> {
    let group = if DOWN { n } else { count - 1 - n };
    group * ROWS..((group + 1) * ROWS).min(rows)
}

#[inline(always)]
fn in_order<const DOWN: bool>(rows: &Range<usize>) -> impl Iterator<Item = usize> + use<DOWN> {
    let Range { start, end } = *rows;
    (start..end).map(move |row| if DOWN { row } else { start + end - 1 - row })
}
