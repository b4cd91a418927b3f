//! Products of batches with weights, as products of matrices, on all threads at hand.
//!
//! A batch is cut into blocks of samples, and sums over samples are taken block by block in order, so that results do not
//! depend on the number of threads.

use bitpulse_core::{Real, Shape};
use nalgebra::{DMatrixView, DMatrixViewMut, Dyn, U1};
use rayon::prelude::*;

/// Samples of a block that is read.
const BLOCK: usize = 512;

/// Blocks that the outer products of a large batch are summed in.
const PARTS: usize = 8;

/// Sides up to this are too short for nalgebra's fast product.
const SHORT: usize = 5;

/// Weights that stand input-major in rows of `stride`, as a matrix of outputs x inputs: rows in memory are columns to nalgebra.
fn view<R: Real>(weights: &[R], shape: Shape, stride: usize) -> DMatrixView<'_, R, U1, Dyn> {
    let Shape { inputs, outputs } = shape;
    DMatrixView::from_slice_with_strides_generic(weights, Dyn(outputs), Dyn(inputs), U1, Dyn(stride))
}

/// `out[s, j] = sum_i W[i, j] x[s, i]`.
pub(crate) fn forward<R: Real>(weights: &[R], shape: Shape, stride: usize, x: &[R], out: &mut [R]) {
    let Shape { inputs, outputs } = shape;
    by_block(out, outputs, x, inputs, |out, x| {
        let samples = x.len() / inputs;
        let x = DMatrixView::from_slice(x, inputs, samples);
        let mut z = DMatrixViewMut::from_slice(out, outputs, samples);
        z.gemm(R::one(), &view(weights, shape, stride), &x, R::zero());
    });
}

/// `out[s, i] = sum_j W[i, j] e[s, j]`.
pub(crate) fn backward<R: Real>(weights: &[R], shape: Shape, stride: usize, e: &[R], out: &mut [R]) {
    let Shape { inputs, outputs } = shape;
    by_block(out, inputs, e, outputs, |out, e| {
        let samples = e.len() / outputs;
        let e = DMatrixView::from_slice(e, outputs, samples);
        let mut a = DMatrixViewMut::from_slice(out, inputs, samples);
        // Products of matrices are fast, those of a transposed one are not, so the view is transposed instead; but where
        // a side is short nalgebra takes columns one by one, and those of such a view are not what it takes them for.
        if inputs.min(outputs).min(samples) > SHORT {
            let transposed: DMatrixView<'_, R, Dyn, U1> = DMatrixView::from_slice_with_strides_generic(
                weights,
                Dyn(inputs),
                Dyn(outputs),
                Dyn(stride),
                U1,
            );
            a.gemm(R::one(), &transposed, &e, R::zero());
        } else {
            a.gemm_tr(R::one(), &view(weights, shape, stride), &e, R::zero());
        }
    });
}

/// Calls `read` for every block of rows of `out` and `x`, a lone block without waking another thread.
fn by_block<R: Real>(
    out: &mut [R],
    columns: usize,
    x: &[R],
    lines: usize,
    read: impl Fn(&mut [R], &[R]) + Sync,
) {
    if x.len() <= BLOCK * lines {
        read(out, x);
    } else {
        let blocks = out.par_chunks_mut(BLOCK * columns).zip(x.par_chunks(BLOCK * lines));
        blocks.for_each(|(out, x)| read(out, x));
    }
}

/// Adds `factor sum_s x[s, i] e[s, j]` to the weights.
pub(crate) fn add_outer<R: Real>(
    weights: &mut [R],
    shape: Shape,
    stride: usize,
    factor: R,
    x: &[R],
    e: &[R],
) {
    let Shape { inputs, outputs } = shape;
    let samples = x.len() / inputs;
    let add = |weights: &mut [R], x: &[R], e: &[R]| {
        let samples = x.len() / inputs;
        let errors = DMatrixView::from_slice(e, outputs, samples);
        let inputs: DMatrixView<'_, R, Dyn, U1> =
            DMatrixView::from_slice_with_strides_generic(x, Dyn(samples), Dyn(inputs), Dyn(inputs), U1);
        let mut weights: DMatrixViewMut<'_, R, U1, Dyn> = DMatrixViewMut::from_slice_with_strides_generic(
            weights,
            Dyn(outputs),
            Dyn(shape.inputs),
            U1,
            Dyn(stride),
        );
        weights.gemm(factor, &errors, &inputs, R::one());
    };
    if samples < BLOCK * PARTS / 2 {
        add(weights, x, e);
        return;
    }
    let block = samples.div_ceil(PARTS);
    let parts: Vec<Vec<R>> = x
        .par_chunks(block * inputs)
        .zip(e.par_chunks(block * outputs))
        .map(|(x, e)| {
            let mut part = vec![R::zero(); weights.len()];
            add(&mut part, x, e);
            part
        })
        .collect();
    for part in parts {
        for (weight, part) in weights.iter_mut().zip(part) {
            *weight += part;
        }
    }
}
