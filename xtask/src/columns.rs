//! What the columns of `results.csv` and `curves.csv` mean.

/// A column that is no setting of the run.
pub struct Column {
    pub name: &'static str,
    /// Empty for names.
    pub unit: &'static str,
    pub meaning: &'static str,
}

const fn column(name: &'static str, unit: &'static str, meaning: &'static str) -> Column {
    Column { name, unit, meaning }
}

/// Columns of `results.csv` up to the first that is a setting and nothing else; in its order.
pub const RESULTS: &[Column] = &[
    column("sweep", "", "the sweep file the run comes from"),
    column("run", "", "its name in the sweep: rule, seed and what else varies"),
    column("rule", "", "setting"),
    column("network", "", "setting"),
    column("dataset", "", "setting"),
    column("device", "", "setting"),
    column("seed", "", "setting"),
    column("epochs", "epochs", "setting"),
    column("batch", "images", "setting"),
    column("train_accuracy", "fraction", "of all training images, by expectation inference"),
    column("test_accuracy", "fraction", "of the test images; empty where validation images are held out"),
    column("validation_accuracy", "fraction", "of the validation images; empty without any"),
    column(
        "train_cross_entropy_nats",
        "nats",
        "mean negative logarithm of the probability of the right class",
    ),
    column("test_cross_entropy_nats", "nats", "the same of test or validation images"),
    column("test_accuracy_1_sample", "fraction", "with one stochastic pass, if `sampled-inference`"),
    column("test_accuracy_4_samples", "fraction", "with 4 passes, combined as `combine` says"),
    column("test_accuracy_16_samples", "fraction", "with 16 passes"),
    column("test_accuracy_64_samples", "fraction", "with 64 passes"),
    column("train_seconds", "s", "wall time of training, evaluation left out"),
    column("train_samples_per_second", "1/s", "training images presented in that time"),
    column(
        "pulse_gradient_cosine_per_layer",
        "1",
        "cosine between the mean update by pulses and the exact gradient at the end, `a / b` from the first layer on; empty \
         for high precision",
    ),
    column("pulses_per_weight", "pulses", "SET and RESET pulses of updates, by weights"),
    column(
        "conversions_per_sample",
        "conversions",
        "digital-to-analog and analog-to-digital, forward and backward, by images",
    ),
    column("comparisons_per_sample", "decisions", "of comparators, forward and backward, by images"),
    column("random_bits_per_sample", "draws", "forward, backward and in updates, by images"),
    column("carry_conversions_per_sample", "conversions", "of reads for carry and refresh"),
    column("carry_comparisons_per_sample", "decisions", "of reads for carry and refresh"),
    column("carry_pulses_per_weight", "pulses", "of carries, refreshes and verification"),
    column(
        "map_refreshes",
        "maps",
        "effective maps that were renewed; empty without `fidelity = \"effective\"`",
    ),
    column("worst_map_error", "1", "2-norm of the change of the worst of them by that of the new map"),
];

/// Columns of `curves.csv`, in its order; `device_0` stands for `device_0` to `device_7`.
pub const CURVES: &[Column] = &[
    column("run", "", "as in `results.csv`"),
    column("epoch", "epochs", "epochs done"),
    column("train_accuracy", "fraction", "of all training images"),
    column("test_accuracy", "fraction", "of the test images; empty where validation images are held out"),
    column("train_cross_entropy_nats", "nats", "as in `results.csv`"),
    column("test_cross_entropy_nats", "nats", "as in `results.csv`"),
    column("train_seconds", "s", "wall time of training so far"),
    column(
        "device_0_window_fraction",
        "window fraction",
        "where the first of eight devices of the first layer stands; empty for weights in software",
    ),
];

#[cfg(test)]
mod tests {
    use bitpulse_core::Activity;

    use super::*;
    use crate::record::{EpochRecord, FOLLOWED, Measured, RunRecord, row};
    use crate::spec::{KEYS, default_run};

    #[test]
    fn the_tables_are_the_columns_that_are_written() {
        let measured = Measured { accuracy: 0.5, cross_entropy: 1.0 };
        let record = RunRecord {
            train: measured,
            held_out: measured,
            sampled: [None; 4],
            train_seconds: 1.0,
            pulse_gradient_cosine: None,
            weights: 1,
            activity: Activity::default(),
            curve: vec![],
            histograms: vec![],
            staleness: vec![],
            gallery: vec![],
            wires: None,
        };
        let run = default_run();
        let written = row("sweep", "run", record.columns(&run));
        let settings = KEYS.iter().map(|key| key.name).filter(|key| RESULTS.iter().all(|c| c.name != *key));
        let told: Vec<&str> = RESULTS.iter().map(|column| column.name).chain(settings).collect();
        assert_eq!(written.keys().map(String::as_str).collect::<Vec<_>>(), told);

        let point = EpochRecord {
            epoch: 1,
            samples: 1,
            train: measured,
            held_out: measured,
            train_seconds: 1.0,
            devices: [0.0; FOLLOWED],
        };
        let written = point.columns(&run);
        let first: Vec<&str> = written.keys().map(String::as_str).take(CURVES.len() - 1).collect();
        assert_eq!(first, CURVES[1..].iter().map(|column| column.name).collect::<Vec<_>>());
        assert_eq!(written.len() + 1, CURVES.len() + FOLLOWED - 1);
    }
}
