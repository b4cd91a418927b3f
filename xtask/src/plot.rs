//! What every drawing shares: inks, axes with round ticks, text, labels that do not overlap.

use std::ops::Range;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A colour on light ground and its counterpart on dark ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ink {
    pub(crate) light: u32,
    pub(crate) dark: u32,
}

pub(crate) const TEXT: Ink = Ink { light: 0x001c_1f24, dark: 0x00e6_e8eb };
pub(crate) const QUIET: Ink = Ink { light: 0x0059_616c, dark: 0x00a7_afba };
pub(crate) const AXIS: Ink = Ink { light: 0x0096_9da8, dark: 0x006d_7683 };
pub(crate) const GRID: Ink = Ink { light: 0x00e5_e7eb, dark: 0x002e_333b };
/// Warm inks for binary stochastic arms, cool ones for the others; the pairs differ in lightness as well as in hue.
pub(crate) const WARM: [Ink; 3] = [
    Ink { light: 0x00c2_410c, dark: 0x00ff_8f52 },
    Ink { light: 0x008a_6100, dark: 0x00f0_c24b },
    Ink { light: 0x007f_1d1d, dark: 0x00f7_a8a8 },
];
pub(crate) const COOL: [Ink; 5] = [
    Ink { light: 0x0005_6bb0, dark: 0x0057_b0ff },
    Ink { light: 0x000e_8074, dark: 0x0048_d1be },
    Ink { light: 0x006b_3fa0, dark: 0x00c4_a5f5 },
    Ink { light: 0x0047_5569, dark: 0x00b6_c2d2 },
    Ink { light: 0x0015_3e75, dark: 0x009c_c3f5 },
];

/// Drawn units to a pixel of the page: plotters rounds to whole units, and lines should not show it.
pub(crate) const UNIT: i32 = 4;

impl Ink {
    /// The ink of the `n`-th arm of its kind.
    pub(crate) const fn of(n: usize, binary: bool) -> Self {
        if binary { WARM[n % WARM.len()] } else { COOL[n % COOL.len()] }
    }

    pub(crate) fn colour(self) -> RGBColor {
        let [_, red, green, blue] = self.light.to_be_bytes();
        RGBColor(red, green, blue)
    }

    /// Name of the style sheet's variable that has this colour, light or dark as the reader prefers.
    pub(crate) fn variable(self) -> String {
        format!("var(--ink-{:06x})", self.light)
    }
}

/// What stands at equal distances on an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    /// Equal differences.
    Linear,
    /// Equal ratios.
    Logarithmic,
    /// Equal differences up to this value, equal ratios beyond it, with no kink between them.
    FromZero(f64),
    /// Equal ratios of what is missing to 100.
    Missing,
}

/// An axis with its ticks; values beyond its ends are drawn at the ends.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    low: f64,
    pub(crate) high: f64,
    scale: Scale,
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Spans `values` with some air and round ticks; from 0 to 1 when there are none.
    pub(crate) fn linear(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = ends(values).unwrap_or((0.0, 1.0));
        let air = if high > low { 0.06 * (high - low) } else { 0.5 * high.abs().max(1.0) };
        let (low, high) = (low - air, high + air);
        Self { low, high, scale: Scale::Linear, ticks: round_ticks(low, high, 5) }
    }

    /// Spans `low..high` without air, with round ticks.
    pub(crate) fn between(low: f64, high: f64) -> Self {
        Self { low, high, scale: Scale::Linear, ticks: round_ticks(low, high, 5) }
    }

    /// Spans the positive of `values` on a logarithmic scale, ticks at round numbers.
    pub(crate) fn logarithmic(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = ends(values.filter(|v| *v > 0.0)).unwrap_or((0.1, 1.0));
        let air = 1.04 * (high / low).powf(0.04);
        let (low, high) = (low / air, high * air);
        let digits: [&[u32]; 4] =
            [&[10, 15, 20, 30, 40, 50, 70], &[10, 15, 20, 30, 50, 70], &[10, 20, 50], &[10]];
        let ticks_of = |digits: &[u32]| {
            let decades = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
            decades
                .flat_map(|decade| digits.iter().map(move |&d| f64::from(d) * 10f64.powi(decade - 1)))
                .filter(|tick| (low..=high).contains(tick))
                .map(|tick| (tick, plain(tick)))
                .collect::<Vec<_>>()
        };
        let ticks = digits.into_iter().map(ticks_of).find(|ticks| ticks.len() <= 8).unwrap_or_default();
        let ticks = if ticks.len() < 3 { round_ticks(low, high, 5) } else { ticks };
        Self { low, high, scale: Scale::Logarithmic, ticks }
    }

    /// From zero to the greatest of `values`: linear up to the least positive one, logarithmic beyond it.
    pub(crate) fn from_zero(values: impl Iterator<Item = f64>) -> Self {
        let positive: Vec<f64> = values.filter(|v| *v > 0.0).collect();
        let (least, _) = ends(positive.iter().copied()).unwrap_or((0.1, 1.0));
        let Self { high, mut ticks, .. } = Self::logarithmic(positive.into_iter().chain([least / 3.0]));
        ticks.retain(|(tick, _)| *tick > 0.99 * least);
        ticks.insert(0, (0.0, "0".into()));
        Self { low: 0.0, high, scale: Scale::FromZero(least), ticks }
    }

    /// Spans accuracies in per cent on a scale that is logarithmic in the error, so that 98 and 99 stand as far from each
    /// other as 90 and 95.
    pub(crate) fn accuracy(values: impl Iterator<Item = f64>) -> Self {
        let missing = values.map(|v| (100.0 - v).max(0.01));
        let (least, most) = ends(missing).unwrap_or((1.0, 10.0));
        let air = 1.04 * (most / least).powf(0.05);
        let (low, high) = (100.0 - (most * air).min(100.0), 100.0 - least / air);
        let round: [&[f64]; 2] = [
            &[0.0, 20.0, 50.0, 80.0, 90.0, 95.0, 97.0, 98.0, 99.0, 99.5, 99.8, 99.9],
            &[30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 85.0, 90.0, 92.0, 94.0, 95.0, 96.0, 97.0, 98.0, 99.0],
        ];
        let ticks_of = |round: &[f64]| {
            let within = round.iter().filter(|tick| (low..=high).contains(*tick));
            within.map(|tick| (*tick, plain(*tick))).collect::<Vec<_>>()
        };
        let ticks = round.into_iter().map(ticks_of).find(|ticks| ticks.len() >= 4);
        Self { low, high, scale: Scale::Missing, ticks: ticks.unwrap_or_else(|| round_ticks(low, high, 5)) }
    }

    /// Whole numbers from the first to the last epoch.
    pub(crate) fn epochs(last: u64) -> Self {
        let high = last.max(2) as f64;
        let mut ticks = round_ticks(1.0, high, 4);
        ticks.retain(|(tick, _)| tick.fract() == 0.0 && *tick > (0.08 * high).max(1.0));
        ticks.insert(0, (1.0, String::new()));
        let ticks = ticks.into_iter().map(|(tick, _)| (tick, format!("{tick:.0}"))).collect();
        Self { low: 1.0, high, scale: Scale::Linear, ticks }
    }

    /// One tick for each of `names`, at 0, 1, 2 and so on.
    pub(crate) fn categories(names: Vec<String>) -> Self {
        let high = names.len() as f64 - 0.7;
        let ticks = names.into_iter().enumerate().map(|(i, name)| (i as f64, name)).collect();
        Self { low: -0.3, high, scale: Scale::Linear, ticks }
    }

    fn fraction(&self, value: f64) -> f64 {
        let at = |v: f64| match self.scale {
            Scale::Linear => v,
            Scale::Logarithmic => v.max(f64::MIN_POSITIVE).ln(),
            Scale::FromZero(knee) => {
                if v < knee {
                    v / knee
                } else {
                    1.0 + (v / knee).ln()
                }
            }
            Scale::Missing => -(100.0 - v).max(f64::MIN_POSITIVE).ln(),
        };
        ((at(value) - at(self.low)) / (at(self.high) - at(self.low))).clamp(0.0, 1.0)
    }

    fn label(&self, value: f64) -> String {
        self.ticks
            .iter()
            .find(|(tick, _)| *tick == value)
            .map_or_else(String::new, |(_, label)| label.clone())
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        limit.0 + (self.fraction(*value) * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: plotters::coord::ranged1d::KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(tick, _)| *tick).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.label(*value)
    }
}

/// What a drawing begins with where no page gives it a font and a ground.
pub(crate) const ALONE: &str = "<style>text { font-family: system-ui, sans-serif; }</style>\
                                <rect width=\"100%\" height=\"100%\" fill=\"#fcfcfb\"/>";

/// `drawn`, which plotters wrote in drawn units, as a file of its own: `title` is what a reader is told who does not see it.
pub(crate) fn page(title: &str, [width, height]: [i32; 2], drawn: &str) -> String {
    let body = drawn.split_once('\n').map_or("", |(_, body)| body);
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\"><title>{title}</title>{ALONE}\n{}\n",
        width * UNIT,
        height * UNIT,
        body.trim_end()
    )
}

/// What is drawn on, in drawn units.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A plot of two axes.
pub(crate) type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Axis, Axis>>;

/// Draws axes, their titles and the grid; `right` page pixels beside the plot stay free for labels.
pub(crate) fn frame<'a>(
    area: &Area<'a>,
    [x, y]: [&Axis; 2],
    [x_title, y_title]: [&str; 2],
    right: i32,
) -> Result<Chart<'a>> {
    area.draw(&words(y_title, (2, 12), &small(QUIET), HPos::Left))?;
    let mut chart = bare(area, [x, y], right)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID.colour().stroke_width(UNIT as u32))
        .light_line_style(TRANSPARENT)
        .axis_style(AXIS.colour().stroke_width(UNIT as u32))
        .label_style(small(QUIET))
        .x_label_formatter(&|value| x.label(*value))
        .y_label_formatter(&|value| y.label(*value))
        .x_labels(12)
        .y_labels(12)
        .set_all_tick_mark_size(4 * UNIT)
        .draw()?;
    let (across, _) = chart.plotting_area().get_pixel_range();
    let middle = (i32::midpoint(across.start, across.end) - area.get_base_pixel().0) / UNIT;
    let bottom = area.dim_in_pixel().1 as i32 / UNIT;
    area.draw(&words(x_title, (middle, bottom - 9), &small(QUIET), HPos::Center))?;
    Ok(chart)
}

/// The plot that [`frame`] draws, with nothing drawn: for what lies over it.
pub(crate) fn bare<'a>(area: &Area<'a>, [x, y]: [&Axis; 2], right: i32) -> Result<Chart<'a>> {
    let chart = ChartBuilder::on(area)
        .margin_top(26 * UNIT)
        .margin_right(right * UNIT)
        .margin_bottom(4 * UNIT)
        .x_label_area_size(36 * UNIT)
        .y_label_area_size(46 * UNIT)
        .build_cartesian_2d(x.clone(), y.clone())?;
    Ok(chart)
}

/// Text in the size of axis labels.
pub(crate) fn small(ink: Ink) -> TextStyle<'static> {
    // plotters takes its font sizes as 1.24 times what it writes.
    ("sans-serif", 12.0 * 1.24 * f64::from(UNIT)).into_font().color(&ink.colour())
}

/// Text in the size and weight of direct labels.
pub(crate) fn label_style(ink: Ink) -> TextStyle<'static> {
    let font = ("sans-serif", 12.5 * 1.24 * f64::from(UNIT)).into_font().style(FontStyle::Bold);
    font.color(&ink.colour())
}

/// Text, vertically centred, at a place in page pixels.
pub(crate) fn words(
    text: &str,
    at: (i32, i32),
    style: &TextStyle<'static>,
    side: HPos,
) -> Text<'static, (i32, i32), String> {
    Text::new(text.to_owned(), (at.0 * UNIT, at.1 * UNIT), style.pos(Pos::new(side, VPos::Center)))
}

/// Tops of labels of the given heights, each as near to its wanted middle as order and room allow.
pub(crate) fn spread_out(wanted: &[i32], heights: &[i32], room: Range<i32>) -> Vec<i32> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&i| wanted[i]);
    let mut tops: Vec<i32> = wanted.iter().zip(heights).map(|(middle, height)| middle - height / 2).collect();
    let mut free_from = room.start;
    for &i in &order {
        tops[i] = tops[i].max(free_from);
        free_from = tops[i] + heights[i];
    }
    let mut free_to = room.end;
    for &i in order.iter().rev() {
        tops[i] = tops[i].min(free_to - heights[i]);
        free_to = tops[i];
    }
    tops
}

/// Least and greatest of the finite values.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|v| v.is_finite()).fold(None, |ends, v| {
        let (low, high) = ends.unwrap_or((v, v));
        Some((low.min(v), high.max(v)))
    })
}

/// About `count` ticks at multiples of 1, 2 or 5 times a power of ten.
fn round_ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let rough = (high - low) / count as f64;
    let magnitude = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * magnitude).into_iter().find(|step| *step >= 0.7 * rough);
    let step = step.unwrap_or(10.0 * magnitude);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    ((low / step).ceil() as i64..=(high / step).floor() as i64)
        .map(|i| {
            let tick = i as f64 * step;
            (tick, format!("{tick:.decimals$}").replace('-', "\u{2212}"))
        })
        .collect()
}

/// A number without trailing zeros.
fn plain(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Breaks a label at blanks into lines of at most `width` characters where the words allow it.
pub(crate) fn wrap(label: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in label.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(ticks(&Axis::linear([97.3, 98.6].into_iter())), ["97.5", "98.0", "98.5"]);
        assert_eq!(
            ticks(&Axis::linear([-0.2, 0.0].into_iter())),
            ["−0.20", "−0.15", "−0.10", "−0.05", "0.00"]
        );
        assert_eq!(
            ticks(&Axis::logarithmic([1.3, 12.0].into_iter())),
            ["1.5", "2", "3", "4", "5", "7", "10"]
        );
        assert_eq!(ticks(&Axis::epochs(25)), ["1", "5", "10", "15", "20", "25"]);
        assert_eq!(ticks(&Axis::epochs(1)), ["1", "2"]);
    }

    #[test]
    fn accuracies_are_spaced_by_what_they_miss() {
        let axis = Axis::accuracy([60.0, 98.4].into_iter());
        assert_eq!(ticks(&axis), ["80", "90", "95", "97", "98"]);
        let between = |a: f64, b: f64| axis.fraction(b) - axis.fraction(a);
        assert!((between(80.0, 90.0) - between(90.0, 95.0)).abs() < 1e-12 && between(80.0, 90.0) > 0.0);
        assert_eq!(ticks(&Axis::accuracy([97.3, 98.6].into_iter())), ["97.5", "98.0", "98.5"]);
        assert!(axis.fraction(0.0) == 0.0 && Axis::accuracy([100.0].into_iter()).high < 100.0);
    }

    #[test]
    fn zero_stands_on_a_scale_of_ratios() {
        let axis = Axis::from_zero([0.0, 0.02, 0.05, 0.2].into_iter());
        assert_eq!(ticks(&axis), ["0", "0.02", "0.05", "0.1", "0.2"]);
        let at: Vec<f64> = [0.0, 0.01, 0.02, 0.04, 0.08, 0.2].map(|v| axis.fraction(v)).to_vec();
        assert!(at[0] == 0.0 && at.is_sorted());
        assert!(
            (at[1] - at[2] / 2.0).abs() < 1e-12 && (at[4] - at[3] - at[3] + at[2]).abs() < 1e-12,
            "{at:?}"
        );
    }

    #[test]
    fn axes_of_nothing_and_of_one_value_have_a_span() {
        for axis in [
            Axis::linear([].into_iter()),
            Axis::linear([3.0].into_iter()),
            Axis::logarithmic([0.0, 2.0].into_iter()),
        ] {
            assert!(axis.high > axis.low && !axis.ticks.is_empty(), "{axis:?}");
        }
    }

    #[test]
    fn labels_keep_their_order_and_do_not_overlap() {
        assert_eq!(spread_out(&[50, 48, 90], &[10, 10, 10], 0..100), [53, 43, 85]);
        assert_eq!(spread_out(&[99, 98, 97], &[10, 10, 10], 0..100), [90, 80, 70]);
    }

    #[test]
    fn labels_break_at_blanks() {
        assert_eq!(wrap("HP input bits, gain 1.5", 15), ["HP input bits,", "gain 1.5"]);
    }
}
