//! How a uniform 16-bit draw becomes pulses.

use bitpulse_core::Real;

/// Pixel levels over 255.
pub(crate) const PIXEL_VALUE: [f64; 256] = {
    let mut values = [0.0; 256];
    let mut level = 0;
    while level < 256 {
        values[level] = level as f64 / 255.0;
        level += 1;
    }
    values
};

/// The share of draws below `draw`: a uniform value in [0, 1) with 16 bits.
pub(crate) fn uniform<R: Real>(draw: u16) -> R {
    R::of(f64::from(draw) * (1.0 / 65536.0))
}

/// `floor(pulses p + u)`: pulses that carry `p` in [0, 1] without bias, to the 16 bits of the draw.
///
/// `p = 0` never and `p = 1` always gives all pulses. One draw serves all pulses of a value, as comparators with
/// staggered thresholds on one noise do; the count then has the least variance an unbiased count can have.
pub(crate) fn pulse_count<R: Real>(p: R, pulses: u16, draw: u16) -> i16 {
    let expected = R::of(f64::from(pulses)) * p;
    let count = (expected + uniform::<R>(draw)).floor().as_f64() as i16;
    count.min(pulses.cast_signed())
}

/// Whether a pixel of `level` fires: with probability `level / 255` to 16 bits, 0 never and 255 always.
///
/// `257 level` is `level / 255` in units of 1/65535; comparing with `<=` makes 255 certain and adds 1/65536 to the
/// others.
pub(crate) fn pixel_fires(level: u8, draw: u16) -> bool {
    level > 0 && draw <= 257 * u16::from(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_the_right_mean_over_all_draws() {
        for pulses in [1, 2, 5] {
            for p in [0.0_f32, 0.1, 0.5, 0.77, 1.0] {
                let total: i64 = (0..=u16::MAX).map(|draw| i64::from(pulse_count(p, pulses, draw))).sum();
                let mean = total as f64 / 65536.0;
                assert!(
                    (mean - f64::from(pulses) * f64::from(p)).abs() < 1e-4,
                    "{pulses} pulses of {p}: {mean}"
                );
            }
        }
    }

    #[test]
    fn pixels_fire_with_their_probability_and_255_for_certain() {
        for level in 0..=255_u8 {
            let fires = (0..=u16::MAX).filter(|&draw| pixel_fires(level, draw)).count() as f64;
            let expected = f64::from(level) / 255.0 * 65536.0;
            assert!((fires - expected).abs() <= 1.0, "{level}: {fires} of 65536");
            assert!(level != 0 || fires == 0.0);
            assert!(level != 255 || fires == 65536.0);
        }
    }
}
