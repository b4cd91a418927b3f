use std::collections::BTreeMap;

use bitpulse_core::SeedPath;
use rand::RngExt;

use crate::bill::{Bill, Pass, Quote};
use crate::quantity::Range;

/// How many times more one machine takes than another for the same samples.
///
/// A constant that enters both bills is one constant: it moves both sides at once, in every number given here.
#[derive(Clone, Debug)]
pub struct Ratio<'a> {
    over: &'a Bill,
    under: &'a Bill,
    passes: Vec<Pass>,
}

/// A ratio drawn many times over the ranges of its constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// 2.5 % of the draws lie below.
    pub low: f64,
    /// Half of the draws lie below.
    pub median: f64,
    /// 2.5 % of the draws lie above.
    pub high: f64,
}

/// A ratio with one constant at the ends of its range, all others nominal.
#[derive(Clone, Debug, PartialEq)]
pub struct Swing {
    /// The constant.
    pub key: String,
    /// The ratio with the constant at its low end.
    pub at_low: f64,
    /// The ratio with the constant at its high end.
    pub at_high: f64,
}

impl Swing {
    /// How far the ratio moves, in natural logarithms.
    pub fn width(&self) -> f64 {
        (self.at_high / self.at_low).ln().abs()
    }
}

impl<'a> Ratio<'a> {
    /// `over` by `under` in joules per sample of `passes`; `None` where `under` takes nothing or either presented
    /// no sample.
    pub fn new(over: &'a Bill, under: &'a Bill, passes: &[Pass]) -> Option<Self> {
        let ratio = Self { over, under, passes: passes.to_vec() };
        (over.samples > 0.0 && under.samples > 0.0 && ratio.under.joules_at(passes, Quote::Nominal) > 0.0)
            .then_some(ratio)
    }

    /// The ratio at `quote`.
    pub fn at(&self, quote: Quote<'_>) -> f64 {
        let per_sample = |bill: &Bill| bill.joules_at(&self.passes, quote) / bill.samples;
        per_sample(self.over) / per_sample(self.under)
    }

    /// The ratio with every constant nominal.
    pub fn nominal(&self) -> f64 {
        self.at(Quote::Nominal)
    }

    /// The least and the greatest that interval arithmetic allows when constants are not known to be common to both.
    pub fn bounds(&self) -> [f64; 2] {
        let per_sample = |bill: &Bill, quote| bill.joules_at(&self.passes, quote) / bill.samples;
        [
            per_sample(self.over, Quote::Low) / per_sample(self.under, Quote::High),
            per_sample(self.over, Quote::High) / per_sample(self.under, Quote::Low),
        ]
    }

    /// Every constant of either bill, by name.
    pub fn constants(&self) -> BTreeMap<&'a str, Range> {
        let all = self.over.constants().chain(self.under.constants());
        all.map(|constant| (constant.key.as_str(), constant.range)).collect()
    }

    /// The ratio over `draws` draws of all constants from their ranges.
    ///
    /// A constant is drawn triangularly in its logarithm, from low over nominal as the mode to high: the ends are the
    /// least and the most that any source gives, the mode is the one to reckon with, and a factor of two up is as likely
    /// as one down. The stream of a constant is named by its key, so the same seed gives the same value to the same
    /// constant in every ratio.
    ///
    /// # Panics
    /// When `draws` is 0.
    pub fn interval(&self, draws: u32, seed: SeedPath) -> Interval {
        assert!(draws > 0, "no draws, no interval");
        let constants = self.constants();
        let mut ratios: Vec<f64> = (0..draws)
            .map(|draw| {
                let values: BTreeMap<String, f64> = constants
                    .iter()
                    .map(|(key, range)| {
                        let u = seed.child(key).index(u64::from(draw)).rng().random::<f64>();
                        ((*key).to_owned(), log_triangular(*range, u))
                    })
                    .collect();
                self.at(Quote::Drawn(&values))
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            let place = q * (ratios.len() - 1) as f64;
            let (below, above) = (ratios[place.floor() as usize], ratios[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Interval { low: quantile(0.025), median: quantile(0.5), high: quantile(0.975) }
    }

    /// How far each constant alone moves the ratio, most first; those that move nothing are left out.
    pub fn tornado(&self) -> Vec<Swing> {
        let mut swings: Vec<Swing> = self
            .constants()
            .into_iter()
            .map(|(key, range)| {
                let at = |value: f64| self.at(Quote::Drawn(&BTreeMap::from([(key.to_owned(), value)])));
                Swing { key: key.to_owned(), at_low: at(range.low), at_high: at(range.high) }
            })
            .filter(|swing| swing.width() > 1e-9)
            .collect();
        swings.sort_by(|a, b| b.width().total_cmp(&a.width()));
        swings
    }

    /// Relative change of the ratio for a relative change of constant `key`, nominally.
    pub fn elasticity(&self, key: &str) -> f64 {
        self.over.elasticity(&self.passes, key) - self.under.elasticity(&self.passes, key)
    }
}

/// The value below which a share `u` of a triangular distribution in the logarithm lies.
fn log_triangular(range: Range, u: f64) -> f64 {
    let [low, mode, high] = [range.low, range.nominal, range.high].map(f64::ln);
    let width = high - low;
    if width <= 0.0 {
        return range.nominal;
    }
    let rising = (mode - low) / width;
    let value = if u < rising {
        low + (u * width * (mode - low)).sqrt()
    } else {
        high - ((1.0 - u) * width * (high - mode)).sqrt()
    };
    value.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_fill_the_range_and_no_more() {
        let range = Range { low: 1.0, nominal: 4.0, high: 100.0 };
        assert!((log_triangular(range, 0.0) - 1.0).abs() < 1e-12);
        assert!((log_triangular(range, 1.0) - 100.0).abs() < 1e-9);
        // Up to the mode lies the share (ln 4 - ln 1) / (ln 100 - ln 1).
        let share = 4_f64.ln() / 100_f64.ln();
        assert!((log_triangular(range, share) - 4.0).abs() < 1e-9);
        // A quarter of that share lies below half of the way there.
        assert!((log_triangular(range, share / 4.0) - 2.0).abs() < 1e-9);
        for (range, expected) in [
            (Range::exactly(3.0), 3.0),
            (Range { low: 3.0, nominal: 3.0, high: 27.0 }, 3.0 * 9_f64.powf(1.0 - 0.5_f64.sqrt())),
        ] {
            assert!((log_triangular(range, 0.5) / expected - 1.0).abs() < 1e-12);
        }
    }
}
