use bitpulse_core::SeedPath;
use rand::RngExt;

use crate::dataset::{Dataset, ImageShape, numbered};

/// The ten digits on five by seven dots, a row a byte, the leftmost dot in bit 4.
const GLYPHS: [[u8; 7]; 10] = [
    [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
    [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
    [0b01110, 0b10001, 0b00001, 0b00010, 0b00100, 0b01000, 0b11111],
    [0b11111, 0b00010, 0b00100, 0b00010, 0b00001, 0b10001, 0b01110],
    [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
    [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
    [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
    [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000],
    [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
    [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
];

const SIDE: usize = 8;

/// Draws `count` digits of 8 x 8 pixels, the labels 0 to 9 in turn: a data set for tests that must learn in a moment.
///
/// A dot-matrix digit at a random one of two places, ink of random strength, every twentieth pixel inverted.
/// Sample `i` depends on `path` and `i` alone.
#[allow(clippy::missing_panics_doc, reason = "the one `expect` states why it holds")]
pub fn synthetic_digits(count: usize, path: SeedPath) -> Dataset {
    let mut images = Vec::with_capacity(count * SIDE * SIDE);
    let mut labels = Vec::with_capacity(count);
    for i in 0..count {
        let mut rng = path.index(i as u64).rng();
        let label = i % 10;
        let left = rng.random_range(1..=2);
        for row in 0..SIDE {
            for col in 0..SIDE {
                let dot = row > 0
                    && (left..left + 5).contains(&col)
                    && GLYPHS[label][row - 1] >> (4 + left - col) & 1 == 1;
                let ink = dot != rng.random_bool(0.05);
                images.push(if ink { rng.random_range(128..=255) } else { 0 });
            }
        }
        labels.push(label as u8);
    }
    Dataset::new(images, labels, ImageShape::grey(SIDE, SIDE), numbered(10))
        .expect("as many pixels as labels ask, labels below ten")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_depend_on_their_path_and_number_only() {
        let path = SeedPath::root(3).child("digits");
        let digits = synthetic_digits(200, path);
        assert_eq!(digits.clone().take_first(30), Ok(synthetic_digits(30, path)));
        assert_ne!(digits, synthetic_digits(200, path.child("other")));
        assert_eq!(digits.labels()[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    }

    #[test]
    fn digits_can_be_told_apart() {
        // Nearest class mean, a linear classifier, on 500 others: chance is 50 right, standard deviation 7.
        let pixels = SIDE * SIDE;
        let train = synthetic_digits(500, SeedPath::root(1));
        let test = synthetic_digits(500, SeedPath::root(2));
        let mut sums = vec![0_i64; 10 * pixels];
        for (i, &label) in train.labels().iter().enumerate() {
            for (sum, &pixel) in sums[usize::from(label) * pixels..].iter_mut().zip(train.image(i)) {
                *sum += i64::from(pixel);
            }
        }
        let distance = |image: &[u8], class: usize| -> i64 {
            let sums = &sums[class * pixels..(class + 1) * pixels];
            image.iter().zip(sums).map(|(&p, s)| (i64::from(p) * 50 - s).pow(2)).sum()
        };
        let right = (0..test.len())
            .filter(|&i| {
                let nearest = (0..10).min_by_key(|&class| distance(test.image(i), class));
                nearest == Some(usize::from(test.labels()[i]))
            })
            .count();
        assert!(right > 400, "{right} of 500");
    }
}
