//! Numbers that look random and are the same on every machine, in every version: the generator
//! xoshiro256++ with its published seeding, and distributions of our own over its 64 bits, for
//! those of libraries change between versions. A stream is known by words (seed, what it is for,
//! ticker, day), so that any part can be made without what comes before it.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// The finishing steps of SplitMix64: a permutation of the 64-bit numbers, so that different
/// numbers stay different.
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One number made of several words.
pub fn mixed(words: &[u64]) -> u64 {
    words.iter().fold(0x7469_6465_6761_7465, |state, word| mix(state ^ mix(*word)))
}

/// A number that stands for a name.
pub fn key_of(name: &str) -> u64 {
    let hash = blake3::hash(name.as_bytes());
    hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// The stream that is known by these words.
    pub fn of(words: &[u64]) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(mixed(words)))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Evenly in `[0, 1)`, in steps of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Evenly in `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number below `end`, 0 if that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The bias is below end / 2^64.
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// Whether something happens that does so with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Near enough to a normal distribution with deviation 1, and never beyond 3.5: the sum of four
    /// even numbers. Fat tails come from volatility that changes, and from jumps.
    pub fn normal(&mut self) -> f64 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        // Of four numbers of 16 bits: mean 131,070, deviation 37,837.24.
        (sum as f64 - 131_070.0) * (1.0 / 37_837.240_6)
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// A random UUID (version 4) for the number `id` of a `space`: unlike those of all other
    /// numbers of that space, for the half that must differ is a permutation of it.
    pub fn uuid(space: u64, id: u64, into: &mut String) {
        use std::fmt::Write;
        let (high, low) = (mix(id ^ space), mix(mix(id).wrapping_add(space)));
        let (third, fourth) = (low & 0x0fff, 0x8000 | (low >> 16) & 0x3fff);
        let _ = write!(into, "{:08x}-{:04x}-4{third:03x}-", high >> 32, (high >> 16) & 0xffff);
        let _ = write!(into, "{fourth:04x}-{:04x}{:08x}", high & 0xffff, low >> 32);
    }
}

/// Splits `total` into one part for each weight, each part at least `least`; the parts are exact
/// and add up. `parts` takes them. Where `total` is too small, the first parts take what there is.
pub fn split(total: i64, least: i64, weights: &[f64], parts: &mut Vec<i64>) {
    parts.clear();
    let count = weights.len() as i64;
    let free = total - least * count;
    if free < 0 {
        let mut left = total.max(0);
        parts.extend(weights.iter().map(|_| {
            let part = left.min(least);
            left -= part;
            part
        }));
        return;
    }
    let sum: f64 = weights.iter().sum();
    let (mut before, mut given) = (0.0, 0);
    for (at, weight) in weights.iter().enumerate() {
        before += weight;
        let upto = match at + 1 == weights.len() {
            true => free,
            false => ((free as f64 * (before / sum)) as i64).clamp(given, free),
        };
        parts.push(least + upto - given);
        given = upto;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn streams_never_change() {
        let mut random = Random::of(&[1, 2, 3]);
        let bits: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(bits, BITS, "another stream: all generated data would change");
        assert_eq!(key_of("ACME"), KEY);
    }
    const KEY: u64 = 0xb45f_da15_c029_e8a3;
    const BITS: [u64; 3] =
        [15_415_980_450_566_685_709, 7_851_650_330_487_099_079, 3_044_897_333_037_148_375];

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let mut random = Random::of(&[7]);
        let numbers: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let mean = numbers.iter().sum::<f64>() / 1e5;
        let variance = numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn parts_add_up() {
        let mut parts = Vec::new();
        split(1_000, 1, &[1.0, 0.0, 3.0, 0.5], &mut parts);
        assert_eq!(parts.iter().sum::<i64>(), 1_000);
        assert_eq!(parts[1], 1);
        assert!(parts[2] > 2 * parts[0], "{parts:?}");
        split(2, 1, &[1.0; 4], &mut parts);
        assert_eq!(parts, [1, 1, 0, 0]);
    }

    #[test]
    fn uuids_are_all_different() {
        let made: HashSet<String> = (0..10_000)
            .map(|id| {
                let mut text = String::new();
                Random::uuid(5, id, &mut text);
                assert_eq!((text.len(), text.as_bytes()[14]), (36, b'4'));
                text
            })
            .collect();
        assert_eq!(made.len(), 10_000);
    }
}
