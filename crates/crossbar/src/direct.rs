//! A direct solve, for circuits on which the iteration of [`crate::gradient`] does not come down to its tolerance.
//!
//! The lines of one direction are crossed one by one, from the far ends of the lines *along* the way to their near
//! terminals; the shorter side lies *across*. All that lies behind is, seen from the front nodes of the lines along, a
//! network of conductances among them and to known potentials in parallel with injected currents: `Y x = J`. With one
//! more line across, which adds conductances and currents, and one more segment `r` of every line along,
//!
//! ```text
//! A = (1 + r Y)^-1      Y' = A Y      J' = A J      and back      x = A (x' + r J)
//! ```
//!
//! which are the ladders of [`crate::lines`] with matrices for numbers. Like those, nothing is ever subtracted: `1 + r Y`
//! is held as its off-diagonal conductances and what its rows add up to, and inverted so (Grassmann, Taksar and Heyman,
//! Oper. Res. 33, 1107, 1985, 10.1287/opre.33.5.1107; for such matrices in general Alfa, Xue and Ye, Math. Comp. 71, 217,
//! 2002, 10.1090/S0025-5718-01-01325-4). So every entry keeps its relative precision, however far apart the resistances
//! of wires and cells lie.

use std::collections::TryReserveError;

use pulp::{Arch, Simd, WithSimd};

use crate::gradient::dot;
use crate::lines::{Network, solve_driven};

/// A network eliminated line by line.
#[derive(Clone, Debug)]
pub(crate) struct Direct {
    /// The network with its driven and sensed lines exchanged, where the sensed ones are more.
    mirrored: Option<Network>,
    /// `A` of every line across; empty for 1, where a segment along has no resistance.
    steps: Vec<Packed>,
    /// `J` of every line across.
    currents: Vec<f64>,
    /// Voltages of the lines along.
    volts: Vec<f64>,
}

impl Direct {
    /// Bytes that an elimination and its solves take.
    pub(crate) fn bytes(rows: usize, cols: usize) -> u64 {
        let (long, short) = (rows.max(cols) as u64, rows.min(cols) as u64);
        let packed = short.saturating_mul(short.saturating_add(1)) / 2;
        // A step for every line across and the front; the mirrored network 3, currents and voltages 2, those injected 2.
        let cells = long.saturating_mul(short).saturating_mul(7);
        let floats = long.saturating_add(1).saturating_mul(packed).saturating_add(cells);
        floats.saturating_mul(size_of::<f64>() as u64)
    }

    /// Eliminates `network`.
    ///
    /// # Errors
    /// There is no memory left.
    pub(crate) fn new(network: &Network) -> Result<Self, TryReserveError> {
        let mirrored = (network.cols > network.rows).then(|| network.mirrored());
        let turned = mirrored.as_ref().unwrap_or(network);
        let Network { rows, cols, driven: across, sensed: along, .. } = turned;
        let mut steps = Vec::new();
        steps.try_reserve_exact(*rows)?;
        let mut front = Packed::new(*cols)?;
        // Conductances of the front nodes to known potentials.
        let mut ground = vec![along.far_siemens; *cols];
        let (mut flows, mut spare) = (vec![0.0; *cols], vec![0.0; *cols]);
        for row in 0..*rows {
            let cells = row * cols..(row + 1) * cols;
            let (g, a) = (&turned.g[cells.clone()], &across.a[cells]);
            // With 1 V at its terminals and 0 V at all front nodes, a cell carries its conductance to the source.
            spare.fill(0.0);
            solve_driven::<1, 1>(across, a, *cols, Some(&[[1.0]]), spare.as_chunks_mut::<1>().0);
            for ((ground, g), v) in ground.iter_mut().zip(g).zip(&spare) {
                *ground += g * v;
            }
            front.add_line(across.terminal_ohm, across.segment_ohm, g, a, &mut flows);
            let r = if row + 1 == *rows { along.terminal_ohm } else { along.segment_ohm };
            if r == 0.0 {
                steps.push(Packed::default());
                continue;
            }
            let mut step = Packed::new(*cols)?;
            for (to, from) in step.0.iter_mut().zip(&front.0) {
                *to = r * from;
            }
            for (k, ground) in ground.iter().enumerate() {
                step.row_mut(k)[k] = 1.0 + r * ground;
            }
            step.invert(&mut spare);
            for (to, from) in front.0.iter_mut().zip(&step.0) {
                *to = from / r;
            }
            step.apply(&mut ground, &mut spare);
            steps.push(step);
        }
        let cells = rows * cols;
        Ok(Self { steps, currents: vec![0.0; cells], volts: vec![0.0; cells], mirrored })
    }

    /// Voltages of the sensed lines into `x`, for the voltages `sources` of the drivers and `injected` currents from every
    /// driven to its sensed node.
    pub(crate) fn solve(
        &mut self,
        network: &Network,
        sources: &[f64],
        injected: Option<&[f64]>,
        x: &mut [f64],
    ) {
        let Some(mirrored) = self.mirrored.take() else {
            let grounds = vec![0.0; network.cols];
            self.pass(network, sources, &grounds, injected, -1.0);
            x.copy_from_slice(&self.volts);
            return;
        };
        let turned = injected.map(|injected| network.mirror(injected));
        let terminals: Vec<f64> = sources.iter().rev().copied().collect();
        let grounds = vec![0.0; mirrored.rows];
        self.pass(&mirrored, &grounds, &terminals, turned.as_deref(), 1.0);
        // The sensed lines lie across: one more time for the voltages of the driven ones.
        for (cell, v) in self.volts.iter_mut().enumerate() {
            *v = mirrored.g[cell] * *v + turned.as_ref().map_or(0.0, |c| c[cell]);
        }
        let nodes = self.volts.as_chunks_mut::<1>().0;
        solve_driven::<1, 8>(&mirrored.driven, &mirrored.driven.a, mirrored.cols, None, nodes);
        x.copy_from_slice(&mirrored.mirror(&self.volts));
        self.mirrored = Some(mirrored);
    }

    /// Voltages of the lines along into `volts`: terminals of the lines across at `sources`, of those along at
    /// `terminals`, and `sign` times `injected` flowing into the lines across out of those along.
    fn pass(
        &mut self,
        turned: &Network,
        sources: &[f64],
        terminals: &[f64],
        injected: Option<&[f64]>,
        sign: f64,
    ) {
        let Network { cols, driven: across, sensed: along, .. } = turned;
        let cols = *cols;
        let mut front: Vec<f64> = terminals.iter().map(|v| along.far_siemens * v).collect();
        let (mut line, mut spare) = (vec![0.0; cols], vec![0.0; cols]);
        for (row, (step, source)) in self.steps.iter().zip(sources).enumerate() {
            let cells = row * cols..(row + 1) * cols;
            match injected {
                Some(injected) => {
                    for (node, c) in line.iter_mut().zip(&injected[cells.clone()]) {
                        *node = sign * c;
                    }
                }
                None => line.fill(0.0),
            }
            let a = &across.a[cells.clone()];
            solve_driven::<1, 1>(across, a, cols, Some(&[[*source]]), line.as_chunks_mut::<1>().0);
            for ((front, node), g) in front.iter_mut().zip(&line).zip(&turned.g[cells.clone()]) {
                *front += g * node;
            }
            if let Some(injected) = injected {
                for (front, c) in front.iter_mut().zip(&injected[cells.clone()]) {
                    *front -= sign * c;
                }
            }
            self.currents[cells].copy_from_slice(&front);
            step.apply(&mut front, &mut spare);
        }
        let mut v = terminals.to_vec();
        let mut r = along.terminal_ohm;
        for (row, step) in self.steps.iter().enumerate().rev() {
            let cells = row * cols..(row + 1) * cols;
            for (v, current) in v.iter_mut().zip(&self.currents[cells.clone()]) {
                *v += r * current;
            }
            step.apply(&mut v, &mut spare);
            self.volts[cells].copy_from_slice(&v);
            r = along.segment_ohm;
        }
    }
}

/// The lower triangle of a symmetric matrix of entries that are not negative, row by row.
#[derive(Clone, Debug, Default)]
struct Packed(Vec<f64>);

impl Packed {
    fn new(size: usize) -> Result<Self, TryReserveError> {
        let entries = size * (size + 1) / 2;
        let mut packed = Vec::new();
        packed.try_reserve_exact(entries)?;
        packed.resize(entries, 0.0);
        Ok(Self(packed))
    }

    fn row_mut(&mut self, k: usize) -> &mut [f64] {
        &mut self.0[k * (k + 1) / 2..][..=k]
    }

    /// Adds the conductances among the nodes beyond the cells `g` of a line with the shares `a`, which is eliminated; the
    /// diagonal stays as it is.
    ///
    /// 1 A into node `j` of the line raises node `k` farther out by `z[j] a[j+1] ... a[k]` and itself by
    /// `z[j] = a[j] (r[j] + a[j] z[j-1])`.
    fn add_line(&mut self, terminal_ohm: f64, segment_ohm: f64, g: &[f64], a: &[f64], flows: &mut [f64]) {
        let (mut z, mut r) = (0.0, terminal_ohm);
        for (k, (&g, &a)) in g.iter().zip(a).enumerate() {
            for (entry, flow) in self.row_mut(k).iter_mut().zip(&mut flows[..k]) {
                *flow *= a;
                *entry += g * *flow;
            }
            z = a * (r + a * z);
            r = segment_ohm;
            flows[k] = g * z;
        }
    }

    /// Inverts the matrix whose off-diagonal entries are *minus* those of `self` and whose rows add up to the diagonal of
    /// `self`, which is positive.
    fn invert(&mut self, spare: &mut [f64]) {
        Arch::new().dispatch(Invert { matrix: &mut self.0, spare });
    }

    /// Multiplies `x` by the matrix.
    fn apply(&self, x: &mut [f64], spare: &mut [f64]) {
        if self.0.is_empty() {
            return;
        }
        let mut rest = &self.0[..];
        for k in 0..x.len() {
            let (row, below) = rest.split_at(k + 1);
            rest = below;
            for (sum, entry) in spare[..k].iter_mut().zip(row) {
                *sum += entry * x[k];
            }
            spare[k] = dot(row, &x[..=k]);
        }
        x.copy_from_slice(spare);
    }
}

struct Invert<'a> {
    matrix: &'a mut [f64],
    spare: &'a mut [f64],
}

impl WithSimd for Invert<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { matrix, spare } = self;
        let size = spare.len();
        let start = |k: usize| k * (k + 1) / 2;
        // From star to mesh, the last node first: its row holds all the conductances that it has left.
        for k in (0..size).rev() {
            let (before, row) = matrix.split_at_mut(start(k));
            let (row, own) = row[..=k].split_at_mut(k);
            let excess = own[0];
            let pivot = excess + row.iter().sum::<f64>();
            for (j, flow) in row.iter().enumerate() {
                let share = flow / pivot;
                let (entries, own) = before[start(j)..=start(j) + j].split_at_mut(j);
                for (entry, flow) in entries.iter_mut().zip(&*row) {
                    *entry += share * flow;
                }
                own[0] += share * excess;
            }
            for flow in row {
                *flow /= pivot;
            }
            own[0] = pivot;
        }
        // The inverse of what was left before node `k` is the leading part of the whole inverse.
        for k in 0..size {
            let (before, row) = matrix.split_at_mut(start(k));
            let (row, own) = row[..=k].split_at_mut(k);
            let mut rest = &*before;
            for j in 0..k {
                let (entries, below) = rest.split_at(j + 1);
                rest = below;
                for (sum, entry) in spare[..j].iter_mut().zip(entries) {
                    *sum += entry * row[j];
                }
                spare[j] = dot(entries, &row[..=j]);
            }
            own[0] = own[0].recip() + dot(row, &spare[..k]);
            row.copy_from_slice(&spare[..k]);
        }
    }
}
