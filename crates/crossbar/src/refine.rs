//! Many right-hand sides: iterative refinement of the fixed point `y = D M_d^-1 (b + D M_s^-1 y)`, with the corrections
//! found in single precision.
//!
//! `y` are the currents that the driven lines inject at the nodes of the sensed lines, `b` what the drivers feed in, the
//! matrices are those of [`crate::gradient`]. A refinement ([`Outer`]) computes in double precision what is left over,
//! `r = D M_d^-1 (b + D M_s^-1 y) - y`; this is the residual that is reported. The correction ([`Inner`]) solves
//! `(1 - T) d = r` with `T = D M_d^-1 D M_s^-1` by Richardson's iteration, `d += tau (T d + r - d)`, whose steps come from
//! a solve of one of the vectors by conjugate gradients.
//!
//! An iteration is one pass over the rows: the sensed lines are substituted from one end while they are eliminated
//! towards it again, upwards and downwards in turn. One array changes in place, small enough in single precision to
//! stay in the cache of a core.

use pulp::{Arch, Scalar, Simd, WithSimd};

use crate::gradient::{Left, Step};
use crate::lines::{Network, axpy, reversed};
use crate::solve::Settings;

/// Vectors that travel together.
pub(crate) const LANES: usize = 8;
/// Rows abreast: one after the other, an operation would wait for the one before along the line.
const ROWS: usize = 2;
/// Factors of a correction's polynomial at most: the steps of a longer one grow so large that rounding grows with them.
const MAX_FACTORS: f64 = 8.0;
/// Iterations of conjugate gradients beyond which they are the better choice.
const MAX_ITERATIONS: usize = 32;
/// Columns between groups of rows in the interleaved arrays: without a gap, groups lie a power of two apart where the
/// columns are one, and push each other out of the cache.
const GAP: usize = 1;

type Double = [f64; LANES];

/// What is known of a network before any right-hand side.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Groups of rows, column by column; the last group is filled up with cells of zeros, which nothing passes.
    double: Vec<Cells<f64>>,
    single: Vec<Cells<f32>>,
    /// Largest conductance.
    g_most: f64,
    /// The polynomial, once known.
    polynomial: Option<Polynomial>,
}

/// Cells of one column in a group of rows.
#[derive(Clone, Copy, Debug, Default)]
struct Cells<T> {
    g: [T; ROWS],
    /// Shares of the driven lines.
    driven: [T; ROWS],
    /// Shares of the sensed lines eliminated downwards and upwards.
    down: [T; ROWS],
    up: [T; ROWS],
    /// The share of the row above going down and of the row below going up; 0 at the ends.
    from_above: [T; ROWS],
    from_below: [T; ROWS],
}

impl Cells<f64> {
    fn single(&self) -> Cells<f32> {
        let single = |values: [f64; ROWS]| values.map(|value| value as f32);
        Cells {
            g: single(self.g),
            driven: single(self.driven),
            down: single(self.down),
            up: single(self.up),
            from_above: single(self.from_above),
            from_below: single(self.from_below),
        }
    }
}

impl<T> Cells<T> {
    /// Shares for substituting the sensed lines `DOWN` the rows or up, those of the rows ahead, and, for eliminating, of
    /// the rows behind.
    #[inline(always)]
    fn shares<const DOWN: bool>(&self) -> [&[T; ROWS]; 3] {
        if DOWN {
            [&self.up, &self.from_below, &self.from_above]
        } else {
            [&self.down, &self.from_above, &self.from_below]
        }
    }
}

impl Plan {
    /// `None` where bit lines without resistance leave nothing to iterate.
    pub(crate) fn new(network: &Network) -> Option<Self> {
        if network.sensed.terminal_ohm == 0.0 {
            return None;
        }
        let Network { rows, cols, .. } = *network;
        let upward = reversed(&network.g, cols, &network.sensed);
        let mut double = vec![Cells::default(); rows.div_ceil(ROWS) * cols];
        for row in 0..rows {
            let group = &mut double[row / ROWS * cols..][..cols];
            let (n, here) = (row % ROWS, row * cols);
            for (col, cells) in group.iter_mut().enumerate() {
                let cell = here + col;
                cells.g[n] = network.g[cell];
                cells.driven[n] = network.driven.a[cell];
                cells.down[n] = network.sensed.a[cell];
                cells.up[n] = upward[cell];
                cells.from_above[n] = if row > 0 { network.sensed.a[cell - cols] } else { 0.0 };
                cells.from_below[n] = if row + 1 < rows { upward[cell + cols] } else { 0.0 };
            }
        }
        let single = double.iter().map(Cells::single).collect();
        let g_most = network.g.iter().copied().fold(0.0, f64::max);
        Some(Self { double, single, g_most, polynomial: None })
    }

    /// Whether [`Plan::learn`] is needed.
    pub(crate) fn is_new(&self) -> bool {
        self.polynomial.is_none()
    }

    /// Takes the polynomial of a solve by conjugate gradients that reached `residual` in so many `iterations`. `false` if
    /// it took too many to be worth repeating.
    pub(crate) fn learn(&mut self, steps: &[Step], (residual, iterations): (f64, usize)) -> bool {
        let good = iterations <= MAX_ITERATIONS;
        if good {
            let folds = -residual.max(f64::MIN_POSITIVE).ln() / iterations as f64;
            self.polynomial = Some(Polynomial { roots: roots(steps), folds });
        }
        good
    }

    /// Solves one block, leaving the currents in `work.outputs`. Returns residual and iterations, or `None` if the
    /// tolerance is not to be had this way.
    pub(crate) fn solve(
        &mut self,
        network: &Network,
        settings: &Settings,
        work: &mut Work,
    ) -> Option<(f64, usize)> {
        let found = self.polynomial.as_ref().and_then(|p| self.refine(network, p, settings, work));
        if found.is_none() {
            // It belonged to vectors of another kind.
            self.polynomial = None;
        }
        found
    }

    fn refine(
        &self,
        network: &Network,
        polynomial: &Polynomial,
        settings: &Settings,
        work: &mut Work,
    ) -> Option<(f64, usize)> {
        let tolerance = settings.tolerance;
        // What single precision leaves of a residual at best: currents add up along the lines.
        let rounding = f64::from(f32::EPSILON) * network.rows as f64 / 4.0;
        let mut roots = polynomial.roots.iter().cycle();
        work.rescale(self.g_most);
        let mut down = false;
        // All currents to 0 V: whatever flows is left over.
        let left = self.outer(network, Stage::Start, down, work);
        let (mut residual, mut iterations) = (largest(&left), 1);
        let mut stage = Stage::First;
        while residual > tolerance {
            let factors = polynomial.factors(tolerance / residual, rounding);
            if iterations + factors > settings.max_iterations {
                return None;
            }
            // A refinement has made the first factor, of root 0, and counts as an iteration itself.
            for (n, root) in (1..factors).zip(&mut roots) {
                let tau = (1.0 / (1.0 - root)) as f32;
                if down == (n % 2 == 0) {
                    Arch::new().dispatch(Inner::<true> { network, plan: self, tau, work });
                } else {
                    Arch::new().dispatch(Inner::<false> { network, plan: self, tau, work });
                }
            }
            down = !down;
            let left = largest(&self.outer(network, stage, down, work));
            // So that what is not a number ends it, too.
            let better = left < 0.5 * residual;
            if !better {
                return None;
            }
            (residual, stage) = (left, Stage::Later);
            iterations += factors;
        }
        Some((residual, iterations))
    }

    fn outer(&self, network: &Network, stage: Stage, down: bool, work: &mut Work) -> [Left; LANES] {
        let plan = self;
        if down {
            Arch::new().dispatch(Outer::<true> { network, plan, stage, work })
        } else {
            Arch::new().dispatch(Outer::<false> { network, plan, stage, work })
        }
    }
}

/// The largest residual.
fn largest(left: &[Left]) -> f64 {
    let residuals = left.iter().map(|left| left.residual());
    // Unlike `max`, this keeps what is not a number.
    residuals.fold(0.0, |most, residual| if residual <= most { most } else { residual })
}

/// The polynomial by which the iterations of a correction reduce what is left over.
///
/// Its roots are those of the polynomial that conjugate gradients found for another vector of the same network: the
/// hybrid of Nachtigal, Reichel and Trefethen (SIAM J. Matrix Anal. Appl. 13, 796, 1992, 10.1137/0613050). The spectrum
/// of `T` lies close to 0 but for a few values; such roots hit those, where Chebyshev's spread over the whole range.
#[derive(Clone, Debug)]
struct Polynomial {
    /// Without the smallest, in the place of which stands a root 0 in every correction.
    roots: Vec<f64>,
    /// Logarithm of the reduction by one factor.
    folds: f64,
}

impl Polynomial {
    /// How many factors the next correction takes to reduce the residual to `share` of it, in equal parts if single
    /// precision cannot do so at once; an odd number, so that a correction ends in the direction in which a refinement
    /// began.
    fn factors(&self, share: f64, rounding: f64) -> usize {
        let all = -share.ln();
        let most = (-rounding.ln()).min(MAX_FACTORS * self.folds);
        let factors = all / (all / most).ceil().max(1.0) / self.folds;
        2 * ((factors - 1.0) / 2.0).ceil().max(0.0) as usize + 1
    }
}

/// The roots of the residual polynomial of conjugate gradients, in terms of `T`: 1 less the eigenvalues of its
/// tridiagonal matrix. In Leja's order, each as far from all before as may be, so that what one factor amplifies
/// others have damped.
fn roots(steps: &[Step]) -> Vec<f64> {
    let mut left: Vec<f64> =
        ritz_values(steps).into_iter().map(|value| (1.0 - value).clamp(0.0, 0.9999)).collect();
    // Ascending, these are the largest eigenvalue first; the root 0 of every correction stands for it.
    left.sort_by(f64::total_cmp);
    left.drain(..1.min(left.len()));
    let mut roots = vec![0.0];
    while !left.is_empty() {
        let spread = |root: f64| roots.iter().map(|r| (root - r).abs()).product::<f64>();
        let far = (0..left.len()).max_by(|&a, &b| spread(left[a]).total_cmp(&spread(left[b])));
        roots.push(left.swap_remove(far.expect("there are roots left")));
    }
    // With nothing learnt, the root 0 is all there is.
    if roots.len() > 1 { roots.split_off(1) } else { roots }
}

/// Eigenvalues of the tridiagonal matrix of conjugate gradients (Golub and Van Loan, Matrix Computations, 10.2), each by
/// bisection on the number of negative pivots.
fn ritz_values(steps: &[Step]) -> Vec<f64> {
    let mut diagonal = Vec::with_capacity(steps.len());
    let mut squares = vec![0.0];
    for (n, step) in steps.iter().enumerate() {
        let carried = if n == 0 { 0.0 } else { step.beta / steps[n - 1].alpha };
        diagonal.push(1.0 / step.alpha + carried);
        if let Some(next) = steps.get(n + 1) {
            squares.push(next.beta / (step.alpha * step.alpha));
        }
    }
    let below = |value: f64| {
        let mut pivot = 1.0;
        let pivots = diagonal.iter().zip(&squares).map(|(d, square)| {
            pivot = d - value - square / pivot;
            if pivot == 0.0 {
                pivot = f64::MIN_POSITIVE;
            }
            pivot
        });
        pivots.filter(|pivot| *pivot < 0.0).count()
    };
    // `M_s^-1 S` has its spectrum in (0, 1].
    (0..steps.len())
        .map(|n| {
            let (mut low, mut high) = (0.0, 1.0 + 1e-9);
            for _ in 0..50 {
                let middle = 0.5 * (low + high);
                if below(middle) > n { high = middle } else { low = middle }
            }
            0.5 * (low + high)
        })
        .collect()
}

/// The arrays of a block of [`LANES`] vectors, interleaved: vector by vector within cells, and cells in the order of
/// [`Plan::double`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    /// Voltages of the drivers.
    sources: Aligned<f64>,
    /// Currents out of the sensed lines.
    outputs: Aligned<f64>,
    /// Amperes of a unit in single precision.
    unit: Double,
    /// `y`, eliminated along the sensed lines in the direction of the last refinement.
    currents: Aligned<f64>,
    /// The correction, eliminated in the direction of the last pass, and what it is to remove.
    correction: Aligned<f32>,
    left: Aligned<f32>,
    double: Scratch<f64>,
    single: Scratch<f32>,
}

/// What passes along the rows.
#[derive(Clone, Debug, Default)]
struct Scratch<T> {
    /// A group of the driven lines' currents and of the sensed lines' voltages.
    nodes: Aligned<T>,
    volts: Aligned<T>,
    /// Of the row before, the voltages and the currents that are being eliminated.
    point: Aligned<T>,
    carry: Aligned<T>,
}

impl<T: Copy + Default> Scratch<T> {
    fn resize(&mut self, cols: usize) {
        for group in [&mut self.nodes, &mut self.volts] {
            group.resize(cols * ROWS * LANES);
        }
        for row in [&mut self.point, &mut self.carry] {
            row.resize(cols * LANES);
        }
    }

    fn clear(&mut self) {
        for row in [&mut self.point, &mut self.carry] {
            row.slice().fill(T::default());
        }
    }
}

/// Numbers that begin at the beginning of a cache line, so that no register straddles two.
#[derive(Clone, Debug, Default)]
struct Aligned<T>(Vec<T>);

impl<T: Copy + Default> Aligned<T> {
    const LINE: usize = 64;
    const SLACK: usize = Self::LINE / size_of::<T>();

    fn resize(&mut self, length: usize) {
        self.0.resize(length + Self::SLACK, T::default());
    }

    #[inline(always)]
    fn slice(&mut self) -> &mut [T] {
        let length = self.0.len() - Self::SLACK;
        let start = self.0.as_ptr().align_offset(Self::LINE).min(Self::SLACK);
        &mut self.0[start..start + length]
    }

    #[inline(always)]
    fn cells(&mut self) -> &mut [[T; LANES]] {
        self.slice().as_chunks_mut().0
    }
}

impl Work {
    pub(crate) fn resize(&mut self, network: &Network) {
        let Network { rows, cols, .. } = *network;
        let groups = rows.div_ceil(ROWS);
        let all = groups * (cols + GAP) * ROWS * LANES;
        self.sources.resize(groups * ROWS * LANES);
        self.outputs.resize(cols * LANES);
        self.currents.resize(all);
        self.correction.resize(all);
        self.left.resize(all);
        self.double.resize(cols);
        self.single.resize(cols);
    }

    /// Voltages of the drivers, line by line of the network.
    pub(crate) fn sources(&mut self) -> &mut [Double] {
        self.sources.cells()
    }

    /// Currents out of the sensed lines of the network.
    pub(crate) fn outputs(&mut self) -> &mut [Double] {
        self.outputs.cells()
    }

    /// Single precision counts currents in those of the largest cell at the largest voltage of its vector.
    fn rescale(&mut self, g_most: f64) {
        let sources = self.sources.cells();
        let largest = |k: usize| sources.iter().fold(0.0_f64, |most, v| most.max(v[k].abs()));
        let unit = std::array::from_fn(|k| g_most * largest(k));
        self.unit = unit.map(|unit: f64| if unit > 0.0 { unit } else { 1.0 });
    }
}

/// Where a pass `DOWN` the rows or up is.
struct Place {
    /// The group, and the one ahead.
    group: usize,
    ahead: Option<usize>,
    /// Which of the rows comes first of all.
    first: Option<usize>,
}

/// The places of a pass over `rows`, in order.
#[inline(always)]
fn places<const DOWN: bool>(rows: usize) -> impl Iterator<Item = Place> {
    let groups = rows.div_ceil(ROWS);
    let at = move |n: usize| if DOWN { n } else { groups - 1 - n };
    (0..groups).map(move |n| Place {
        group: at(n),
        ahead: (n + 1 < groups).then(|| at(n + 1)),
        first: (n == 0).then_some(if DOWN { 0 } else { (rows - 1) % ROWS }),
    })
}

/// The rows of a group in the order of a pass.
#[inline(always)]
fn in_order<const DOWN: bool>() -> [usize; ROWS] {
    std::array::from_fn(|n| if DOWN { n } else { ROWS - 1 - n })
}

/// The group of `place` as it changes, and the one ahead; if there is none, whatever stands in has no share.
#[inline(always)]
fn changing<'a, T>(
    array: &'a mut [T],
    size: usize,
    place: &Place,
    cols: usize,
) -> (&'a mut [T], Option<&'a [T]>) {
    let (before, rest) = array.split_at_mut(place.group * size);
    let (here, after) = rest.split_at_mut(size);
    let ahead = place
        .ahead
        .map(|ahead| if ahead > place.group { &after[..cols] } else { &before[ahead * size..][..cols] });
    (&mut here[..cols], ahead)
}

/// Ohms before the first and between other nodes of the sensed lines: before the first row going down stands an open
/// end, whose share is a resistance already.
fn sensed_ohms<const DOWN: bool>(network: &Network) -> [f64; 2] {
    let sensed = &network.sensed;
    [if DOWN { 1.0 } else { sensed.terminal_ohm }, sensed.segment_ohm]
}

/// Numbers as [`LANES`] vectors in `K` registers, cell by cell.
#[inline(always)]
fn singles<S: Simd, const K: usize>(values: &mut [f32]) -> &mut [[S::f32s; K]] {
    S::as_mut_simd_f32s(values).0.as_chunks_mut().0
}

/// [`singles`], in double precision.
#[inline(always)]
fn doubles<S: Simd, const K: usize>(values: &mut [f64]) -> &mut [[S::f64s; K]] {
    S::as_mut_simd_f64s(values).0.as_chunks_mut().0
}

/// One step of a correction, `DOWN` the rows or up.
struct Inner<'a, const DOWN: bool> {
    network: &'a Network,
    plan: &'a Plan,
    tau: f32,
    work: &'a mut Work,
}

impl<const DOWN: bool> WithSimd for Inner<'_, DOWN> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            8 => self.pass::<S, 1>(simd),
            4 => self.pass::<S, 2>(simd),
            2 => self.pass::<S, 4>(simd),
            1 => self.pass::<S, 8>(simd),
            _ => self.pass::<Scalar, 8>(Scalar::new()),
        }
    }
}

impl<const DOWN: bool> Inner<'_, DOWN> {
    /// The pass with [`LANES`] vectors in `K` registers.
    #[inline(always)]
    fn pass<S: Simd, const K: usize>(self, simd: S) {
        let Self { network, plan, tau, work } = self;
        let (cols, size) = (network.cols, network.cols + GAP);
        let tau = simd.splat_f32s(tau);
        let sensed_ohms = sensed_ohms::<DOWN>(network).map(|ohm| simd.splat_f32s(ohm as f32));
        let driven_ohms = [network.driven.terminal_ohm, network.driven.segment_ohm];
        let driven_ohms = driven_ohms.map(|ohm| simd.splat_f32s(ohm as f32));
        work.single.clear();
        let point = singles::<S, K>(work.single.point.slice());
        let carry = singles::<S, K>(work.single.carry.slice());
        let nodes = singles::<S, K>(work.single.nodes.slice()).as_chunks_mut::<ROWS>().0;
        let left = singles::<S, K>(work.left.slice()).as_chunks::<ROWS>().0;
        let correction = singles::<S, K>(work.correction.slice()).as_chunks_mut::<ROWS>().0;
        let zero = [[simd.splat_f32s(0.0); K]; ROWS];
        for place in places::<DOWN>(network.rows) {
            let cells = &plan.single[place.group * cols..][..cols];
            let left = &left[place.group * size..][..cols];
            let (j, ahead) = changing(correction, size, &place, cols);
            let ahead = ahead.unwrap_or(left);

            let r: [S::f32s; ROWS] =
                std::array::from_fn(|n| sensed_ohms[usize::from(place.first != Some(n))]);
            let mut flow = zero;
            for (((point, node), j), cells) in point.iter_mut().zip(&mut *nodes).zip(&*j).zip(cells).rev() {
                let [back, ..] = cells.shares::<DOWN>();
                let mut x = *point;
                for n in in_order::<DOWN>() {
                    let back = simd.splat_f32s(back[n]);
                    let (g, a) = (simd.splat_f32s(cells.g[n]), simd.splat_f32s(cells.driven[n]));
                    for k in 0..K {
                        x[k] = simd.mul_f32s(back, simd.mul_add_e_f32s(r[n], j[n][k], x[k]));
                        node[n][k] = simd.mul_add_e_f32s(g, x[k], flow[n][k]);
                        flow[n][k] = simd.mul_f32s(a, node[n][k]);
                    }
                }
                *point = x;
            }

            let mut v = zero;
            let mut r = driven_ohms[0];
            let along = carry.iter_mut().zip(&*nodes).zip(j).zip(ahead).zip(left).zip(cells);
            for (((((carry, node), j), ahead), left), cells) in along {
                let [_, ahead_shares, behind_shares] = cells.shares::<DOWN>();
                let mut here = *carry;
                for n in in_order::<DOWN>() {
                    let (g, a) = (simd.splat_f32s(cells.g[n]), simd.splat_f32s(cells.driven[n]));
                    let ahead_share = simd.splat_f32s(ahead_shares[n]);
                    let behind_share = simd.splat_f32s(behind_shares[n]);
                    let ahead = next::<_, DOWN>(n, j, ahead);
                    for k in 0..K {
                        v[n][k] = simd.mul_f32s(a, simd.mul_add_e_f32s(r, node[n][k], v[n][k]));
                        // `j` was eliminated against this direction: what a row brought in is its own less what came
                        // from ahead.
                        let d = simd.negate_mul_add_e_f32s(ahead_share, ahead[k], j[n][k]);
                        let rest = simd.sub_f32s(simd.mul_add_e_f32s(g, v[n][k], left[n][k]), d);
                        let d = simd.mul_add_e_f32s(tau, rest, d);
                        here[k] = simd.mul_add_e_f32s(behind_share, here[k], d);
                        j[n][k] = here[k];
                    }
                }
                *carry = here;
                r = driven_ohms[1];
            }
        }
    }
}

/// The row ahead of row `n` of the group `here`.
#[inline(always)]
fn next<T: Copy, const DOWN: bool>(n: usize, here: &[T; ROWS], ahead: &[T; ROWS]) -> T {
    match (DOWN, n) {
        (true, n) if n + 1 < ROWS => here[n + 1],
        (true, _) => ahead[0],
        (false, 0) => ahead[ROWS - 1],
        (false, n) => here[n - 1],
    }
}

/// What `y` is when a refinement begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// 0.
    Start,
    /// The first correction.
    First,
    /// What it was, and another correction.
    Later,
}

/// Adds the correction to `y`, then computes the output currents, what is left over, and the first step of the next
/// correction, `DOWN` the rows or up; returns what is left over.
struct Outer<'a, const DOWN: bool> {
    network: &'a Network,
    plan: &'a Plan,
    stage: Stage,
    work: &'a mut Work,
}

impl<const DOWN: bool> WithSimd for Outer<'_, DOWN> {
    type Output = [Left; LANES];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [Left; LANES] {
        match S::F64_LANES {
            8 => self.pass::<S, 1>(simd),
            4 => self.pass::<S, 2>(simd),
            2 => self.pass::<S, 4>(simd),
            _ => self.pass::<Scalar, 8>(Scalar::new()),
        }
    }
}

impl<const DOWN: bool> Outer<'_, DOWN> {
    /// The pass with [`LANES`] vectors in `K` registers.
    #[inline(always)]
    fn pass<S: Simd, const K: usize>(self, simd: S) -> [Left; LANES] {
        let Self { network, plan, stage, work } = self;
        work.double.clear();
        work.single.clear();
        work.outputs.slice().fill(0.0);
        let mut squares = [[0.0; LANES]; 3];
        for place in places::<DOWN>(network.rows) {
            if place.first.is_some() {
                settle::<S, K>(simd, stage, place.group, network.cols, work);
            }
            if let Some(ahead) = place.ahead {
                settle::<S, K>(simd, stage, ahead, network.cols, work);
            }
            let squares = squares.each_mut().map(|squares| &mut doubles::<S, K>(squares)[0]);
            if stage == Stage::Start {
                refine::<S, K, DOWN, true>(simd, network, plan, &place, work, squares);
            } else {
                refine::<S, K, DOWN, false>(simd, network, plan, &place, work, squares);
            }
        }
        let [over, cells, gross] = squares;
        std::array::from_fn(|k| Left { over: over[k], cells: cells[k], gross: gross[k] })
    }
}

/// Adds the correction of one group of rows.
#[inline(always)]
fn settle<S: Simd, const K: usize>(simd: S, stage: Stage, group: usize, cols: usize, work: &mut Work) {
    let start = group * (cols + GAP) * ROWS;
    let unit = doubles::<S, K>(&mut work.unit)[0];
    let currents = &mut doubles::<S, K>(work.currents.slice())[start..][..cols * ROWS];
    let correction = &work.correction.cells()[start..][..cols * ROWS];
    let double = |d: &[f32; LANES]| doubles::<S, K>(&mut d.map(f64::from))[0];
    let along = currents.iter_mut().zip(correction);
    match stage {
        Stage::Start => {}
        Stage::First => {
            for (j, d) in along {
                let d = double(d);
                *j = std::array::from_fn(|k| simd.mul_f64s(unit[k], d[k]));
            }
        }
        Stage::Later => {
            for (j, d) in along {
                let d = double(d);
                *j = std::array::from_fn(|k| simd.mul_add_e_f64s(unit[k], d[k], j[k]));
            }
        }
    }
}

/// Computes what one group of rows leaves over and its part of the output currents, takes the first step of the next
/// correction, and eliminates `y` in the direction of the pass. At the `START`, `y` is 0.
#[inline(always)]
fn refine<S: Simd, const K: usize, const DOWN: bool, const START: bool>(
    simd: S,
    network: &Network,
    plan: &Plan,
    place: &Place,
    work: &mut Work,
    [over, through, gross]: [&mut [S::f64s; K]; 3],
) {
    let (cols, size) = (network.cols, network.cols + GAP);
    let sensed_ohms = sensed_ohms::<DOWN>(network).map(|ohm| simd.splat_f64s(ohm));
    let driven_ohms = [network.driven.terminal_ohm, network.driven.segment_ohm];
    let driven_ohms = driven_ohms.map(|ohm| simd.splat_f64s(ohm));
    let far = simd.splat_f64s(network.driven.far_siemens);
    let sources = doubles::<S, K>(work.sources.slice()).as_chunks::<ROWS>().0[place.group];
    let point = doubles::<S, K>(work.double.point.slice());
    let nodes = doubles::<S, K>(work.double.nodes.slice()).as_chunks_mut::<ROWS>().0;
    let volts = doubles::<S, K>(work.double.volts.slice()).as_chunks_mut::<ROWS>().0;
    let currents = doubles::<S, K>(work.currents.slice()).as_chunks_mut::<ROWS>().0;
    let cells = &plan.double[place.group * cols..][..cols];
    let (j, ahead) = changing(currents, size, place, cols);

    let r: [S::f64s; ROWS] = std::array::from_fn(|n| sensed_ohms[usize::from(place.first != Some(n))]);
    let mut flow: [[S::f64s; K]; ROWS] =
        std::array::from_fn(|n| std::array::from_fn(|k| simd.mul_f64s(far, sources[n][k])));
    let along = point.iter_mut().zip(&mut *nodes).zip(&mut *volts).zip(&*j).zip(cells).rev();
    for ((((point, node), volts), j), cells) in along {
        let [back, ..] = cells.shares::<DOWN>();
        let mut x = *point;
        for n in in_order::<DOWN>() {
            let back = simd.splat_f64s(back[n]);
            let (g, a) = (simd.splat_f64s(cells.g[n]), simd.splat_f64s(cells.driven[n]));
            for k in 0..K {
                if START {
                    node[n][k] = flow[n][k];
                } else {
                    x[k] = simd.mul_f64s(back, simd.mul_add_e_f64s(r[n], j[n][k], x[k]));
                    volts[n][k] = x[k];
                    node[n][k] = simd.mul_add_e_f64s(g, x[k], flow[n][k]);
                }
                flow[n][k] = simd.mul_f64s(a, node[n][k]);
            }
        }
        *point = x;
    }

    let volts = &*volts;
    let ahead = ahead.unwrap_or(volts);
    let per_unit = doubles::<S, K>(&mut work.unit.map(f64::recip))[0];
    let outputs = doubles::<S, K>(work.outputs.slice());
    let carry = doubles::<S, K>(work.double.carry.slice());
    let left = &mut work.left.cells().as_chunks_mut::<ROWS>().0[place.group * size..][..cols];
    let correction = &mut work.correction.cells().as_chunks_mut::<ROWS>().0[place.group * size..][..cols];
    let begun = left
        .iter_mut()
        .zip(correction)
        .zip(work.single.carry.cells())
        .zip(&plan.single[place.group * cols..]);
    let mut v = sources;
    let mut r = driven_ohms[0];
    let along = outputs.iter_mut().zip(carry).zip(nodes).zip(volts).zip(j).zip(ahead).zip(cells).zip(begun);
    for (((((((output, carry), node), x), j), ahead), cells), begun) in along {
        let (((left, correction), carry_single), cells_single) = begun;
        let [_, ahead_shares, behind_shares] = cells.shares::<DOWN>();
        let [.., behind_shares_single] = cells_single.shares::<DOWN>();
        for n in in_order::<DOWN>() {
            let (g, a) = (simd.splat_f64s(cells.g[n]), simd.splat_f64s(cells.driven[n]));
            let ahead_share = simd.splat_f64s(ahead_shares[n]);
            let behind_share = simd.splat_f64s(behind_shares[n]);
            let ahead = next::<_, DOWN>(n, j, ahead);
            let mut scaled = [0.0; LANES];
            for (k, scaled) in doubles::<S, K>(&mut scaled)[0].iter_mut().enumerate() {
                v[n][k] = simd.mul_f64s(a, simd.mul_add_e_f64s(r, node[n][k], v[n][k]));
                let mut rest = simd.mul_f64s(g, v[n][k]);
                gross[k] = simd.mul_add_e_f64s(rest, rest, gross[k]);
                if START {
                    through[k] = gross[k];
                    output[k] = simd.add_f64s(rest, output[k]);
                } else {
                    let i = simd.mul_f64s(g, simd.sub_f64s(v[n][k], x[n][k]));
                    through[k] = simd.mul_add_e_f64s(i, i, through[k]);
                    output[k] = simd.add_f64s(i, output[k]);
                    // `y` is its elimination less what came from the row ahead.
                    let y = simd.negate_mul_add_e_f64s(ahead_share, ahead[k], j[n][k]);
                    rest = simd.sub_f64s(rest, y);
                    carry[k] = simd.mul_add_e_f64s(behind_share, carry[k], y);
                    j[n][k] = carry[k];
                }
                over[k] = simd.mul_add_e_f64s(rest, rest, over[k]);
                *scaled = simd.mul_f64s(rest, per_unit[k]);
            }
            left[n] = scaled.map(|scaled| scaled as f32);
            *carry_single = axpy(behind_shares_single[n], *carry_single, left[n]);
            correction[n] = *carry_single;
        }
        r = driven_ohms[1];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_conjugate_gradients_tell_the_eigenvalues() {
        // Of diag(0.5, 1) and (1, 1), by hand.
        let steps = [Step { alpha: 4.0 / 3.0, beta: 0.0 }, Step { alpha: 1.5, beta: 1.0 / 9.0 }];
        for (found, exact) in ritz_values(&steps).iter().zip([0.5, 1.0]) {
            assert!((found - exact).abs() < 1e-8, "{found}");
        }
        // 1 - 1 = 0 is the root of every correction; 1 - 0.5 is left.
        let roots = roots(&steps);
        assert!(roots.len() == 1 && (roots[0] - 0.5).abs() < 1e-8, "{roots:?}");
    }

    #[test]
    fn corrections_are_as_long_as_needed_and_odd() {
        let polynomial = Polynomial { roots: vec![0.5], folds: 2.0 };
        // A share of e^-4 takes two factors; e^-20 more than single precision gives at once, so two of five.
        assert_eq!(polynomial.factors((-4.0_f64).exp(), 1e-6), 3);
        assert_eq!(polynomial.factors((-20.0_f64).exp(), 1e-6), 5);
        assert_eq!(polynomial.factors(0.9, 1e-6), 1);
    }
}
