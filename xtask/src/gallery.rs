//! Answers of a trained network to single images, picked so that they say how it is right and how it fails.

use bitpulse_core::SeedPath;
use bitpulse_learn::{Combine, Examples, Inference, Network};
use serde::{Deserialize, Serialize};

/// Stochastic passes that vote on an image.
pub const PASSES: u32 = 64;
/// Images of each [`Pick`].
const SHOWN: usize = 4;
/// Images that the network is least sure of, among which passes are looked at for disagreement.
const UNSURE: usize = 12;

/// Why an image is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    /// The first images of different classes that are answered rightly.
    Right,
    /// Of the wrong answers, those with the highest probability.
    SurelyWrong,
    /// Of the images with the least lead of the most probable class, those on which passes agree least; with no stochastic
    /// passes, those with the least lead.
    Unsure,
}

/// What a network says of one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub pick: Pick,
    /// Number of the image among those that the run was tested on.
    pub image: u32,
    pub label: u8,
    /// Of every class, by expectation inference.
    pub probabilities: Vec<f32>,
    /// Passes out of [`PASSES`] that vote for each class; none where the network has no stochastic passes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<u32>,
}

/// Probabilities of the classes of all examples, one example after the other.
#[derive(Default)]
pub struct Scores(Vec<f32>);

impl Scores {
    /// Notes those of the next example.
    pub fn add(&mut self, scores: &[f32]) {
        self.0.extend_from_slice(scores);
    }
}

/// Picks images of `examples` by their `scores`, and lets [`PASSES`] stochastic passes vote on them where `stochastic`.
///
/// A network whose outputs are no numbers has no gallery. Asks `go_on` between passes; `None` where it says no.
pub fn gallery(
    network: &mut Network<f32>,
    examples: &Examples,
    Scores(scores): &Scores,
    stochastic: bool,
    at: SeedPath,
    go_on: &dyn Fn() -> bool,
) -> Option<Vec<Answer>> {
    if scores.iter().any(|score| !score.is_finite()) {
        return Some(Vec::new());
    }
    let classes = examples.classes();
    let of = |index: u32| &scores[index as usize * classes..][..classes];
    let label = |index: u32| examples.label(index as usize);
    let images = || 0..examples.len() as u32;

    let mut right: Vec<u32> = Vec::new();
    for index in images().filter(|&index| most(of(index)).0 == label(index)) {
        if right.len() < SHOWN && right.iter().all(|&other| label(other) != label(index)) {
            right.push(index);
        }
    }
    let mut wrong: Vec<u32> = images().filter(|&index| most(of(index)).0 != label(index)).collect();
    // Sorting is stable: of equals the first image is shown.
    wrong.sort_by(|&a, &b| most(of(b)).1.total_cmp(&most(of(a)).1));
    wrong.truncate(SHOWN);
    let mut unsure: Vec<u32> =
        images().filter(|index| !right.contains(index) && !wrong.contains(index)).collect();
    unsure.sort_by(|&a, &b| lead(of(a)).total_cmp(&lead(of(b))));
    unsure.truncate(if stochastic { UNSURE } else { SHOWN });

    let answer = |pick: Pick, image: u32| Answer {
        pick,
        image,
        // Labels are bytes in every data set.
        label: label(image) as u8,
        probabilities: of(image).to_vec(),
        votes: Vec::new(),
    };
    let picks = [(Pick::Right, right), (Pick::SurelyWrong, wrong), (Pick::Unsure, unsure)];
    let mut answers: Vec<Answer> =
        picks.iter().flat_map(|(pick, images)| images.iter().map(|image| answer(*pick, *image))).collect();
    if stochastic && !answers.is_empty() {
        let batch: Vec<u32> = answers.iter().map(|answer| answer.image).collect();
        let inference = Inference::Samples { count: PASSES, combine: Combine::Vote };
        let shares = network.classify(examples, &batch, inference, at, go_on)?;
        for (answer, shares) in answers.iter_mut().zip(shares.chunks_exact(classes)) {
            answer.votes = shares.iter().map(|share| (share * PASSES as f32).round() as u32).collect();
        }
        // The unsure ones come last.
        let sure = answers.iter().filter(|answer| answer.pick != Pick::Unsure).count();
        answers[sure..].sort_by_key(|answer| answer.votes.iter().copied().max());
        answers.truncate(sure + SHOWN);
    }
    Some(answers)
}

/// The most probable class, the first of equals, and its probability.
pub fn most(probabilities: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (class, &p) in probabilities.iter().enumerate() {
        if p > best.1 {
            best = (class, p);
        }
    }
    best
}

/// How far the most probable class is ahead of the next.
fn lead(probabilities: &[f32]) -> f32 {
    let (best, first) = most(probabilities);
    let others = probabilities.iter().enumerate().filter(|(class, _)| *class != best);
    first - others.map(|(_, p)| *p).fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use bitpulse_learn::Rule;

    use super::*;

    #[test]
    fn images_are_picked_by_what_the_network_says() {
        // Three classes; of the first five images the labels are 0 1 2 0 1, and what follows is answered wrongly.
        let labels = [0, 1, 2, 0, 1, 0, 0, 0];
        let examples = Examples::from_dense(&[9; 16], &labels, 2, 3).unwrap();
        let mut scores = Scores::default();
        for p in [
            [0.9, 0.1, 0.0],
            [0.1, 0.9, 0.0],
            [0.0, 0.1, 0.9],
            [0.4, 0.35, 0.25],
            [0.3, 0.4, 0.3],
            [0.1, 0.2, 0.7],
            [0.0, 1.0, 0.0],
            [0.1, 0.2, 0.7],
        ] {
            scores.add(&p);
        }
        let seed = SeedPath::root(1);
        let rule = Rule::binary_stochastic();
        let mut network = Network::<f32>::software(rule, &[2, 4, 3], seed.child("init")).unwrap();
        let shown = |answers: &[Answer], pick: Pick| -> Vec<u32> {
            answers.iter().filter(|answer| answer.pick == pick).map(|answer| answer.image).collect()
        };
        let plain = gallery(&mut network, &examples, &scores, false, seed, &|| true).unwrap();
        assert_eq!(shown(&plain, Pick::Right), [0, 1, 2]);
        assert_eq!(shown(&plain, Pick::SurelyWrong), [6, 5, 7]);
        assert_eq!(shown(&plain, Pick::Unsure), [3, 4]);
        assert!(plain.iter().all(|answer| answer.votes.is_empty()));

        let voted = gallery(&mut network, &examples, &scores, true, seed, &|| true).unwrap();
        assert!(voted.iter().all(|answer| answer.votes.iter().sum::<u32>() == PASSES), "{voted:?}");
        assert_eq!(
            voted,
            gallery(&mut network, &examples, &scores, true, seed, &|| true).unwrap(),
            "the same seed, the same votes"
        );

        scores.0[4] = f32::NAN;
        assert!(gallery(&mut network, &examples, &scores, true, seed, &|| true).unwrap().is_empty());
    }
}
