//! Runs on the threads of this machine.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tracing::{info, warn};

use super::folder::{Claim, Folder, Held, RunFolder, holder};
use super::progress::{Progress, RunProgress};
use super::stop::Stop;
use crate::data::Prepared;
use crate::record::RunRecord;
use crate::spec::{Run, SplitSpec};
use crate::train::{self, Checkpoint, Keeper, Position};

pub struct Options {
    pub jobs: usize,
    pub checkpoint_every: Duration,
    pub keep_checkpoints: bool,
}

/// How the runs of a sweep ended.
#[derive(Default)]
pub struct Ended {
    /// Runs that this process finished.
    pub done: usize,
    /// Runs that were done already.
    pub skipped: usize,
    /// Runs that failed, and why.
    pub failed: Vec<(String, String)>,
}

/// How one run ended.
enum End {
    Done,
    Skipped,
    Failed(String),
    Stopped,
}

/// What came of beginning a run.
enum Begun<'a> {
    /// It ran, and is to be kept.
    Left(Box<Left<'a>>),
    /// There was nothing to run.
    Ended(End),
    /// Another process has it.
    Busy,
}

/// How often a run that another process has is looked at again.
const PATIENCE: Duration = Duration::from_millis(200);

/// Threads that keep what runs leave. A run takes its disk some milliseconds to hold; those of several runs at once take
/// little longer, for the disk is flushed for all of them together.
const WRITERS: usize = 16;

const UNPOISONED: &str = "no thread panics while it holds this lock";

/// Runs `runs`, and waits for those that other processes have.
///
/// # Errors
/// When the folder cannot be written: then nothing more is begun. A run that fails does not stop the others.
pub fn run_all(
    folder: &Folder,
    runs: &[&Run],
    data: &BTreeMap<SplitSpec, Arc<Prepared>>,
    options: &Options,
    stop: &Stop,
) -> Result<Ended> {
    let progress = Progress::new(runs, options.jobs);
    let (ended, failure) = (Mutex::new(Ended::default()), Mutex::new(None));
    std::thread::scope(|scope| -> Result<()> {
        let (hand_over, left) = mpsc::sync_channel::<Left>(0);
        let left = Arc::new(Mutex::new(left));
        for _ in 0..WRITERS {
            let left = Arc::clone(&left);
            let (ended, failure) = (&ended, &failure);
            scope.spawn(move || {
                loop {
                    let next = left.lock().expect(UNPOISONED).recv();
                    let Ok(next) = next else { break };
                    match next.keep() {
                        Ok((run, end)) => ended.lock().expect(UNPOISONED).add(run, end),
                        Err(error) => {
                            failure.lock().expect(UNPOISONED).get_or_insert(error);
                        }
                    }
                }
            });
        }
        // Writers that are gone would be noticed here; only they hold the other end.
        drop(left);
        let mut open = runs.to_vec();
        while !open.is_empty() {
            let busy = Mutex::new(Vec::new());
            on_threads(options.jobs, &open, |run| {
                if let Some(error) = failure.lock().expect(UNPOISONED).take() {
                    return Err(error);
                }
                match one(&folder.of(run), run, &data[&run.split], options, stop, &progress)? {
                    Begun::Left(left) => hand_over.send(*left).expect("writers wait for the last run"),
                    Begun::Ended(end) => ended.lock().expect(UNPOISONED).add(run, end),
                    Begun::Busy => busy.lock().expect(UNPOISONED).push(run),
                }
                Ok(())
            })?;
            open = busy.into_inner().expect(UNPOISONED);
            if stop.asked() {
                break;
            }
            if !open.is_empty() {
                progress.wait(open.len());
                std::thread::sleep(PATIENCE);
            }
        }
        Ok(())
    })?;
    progress.clear();
    if let Some(error) = failure.into_inner().expect(UNPOISONED) {
        return Err(error);
    }
    let mut ended = ended.into_inner().expect(UNPOISONED);
    ended.failed.sort();
    Ok(ended)
}

impl Ended {
    fn add(&mut self, run: &Run, end: End) {
        match end {
            End::Done => self.done += 1,
            End::Skipped => self.skipped += 1,
            End::Failed(message) => self.failed.push((run.id.clone(), message)),
            End::Stopped => {}
        }
    }
}

/// Calls `each` for every run, on `count` threads that take one run after the other, until all are through or one call fails.
///
/// These are threads of their own, not a pool's: a run hands the samples of a batch to the pool that all runs share, and a
/// thread of the pool that waits for them could take up another run in the midst of its own.
fn on_threads<'a>(count: usize, runs: &[&'a Run], each: impl Fn(&'a Run) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some(&run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = each(run) {
                next.store(runs.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count.min(runs.len())).map(|_| scope.spawn(work)).collect();
        let ends =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        // All are waited for before the first error is told.
        ends.collect::<Vec<_>>().into_iter().collect()
    })
}

fn one<'a>(
    folder: &RunFolder,
    run: &'a Run,
    data: &Prepared,
    options: &Options,
    stop: &Stop,
    progress: &Progress,
) -> Result<Begun<'a>> {
    if stop.asked() {
        return Ok(Begun::Ended(End::Stopped));
    }
    if matches!(folder.is_done(), Ok(true)) {
        progress.skip(run);
        return Ok(Begun::Ended(End::Skipped));
    }
    let Claim::Held(held) = folder.claim()? else {
        return Ok(Begun::Busy);
    };
    // Once more, now that nobody else can change it.
    match folder.is_done() {
        Ok(true) => {
            progress.skip(run);
            return Ok(Begun::Ended(End::Skipped));
        }
        Ok(false) => {}
        Err(damage) => {
            warn!("{} ({}) is damaged and done again: {damage:#}", run.id, folder.name());
            held.log(&format!("done again, for it is damaged: {damage:#}"));
        }
    }
    held.begin_anew()?;
    let from = held.checkpoint().unwrap_or_else(|damage| {
        warn!("{} ({}) begins anew, for its checkpoint is damaged: {damage:#}", run.id, folder.name());
        held.log(&format!("begins anew, for its checkpoint is damaged: {damage:#}"));
        None
    });
    let samples = from.as_ref().map_or(0, |from| from.activity.samples);
    held.log(&format!("{} goes on after {samples} samples", holder()));
    let mut watch = Watch {
        run,
        held: &held,
        options,
        stop,
        progress: progress.start(run, samples),
        kept_at: Instant::now(),
        trained: None,
    };
    let result = catch_unwind(AssertUnwindSafe(|| train::execute(run, data, from, &mut watch)))
        .unwrap_or_else(|panic| Err(anyhow!("{}", panic_message(&*panic))));
    let Watch { progress: bar, trained, .. } = watch;
    Ok(Begun::Left(Box::new(Left { run, held, result, trained, bar })))
}

/// A run that was left, done or not, and is to be kept.
struct Left<'a> {
    run: &'a Run,
    held: Held,
    /// `None` where it was stopped.
    result: Result<Option<RunRecord>>,
    /// The trained network, where it is to be kept.
    trained: Option<Checkpoint>,
    bar: RunProgress,
}

impl<'a> Left<'a> {
    fn keep(self) -> Result<(&'a Run, End)> {
        let Self { run, held, result, trained, bar } = self;
        let end = match result {
            Ok(Some(record)) => {
                held.finish(run, &record, trained.as_ref())?;
                held.log("done");
                bar.finish(&record);
                End::Done
            }
            Ok(None) => {
                held.log("stopped");
                info!("{}: stopped, and kept", run.id);
                bar.clear();
                End::Stopped
            }
            // A disk that is full is no fault of the run, and the next one will not fare better.
            Err(error) if error.chain().any(<dyn std::error::Error>::is::<std::io::Error>) => {
                return Err(error);
            }
            Err(error) => {
                let message = format!("{error:#}");
                warn!("{} failed: {message}", run.id);
                held.fail(&message)?;
                held.log(&format!("failed: {message}"));
                bar.clear();
                End::Failed(message)
            }
        };
        Ok((run, end))
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".into())
}

/// Keeps a run while it goes.
struct Watch<'a> {
    run: &'a Run,
    held: &'a Held,
    options: &'a Options,
    stop: &'a Stop,
    progress: RunProgress,
    kept_at: Instant,
    /// The trained network, where it is to be kept.
    trained: Option<Checkpoint>,
}

impl Keeper for Watch<'_> {
    fn between_batches(
        &mut self,
        position: &Position,
        save: &dyn Fn() -> Checkpoint,
    ) -> Result<ControlFlow<()>> {
        self.progress.advance(position);
        let stopped = self.stop.asked();
        // A run that has not begun yet has nothing to lose.
        let is_due = position.samples > 0 && self.kept_at.elapsed() >= self.options.checkpoint_every;
        if stopped || is_due {
            self.held.keep(self.run, &save())?;
            self.kept_at = Instant::now();
        }
        if self.options.keep_checkpoints && position.samples == position.total_samples {
            self.trained = Some(save());
        }
        Ok(if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn go_on(&self) -> bool {
        !self.stop.asked()
    }

    fn leave(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.held.keep(self.run, &checkpoint)
    }
}
