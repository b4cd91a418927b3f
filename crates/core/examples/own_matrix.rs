//! A synaptic matrix of your own behind the seam that learning sees: weights in memory that a worn line no longer moves.
//!
//! `cargo run -p bitpulse-core --example own_matrix`

use bitpulse_core::{Activity, Readout, SeedPath, Shape, Signals, State, StateError, SynapticMatrix, Update};

/// Weights in memory; row 0 is stuck.
struct Worn {
    shape: Shape,
    weights: Vec<f32>,
    activity: Activity,
}

impl SynapticMatrix for Worn {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn forward(&mut self, inputs: &Signals<f32>, _readout: Readout, _at: SeedPath, outputs: &mut [f32]) {
        outputs.fill(0.0);
        for (input, out) in inputs.iter().zip(outputs.chunks_exact_mut(self.shape.outputs)) {
            input.for_each_active(|i, x| {
                let row = &self.weights[i * self.shape.outputs..][..self.shape.outputs];
                out.iter_mut().zip(row).for_each(|(out, w)| *out += w * x);
            });
            self.activity.forward.reads += 1;
        }
    }

    fn backward(&mut self, errors: &Signals<f32>, _readout: Readout, _at: SeedPath, outputs: &mut [f32]) {
        for (error, out) in errors.iter().zip(outputs.chunks_exact_mut(self.shape.inputs)) {
            for (out, row) in out.iter_mut().zip(self.weights.chunks_exact(self.shape.outputs)) {
                *out = 0.0;
                error.for_each_active(|j, e| *out += row[j] * e);
            }
            self.activity.backward.reads += 1;
        }
    }

    fn update(&mut self, inputs: &Signals<f32>, errors: &Signals<f32>, update: Update, _at: SeedPath) {
        let (Update::Exact { step } | Update::Pulses { step, .. }) = update else {
            unimplemented!("this example knows exact updates and pulses");
        };
        for (input, error) in inputs.iter().zip(errors.iter()) {
            input.for_each_active(|i, x| {
                if i > 0 {
                    let row = &mut self.weights[i * self.shape.outputs..][..self.shape.outputs];
                    error.for_each_active(|j, e| row[j] += step as f32 * x * e);
                }
            });
        }
    }

    fn program(&mut self, weights: &[f32], _at: SeedPath) {
        self.weights.copy_from_slice(weights);
    }

    fn weights(&self) -> Vec<f32> {
        self.weights.clone()
    }

    fn take_activity(&mut self) -> Activity {
        std::mem::take(&mut self.activity)
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("weights", &[self.weights.len()], self.weights.clone());
        state
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        let weights: &[f32] = state.get("weights", &[self.weights.len()])?;
        self.weights.copy_from_slice(weights);
        Ok(())
    }
}

fn main() {
    let shape = Shape { inputs: 3, outputs: 2 };
    let mut matrix = Worn { shape, weights: vec![0.1; shape.weights()], activity: Activity::default() };
    let at = SeedPath::root(1);

    let mut inputs = Signals::<f32>::bits(3);
    inputs.push_bits([0, 2]);
    let mut z = [0.0; 2];
    matrix.forward(&inputs, Readout::Comparator { decisions: 1 }, at.child("forward"), &mut z);
    println!("forward  {z:?}");

    let mut errors = Signals::<f32>::analog(2);
    errors.push_analog().copy_from_slice(&[0.5, -1.0]);
    matrix.update(&inputs, &errors, Update::Exact { step: 0.1 }, at.child("update"));
    println!("weights  {:?}", matrix.weights());
    println!("reads    {}", matrix.take_activity().forward.reads);
}
