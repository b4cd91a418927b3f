//! How a time is taken on a machine that others use too: in many short blocks, of which the median counts, on one core.

use std::time::Instant;

use tracing::warn;

/// Seconds that something took, over the blocks it was measured in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seconds {
    pub median: f64,
    /// The first and the third quartile.
    pub low: f64,
    pub high: f64,
}

impl Seconds {
    /// Of blocks that took `blocks` seconds each.
    ///
    /// # Panics
    /// If there is no block.
    pub fn of(mut blocks: Vec<f64>) -> Self {
        blocks.sort_by(f64::total_cmp);
        let at = |share: f64| blocks[((blocks.len() - 1) as f64 * share).round() as usize];
        Self { median: at(0.5), low: at(0.25), high: at(0.75) }
    }

    /// Of one of `parts` equal parts.
    pub fn per(self, parts: f64) -> Self {
        Self { median: self.median / parts, low: self.low / parts, high: self.high / parts }
    }
}

/// Blocks of a figure, and how long each takes at least: short enough that most blocks are disturbed by nobody, long
/// enough that reading the clock does not count.
const BLOCKS: usize = 41;
const BLOCK_SECONDS: f64 = 2e-3;

/// Seconds that a call of `work` takes, in its usual number of blocks.
pub fn seconds(work: impl FnMut()) -> Seconds {
    seconds_of(BLOCKS, work)
}

/// Seconds that a call of `work` takes, in `blocks` blocks of one call or more. A first block is not counted.
pub fn seconds_of(blocks: usize, mut work: impl FnMut()) -> Seconds {
    let calls = calls_of(BLOCK_SECONDS, &mut work);
    Seconds::of((0..blocks).map(|_| time(calls, &mut work)).collect())
}

/// The least seconds that a call of `work` took in blocks of a fifth of a millisecond or one call, for 60 milliseconds or
/// five blocks: what is possible, not what is usual.
pub fn least_seconds(mut work: impl FnMut()) -> f64 {
    let calls = calls_of(2e-4, &mut work);
    let (start, mut least, mut blocks) = (Instant::now(), f64::INFINITY, 0);
    while blocks < 5 || start.elapsed().as_secs_f64() < 0.06 {
        least = least.min(time(calls, &mut work));
        blocks += 1;
    }
    least
}

/// How many calls of `work` take `seconds`, found by doubling.
fn calls_of(seconds: f64, work: &mut impl FnMut()) -> usize {
    let mut calls = 1;
    while calls < 1 << 24 && time(calls, work) * (calls as f64) < seconds {
        calls *= 2;
    }
    calls
}

/// Seconds of each of `calls` calls.
fn time(calls: usize, work: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        work();
    }
    start.elapsed().as_secs_f64() / calls as f64
}

/// Calls `measure` on a thread that stays on one core, the last of those that this process may use; threads and processes
/// that it starts stay there too.
///
/// Where the system refuses, it says so on standard error and measures nevertheless.
pub fn pinned<T: Send>(measure: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let core = core_affinity::get_core_ids().and_then(|cores| cores.last().copied());
            if !core.is_some_and(core_affinity::set_for_current) {
                warn!("the system lets no thread stay on one core: figures may vary more");
            }
            measure()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_blocks_in_the_middle() {
        let found = Seconds::of(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(found, Seconds { median: 3.0, low: 2.0, high: 4.0 });
        assert_eq!(found.per(2.0).median, 1.5);
        assert_eq!(Seconds::of(vec![7.0]), Seconds { median: 7.0, low: 7.0, high: 7.0 });
    }

    #[test]
    fn what_is_measured_runs_and_may_be_returned() {
        let mut calls = 0;
        let found = pinned(|| {
            seconds_of(3, || {
                calls += 1;
                std::hint::black_box(calls);
            })
        });
        assert!(calls >= 4 && found.low <= found.median && found.median <= found.high);
    }
}
