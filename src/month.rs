//! The English names of months in times.

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The month, from 1, whose name these bytes begin with, in either case and whole or by its first
/// three letters; and what is behind the name.
pub fn month_name(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let begins = |name: &&str| {
        let letters = bytes.get(..name.len());
        letters.is_some_and(|letters| letters.eq_ignore_ascii_case(name.as_bytes()))
    };
    (1..).zip(MONTHS).find_map(|(month, whole)| {
        let name = [whole, &whole[..3]].into_iter().find(begins)?;
        Some((month, &bytes[name.len()..]))
    })
}

#[cfg(test)]
mod tests {
    use super::month_name;

    #[test]
    fn names_are_whole_or_of_three_letters() {
        for (text, month, behind) in [
            ("Jan-2020", 1, "-2020"),
            ("JANUARY 8", 1, " 8"),
            ("may 8", 5, " 8"),
            ("Sept 8", 9, "t 8"),
            ("decembe", 12, "embe"),
        ] {
            assert_eq!(month_name(text.as_bytes()), Some((month, behind.as_bytes())), "{text}");
        }
        for text in ["", "ja", "Jab-2020", "é", "08"] {
            assert_eq!(month_name(text.as_bytes()), None, "{text}");
        }
    }
}
