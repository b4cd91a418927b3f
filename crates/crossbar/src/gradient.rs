//! One right-hand side: preconditioned conjugate gradients on the voltages of the sensed lines.
//!
//! The driven lines are eliminated exactly, which leaves `S x = f` with `S = M_s - D M_d^-1 D`, where `M` are the
//! matrices of the lines with their cells and `D` the conductances of the cells. `M_s` is the preconditioner, so one
//! iteration solves every line once; as `M_s z = r` by construction, `S z = r - D M_d^-1 D z` needs no difference of
//! voltages along a wire. In the arrangement of Chronopoulos and Gear (J. Comput. Appl. Math. 25, 153, 1989,
//! 10.1016/0377-0427(89)90045-9) both scalar products fall into one pass, and an iteration is one pass up the rows and
//! one down.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::lines::{Network, solve_driven};
use crate::solve::Settings;

/// Rows solved abreast.
const ROWS: usize = 8;

/// Vectors of the size of the array, in the order of the [`Network`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    /// Voltages of the drivers.
    pub(crate) sources: Vec<f64>,
    /// Voltages of the sensed lines' nodes: the unknowns.
    pub(crate) x: Vec<f64>,
    /// After a sweep: voltages of the driven lines' nodes, exact for `x`. Within an iteration: `S z`.
    pub(crate) w: Vec<f64>,
    /// Current left over at the nodes of the sensed lines.
    r: Vec<f64>,
    /// `M_s^-1 r`; in between, `r` with the sensed lines eliminated downwards.
    z: Vec<f64>,
    /// Search direction.
    p: Vec<f64>,
    /// `S p`.
    s: Vec<f64>,
    /// A few rows.
    group: Vec<f64>,
    /// What the last solve did until it first believed to be done.
    pub(crate) steps: Vec<Step>,
}

/// Length of a step and weight of the direction before, of one iteration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) alpha: f64,
    pub(crate) beta: f64,
}

impl Work {
    /// Makes the vectors fit `network`; `x` keeps what it holds.
    pub(crate) fn resize(&mut self, network: &Network) {
        let cells = network.rows * network.cols;
        for vector in [&mut self.x, &mut self.w, &mut self.r, &mut self.z, &mut self.p, &mut self.s] {
            vector.resize(cells, 0.0);
        }
        self.sources.resize(network.rows, 0.0);
        self.group.resize(ROWS * network.cols, 0.0);
    }
}

/// Solves for `work.sources`, and `injected` currents from every driven node to the sensed node of the same cell, into
/// `work.x` and `work.w`. Starts from `work.x` if `warm`. Returns residual and iterations; where these are used up or
/// numbers overflow, the residual is above the tolerance or not a number.
pub(crate) fn solve(
    network: &Network,
    injected: Option<&[f64]>,
    warm: bool,
    settings: &Settings,
    work: &mut Work,
) -> (f64, usize) {
    let tolerance = settings.tolerance;
    let mut left = sweep(network, injected, warm, work);
    let mut iterations = 1;
    let mut goal = tolerance;
    work.steps.clear();
    while left.residual() > tolerance && iterations < settings.max_iterations {
        iterations += iterate(network, goal * left.reference(), settings.max_iterations - iterations, work);
        // The recursion may have drifted from the truth, and the currents from what they seemed to be; if so, start again
        // from here and go further.
        left = sweep(network, injected, true, work);
        iterations += 1;
        goal *= 0.1;
    }
    (left.residual(), iterations)
}

/// Improves the voltages `work.x` of the sensed lines, which solve the network up to rounding, by exact passes over all
/// lines, for as long as they halve a residual above the tolerance; sets `work.w`. Returns residual and passes.
pub(crate) fn polish(
    network: &Network,
    injected: Option<&[f64]>,
    tolerance: f64,
    work: &mut Work,
) -> (f64, usize) {
    let mut pass = || sweep(network, injected, true, work).residual();
    let (mut residual, mut passes) = (pass(), 1);
    while residual > tolerance {
        let left = pass();
        passes += 1;
        let worth = left < 0.5 * residual;
        residual = left;
        if !worth {
            break;
        }
    }
    (residual, passes)
}

/// What an exact pass finds: squares of 2-norms.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Left {
    /// Of the currents left over at the nodes of the sensed lines.
    pub(crate) over: f64,
    /// Of the currents through the cells.
    pub(crate) cells: f64,
    /// Of what would flow through the cells from their driven lines to 0 V.
    pub(crate) gross: f64,
}

impl Left {
    /// What a residual is measured against, as [`Settings::tolerance`] defines it.
    pub(crate) fn reference(self) -> f64 {
        let rounding = 0.01_f64.powi(2) * self.gross;
        rounding.max(self.cells).min(100.0_f64.powi(2) * self.cells).sqrt()
    }

    /// The residual, no less than rounding lets one know it; no number where the squares overflow.
    pub(crate) fn residual(self) -> f64 {
        if !(self.cells + self.gross).is_finite() {
            return f64::NAN;
        }
        let rounding = f64::EPSILON * self.gross.sqrt();
        let left = self.over.sqrt().max(rounding);
        if left == 0.0 { 0.0 } else { left / self.reference() }
    }
}

/// Conjugate gradients until the norm of `work.r` is at most `goal`; returns the number of iterations.
fn iterate(network: &Network, goal: f64, max_iterations: usize, work: &mut Work) -> usize {
    let restarted = !work.steps.is_empty();
    eliminate(network, work);
    let (mut gamma_old, mut alpha) = (0.0, 0.0);
    for iteration in 0..max_iterations.max(1) {
        let (gamma, delta) = Arch::new().dispatch(Up { network, work });
        if gamma <= 0.0 {
            return iteration;
        }
        let beta = if iteration == 0 { 0.0 } else { gamma / gamma_old };
        alpha = gamma / if iteration == 0 { delta } else { delta - beta * gamma / alpha };
        gamma_old = gamma;
        if !restarted {
            work.steps.push(Step { alpha, beta });
        }
        let square = Arch::new().dispatch(Down { network, first: iteration == 0, alpha, beta, work });
        if square <= goal * goal {
            return iteration + 1;
        }
    }
    max_iterations.max(1)
}

fn groups(rows: usize) -> impl DoubleEndedIterator<Item = Range<usize>> {
    (0..rows.div_ceil(ROWS)).map(move |group| group * ROWS..((group + 1) * ROWS).min(rows))
}

/// Solves the driven lines of the cells `span`.
#[inline(always)]
fn solve_group(network: &Network, span: Range<usize>, sources: Option<&[f64]>, nodes: &mut [f64]) {
    let sources = sources.map(|s| s.as_chunks::<1>().0);
    let nodes = nodes.as_chunks_mut::<1>().0;
    solve_driven::<1, ROWS>(&network.driven, &network.driven.a[span], network.cols, sources, nodes);
}

/// Currents into the driven lines: those through cells from `x`, less those injected.
#[inline(always)]
fn load(nodes: &mut [f64], x: Option<&[f64]>, g: &[f64], injected: Option<&[f64]>) {
    match x {
        Some(x) => {
            for ((node, x), g) in nodes.iter_mut().zip(x).zip(g) {
                *node = g * x;
            }
        }
        None => nodes.fill(0.0),
    }
    if let Some(injected) = injected {
        for (node, c) in nodes.iter_mut().zip(injected) {
            *node -= c;
        }
    }
}

/// Eight partial sums, so that additions need not wait for each other.
#[inline(always)]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a8.iter().zip(b8) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// One exact pass over driven, sensed and driven lines: improves `x`, sets `w` exact for it and `r` to the current left
/// over.
fn sweep(network: &Network, injected: Option<&[f64]>, warm: bool, work: &mut Work) -> Left {
    Arch::new().dispatch(Sweep { network, injected, warm, work })
}

struct Sweep<'a> {
    network: &'a Network,
    injected: Option<&'a [f64]>,
    warm: bool,
    work: &'a mut Work,
}

impl WithSimd for Sweep<'_> {
    type Output = Left;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Left {
        let Self { network, injected, warm, work } = self;
        let cols = network.cols;
        for rows in groups(network.rows) {
            let span = rows.start * cols..rows.end * cols;
            let w = &mut work.w[span.clone()];
            let x = warm.then_some(&work.x[span.clone()]);
            load(w, x, &network.g[span.clone()], injected.map(|c| &c[span.clone()]));
            solve_group(network, span, Some(&work.sources[rows.clone()]), w);
            for row in rows {
                let here = row * cols..(row + 1) * cols;
                let (above, z) = work.z.split_at_mut(here.start);
                let z = &mut z[..cols];
                for ((z, w), g) in z.iter_mut().zip(&work.w[here.clone()]).zip(&network.g[here.clone()]) {
                    *z = g * w;
                }
                if let Some(injected) = injected {
                    for (z, c) in z.iter_mut().zip(&injected[here.clone()]) {
                        *z += c;
                    }
                }
                if row > 0 {
                    let from = here.start - cols..here.start;
                    let a = &network.sensed.a[from.clone()];
                    for ((z, above), a) in z.iter_mut().zip(&above[from]).zip(a) {
                        *z += a * above;
                    }
                }
            }
        }
        let mut left = Left::default();
        for rows in groups(network.rows).rev() {
            let span = rows.start * cols..rows.end * cols;
            substitute(network, rows.clone(), &mut work.z);
            let group = &mut work.group[..span.len()];
            let g = &network.g[span.clone()];
            load(group, Some(&work.z[span.clone()]), g, injected.map(|c| &c[span.clone()]));
            solve_group(network, span.clone(), Some(&work.sources[rows]), group);
            let r = &mut work.r[span.clone()];
            let w = &mut work.w[span.clone()];
            for (((r, w), y), g) in r.iter_mut().zip(&mut *w).zip(&*group).zip(g) {
                *r = g * (*y - *w);
                *w = *y;
            }
            left.over += dot(r, r);
            for (y, g) in group.iter_mut().zip(g) {
                *y *= g;
            }
            left.gross += dot(group, group);
            for ((i, x), g) in group.iter_mut().zip(&work.z[span.clone()]).zip(g) {
                *i -= g * x;
            }
            if let Some(injected) = injected {
                for (i, c) in group.iter_mut().zip(&injected[span]) {
                    *i += c;
                }
            }
            left.cells += dot(group, group);
        }
        std::mem::swap(&mut work.x, &mut work.z);
        left
    }
}

/// From eliminated currents to voltages of the sensed lines, for `rows`; the rows below are done.
#[inline(always)]
fn substitute(network: &Network, rows: Range<usize>, z: &mut [f64]) {
    let cols = network.cols;
    for row in rows.rev() {
        let here = row * cols..(row + 1) * cols;
        let a = &network.sensed.a[here.clone()];
        let (z, below) = z[here.start..].split_at_mut(cols);
        if row + 1 == network.rows {
            for (z, a) in z.iter_mut().zip(a) {
                *z *= a * network.sensed.terminal_ohm;
            }
        } else {
            let r = network.sensed.segment_ohm;
            for ((z, below), a) in z.iter_mut().zip(&below[..cols]).zip(a) {
                *z = a * (below + r * *z);
            }
        }
    }
}

/// Eliminates the sensed lines downwards with `r` injected.
fn eliminate(network: &Network, work: &mut Work) {
    let cols = network.cols;
    work.z[..cols].copy_from_slice(&work.r[..cols]);
    for row in 1..network.rows {
        let here = row * cols;
        let (above, z) = work.z.split_at_mut(here);
        let a = &network.sensed.a[here - cols..here];
        let r = &work.r[here..here + cols];
        for (((z, above), r), a) in z.iter_mut().zip(&above[here - cols..]).zip(r).zip(a) {
            *z = r + a * above;
        }
    }
}

/// Upward half of an iteration: `z = M_s^-1 r` and `w = S z`; returns `r . z` and `w . z`.
struct Up<'a> {
    network: &'a Network,
    work: &'a mut Work,
}

impl WithSimd for Up<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (f64, f64) {
        let Self { network, work } = self;
        let cols = network.cols;
        let (mut gamma, mut delta) = (0.0, 0.0);
        for rows in groups(network.rows).rev() {
            let span = rows.start * cols..rows.end * cols;
            substitute(network, rows, &mut work.z);
            let group = &mut work.group[..span.len()];
            let g = &network.g[span.clone()];
            let z = &work.z[span.clone()];
            load(group, Some(z), g, None);
            solve_group(network, span.clone(), None, group);
            let r = &work.r[span.clone()];
            let w = &mut work.w[span];
            for (((w, r), y), g) in w.iter_mut().zip(r).zip(group).zip(g) {
                *w = r - g * *y;
            }
            gamma += dot(r, z);
            delta += dot(w, z);
        }
        (gamma, delta)
    }
}

/// Downward half of an iteration: new directions, new `x` and `r`, and `r` eliminated into `z`; returns `r . r`.
struct Down<'a> {
    network: &'a Network,
    first: bool,
    alpha: f64,
    beta: f64,
    work: &'a mut Work,
}

impl WithSimd for Down<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let Self { network, first, alpha, beta, work } = self;
        let cols = network.cols;
        let mut residual = 0.0;
        for row in 0..network.rows {
            let here = row * cols..(row + 1) * cols;
            let (above, z) = work.z.split_at_mut(here.start);
            let z = &mut z[..cols];
            let x = &mut work.x[here.clone()];
            let r = &mut work.r[here.clone()];
            let w = &work.w[here.clone()];
            let p = &mut work.p[here.clone()];
            let s = &mut work.s[here.clone()];
            if first {
                p.copy_from_slice(z);
                s.copy_from_slice(w);
            } else {
                for ((p, s), (z, w)) in p.iter_mut().zip(&mut *s).zip(z.iter().zip(w)) {
                    *p = z + beta * *p;
                    *s = w + beta * *s;
                }
            }
            for ((x, r), (p, s)) in x.iter_mut().zip(&mut *r).zip(p.iter().zip(&*s)) {
                *x += alpha * p;
                *r -= alpha * s;
            }
            residual += dot(r, r);
            if row == 0 {
                z.copy_from_slice(r);
            } else {
                let from = here.start - cols..here.start;
                let a = &network.sensed.a[from.clone()];
                for (((z, above), r), a) in z.iter_mut().zip(&above[from]).zip(&*r).zip(a) {
                    *z = r + a * above;
                }
            }
        }
        residual
    }
}
