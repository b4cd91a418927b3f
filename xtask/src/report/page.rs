//! The page: what the numbers say first, then the tables and figures they come from, then all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::arms::{ALL_BINARY, Ablation, Arm, Family, Task, ablation, paired, tasks};
use super::figure::{Axis, Forest, ForestRow, Ink, Panel, Point, Series, Spread, dark_colours};
use super::read::{Curves, Epoch, Results, Run, SIGNALS, Spec};
use super::stats::{Estimate, Verdict};

/// More lines than this in one panel, and only the best arm of each rule is drawn.
const LINES: usize = 8;

/// Everything the sections draw from.
struct Sweep<'a> {
    spec: &'a Spec,
    results: &'a Results,
    curves: &'a Curves,
    tasks: &'a [Task<'a>],
    /// Whether runs were measured on the validation split: such a sweep chooses settings, it proves nothing.
    tuning: bool,
    inks: BTreeMap<String, Ink>,
}

/// The page, as HTML.
pub(super) fn page(
    spec: &Spec,
    results: &Results,
    curves: &Curves,
    energy: Option<Markup>,
) -> Result<String> {
    let tasks = tasks(results);
    let tuning = results.runs.iter().any(|run| run.validation_accuracy.is_some());
    let sweep = Sweep { spec, results, curves, tasks: &tasks, tuning, inks: inks(&tasks) };
    let sections = [
        ("results", "Results", sweep.table()?),
        ("differences", "Paired differences", sweep.differences()?),
        ("learning", "Learning and over-training", sweep.learning()?),
        ("inference", "Stochastic inference", sweep.inference()?),
        ("ablation", "Ablation of the four signals", sweep.ablations()),
        ("energy", "Energy, latency, area", energy),
        ("runs", "Settings, runs and how to repeat them", Some(sweep.sources())),
    ];
    let sections: Vec<_> =
        sections.into_iter().filter_map(|(id, title, body)| Some((id, title, body?))).collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (spec.manifest.name) " – bitpulse" }
                style { (PreEscaped(dark_colours())) (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header {
                    p.eyebrow { "bitpulse sweep " b { (spec.manifest.name) } }
                    h1 { (spec.question) }
                    (sweep.headline())
                    p.facts { (sweep.facts()) }
                    p.facts { (sweep.method()) }
                    @if let Some(notes) = &spec.notes {
                        @for paragraph in notes.split("\n\n") { p.facts { (paragraph) } }
                    }
                    nav { @for (id, title, _) in &sections { a href={ "#" (id) } { (title) } } }
                }
                main { @for (id, title, body) in &sections { section id=(id) { h2 { (title) } (body) } } }
            }
        }
    };
    Ok(page.into_string())
}

impl Sweep<'_> {
    /// The accuracy the sweep is read by.
    fn accuracy(&self) -> impl Fn(&Run) -> Option<f64> + Copy + use<> {
        let tuning = self.tuning;
        move |run| {
            if tuning { run.validation_accuracy } else { run.test_accuracy }
        }
    }

    /// The word for it.
    fn split(&self) -> &'static str {
        if self.tuning { "validation" } else { "test" }
    }

    /// Train accuracy less the sweep's accuracy.
    fn gap(&self) -> impl Fn(&Run) -> Option<f64> + Copy + use<> {
        let accuracy = self.accuracy();
        move |run| Some(run.train_accuracy? - accuracy(run)?)
    }

    fn ink(&self, arm: &Arm) -> Ink {
        self.inks[&arm.label]
    }

    /// Arms, best first; those not measured last.
    fn ranked<'b>(&self, arms: impl IntoIterator<Item = &'b Arm<'b>>) -> Vec<&'b Arm<'b>> {
        let mut arms: Vec<_> = arms.into_iter().map(|arm| (arm, arm.estimate(self.accuracy()))).collect();
        arms.sort_by(|(_, a), (_, b)| {
            let mean = |estimate: &Option<Estimate>| estimate.map_or(f64::NEG_INFINITY, |e| e.mean);
            mean(b).total_cmp(&mean(a))
        });
        arms.into_iter().map(|(arm, _)| arm).collect()
    }

    /// The arms that figures and differences show: without the mixed ones of an ablation, which has its own section.
    fn shown<'b>(task: &'b Task<'b>) -> Vec<&'b Arm<'b>> {
        let mapped = ablation(task).is_some();
        task.arms.iter().filter(|arm| !(mapped && arm.is_mixed())).collect()
    }

    /// [`Sweep::shown`], cut to the best arm of each rule where the lines would be too many.
    fn drawn<'b>(&self, task: &'b Task<'b>) -> Vec<&'b Arm<'b>> {
        let shown = Self::shown(task);
        if shown.len() <= LINES {
            return shown;
        }
        let mut best: Vec<&Arm> = vec![];
        for arm in self.ranked(shown) {
            if best.len() < LINES && best.iter().all(|other| other.rule != arm.rule) {
                best.push(arm);
            }
        }
        best
    }

    fn cut_note(&self) -> &'static str {
        if self.tasks.iter().any(|task| Self::shown(task).len() > LINES) {
            " Of many settings, the best of each rule is drawn."
        } else {
            ""
        }
    }

    fn headline(&self) -> Markup {
        if self.results.runs.is_empty() {
            return html! { p.claim { "No run has finished yet." } };
        }
        html! {
            @for task in self.tasks {
                @let shown = Self::shown(task);
                @let ranked = self.ranked(&task.arms);
                @let binary = ranked.iter().filter(|arm| shown.iter().any(|other| std::ptr::eq(*other, **arm))).filter(|arm| arm.family() == Some(Family::Binary));
                @let compared = !self.tuning && !Task::pairs(&shown).is_empty();
                p.claim {
                    @if self.tasks.len() > 1 { span.task { (task.label) } " " }
                    @if let Some((best, estimate)) = ranked.first().and_then(|arm| Some((arm, arm.estimate(self.accuracy())?))) {
                        "Highest mean " (self.split()) " accuracy: " b { (best.label) } ", " (percent(estimate.mean)) " %"
                        " (" (seeds(estimate.n)) "). "
                    } @else { "No accuracy was measured. " }
                    @if compared { @for arm in binary { (self.standing(arm, &shown, std::ptr::eq(*arm, ranked[0]))) } }
                    @if let Some(ablation) = ablation(task) { (self.ablation_headline(&ablation)) }
                }
            }
        }
    }

    /// Where a binary arm stands against each precise one, in words; `best` when its mean was named just before.
    fn standing(&self, arm: &Arm, shown: &[&Arm], best: bool) -> Markup {
        let rivals: Vec<&Arm> =
            shown.iter().copied().filter(|other| other.family() == Some(Family::Precise)).collect();
        let compare = |measure: &dyn Fn(&Run) -> Option<f64>| -> Vec<(&str, Estimate)> {
            rivals
                .iter()
                .filter_map(|rival| Some((rival.label.as_str(), Estimate::of(&paired(arm, rival, measure))?)))
                .collect()
        };
        let accuracy = compare(&self.accuracy());
        html! {
            b { (arm.label) }
            @if let Some(own) = arm.estimate(self.accuracy()).filter(|_| !best) { " (" (percent(own.mean)) " %)" }
            @if accuracy.is_empty() { " shares no seed with an HP rule, so nothing is compared. " }
            @for (i, (rival, difference)) in accuracy.iter().enumerate() {
                @if i > 0 { "; " } @else { " " }
                @match difference.verdict() {
                    Verdict::Above => { span.verdict { "is ahead of " (rival) } " by " (span_of(difference, 1.0)) }
                    Verdict::Below => { span.verdict { "is behind " (rival) } " by " (span_of(difference, -1.0)) }
                    Verdict::Open => { "against " (rival) " " span.verdict { "no difference can be claimed" } ": " (span_of(difference, 1.0)) }
                    Verdict::Single => { "differs from " (rival) " by " (signed(difference.mean)) " points on the one seed run, " span.verdict { "which supports no claim" } }
                }
            }
            @if !accuracy.is_empty() { ". " }
            (in_words("Its train–test gap", "smaller", "larger", &compare(&self.gap())))
            (in_words("Its test cross-entropy", "lower", "higher", &compare(&|run| run.test_nats)))
        }
    }

    fn ablation_headline(&self, ablation: &Ablation) -> Markup {
        let cost = |bits: usize| ablation.cost(0, bits, self.accuracy());
        let alone = SIGNALS.iter().enumerate().filter_map(|(i, signal)| Some((*signal, cost(1 << i)?)));
        let costliest = alone.min_by(|(_, a), (_, b)| a.mean.total_cmp(&b.mean));
        html! {
            @if let Some(all) = cost(ALL_BINARY) {
                "All four signals binary against all high-precision: " (verdict_of(&all)) ". "
            }
            @if let Some((signal, cost)) = costliest {
                "The costliest signal to binarise alone is the " b { (name_of(signal)) } ": " (verdict_of(&cost)) ". "
            }
        }
    }

    fn facts(&self) -> Markup {
        let runs = &self.results.runs;
        let count = |part: &dyn Fn(&Run) -> String| runs.iter().map(part).collect::<BTreeSet<_>>().len();
        let several_settings = self.tasks.iter().any(|task| {
            task.arms
                .iter()
                .enumerate()
                .any(|(i, arm)| task.arms[..i].iter().any(|other| other.rule == arm.rule))
        });
        let seconds: f64 = runs.iter().filter_map(|run| run.seconds).sum();
        let epochs = (runs.iter().map(|run| run.epochs).min(), runs.iter().map(|run| run.epochs).max());
        let without_results = self.curves.keys().filter(|id| runs.iter().all(|run| run.id != **id)).count();
        html! {
            (plural(runs.len(), "run")) ": "
            (plural(count(&|run| run.rule.clone()), "rule"))
            @if several_settings { " in several settings" }
            ", " (plural(count(&|run| run.network.clone()), "network"))
            ", " (plural(count(&|run| run.seed.to_string()), "seed"))
            @if let (Some(least), Some(most)) = epochs {
                ", " @if least == most { (plural(most as usize, "epoch")) } @else { (least) " to " (most) " epochs" }
            }
            "; " (duration(seconds)) " of training, summed over the runs."
            @if without_results > 0 {
                " " (plural(without_results, "run")) " in curves.csv without a result (not finished) left out."
            }
        }
    }

    fn method(&self) -> Markup {
        html! {
            @if self.tuning {
                "This is a tuning sweep: its accuracies are on the " b { "validation split" }
                ", held out of the training images, and serve to choose hyper-parameters. They are no results: those are "
                "measured on the test set, with the settings chosen here."
            } @else {
                "Hyper-parameters were chosen on a " b { "validation split" } " of the training images; results are on the "
                b { "test set" } ", at the end of training."
            }
            " Inference is by expectation unless said otherwise; train accuracy is on all training images at the end, on the first "
            "10,000 of them in curves. "
            "Intervals are 95 % intervals of the mean over seeds by Student’s t. HP: high precision; BS: binary stochastic."
        }
    }

    fn table(&self) -> Result<Option<Markup>> {
        if self.results.runs.is_empty() {
            return Ok(None);
        }
        let runs = &self.results.runs;
        let epochs_vary = runs.iter().any(|run| run.epochs != runs[0].epochs);
        let batches_vary = runs.iter().any(|run| run.batch != runs[0].batch);
        let columns = 7 + usize::from(epochs_vary) + usize::from(batches_vary);
        let measured = |measure: fn(&Run) -> Option<f64>| runs.iter().any(|run| measure(run).is_some());
        let test_too = self.tuning && measured(|run| run.test_accuracy);
        let table = html! {
            div.scroll { table {
                thead { tr {
                    th { "Rule" } th.n { "Runs" }
                    @if epochs_vary { th.n { "Epochs" } }
                    @if batches_vary { th.n { "Batch" } }
                    th.n { (capital(self.split())) " accuracy, %" }
                    @if test_too { th.n { "Test accuracy, %" } }
                    th.n { "Train accuracy, %" } th.n { "Train–" (self.split()) " gap, points" }
                    th.n { "Test cross-entropy, nats" } th.n { "Speed, 1000 samples/s" }
                } }
                @for task in self.tasks {
                    tbody {
                        @if self.tasks.len() > 1 { tr.task { th colspan=(columns + usize::from(test_too)) { (task.label) } } }
                        @let drawn = self.drawn(task);
                        @for arm in self.ranked(&task.arms) {
                            tr {
                                td { @if drawn.iter().any(|other| std::ptr::eq(*other, arm)) { span.swatch style={ "background:" (self.ink(arm).variable()) } {} } (arm.label) }
                                td.n { (arm.runs.len()) }
                                @if epochs_vary { td.n { (arm.runs[0].epochs) } }
                                @if batches_vary { td.n { (arm.runs[0].batch) } }
                                td.n { b { (cell(arm.estimate(self.accuracy()), 100.0, 2)) } }
                                @if test_too { td.n { (cell(arm.estimate(|run| run.test_accuracy), 100.0, 2)) } }
                                td.n { (cell(arm.estimate(|run| run.train_accuracy), 100.0, 2)) }
                                td.n { (cell(arm.estimate(self.gap()), 100.0, 2)) }
                                td.n { (cell(arm.estimate(|run| run.test_nats), 1.0, 4)) }
                                td.n { (cell(arm.estimate(|run| run.samples_per_second).map(|e| Estimate { half_width: None, ..e }), 1e-3, 0)) }
                            }
                        }
                    }
                }
            } }
            p.caption {
                "Mean over runs, ± half of the 95 % interval (from two runs on); best " (self.split()) " accuracy first. Speed is that of "
                "training, evaluation left out, on the machine the sweep ran on."
            }
        };
        let drawn: Vec<(&Task, Vec<&Arm>)> =
            self.tasks.iter().map(|task| (task, self.ranked(self.drawn(task)))).collect();
        let all = drawn.iter().flat_map(|(_, arms)| arms).flat_map(|arm| {
            let estimate = arm.estimate(self.accuracy());
            let ends = estimate.into_iter().flat_map(|e| [e.low(), e.high()]);
            ends.chain(arm.values(self.accuracy())).map(|v| 100.0 * v).collect::<Vec<_>>()
        });
        let x = Axis::linear(all);
        let mut panels = vec![];
        for (task, arms) in drawn {
            let rows = arms.iter().filter_map(|arm| {
                let estimate = arm.estimate(self.accuracy())?.times(100.0);
                Some(ForestRow {
                    label: arm.label.clone(),
                    figure: match estimate.half_width {
                        Some(half) => format!("{:.2} ± {half:.2}", estimate.mean),
                        None => format!("{:.2}", estimate.mean),
                    },
                    ink: Some(self.ink(arm)),
                    estimate,
                    values: arm.values(self.accuracy()).into_iter().map(|v| 100.0 * v).collect(),
                })
            });
            panels.push(
                Forest {
                    title: self.title(task),
                    x: x.clone(),
                    x_title: format!("{} accuracy, %", capital(self.split())),
                    differences: false,
                    rows: rows.collect(),
                }
                .draw()?,
            );
        }
        let caption = html! {
            (capital(self.split())) " accuracy of each rule: open circles are single runs (seeds), the filled circle above them their mean, the "
            "line its 95 % interval (none for a single run)." (self.cut_note())
        };
        Ok(Some(html! { (figures(vec![figure(panels, &caption)])) (table) }))
    }

    fn differences(&self) -> Result<Option<Markup>> {
        if self.tuning {
            return Ok(None);
        }
        let mut of_tasks = vec![];
        for task in self.tasks {
            let shown = self.drawn(task);
            let pairs: Vec<_> = Task::pairs(&shown)
                .into_iter()
                .filter_map(|(first, second)| {
                    let values = points(&paired(first, second, self.accuracy()));
                    Some((first, second, Estimate::of(&values)?, values))
                })
                .collect();
            if !pairs.is_empty() {
                of_tasks.push((task, pairs));
            }
        }
        if of_tasks.is_empty() {
            return Ok(None);
        }
        let all = of_tasks.iter().flat_map(|(_, pairs)| pairs).flat_map(|(_, _, estimate, values)| {
            [0.0, estimate.low(), estimate.high()].into_iter().chain(values.iter().copied())
        });
        let x = Axis::linear(all);
        let mut panels = vec![];
        for (task, pairs) in &of_tasks {
            let rows = pairs.iter().map(|(first, second, estimate, values)| ForestRow {
                label: format!("{} − {}", first.label, second.label),
                figure: {
                    let decimals = enough_decimals(estimate, 2);
                    let [mean, low, high] =
                        [estimate.mean, estimate.low(), estimate.high()].map(|v| sign(v, decimals));
                    if estimate.half_width.is_some() {
                        format!("{mean} [{low}, {high}]")
                    } else {
                        format!("{mean}, one seed")
                    }
                },
                ink: Forest::ink(estimate, self.ink(first), self.ink(second)),
                estimate: *estimate,
                values: values.clone(),
            });
            panels.push(
                Forest {
                    title: self.title(task),
                    x: x.clone(),
                    x_title: "← second ahead · difference, points · first ahead →".into(),
                    differences: true,
                    rows: rows.collect(),
                }
                .draw()?,
            );
        }
        let counts = of_tasks.iter().flat_map(|(_, pairs)| pairs).map(|(_, _, estimate, _)| estimate.n);
        let (least, most) = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
        let unequal = of_tasks
            .iter()
            .flat_map(|(_, pairs)| pairs)
            .any(|(a, b, ..)| a.runs[0].epochs != b.runs[0].epochs);
        let caption = html! {
            "Difference in " (self.split()) " accuracy, first less second, between runs of the same network, data set, device and seed: open "
            "circles are seeds (n = " (least) @if most > least { " to " (most) } "), the filled circle their mean, the line its 95 % interval. "
            "Coloured, after the rule ahead, where the interval is clear of zero; grey where no difference can be claimed"
            @if least < 2 { " or, from one seed, none is" } ". Each interval stands for itself: no correction for their number."
            @if unequal { " Some of these rules trained for different numbers of epochs (see the table)." }
            (self.cut_note())
        };
        Ok(Some(figures(vec![figure(panels, &caption)])))
    }

    fn learning(&self) -> Result<Option<Markup>> {
        type Measure = fn(&Epoch) -> Option<f64>;
        let measures: [(&str, &str, bool, Measure); 3] = [
            (
                "Test error, % (log scale)",
                "Test error: the share of test images classified wrongly, after each epoch; lower is better.",
                true,
                |epoch| Some(100.0 * (1.0 - epoch.test_accuracy?)),
            ),
            (
                "Train – test accuracy, points",
                "Train–test gap: accuracy on the first 10,000 training images less accuracy on the test set. A gap that keeps \
                 growing while test error stands still is over-training.",
                false,
                |epoch| Some(100.0 * (epoch.train_accuracy? - epoch.test_accuracy?)),
            ),
            (
                "Test cross-entropy, nats (log scale)",
                "Test cross-entropy: mean negative log-probability of the right class. Where it rises again, the network \
                 grows surer of its mistakes.",
                true,
                |epoch| epoch.test_nats,
            ),
        ];
        let mut shown = vec![];
        for (y_title, what, logarithmic, measure) in measures {
            let of_tasks: Vec<(&Task, Vec<Series>)> = self
                .tasks
                .iter()
                .map(|task| {
                    let series = self.drawn(task).into_iter().map(|arm| Series {
                        label: arm.label.clone(),
                        ink: self.ink(arm),
                        points: self.curve(arm, measure),
                    });
                    (task, series.filter(|series| !series.points.is_empty()).collect())
                })
                .filter(|(_, series): &(_, Vec<_>)| !series.is_empty())
                .collect();
            if of_tasks.is_empty() {
                continue;
            }
            let points = || of_tasks.iter().flat_map(|(_, series)| series).flat_map(|series| &series.points);
            let values = || points().flat_map(|point| [point.low, point.high]);
            let y =
                if logarithmic { Axis::logarithmic(values()) } else { Axis::linear(values().chain([0.0])) };
            let last = points().map(|point| point.x as u64).max().unwrap_or(1);
            if last < 2 {
                continue;
            }
            let mut panels = vec![];
            for (task, series) in &of_tasks {
                panels.push(
                    Panel {
                        title: self.title(task),
                        x: Axis::epochs(last),
                        y: y.clone(),
                        x_title: "Epoch".into(),
                        y_title: y_title.into(),
                        spread: Spread::Band,
                        hover: hover(
                            series,
                            |x| format!("Epoch {x}"),
                            if logarithmic && y_title.contains("nats") { 4 } else { 2 },
                        ),
                        series: series.clone(),
                    }
                    .draw()?,
                );
            }
            let caption =
                html! { (what) " Line: mean over seeds; band: least to greatest seed." (self.cut_note()) };
            shown.push(figure(panels, &caption));
        }
        let over = self.over_training();
        Ok((!shown.is_empty() || over.is_some())
            .then(|| html! { (figures(shown)) @if let Some(over) = over { (over) } }))
    }

    /// Mean, least and greatest over the arm's seeds at every epoch that all of them have.
    fn curve(&self, arm: &Arm, measure: fn(&Epoch) -> Option<f64>) -> Vec<Point> {
        let mut by_epoch: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        let curves: Vec<&Vec<Epoch>> = arm.runs.iter().filter_map(|run| self.curves.get(&run.id)).collect();
        for epoch in curves.iter().copied().flatten() {
            by_epoch
                .entry(epoch.number)
                .or_default()
                .extend(measure(epoch).filter(|value| value.is_finite()));
        }
        by_epoch
            .into_iter()
            .filter(|(_, values)| values.len() == curves.len())
            .map(|(epoch, values)| Point {
                x: epoch as f64,
                mid: values.iter().sum::<f64>() / values.len() as f64,
                low: values.iter().copied().fold(f64::INFINITY, f64::min),
                high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            })
            .collect()
    }

    /// Paired differences in gap and cross-entropy at the end of training.
    fn over_training(&self) -> Option<Markup> {
        if self.tuning {
            return None;
        }
        let rows: Vec<_> = self
            .tasks
            .iter()
            .flat_map(|task| Task::pairs(&self.drawn(task)).into_iter().map(move |pair| (task, pair)))
            .map(|(task, (first, second))| {
                let gap = Estimate::of(&points(&paired(first, second, self.gap())));
                let nats = Estimate::of(&paired(first, second, |run| run.test_nats));
                (task, first, second, gap, nats)
            })
            .filter(|(.., gap, nats)| gap.is_some() || nats.is_some())
            .collect();
        (!rows.is_empty()).then(|| html! {
            div.scroll { table {
                thead { tr {
                    @if self.tasks.len() > 1 { th { "Network" } }
                    th { "First − second" } th.n { "Train–test gap, points" } th.n { "Test cross-entropy, nats" } th.n { "n" }
                } }
                tbody { @for (task, first, second, gap, nats) in &rows { tr {
                    @if self.tasks.len() > 1 { td { (task.label) } }
                    td { (first.label) " − " (second.label) }
                    td.n { (difference_cell(*gap, 2)) } td.n { (difference_cell(*nats, 4)) }
                    td.n { (gap.or(*nats).map_or(0, |e| e.n)) }
                } } }
            } }
            p.caption {
                "Over-training at the end: paired differences by seed with 95 % interval; below zero the first over-trains less. Bold "
                "where the interval is clear of zero."
            }
        })
    }

    fn inference(&self) -> Result<Option<Markup>> {
        /// An arm and its accuracy at each number of samples.
        type Sampled<'b> = (&'b Arm<'b>, Vec<Option<Estimate>>);
        let counts = &self.results.sample_counts;
        let names: Vec<String> =
            counts.iter().map(u32::to_string).chain(["expectation".to_owned()]).collect();
        let measure = |column: usize| {
            move |run: &Run| run.sampled.get(column).map_or(run.test_accuracy, |sampled| *sampled)
        };
        let of_tasks: Vec<(&Task, Vec<Sampled>)> = self
            .tasks
            .iter()
            .map(|task| {
                let arms = self
                    .drawn(task)
                    .into_iter()
                    .filter(|arm| arm.runs.iter().any(|run| run.sampled.iter().any(Option::is_some)));
                let rows =
                    arms.map(|arm| (arm, (0..names.len()).map(|i| arm.estimate(measure(i))).collect()));
                (task, rows.collect())
            })
            .filter(|(_, rows): &(_, Vec<_>)| !rows.is_empty())
            .collect();
        if of_tasks.is_empty() {
            return Ok(None);
        }
        let mut panels = vec![];
        for (task, rows) in &of_tasks {
            let series: Vec<Series> = rows
                .iter()
                .map(|(arm, estimates)| Series {
                    label: arm.label.clone(),
                    ink: self.ink(arm),
                    points: estimates
                        .iter()
                        .enumerate()
                        .filter_map(|(i, estimate)| {
                            let e = estimate.as_ref()?.times(100.0);
                            Some(Point { x: i as f64, mid: e.mean, low: e.low(), high: e.high() })
                        })
                        .collect(),
                })
                .collect();
            let values =
                series.iter().flat_map(|series| &series.points).flat_map(|point| [point.low, point.high]);
            panels.push(
                Panel {
                    title: self.title(task),
                    x: Axis::categories(names.clone()),
                    y: Axis::linear(values),
                    x_title: "Samples averaged".into(),
                    y_title: "Test accuracy, %".into(),
                    spread: Spread::Bars,
                    hover: hover(&series, |x| names.get(x as usize).cloned().unwrap_or_default(), 2),
                    series,
                }
                .draw()?,
            );
        }
        let caption = html! {
            "Test accuracy when the network’s units fire at random and the outputs of so many samples are combined, and at "
            "expectation (every unit passes on its probability). Bars: 95 % interval over seeds." (self.cut_note())
        };
        let table = html! {
            div.scroll { table {
                thead { tr {
                    @if self.tasks.len() > 1 { th { "Network" } }
                    th { "Rule" } @for name in &names { th.n { (name) } }
                } }
                tbody { @for (task, rows) in &of_tasks { @for (arm, estimates) in rows { tr {
                    @if self.tasks.len() > 1 { td { (task.label) } }
                    td { (arm.label) }
                    @for estimate in estimates { td.n { (cell(*estimate, 100.0, 2)) } }
                } } } }
            } }
        };
        Ok(Some(html! { (figures(vec![figure(panels, &caption)])) (table) }))
    }

    fn ablations(&self) -> Option<Markup> {
        let maps: Vec<_> = self.tasks.iter().filter_map(|task| Some((task, ablation(task)?))).collect();
        (!maps.is_empty()).then(|| html! { @for (task, map) in &maps { (self.ablation(task, map)) } })
    }

    fn ablation(&self, task: &Task, map: &Ablation) -> Markup {
        let word = |binary: bool| if binary { "BS" } else { "HP" };
        let estimates = map.cells.map(|cell| cell?.estimate(self.accuracy()));
        let best = estimates.iter().flatten().map(|e| e.mean).fold(f64::NEG_INFINITY, f64::max);
        // Index bits: forward 1, derivative 2, error 4, update 8.
        let order = [0b00, 0b10, 0b01, 0b11];
        let left_out = task.arms.iter().filter(|arm| {
            arm.combination().is_some_and(|bits| map.cells[bits].is_some_and(|cell| cell.label != arm.label))
        });
        let left_out: Vec<&str> = left_out.map(|arm| arm.label.as_str()).collect();
        html! {
            @if self.tasks.len() > 1 { h3 { (task.label) } }
            div.scroll { table.map {
                thead {
                    tr { td colspan="2" rowspan="2" {} th.side { "Error" }
                        @for bits in order { th { (word(bits & 1 != 0)) } } }
                    tr { th.side { "Update" }
                        @for bits in order { th { (word(bits & 2 != 0)) } } }
                    tr { th.side { "Forward" } th.side { "Derivative" } td {} td colspan="4" {} }
                }
                tbody { @for row in order { tr {
                    th { (word(row & 1 != 0)) } th { (word(row & 2 != 0)) } td {}
                    @for column in order {
                        @match estimates[row | column << 2] {
                            Some(e) => { td class={ "cost-" (cost_class(100.0 * (best - e.mean))) } {
                                b { (percent(e.mean)) }
                                small { @if let Some(half) = e.half_width { "± " (format!("{:.2}", 100.0 * half)) } @else { "1 seed" } }
                            } }
                            None => { td.none { "not run" } }
                        }
                    }
                } } }
            } }
            p.legend { "Points below the best cell: " @for (class, text) in COSTS { span class={ "cost-" (class) } { (text) } " " } }
            p.caption {
                "Mean " (self.split()) " accuracy, %, with half of its 95 % interval, for the 16 combinations of the four signals, each high-precision "
                "(HP) or binary stochastic (BS): top left is HP learning, bottom right BS learning."
                @if !left_out.is_empty() { " Not in the map: " (left_out.join(", ")) ", whose combination another rule closer to the mixed ones stands for." }
            }
            div.scroll { table {
                thead { tr { th { "Signal" } th.n { "Binary alone, against all HP, points" } th.n { "Restored alone, against all BS, points" } } }
                tbody {
                    @for (i, signal) in SIGNALS.iter().enumerate() { tr {
                        td { (capital(name_of(signal))) }
                        td.n { (difference_cell(map.cost(0, 1 << i, self.accuracy()).map(|e| e.times(100.0)), 2)) }
                        td.n { (difference_cell(map.cost(ALL_BINARY, ALL_BINARY ^ (1 << i), self.accuracy()).map(|e| e.times(100.0)), 2)) }
                    } }
                    tr {
                        td { "All four" }
                        td.n { (difference_cell(map.cost(0, ALL_BINARY, self.accuracy()).map(|e| e.times(100.0)), 2)) }
                        td.n { (difference_cell(map.cost(ALL_BINARY, 0, self.accuracy()).map(|e| e.times(100.0)), 2)) }
                    }
                }
            } }
            p.caption {
                "What each signal costs when it alone is made binary, and what is won back when it alone is made high-precision again: paired "
                "differences by seed in " (self.split()) " accuracy, with 95 % interval; bold where the interval is clear of zero."
            }
        }
    }

    fn sources(&self) -> Markup {
        let runs = &self.results.runs;
        let value = |runs: &[&Run], i: usize| {
            let mut values: Vec<&str> = vec![];
            for run in runs {
                if !values.contains(&run.settings[i].as_str()) {
                    values.push(&run.settings[i]);
                }
            }
            values.join(" | ")
        };
        let mut rules: Vec<(&str, Vec<&Run>)> = vec![];
        for run in runs {
            match rules.iter_mut().find(|(rule, _)| *rule == run.rule) {
                Some((_, members)) => members.push(run),
                None => rules.push((&run.rule, vec![run])),
            }
        }
        let all: Vec<&Run> = runs.iter().collect();
        let (differing, common): (Vec<usize>, Vec<usize>) = (0..self.results.settings.len())
            .filter(|&i| !value(&all, i).is_empty())
            .partition(|&i| value(&all, i).contains(" | "));
        let number = |value: Option<f64>, factor: f64, decimals: usize| {
            value.map_or_else(|| "–".into(), |v| format!("{:.decimals$}", factor * v))
        };
        html! {
            h3 { "To repeat it" }
            @if let Some(commit) = &self.spec.manifest.commit { p.caption { "At commit " code { (commit) } ":" } }
            pre { code { (self.spec.manifest.command) } }
            @if !differing.is_empty() {
                h3 { "Settings" }
                div.scroll { table {
                    thead { tr { th { "Rule" } @for &i in &differing { th { (self.results.settings[i]) } } } }
                    tbody { @for (rule, members) in &rules { tr {
                        td { code { (rule) } } @for &i in &differing { td { (value(members, i)) } }
                    } } }
                } }
            }
            @if !common.is_empty() {
                p.caption { "The same in all runs: "
                    @for (n, &i) in common.iter().enumerate() { @if n > 0 { ", " } (self.results.settings[i]) " " b { (runs[0].settings[i]) } } "." }
            }
            details {
                summary { "All runs (" (runs.len()) ")" }
                div.scroll { table.dense {
                    thead { tr {
                        th { "Run" } th { "Rule" } th { "Network" } th { "Data set" } th { "Device" } th.n { "Seed" } th.n { "Epochs" } th.n { "Batch" }
                        th.n { "Train, %" } th.n { "Test, %" } @if self.tuning { th.n { "Validation, %" } }
                        th.n { "Test nats" } th.n { "Seconds" }
                    } }
                    tbody { @for run in runs { tr {
                        td { code { (run.id) } } td { (run.rule) } td { (run.network) } td { (run.dataset) } td { (run.device) }
                        td.n { (run.seed) } td.n { (run.epochs) } td.n { (run.batch) }
                        td.n { (number(run.train_accuracy, 100.0, 2)) } td.n { (number(run.test_accuracy, 100.0, 2)) }
                        @if self.tuning { td.n { (number(run.validation_accuracy, 100.0, 2)) } }
                        td.n { (number(run.test_nats, 1.0, 4)) } td.n { (number(run.seconds, 1.0, 1)) }
                    } } }
                } }
                p.caption { "Everything measured, and every setting, is in results.csv and curves.csv beside this page." }
            }
            details { summary { "The sweep as specified (sweep.toml)" } pre { code { (self.spec.text) } } }
        }
    }

    /// A panel's title: needed only to tell it from others.
    fn title(&self, task: &Task) -> String {
        if self.tasks.len() > 1 { task.label.clone() } else { String::new() }
    }
}

impl Ablation<'_> {
    /// Paired difference in `measure` of combination `other` less combination `base`.
    fn cost(&self, base: usize, other: usize, measure: impl Fn(&Run) -> Option<f64>) -> Option<Estimate> {
        Estimate::of(&paired(self.cells[other]?, self.cells[base]?, measure))
    }
}

impl Estimate {
    /// The estimate in a unit `factor` times smaller.
    fn times(self, factor: f64) -> Self {
        Self { mean: factor * self.mean, half_width: self.half_width.map(|half| factor * half), ..self }
    }
}

/// Upper ends of the classes of the map's colours, in points below the best cell.
const COSTS: [(usize, &str); 7] =
    [(0, "< 0.1"), (1, "< 0.25"), (2, "< 0.5"), (3, "< 1"), (4, "< 2.5"), (5, "< 10"), (6, "more")];

fn cost_class(points: f64) -> usize {
    [0.1, 0.25, 0.5, 1.0, 2.5, 10.0].iter().take_while(|end| points >= **end).count()
}

/// One ink for each arm's label, the same in all tasks.
fn inks(tasks: &[Task]) -> BTreeMap<String, Ink> {
    let mut inks = BTreeMap::new();
    let mut taken = [0, 0];
    // Arms of one kind first, the ablation's mixed arms, which no figure draws, last.
    for mixed in [false, true] {
        for arm in tasks.iter().flat_map(|task| &task.arms).filter(|arm| arm.is_mixed() == mixed) {
            let binary = arm.family() == Some(Family::Binary);
            inks.entry(arm.label.clone()).or_insert_with(|| {
                let n = &mut taken[usize::from(binary)];
                *n += 1;
                Ink::of(*n - 1, binary)
            });
        }
    }
    inks
}

/// Figures side by side where there is room.
fn figures(figures: Vec<Markup>) -> Markup {
    html! { div.figures { @for figure in figures { (figure) } } }
}

fn figure(panels: Vec<Markup>, caption: &Markup) -> Markup {
    let wide = panels.len() > 1;
    html! { figure.wide[wide] { div.panels { @for panel in panels { (panel) } } figcaption { (caption) } } }
}

/// The values of all lines at each x.
fn hover(series: &[Series], name: impl Fn(f64) -> String, decimals: usize) -> Vec<(f64, String)> {
    let mut xs: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    xs.into_iter()
        .map(|x| {
            let mut text = name(x);
            for Series { label, points, .. } in series {
                if let Some(Point { mid, low, high, .. }) = points.iter().find(|point| point.x == x) {
                    let _ =
                        write!(text, "\n{label}: {mid:.decimals$} ({low:.decimals$} to {high:.decimals$})");
                }
            }
            (x, text)
        })
        .collect()
}

fn points(fractions: &[f64]) -> Vec<f64> {
    fractions.iter().map(|v| 100.0 * v).collect()
}

fn percent(fraction: f64) -> String {
    format!("{:.2}", 100.0 * fraction)
}

/// A difference of fractions in points, with its sign.
fn signed(fraction: f64) -> String {
    sign(100.0 * fraction, 2)
}

fn sign(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    if text.starts_with('−') { text } else { format!("+{text}") }
}

/// A number with a proper minus, and none before zero.
fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.chars().all(|c| matches!(c, '0' | '.')) => zero.to_owned(),
        Some(positive) => format!("−{positive}"),
        None => text,
    }
}

/// `0.29 points (95 % interval 0.20 to 0.38; n = 5)`, of the difference of fractions times `direction` (1 or -1).
fn span_of(difference: &Estimate, direction: f64) -> String {
    let points = difference.times(100.0);
    let (mean, half) = (direction * points.mean, points.half_width.unwrap_or(0.0));
    let decimals = enough_decimals(&points, 2);
    let number = |v: f64| fixed(v, decimals);
    let (mean, low, high) = (number(mean), number(mean - half), number(mean + half));
    format!("{mean} points (95 % interval {low} to {high}; n = {})", points.n)
}

/// `decimals`, or one more where an end of the interval would be printed as the zero it is clear of.
fn enough_decimals(difference: &Estimate, decimals: usize) -> usize {
    let clear = matches!(difference.verdict(), Verdict::Above | Verdict::Below);
    let nearest = difference.low().abs().min(difference.high().abs());
    if clear && nearest < 0.5 / 10f64.powf(decimals as f64) { decimals + 1 } else { decimals }
}

/// A difference and what may be said of it.
fn verdict_of(difference: &Estimate) -> String {
    match difference.verdict() {
        Verdict::Above => format!("ahead by {}", span_of(difference, 1.0)),
        Verdict::Below => format!("behind by {}", span_of(difference, -1.0)),
        Verdict::Open => format!("no difference can be claimed: {}", span_of(difference, 1.0)),
        Verdict::Single => format!("{} points on one seed, which supports no claim", signed(difference.mean)),
    }
}

/// `Its train–test gap is smaller than that of A and B; no difference can be claimed against C.`
fn in_words(what: &str, below: &str, above: &str, differences: &[(&str, Estimate)]) -> Markup {
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

fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// A table's cell: mean ± half-width.
fn cell(estimate: Option<Estimate>, factor: f64, decimals: usize) -> Markup {
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
fn difference_cell(difference: Option<Estimate>, decimals: usize) -> Markup {
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

fn name_of(signal: &str) -> &str {
    match signal {
        "forward" => "forward activation",
        "derivative" => "activation derivative",
        "error" => "backward error",
        "update" => "weight update",
        other => other,
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

fn seeds(count: usize) -> String {
    plural(count, "seed")
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} seconds"),
        s if s < 7200.0 => format!("{:.1} minutes", s / 60.0),
        s => format!("{:.1} hours", s / 3600.0),
    }
}
