//! Single images, and how the networks vote on them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;

use anyhow::Result;
use maud::{Markup, html};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use tracing::warn;

use super::Origin;
use super::arms::{Arm, Family};
use super::figure::{Hover, Numbers, WIDTH, body_of, finish, size};
use super::raster::image;
use super::read::Galleries;
use super::view::{Sweep, figure, figures};
use crate::data::{Picture, TestImages};
use crate::gallery::{Answer, PASSES, Pick, most};
use crate::plot::{AXIS, COOL, QUIET, TEXT, UNIT, WARM, label_style, small, words};
use crate::spec::SplitSpec;

/// Networks whose answers are shown.
const SHOWN: usize = 4;

const CARD: i32 = WIDTH / 4;
const SIDE: i32 = 46;
const BARS: i32 = 34;
const HEAD: i32 = 26;
const ROW: i32 = HEAD + SIDE + 8 + BARS + 26;

pub(super) fn section(sweep: &Sweep, galleries: &Galleries, origin: &Origin) -> Result<Option<Markup>> {
    let mut loaded: BTreeMap<SplitSpec, TestImages> = BTreeMap::new();
    let mut panels = vec![];
    let mut voted = false;
    for (title, arm) in chosen(sweep, galleries) {
        let first = arm.runs.iter().find_map(|run| Some((run, galleries.get(&run.id)?)));
        let Some((run, answers)) = first else { continue };
        let Some(spec) = origin.runs.iter().find(|spec| spec.id == run.id) else { continue };
        if let Entry::Vacant(place) = loaded.entry(spec.split.clone()) {
            match TestImages::load(&origin.source, &spec.split) {
                Ok(images) => place.insert(images),
                // The rest of the report stands without pictures.
                Err(error) => {
                    warn!("the report has no gallery, for its images cannot be read: {error}");
                    return Ok(None);
                }
            };
        }
        let images = &loaded[&spec.split];
        voted |= answers.iter().any(|answer| !answer.votes.is_empty());
        panels.push(draw(&format!("{title}, seed {}", run.seed), answers, images)?);
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let caption = html! {
        "Test images and what single networks say of them. Bars: "
        @if voted { "of networks that learn with random bits, the part of " (PASSES) " stochastic passes that vote for each class; of the others, " }
        "the probability of each class. Blue-green: the right class; orange: a wrong one. "
        b { "Right" } ": the first images of different classes that are answered rightly. "
        b { "Surely wrong" } ": of the wrong answers, those given the highest probability. "
        b { "Passes disagree" } ", or " b { "least sure" } " without passes: of the images with the least lead of the most probable class, those on which "
        "the vote is most divided. Answers and probabilities are by expectation inference. "
        "Shown is the first seed of the most accurate BS and HP rule" @if sweep.tasks.len() > 1 { ", of the first networks" } "."
    };
    Ok(Some(figures(vec![figure(panels, &caption)])))
}

/// The most accurate arm of each kind in every task, as many as are shown, and what it is called.
fn chosen<'a>(sweep: &'a Sweep, galleries: &Galleries) -> Vec<(String, &'a Arm<'a>)> {
    let mut chosen = vec![];
    for task in sweep.tasks {
        let has = |arm: &&Arm| arm.runs.iter().any(|run| galleries.contains_key(&run.id));
        let ranked = sweep.ranked(Sweep::shown(task).into_iter().filter(has));
        for family in [Some(Family::Binary), Some(Family::Precise), None] {
            if let Some(arm) = ranked.iter().find(|arm| arm.family() == family) {
                let of = sweep.title(task);
                let title = if of.is_empty() { arm.label.clone() } else { format!("{of}: {}", arm.label) };
                chosen.push((title, *arm));
            }
        }
    }
    chosen.truncate(SHOWN);
    chosen
}

fn heading(pick: Pick, voted: bool) -> &'static str {
    match pick {
        Pick::Right => "Right",
        Pick::SurelyWrong => "Surely wrong",
        Pick::Unsure if voted => "Passes disagree",
        Pick::Unsure => "Least sure",
    }
}

fn draw(title: &str, answers: &[Answer], images: &TestImages) -> Result<Markup> {
    let voted = answers.iter().any(|answer| !answer.votes.is_empty());
    let groups: Vec<(Pick, Vec<&Answer>)> = [Pick::Right, Pick::SurelyWrong, Pick::Unsure]
        .into_iter()
        .map(|pick| (pick, answers.iter().filter(|answer| answer.pick == pick).collect()))
        .filter(|(_, answers): &(_, Vec<_>)| !answers.is_empty())
        .collect();
    let height = ROW * i32::try_from(groups.len())? + 2;
    let (mut drawn, mut pictures, mut texts) = (String::new(), String::new(), vec![]);
    {
        let root = SVGBackend::with_string(&mut drawn, size(height)).into_drawing_area();
        for ((pick, answers), top) in groups.iter().zip((0..).step_by(ROW as usize)) {
            root.draw(&words(heading(*pick, voted), (0, top + 12), &label_style(TEXT), HPos::Left))?;
            for (answer, left) in answers.iter().zip((0..).step_by(CARD as usize)) {
                let at = (left, top + HEAD);
                card(&root, answer, images, at)?;
                if let Some(picture) = images.picture(answer.image as usize) {
                    pictures += &pixels(&picture, at)?;
                }
                texts.push((at, told(answer)));
            }
        }
        root.present()?;
    }
    let hover: Vec<Hover> = texts
        .iter()
        .map(|((left, top), text)| Hover {
            left: left * UNIT,
            top: (top - 2) * UNIT,
            width: (CARD - 4) * UNIT,
            height: (ROW - HEAD) * UNIT,
            text,
        })
        .collect();
    let mut numbers = Numbers::new(&["group", "image", "label", "class", "probability", "votes"]);
    for Answer { pick, image, label, probabilities, votes } in answers {
        for (class, p) in probabilities.iter().enumerate() {
            numbers.row([
                heading(*pick, voted).to_owned(),
                image.to_string(),
                label.to_string(),
                class.to_string(),
                p.to_string(),
                votes.get(class).map_or_else(String::new, u32::to_string),
            ]);
        }
    }
    let body = format!("{}{pictures}", body_of(&drawn));
    Ok(finish(&body, size(height), &hover, title, &format!("{title}: answers to single images"), &numbers))
}

/// Everything of a card but its pixels.
fn card(
    root: &crate::plot::Area<'_>,
    answer: &Answer,
    images: &TestImages,
    (left, top): (i32, i32),
) -> Result<()> {
    let (said, share) = most(&answer.probabilities);
    let right = said == usize::from(answer.label);
    let beside = left + SIDE + 6;
    root.draw(&words(
        &format!("is {}", images.class_name(answer.label.into())),
        (beside, top + 8),
        &small(QUIET),
        HPos::Left,
    ))?;
    let ink = if right { COOL[1] } else { WARM[0] };
    root.draw(&words(
        &format!("says {}", images.class_name(said)),
        (beside, top + 23),
        &label_style(ink),
        HPos::Left,
    ))?;
    let sure = format!("{:.1} %", 100.0 * share);
    root.draw(&words(&sure, (beside, top + 38), &small(TEXT), HPos::Left))?;
    let base = top + SIDE + 8 + BARS;
    let (room, classes) = (CARD - 10, answer.probabilities.len().max(1));
    let place = |class: usize| left * UNIT + room * UNIT * class as i32 / classes as i32;
    for class in 0..classes {
        let part = match answer.votes.get(class) {
            Some(votes) => f64::from(*votes) / f64::from(PASSES),
            None => f64::from(answer.probabilities[class]),
        };
        let high = (part * f64::from(BARS * UNIT)).round() as i32;
        let ink = if class == usize::from(answer.label) { COOL[1] } else { WARM[0] };
        let corners = [(place(class), base * UNIT - high), (place(class + 1) - UNIT, base * UNIT)];
        root.draw(&Rectangle::new(corners, ink.colour().filled()))?;
        if classes <= 10 {
            let middle = i32::midpoint(place(class), place(class + 1)) / UNIT;
            let ink = if class == usize::from(answer.label) { TEXT } else { QUIET };
            root.draw(&words(&class.to_string(), (middle, base + 9), &small(ink), HPos::Center))?;
        }
    }
    let line = vec![(place(0), base * UNIT), (place(classes), base * UNIT)];
    root.draw(&PathElement::new(line, AXIS.colour().stroke_width(UNIT as u32)))?;
    Ok(())
}

/// The image of a card. Ink on paper: grey images are drawn dark on light.
fn pixels(picture: &Picture, (left, top): (i32, i32)) -> Result<String> {
    let Picture { width, height, channels, values } = picture;
    let interleaved: Vec<u8> = if *channels == 3 {
        let plane = width * height;
        (0..plane).flat_map(|at| [values[at], values[plane + at], values[2 * plane + at]]).collect()
    } else {
        values.iter().take(width * height).map(|level| 255 - level).collect()
    };
    image([*width, *height], &interleaved, (left * UNIT, top * UNIT), (SIDE * UNIT, SIDE * UNIT))
}

/// An answer in words.
fn told(answer: &Answer) -> String {
    let Answer { image, label, probabilities, votes, .. } = answer;
    let mut text = format!("Image {image}, class {label}");
    let mut classes: Vec<usize> = (0..probabilities.len()).collect();
    classes.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    for class in classes.into_iter().take(3) {
        let _ = write!(text, "\n{class}: {:.2} %", 100.0 * probabilities[class]);
        if let Some(votes) = votes.get(class) {
            let _ = write!(text, ", {votes} of {PASSES} votes");
        }
    }
    text
}
