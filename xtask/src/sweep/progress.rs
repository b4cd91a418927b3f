//! How far a sweep is: bars on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tracing::info;

use crate::record::RunRecord;
use crate::spec::Run;
use crate::train::Position;

/// One bar for each running run and one for the sweep; lines as runs end, and now and then between.
pub struct Progress {
    bars: MultiProgress,
    total: ProgressBar,
}

/// How far one run is.
pub struct RunProgress {
    id: String,
    epochs: u32,
    bar: ProgressBar,
    total: ProgressBar,
    /// When this process took the run, and where it stood then.
    begun: Instant,
    from: u64,
    shown: Instant,
    told: Instant,
}

/// Between two drawings of a bar.
const REDRAW: Duration = Duration::from_millis(100);
/// Between two lines on a run, where there are no bars.
const LINE: Duration = Duration::from_mins(1);

impl Progress {
    pub fn new(runs: &[&Run], jobs: usize) -> Self {
        let bars = MultiProgress::new();
        let total = bars.add(ProgressBar::new(runs.len() as u64));
        total.set_style(style("{prefix} {wide_bar} {pos}/{len} done, {elapsed} gone, {eta} left{msg}"));
        total.set_prefix(format!("{} runs, {jobs} at a time", runs.len()));
        if std::io::stderr().is_terminal() {
            total.enable_steady_tick(Duration::from_millis(500));
        }
        Self { bars, total }
    }

    /// A run begins, or goes on after `samples` samples.
    pub fn start(&self, run: &Run, samples: u64) -> RunProgress {
        let bar = self.bars.insert_before(&self.total, ProgressBar::new(0));
        bar.set_style(style("  {prefix} {bar:20} {msg}"));
        bar.set_prefix(run.id.clone());
        bar.tick();
        if samples > 0 {
            info!("{}: goes on after {samples} samples", run.id);
        }
        let now = Instant::now();
        RunProgress {
            id: run.id.clone(),
            epochs: run.epochs,
            bar,
            total: self.total.clone(),
            begun: now,
            from: samples,
            shown: now.checked_sub(REDRAW).unwrap_or(now),
            told: now,
        }
    }

    /// A run was done before.
    pub fn skip(&self, run: &Run) {
        tracing::debug!("{}: done before", run.id);
        // Not counted as progress of this process: the time left is that of the runs that are left.
        self.total.set_length(self.total.length().unwrap_or(0).saturating_sub(1));
    }

    /// `runs` runs are left, all of them with other processes.
    pub fn wait(&self, runs: usize) {
        self.total.set_message(format!("; {runs} with other processes"));
    }

    pub fn clear(&self) {
        self.total.finish_and_clear();
    }
}

impl RunProgress {
    pub fn advance(&mut self, position: &Position) {
        if self.shown.elapsed() < REDRAW {
            return;
        }
        self.shown = Instant::now();
        self.bar.set_length(position.total_samples);
        self.bar.set_position(position.samples);
        let learnt = position.samples.saturating_sub(self.from) as f64;
        // Evaluation included: what counts is when it ends.
        let rate = learnt / self.begun.elapsed().as_secs_f64().max(1e-9);
        let left = (position.total_samples - position.samples) as f64 / rate;
        let accuracy = position
            .curve
            .last()
            .map_or_else(String::new, |point| format!(", held out {:.4}", point.held_out.accuracy));
        let message = format!(
            "epoch {}/{}{accuracy}, {:.0} thousand samples/s, {} left",
            position.epoch,
            self.epochs,
            rate / 1000.0,
            clock(left)
        );
        if self.bar.is_hidden() && self.told.elapsed() >= LINE {
            info!("{}: {message}", self.id);
            self.told = Instant::now();
        }
        self.bar.set_message(message);
    }

    pub fn finish(self, record: &RunRecord) {
        self.bar.finish_and_clear();
        self.total.inc(1);
        let rate = record.activity.samples as f64 / record.train_seconds / 1000.0;
        info!(
            "{}: held-out accuracy {:.4}, train {:.4}, {:.1} s, {rate:.0} thousand samples/s; {}/{} runs, {} left",
            self.id,
            record.held_out.accuracy,
            record.train.accuracy,
            record.train_seconds,
            self.total.position(),
            self.total.length().unwrap_or(0),
            clock(self.total.eta().as_secs_f64())
        );
    }

    pub fn clear(self) {
        self.bar.finish_and_clear();
    }
}

/// A length of time in the words of a person.
pub fn clock(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "unknown time".into(),
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are well-formed")
}
