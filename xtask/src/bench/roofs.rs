//! What one core of this machine can do at most, measured: bytes a second from every cache and from memory, products and
//! sums a second.
//!
//! The streams and products here are compiled for the same instruction sets as the kernels, and chosen at run time as these
//! are, so that a share of a roof says what the kernel wastes and not which compiler flags the two had.

// `multiversion` calls the version it picked through an unsafe block, after asking the CPU for the features that version
// was compiled for; a test below runs whichever this machine picks.
#![allow(unsafe_code)]

use std::fmt;
use std::hint::black_box;
use std::path::Path;

use bitpulse_core::rows::Aligned;
use multiversion::multiversion;

use super::Figure;
use super::measure::least_seconds;

/// Where a working set lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    L1,
    L2,
    L3,
    Dram,
}

const LEVELS: [Level; 4] = [Level::L1, Level::L2, Level::L3, Level::Dram];

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// From memory.
    Read,
    /// From memory and back; both ways count.
    Update,
}

/// What the arithmetic of some work is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// A product rounded, then a sum rounded: what the kernels of this project do, for the same bits everywhere.
    Separate,
    /// Both in one rounding: what products of matrices do.
    Fused,
}

/// What some work must do at least, whatever the program: its two numbers, and where the bytes come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Bytes that must move to or from where the working set lies.
    pub bytes: f64,
    pub stream: Stream,
    /// Floating-point operations, a product and a sum being two.
    pub operations: f64,
    pub arithmetic: Arithmetic,
    /// Bytes that the work comes back to, call after call.
    pub working_set: usize,
}

/// Which roof binds some work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roof {
    Bytes(Level, Stream),
    Operations(Arithmetic),
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::L3 => "l3",
            Self::Dram => "dram",
        })
    }
}

impl fmt::Display for Roof {
    /// The name of its figure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(level, Stream::Read) => write!(f, "roof/{level}"),
            Self::Bytes(level, Stream::Update) => write!(f, "roof/{level}/update"),
            Self::Operations(Arithmetic::Separate) => f.write_str("roof/multiply-add"),
            Self::Operations(Arithmetic::Fused) => f.write_str("roof/multiply-add/fused"),
        }
    }
}

/// Bytes that the caches of one core hold: data of the first level, and what the next two hold of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caches {
    pub bytes: [usize; 3],
    /// Whether the system told; else they are those of a usual machine.
    pub told: bool,
}

impl Caches {
    const USUAL: Self = Self { bytes: [32 << 10, 1 << 20, 32 << 20], told: false };

    /// As the system tells, or the usual ones.
    pub fn of_this_machine() -> Self {
        Self::read(Path::new("/sys/devices/system/cpu/cpu0/cache")).unwrap_or(Self::USUAL)
    }

    /// From a folder as Linux has it; `None` where a level is missing.
    fn read(folder: &Path) -> Option<Self> {
        let mut bytes = [None; 3];
        for index in std::fs::read_dir(folder).ok()?.flatten() {
            let text = |name: &str| std::fs::read_to_string(index.path().join(name)).ok();
            let (Some(level), Some(kind), Some(size)) = (text("level"), text("type"), text("size")) else {
                continue;
            };
            if kind.trim() == "Instruction" {
                continue;
            }
            let level: usize = level.trim().parse().ok()?;
            if let Some(slot) = level.checked_sub(1).and_then(|level| bytes.get_mut(level)) {
                *slot = size.trim().strip_suffix('K').and_then(|k| k.parse::<usize>().ok()).map(|k| k << 10);
            }
        }
        let [Some(l1), Some(l2), Some(l3)] = bytes else { return None };
        Some(Self { bytes: [l1, l2, l3], told: true })
    }

    /// The nearest level that holds `working_set` bytes.
    pub fn level(&self, working_set: usize) -> Level {
        self.bytes.iter().zip(LEVELS).find(|(bytes, _)| working_set <= **bytes).map_or(Level::Dram, |at| at.1)
    }

    /// Bytes that a stream from `level` walks over: far more than the level before holds, and less than this one does,
    /// which others may use too.
    fn stream_bytes(&self, level: Level) -> usize {
        let [l1, l2, l3] = self.bytes;
        match level {
            Level::L1 => l1 / 2,
            Level::L2 => l2 / 2,
            Level::L3 => (l3 / 4).max(4 * l2).min(l3 / 2),
            // Caches of hundreds of megabytes do not make a roof worth a gigabyte.
            Level::Dram => (4 * l3).min(512 << 20),
        }
    }
}

/// The roofs of one core.
#[derive(Clone, Debug, PartialEq)]
pub struct Roofs {
    pub caches: Caches,
    /// Bytes a second from each level, and there and back.
    read: [f64; 4],
    update: [f64; 4],
    /// Operations a second.
    separate: f64,
    fused: f64,
}

impl Roofs {
    /// Measures them all; about a second.
    pub fn measure() -> Self {
        let caches = Caches::of_this_machine();
        let read = LEVELS.map(|level| read_rate(caches.stream_bytes(level)));
        let update = LEVELS.map(|level| update_rate(caches.stream_bytes(level)));
        let separate = [
            products_rate(separate_products::<96>),
            products_rate(separate_products::<128>),
            products_rate(separate_products::<192>),
        ];
        let fused = [
            products_rate(fused_products::<96>),
            products_rate(fused_products::<128>),
            products_rate(fused_products::<192>),
        ];
        let best = |rates: [f64; 3]| rates.into_iter().fold(0.0, f64::max);
        let (separate, fused) = (best(separate), best(fused));
        Self { caches, read, update, separate, fused: fused.max(separate) }
    }

    /// The higher of two measurements of each roof.
    pub fn or_better(&self, other: &Self) -> Self {
        let best = |mine: [f64; 4], other: [f64; 4]| std::array::from_fn(|k| f64::max(mine[k], other[k]));
        Self {
            caches: self.caches,
            read: best(self.read, other.read),
            update: best(self.update, other.update),
            separate: self.separate.max(other.separate),
            fused: self.fused.max(other.fused),
        }
    }

    /// Of what is most, in bytes or operations a second.
    fn rate(&self, roof: Roof) -> f64 {
        match roof {
            Roof::Bytes(level, Stream::Read) => self.read[level as usize],
            Roof::Bytes(level, Stream::Update) => self.update[level as usize],
            Roof::Operations(Arithmetic::Separate) => self.separate,
            Roof::Operations(Arithmetic::Fused) => self.fused,
        }
    }

    /// The share of the binding roof that `work` reaches when it takes `seconds`, and which one binds: bytes or operations,
    /// whichever take longer at their roof.
    pub fn share(&self, work: &Work, seconds: f64) -> (f64, Roof) {
        let bytes = Roof::Bytes(self.caches.level(work.working_set), work.stream);
        let operations = Roof::Operations(work.arithmetic);
        let least = [work.bytes / self.rate(bytes), work.operations / self.rate(operations)];
        let (least, roof) = if least[0] >= least[1] { (least[0], bytes) } else { (least[1], operations) };
        (least / seconds, roof)
    }

    /// Each roof as a figure.
    pub fn figures(&self) -> Vec<Figure> {
        let streams = [Stream::Read, Stream::Update];
        let bytes = streams.into_iter().flat_map(|stream| LEVELS.map(|level| Roof::Bytes(level, stream)));
        let operations = [Arithmetic::Separate, Arithmetic::Fused].map(Roof::Operations);
        let roofs = bytes.chain(operations);
        roofs
            .map(|roof| {
                let unit = if matches!(roof, Roof::Bytes(..)) { "B/s" } else { "flop/s" };
                Figure::plain(roof.to_string(), self.rate(roof), unit)
            })
            .collect()
    }

    /// What the caches are taken for.
    pub fn describe(&self) -> String {
        let [l1, l2, l3] = self.caches.bytes.map(|bytes| bytes >> 10);
        let told = if self.caches.told { "as the system tells" } else { "assumed, the system does not tell" };
        format!("caches {l1}, {l2} and {l3} KiB ({told})")
    }
}

/// Floats that a stream adds up side by side: the registers of the widest instruction set hold them twice.
const STRANDS: usize = 128;

/// Bytes a second of walks over `bytes` bytes: read, and there and back.
pub fn stream_rates(bytes: usize) -> [f64; 2] {
    [read_rate(bytes), update_rate(bytes)]
}

fn read_rate(bytes: usize) -> f64 {
    let values = ones(bytes);
    let mut sums = [0.0; STRANDS];
    let least = least_seconds(|| {
        read(black_box(&values), &mut sums);
        black_box(&sums);
    });
    size_of_val::<[f32]>(&values) as f64 / least
}

fn update_rate(bytes: usize) -> f64 {
    let mut values = ones(bytes);
    let least = least_seconds(|| {
        update(black_box(&mut values), black_box(1e-6));
    });
    2.0 * size_of_val::<[f32]>(&values) as f64 / least
}

/// Floats of 1, `bytes` of them or a few more: pages that nobody wrote to would all be one and the same.
fn ones(bytes: usize) -> Aligned<f32> {
    let mut values = Aligned::zeros(bytes.div_ceil(size_of::<f32>()).next_multiple_of(STRANDS));
    values.fill(1.0);
    values
}

/// Products and sums of every strand in one call.
const ROUNDS: usize = 1 << 12;

fn products_rate<const N: usize>(products: fn(&mut [f32; N], f32, f32)) -> f64 {
    let mut values = [0.5; N];
    let least = least_seconds(|| {
        products(black_box(&mut values), black_box(0.999), black_box(1e-3));
    });
    (2 * N * ROUNDS) as f64 / least
}

/// Adds all values up, strand by strand.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
fn read(values: &[f32], sums: &mut [f32; STRANDS]) {
    let mut strands = [0.0; STRANDS];
    for chunk in values.as_chunks::<STRANDS>().0 {
        for k in 0..STRANDS {
            strands[k] += chunk[k];
        }
    }
    *sums = strands;
}

/// Adds `x` to all values.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
fn update(values: &mut [f32], x: f32) {
    for value in values {
        *value += x;
    }
}

/// Takes every value times `a` plus `b`, [`ROUNDS`] times.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
fn separate_products<const N: usize>(values: &mut [f32; N], a: f32, b: f32) {
    let mut strands = *values;
    for _ in 0..ROUNDS {
        for strand in &mut strands {
            *strand = *strand * a + b;
        }
    }
    *values = strands;
}

/// As [`separate_products`], each product and sum rounded once.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
fn fused_products<const N: usize>(values: &mut [f32; N], a: f32, b: f32) {
    let mut strands = *values;
    for _ in 0..ROUNDS {
        for strand in &mut strands {
            *strand = strand.mul_add(a, b);
        }
    }
    *values = strands;
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const MADE_UP: Roofs = Roofs {
        caches: Caches { bytes: [1_000, 10_000, 100_000], told: true },
        read: [800.0, 400.0, 200.0, 100.0],
        update: [600.0, 300.0, 150.0, 75.0],
        separate: 1_000.0,
        fused: 2_000.0,
    };

    fn work(working_set: usize) -> Work {
        Work {
            bytes: 400.0,
            stream: Stream::Read,
            operations: 100.0,
            arithmetic: Arithmetic::Separate,
            working_set,
        }
    }

    #[test]
    fn the_roof_is_that_of_the_level_that_holds_the_working_set() {
        for (working_set, level, share) in [
            (1_000, Level::L1, 0.5),
            (1_001, Level::L2, 1.0),
            (100_000, Level::L3, 2.0),
            (100_001, Level::Dram, 4.0),
        ] {
            assert_eq!(MADE_UP.share(&work(working_set), 1.0), (share, Roof::Bytes(level, Stream::Read)));
        }
        let update = Work { stream: Stream::Update, ..work(5_000) };
        assert_eq!(
            MADE_UP.share(&update, 2.0),
            (400.0 / 300.0 / 2.0, Roof::Bytes(Level::L2, Stream::Update))
        );
    }

    #[test]
    fn the_better_of_two_measurements_is_the_roof() {
        let other = Roofs { read: [900.0, 300.0, 200.0, 100.0], separate: 1_500.0, ..MADE_UP };
        let expected = Roofs { read: [900.0, 400.0, 200.0, 100.0], separate: 1_500.0, ..MADE_UP };
        assert_eq!(MADE_UP.or_better(&other), expected);
    }

    #[test]
    fn arithmetic_binds_where_it_takes_longer_than_the_bytes() {
        let many = Work { operations: 1e6, ..work(10) };
        assert_eq!(MADE_UP.share(&many, 2_000.0), (0.5, Roof::Operations(Arithmetic::Separate)));
        let fused = Work { arithmetic: Arithmetic::Fused, ..many };
        assert_eq!(MADE_UP.share(&fused, 2_000.0), (0.25, Roof::Operations(Arithmetic::Fused)));
    }

    #[test]
    fn caches_are_read_as_linux_tells_them() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let put = |index: &str, level: &str, kind: &str, size: &str| {
            let at = folder.path().join(index);
            std::fs::create_dir(&at).expect("a fresh folder");
            for (name, text) in [("level", level), ("type", kind), ("size", size)] {
                std::fs::write(at.join(name), format!("{text}\n")).expect("a fresh file");
            }
        };
        put("index0", "1", "Data", "48K");
        put("index1", "1", "Instruction", "32K");
        put("index2", "2", "Unified", "512K");
        assert_eq!(Caches::read(folder.path()), None, "the third level is missing");
        put("index3", "3", "Unified", "16384K");
        let expected = Caches { bytes: [48 << 10, 512 << 10, 16 << 20], told: true };
        assert_eq!(Caches::read(folder.path()), Some(expected));
        let sizes = LEVELS.map(|level| expected.stream_bytes(level));
        assert_eq!(sizes.map(|bytes| expected.level(bytes)), LEVELS);
    }

    #[test]
    fn streams_and_products_compute_what_they_say() {
        let values: Vec<f32> = (0..3 * STRANDS).map(|k| k as f32).collect();
        let mut sums = [0.0; STRANDS];
        read(&values, &mut sums);
        // Whole numbers below 2^24 add exactly: 3 k + 0 + 128 + 256.
        assert!(sums.iter().enumerate().all(|(k, sum)| *sum == (3 * k + 384) as f32));
        let mut moved = values.clone();
        update(&mut moved, 1.0);
        assert!(moved.iter().zip(&values).all(|(moved, value)| *moved == value + 1.0));
        let (mut separate, mut fused) = ([1.0; 96], [1.0; 96]);
        separate_products(&mut separate, 0.5, 0.5);
        fused_products(&mut fused, 0.5, 0.5);
        assert_eq!((separate, fused), ([1.0; 96], [1.0; 96]), "1 is the fixed point of x / 2 + 1 / 2");
    }
}
