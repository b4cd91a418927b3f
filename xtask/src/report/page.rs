//! The page: what the numbers say first, then the tables and figures they come from, then all of it.

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Origin;
use super::arms::tasks;
use super::figure::dark_colours;
use super::read::{Curves, Galleries, Results, Spec, Weights, WireMaps};
use super::view::{Sweep, inks};
use super::{
    ablation, devices, differences, gallery, headline, inference, learning, results, sources, wires,
};

/// What runs left besides numbers, by their names.
pub(super) struct Left {
    pub(super) weights: Weights,
    pub(super) galleries: Galleries,
    pub(super) wires: WireMaps,
}

/// The page, as HTML.
pub(super) fn page(
    spec: &Spec,
    table: &Results,
    curves: &Curves,
    left: &Left,
    origin: &Origin,
    threshold: f64,
    energy: Option<Markup>,
) -> Result<String> {
    let tasks = tasks(table);
    let tuning = table.runs.iter().any(|run| run.validation_accuracy.is_some());
    let sweep = Sweep {
        spec,
        results: table,
        curves,
        weights: &left.weights,
        threshold,
        tasks: &tasks,
        tuning,
        inks: inks(&tasks),
    };
    let sections = [
        ("results", "Results", results::section(&sweep)?),
        ("differences", "Paired differences", differences::section(&sweep)?),
        ("learning", "Learning and over-training", learning::section(&sweep)?),
        ("inference", "Stochastic inference", inference::section(&sweep)?),
        ("ablation", "Ablation of the four signals", ablation::section(&sweep)),
        ("devices", "Devices and their imperfections", devices::section(&sweep, origin)?),
        ("wires", "Voltage lost in the wires", wires::section(&sweep, &left.wires)?),
        ("gallery", "Single images", gallery::section(&sweep, &left.galleries, origin)?),
        ("energy", "Energy, latency, area", energy),
        ("runs", "Settings, runs and how to repeat them", Some(sources::section(&sweep))),
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
                    (headline::headline(&sweep))
                    p.facts { (headline::facts(&sweep)) }
                    p.facts { (headline::method(&sweep)) }
                    @if let Some(notes) = &spec.notes {
                        @for paragraph in notes.split("\n\n") { p.facts { (paragraph) } }
                    }
                    nav { @for (id, title, _) in &sections { a href={ "#" (id) } { (title) } } }
                }
                main { @for (id, title, body) in &sections { section id=(id) { h2 { (title) } (body) } } }
                script { (PreEscaped(include_str!("script.js"))) }
            }
        }
    };
    Ok(page.into_string())
}
