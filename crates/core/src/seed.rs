use rand_pcg::Pcg64Dxsm;

/// The generator behind every random number of bitpulse.
///
/// PCG-DXSM rather than plain `Pcg64`, whose streams may be correlated (documentation of `rand_pcg`).
pub type Rng = Pcg64Dxsm;

/// A place in the tree of random streams: a root seed and the names and numbers that lead to it.
///
/// Two paths that differ anywhere name unrelated streams; the same path names the same stream on every machine,
/// in every thread and in any order of evaluation. A path is two machine words, so deriving one costs nanoseconds.
///
/// ```
/// use bitpulse_core::SeedPath;
/// let run = SeedPath::root(1);
/// assert_eq!(run.child("shuffle").index(3), SeedPath::root(1).child("shuffle").index(3));
/// assert_ne!(run.child("shuffle").index(3), run.child("shuffle").index(4));
/// assert_ne!(run.child("3"), run.index(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeedPath {
    lanes: [u64; 2],
}

/// Odd constants that keep the two lanes, and names and numbers, apart (fractional digits of sqrt 2, 3, 5 and 7).
const LANE: [u64; 2] = [0x6a09_e667_f3bc_c909, 0xbb67_ae85_84ca_a73b];
const NAME: u64 = 0x3c6e_f372_fe94_f82b;
const INDEX: u64 = 0xa54f_f53a_5f1d_36f1;

/// The 64-bit finaliser of `MurmurHash3` with Stafford's constants (variant 13), a bijection that mixes every bit.
#[inline]
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl SeedPath {
    /// The root of all streams of `seed`.
    #[inline]
    pub const fn root(seed: u64) -> Self {
        Self { lanes: [mix(seed ^ LANE[0]), mix(seed.wrapping_add(LANE[1]))] }
    }

    /// The branch called `name`.
    #[inline]
    #[must_use]
    pub fn child(self, name: &str) -> Self {
        let mut path = self.absorb(NAME ^ name.len() as u64);
        for chunk in name.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            path = path.absorb(u64::from_le_bytes(word));
        }
        path
    }

    /// The branch numbered `index`: an epoch, a step, a layer.
    #[inline]
    #[must_use]
    pub const fn index(self, index: u64) -> Self {
        self.absorb(INDEX).absorb(index)
    }

    /// A fresh generator at the start of this path's stream.
    #[inline]
    pub fn rng(self) -> Rng {
        let [a, b] = self.lanes;
        let state = (u128::from(a) << 64) | u128::from(b);
        let stream = (u128::from(mix(a ^ NAME)) << 64) | u128::from(mix(b ^ INDEX));
        Rng::new(state, stream)
    }

    #[inline]
    const fn absorb(self, word: u64) -> Self {
        let [a, b] = self.lanes;
        Self {
            lanes: [mix(a ^ word).wrapping_add(LANE[0]), mix(b.rotate_left(23).wrapping_add(word)) ^ LANE[1]],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::RngExt;

    use super::*;

    #[test]
    fn paths_do_not_collide_and_streams_look_independent() {
        let mut seen = HashSet::new();
        let mut ones = 0_u32;
        for seed in 0..8 {
            for name in
                ["", "a", "b", "ab", "read", "a-name-longer-than-one-word", "a-name-longer-than-one-wore"]
            {
                for index in 0..256 {
                    let path = SeedPath::root(seed).child(name).index(index);
                    assert!(seen.insert(path.lanes), "collision at {seed}/{name}/{index}");
                    ones += path.rng().random::<u64>().count_ones();
                }
            }
        }
        // 14 336 first words of 64 fair bits: mean 458 752, standard deviation sqrt(n)/2 = 479; five of them.
        let expected = 14_336 * 32;
        assert!(ones.abs_diff(expected) < 5 * 479, "{ones} ones against {expected}");
    }

    #[test]
    fn the_stream_of_a_path_never_changes() {
        // Stored results are reproducible only while this holds.
        let word = SeedPath::root(42).child("layer").index(1).child("read").rng().random::<u64>();
        assert_eq!(word, 0x7c24_c5a8_4c5e_1817, "{word:#x}");
    }

    #[test]
    fn joining_names_is_not_concatenation() {
        let root = SeedPath::root(0);
        assert_ne!(root.child("ab"), root.child("a").child("b"));
        assert_ne!(root.child("a"), root.child("a\0"));
    }
}
