//! What reads see of the devices, drawn up in memory.

use std::ops::Range;

use bitpulse_core::{State, StateError};

use super::Direction;
use super::digit::{Digit, Shares};

/// The weights as reads in either direction see them. These differ only through wires that end in drivers of another
/// resistance than the sense amplifiers: short of that a linear network is reciprocal, since both directions use the same
/// ends of the lines.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    forward: View,
    /// `None` where it is the forward one.
    backward: Option<View>,
}

/// The weights as reads in one direction see them.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// Input-major, rows padded to the stride of the matrix.
    pub(super) weights: Vec<f32>,
    /// Variance of the read noise of every weight, in the same order; empty where it is the same for all.
    pub(super) variances: Vec<f32>,
    /// Of every digit, what shows through the wires; empty for perfect wires.
    pub(super) shares: Vec<Shares>,
}

impl View {
    /// Draws up the weights of `row`, which fill `padded`; returns the conductance of all its cells, in siemens.
    fn draw_row(&mut self, row: usize, padded: &Range<usize>, digits: &[Digit]) -> f64 {
        let weights = &mut self.weights[padded.clone()];
        weights.fill(0.0);
        if !self.variances.is_empty() {
            self.variances[padded.clone()].fill(0.0);
        }
        let mut siemens = 0.0;
        for (k, digit) in digits.iter().enumerate() {
            let variances = self.variances.get_mut(padded.clone());
            siemens += digit.add_row(row, self.shares.get(k), weights, variances);
        }
        siemens
    }
}

impl Seen {
    /// Zeros: so many weights and variances for each view, and a view for each direction if they differ.
    pub(super) fn new(weights: usize, variances: usize, directions_differ: bool) -> Self {
        let forward = View { weights: vec![0.0; weights], variances: vec![0.0; variances], shares: vec![] };
        Self { backward: directions_differ.then(|| forward.clone()), forward }
    }

    /// What reads in a direction see.
    pub(super) fn of(&self, direction: Direction) -> &View {
        match (direction, &self.backward) {
            (Direction::Backward, Some(backward)) => backward,
            _ => &self.forward,
        }
    }

    /// Every view that is kept, with the direction that it is measured in.
    pub(super) fn views(&self) -> impl Iterator<Item = (Direction, &View)> {
        let backward = self.backward.iter().map(|view| (Direction::Backward, view));
        std::iter::once((Direction::Forward, &self.forward)).chain(backward)
    }

    /// [`Seen::views`] to be changed.
    pub(super) fn views_mut(&mut self) -> impl Iterator<Item = (Direction, &mut View)> {
        let backward = self.backward.iter_mut().map(|view| (Direction::Backward, view));
        std::iter::once((Direction::Forward, &mut self.forward)).chain(backward)
    }

    /// Draws up the weights of `row`, which fill `padded`, in all views; returns the conductance of its cells, in siemens.
    pub(super) fn draw_row(&mut self, row: usize, padded: &Range<usize>, digits: &[Digit]) -> f64 {
        if let Some(backward) = &mut self.backward {
            backward.draw_row(row, padded, digits);
        }
        self.forward.draw_row(row, padded, digits)
    }

    /// Puts what was measured of wires beside the state of the digits.
    pub(super) fn save(&self, state: &mut State) {
        for (direction, view) in self.views() {
            for (digit, Shares { plus, minus }) in view.shares.iter().enumerate() {
                for (side, shares) in [("plus", plus), ("minus", minus)] {
                    state.put(&name(direction, digit, side), &[shares.len()], shares.clone());
                }
            }
        }
    }

    /// Goes on from what [`Seen::save`] put; the rows are still to be drawn up.
    pub(super) fn restore(&mut self, state: &State) -> Result<(), StateError> {
        for (direction, view) in self.views_mut() {
            for (digit, Shares { plus, minus }) in view.shares.iter_mut().enumerate() {
                for (side, shares) in [("plus", plus), ("minus", minus)] {
                    let length = [shares.len()];
                    shares.copy_from_slice(state.get(&name(direction, digit, side), &length)?);
                }
            }
        }
        Ok(())
    }
}

/// The tensor that holds the shares of one side of a digit.
fn name(direction: Direction, digit: usize, side: &str) -> String {
    match direction {
        Direction::Forward => format!("digit-{digit}/shares-{side}"),
        Direction::Backward => format!("digit-{digit}/backward-shares-{side}"),
    }
}
