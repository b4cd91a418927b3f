//! Numbers and findings in words and cells.

use maud::{Markup, html};

use super::stats::{Estimate, Verdict};

impl Estimate {
    /// The estimate in a unit `factor` times smaller.
    pub(super) fn times(self, factor: f64) -> Self {
        Self { mean: factor * self.mean, half_width: self.half_width.map(|half| factor * half), ..self }
    }
}

pub(super) fn percent(fraction: f64) -> String {
    format!("{:.2}", 100.0 * fraction)
}

/// A difference of fractions in points, with its sign.
pub(super) fn signed(fraction: f64) -> String {
    sign(100.0 * fraction, 2)
}

pub(super) fn sign(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    if text.starts_with('−') { text } else { format!("+{text}") }
}

/// A number with a proper minus, and none before zero.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.chars().all(|c| matches!(c, '0' | '.')) => zero.to_owned(),
        Some(positive) => format!("−{positive}"),
        None => text,
    }
}

/// `0.29 points (95 % interval 0.20 to 0.38; n = 5)`, of the difference of fractions times `direction` (1 or -1).
pub(super) fn span_of(difference: &Estimate, direction: f64) -> String {
    let points = difference.times(100.0);
    let (mean, half) = (direction * points.mean, points.half_width.unwrap_or(0.0));
    let decimals = enough_decimals(&points, 2);
    let number = |v: f64| fixed(v, decimals);
    let (mean, low, high) = (number(mean), number(mean - half), number(mean + half));
    format!("{mean} points (95 % interval {low} to {high}; n = {})", points.n)
}

/// `decimals`, or one more where an end of the interval would be printed as the zero it is clear of.
pub(super) fn enough_decimals(difference: &Estimate, decimals: usize) -> usize {
    let clear = matches!(difference.verdict(), Verdict::Above | Verdict::Below);
    let nearest = difference.low().abs().min(difference.high().abs());
    if clear && nearest < 0.5 / 10f64.powf(decimals as f64) { decimals + 1 } else { decimals }
}

/// A difference and what may be said of it.
pub(super) fn verdict_of(difference: &Estimate) -> String {
    match difference.verdict() {
        Verdict::Above => format!("ahead by {}", span_of(difference, 1.0)),
        Verdict::Below => format!("behind by {}", span_of(difference, -1.0)),
        Verdict::Open => format!("no difference can be claimed: {}", span_of(difference, 1.0)),
        Verdict::Single => format!("{} points on one seed, which supports no claim", signed(difference.mean)),
    }
}

/// `Its train–test gap is smaller than that of A and B; no difference can be claimed against C.`
pub(super) fn in_words(what: &str, below: &str, above: &str, differences: &[(&str, Estimate)]) -> Markup {
    let of = |verdict| -> Vec<&str> {
        let chosen = differences.iter().filter(|(_, difference)| difference.verdict() == verdict);
        chosen.map(|(rival, _)| *rival).collect()
    };
    let mut parts = vec![];
    for (verdict, word) in [(Verdict::Below, below), (Verdict::Above, above)] {
        if !of(verdict).is_empty() {
            parts.push(format!("is {word} than that of {}", listed(&of(verdict))));
        }
    }
    if !of(Verdict::Open).is_empty() {
        parts.push(format!("shows no difference that can be claimed against {}", listed(&of(Verdict::Open))));
    }
    html! { @if !parts.is_empty() { (what) " " (parts.join(", and ")) ". " } }
}

pub(super) fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// A table's cell: mean ± half-width.
pub(super) fn cell(estimate: Option<Estimate>, factor: f64, decimals: usize) -> Markup {
    let estimate = estimate.map(|e| e.times(factor));
    html! {
        @match estimate {
            None => "–",
            Some(e) if !e.mean.is_finite() => "not finite",
            Some(e) => {
                (fixed(e.mean, decimals))
                @if let Some(half) = e.half_width { span.half { " ± " (format!("{half:.decimals$}")) } }
            }
        }
    }
}

/// A table's cell for a difference: bold where the interval is clear of zero.
pub(super) fn difference_cell(difference: Option<Estimate>, decimals: usize) -> Markup {
    let Some(e) = difference else {
        return html! { "–" };
    };
    let decimals = enough_decimals(&e, decimals);
    let text = sign(e.mean, decimals);
    html! {
        @if !e.mean.is_finite() { "not finite" }
        @else if matches!(e.verdict(), Verdict::Above | Verdict::Below) { b { (text) } } @else { (text) }
        @if e.mean.is_finite() && e.half_width.is_some() {
            span.half { " [" (sign(e.low(), decimals)) ", " (sign(e.high(), decimals)) "]" }
        }
    }
}

pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

pub(super) fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

pub(super) fn seeds(count: usize) -> String {
    plural(count, "seed")
}

pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} seconds"),
        s if s < 7200.0 => format!("{:.1} minutes", s / 60.0),
        s => format!("{:.1} hours", s / 3600.0),
    }
}

pub(super) fn points(fractions: &[f64]) -> Vec<f64> {
    fractions.iter().map(|v| 100.0 * v).collect()
}
