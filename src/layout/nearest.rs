//! The known word nearest to one that is not known, for messages.

/// The candidate with the fewest edits to `word`, if those are few enough to be a slip: at most a
/// third of its letters, rounded up. Case counts as an edit no more than once.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let limit = lower.chars().count().div_ceil(3);
    candidates
        .into_iter()
        .map(|candidate| (edits(&lower, &candidate.to_lowercase()), candidate))
        .min_by_key(|(edits, _)| *edits)
        .filter(|(edits, _)| *edits <= limit)
        .map(|(_, candidate)| candidate)
}

fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_find_their_word_and_strangers_do_not() {
        let known = ["delimiter", "quote", "header"];
        assert_eq!(nearest("delimeter", known), Some("delimiter"));
        assert_eq!(nearest("Quote", known), Some("quote"));
        assert_eq!(nearest("zone", known), None);
        assert_eq!(nearest("", known), None);
    }
}
