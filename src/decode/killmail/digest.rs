//! A number for what a killmail says, so that two documents can be told to say the same whatever
//! their white space, order of keys, spelling of numbers and strings, and whatever nothings
//! (`null`, empty arrays) they spell out. It is stored with the killmail: the number for a content
//! must never change. It is no defence against somebody who looks for two contents with one number.

const SEEDS: [u64; 4] =
    [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 0xd6e8_feb8_6659_fd93];

/// Whole numbers below this are the same as doubles and as integers.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Both halves of the product, folded.
fn mix(a: u64, b: u64) -> u64 {
    let wide = u128::from(a ^ SEEDS[0]) * u128::from(b ^ SEEDS[1]);
    (wide as u64) ^ (wide >> 64) as u64
}

/// The members of an object, in any order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Members(u64);

impl Members {
    /// Adds a member; `None` stands for a value that says nothing.
    pub fn add(&mut self, key: &[u8], value: Option<u64>) {
        if let Some(value) = value {
            self.0 = self.0.wrapping_add(mix(bytes(key), value ^ SEEDS[2]));
        }
    }

    /// The object.
    pub fn object(self) -> u64 {
        mix(self.0, SEEDS[3])
    }
}

/// The elements of an array, in their order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Elements {
    state: u64,
    count: u64,
}

impl Elements {
    /// Adds an element.
    pub fn add(&mut self, value: Option<u64>) {
        self.state = mix(self.state, value.unwrap_or_default());
        self.count += 1;
    }

    /// The array; one without elements says nothing.
    pub fn array(self) -> Option<u64> {
        (self.count > 0).then(|| mix(self.state, self.count ^ SEEDS[2]))
    }
}

/// A string, by what it means.
pub(super) fn text(text: &[u8]) -> u64 {
    mix(bytes(text), SEEDS[2])
}

/// A whole number.
pub(super) fn integer(value: i64) -> u64 {
    mix(value as u64, SEEDS[3])
}

/// A number; a whole one is what it is as an integer.
pub(super) fn float(value: f64) -> u64 {
    if value.fract() == 0.0 && value.abs() < EXACT_MAX {
        return integer(value as i64);
    }
    mix(value.to_bits(), SEEDS[0])
}

/// `true` or `false`.
pub(super) fn boolean(value: bool) -> u64 {
    mix(u64::from(value), SEEDS[1])
}

fn bytes(bytes: &[u8]) -> u64 {
    let mut state = bytes.len() as u64;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let word = word.first_chunk::<8>().map_or(0, |word| u64::from_le_bytes(*word));
        state = mix(state, word);
    }
    let mut last = [0; 8];
    let rest = words.remainder();
    last[..rest.len()].copy_from_slice(rest);
    mix(state, u64::from_le_bytes(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_that_are_stored() {
        assert_eq!(text(b"2021-12-03T00:11:15Z"), TEXT);
        assert_eq!((integer(97_089_330), float(0.1)), (INTEGER, FLOAT));
    }

    const TEXT: u64 = 16_524_719_974_929_994_603;
    const INTEGER: u64 = 17_865_007_349_184_914_442;
    const FLOAT: u64 = 7_331_663_612_727_384_438;

    #[test]
    fn spelling_does_not_matter_and_order_does_in_arrays_alone() {
        assert_eq!(float(5.0), integer(5));
        assert_eq!(float(-0.0), integer(0));
        assert_ne!(float(5.5), integer(5));
        let object = |members: &[(&str, u64)]| {
            let mut sum = Members::default();
            members.iter().for_each(|(key, value)| sum.add(key.as_bytes(), Some(*value)));
            sum.add(b"nothing", None);
            sum.object()
        };
        assert_eq!(object(&[("a", 1), ("b", 2)]), object(&[("b", 2), ("a", 1)]));
        assert_ne!(object(&[("a", 1), ("b", 2)]), object(&[("a", 2), ("b", 1)]));
        let array = |elements: &[u64]| {
            let mut state = Elements::default();
            elements.iter().for_each(|value| state.add(Some(*value)));
            state.array()
        };
        assert_ne!(array(&[1, 2]), array(&[2, 1]));
        assert_ne!(array(&[0]), array(&[0, 0]));
        assert_eq!(array(&[]), None);
        assert_ne!(text(b""), text(b"\0"));
    }
}
