//! Ranges of time over a table's partitions. The ledger says how many rows a range got, the server
//! how many a partition holds: ranges that share a partition are compared together, so a
//! difference is named as narrowly as both can tell. Knows no database.

use std::collections::BTreeMap;

/// A partition, or what a table without partitions holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub name: String,
    /// From the first to before the last microsecond; none: any time.
    pub range: Option<(i64, i64)>,
    pub rows: i64,
}

/// Rows that the ledger tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// The first and the last microsecond; none: not known.
    pub range: Option<(i64, i64)>,
    /// Negative: dropped by retention.
    pub rows: i64,
    /// The part that came by loading a content again.
    pub again: i64,
    /// The first and the last load.
    pub loads: Option<(i64, i64)>,
}

/// Partitions and gaps between them, compared together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Partitions with rows, or that should have some.
    pub names: Vec<String>,
    /// The time that the ledger tells of.
    pub range: Option<(i64, i64)>,
    pub expected: i64,
    pub held: i64,
    pub again: i64,
    pub loads: Option<(i64, i64)>,
}

/// The whole table as one: nothing tells its parts from each other.
fn whole(held: &[Held], written: &[Written]) -> Vec<Stretch> {
    let mut all = Stretch::default();
    held.iter().for_each(|held| all.hold(held));
    written.iter().for_each(|written| all.expect(written));
    vec![all]
}

impl Stretch {
    fn hold(&mut self, held: &Held) {
        self.held += held.rows;
        self.names.push(held.name.clone());
    }

    fn expect(&mut self, written: &Written) {
        let join = |mine: Option<(i64, i64)>, other: Option<(i64, i64)>| match (mine, other) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
        self.expected += written.rows;
        self.again += written.again;
        self.range = join(self.range, written.range);
        self.loads = join(self.loads, written.loads);
    }
}

/// Compares what is held with what was written, as narrowly as ranges allow.
pub(super) fn compare(held: &[Held], written: &[Written]) -> Vec<Stretch> {
    let has_other = held.iter().any(|held| held.range.is_none() && held.rows != 0);
    let ranged: BTreeMap<i64, (i64, &Held)> =
        held.iter().filter_map(|held| held.range.map(|(from, to)| (from, (to, held)))).collect();
    if has_other || ranged.is_empty() || written.iter().any(|written| written.range.is_none()) {
        return whole(held, written);
    }
    // Partition number n is slot 2n + 1, the gaps around it are the slots beside.
    let starts: Vec<i64> = ranged.keys().copied().collect();
    let parts: Vec<(i64, &Held)> = ranged.into_values().collect();
    let slot = |instant: i64| match starts.partition_point(|&start| start <= instant) {
        0 => 0,
        after if instant < parts[after - 1].0 => 2 * after - 1,
        after => 2 * after,
    };
    let mut ranges: Vec<(usize, usize, &Written)> = (written.iter())
        .filter_map(|written| written.range.map(|(from, to)| (slot(from), slot(to), written)))
        .collect();
    ranges.sort_unstable_by_key(|&(first, last, _)| (first, last));
    let mut stretches: Vec<(usize, usize, Stretch)> = Vec::new();
    for (first, last, written) in ranges {
        match stretches.last_mut() {
            Some((_, end, stretch)) if first <= *end => {
                *end = last.max(*end);
                stretch.expect(written);
            }
            _ => {
                let mut stretch = Stretch::default();
                stretch.expect(written);
                stretches.push((first, last, stretch));
            }
        }
    }
    let mut alone = Vec::new();
    for (at, (_, held)) in parts.iter().enumerate() {
        let slot = 2 * at + 1;
        let after = stretches.partition_point(|&(first, _, _)| first <= slot);
        match stretches.get_mut(after.wrapping_sub(1)) {
            Some((_, end, stretch)) if slot <= *end => stretch.hold(held),
            _ if held.rows != 0 => {
                let mut stretch = Stretch::default();
                stretch.hold(held);
                alone.push(stretch);
            }
            _ => {}
        }
    }
    stretches.into_iter().map(|(_, _, stretch)| stretch).chain(alone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(name: &str, range: Option<(i64, i64)>, rows: i64) -> Held {
        Held { name: name.to_owned(), range, rows }
    }

    fn written(range: Option<(i64, i64)>, rows: i64) -> Written {
        Written { range, rows, again: 0, loads: Some((rows, rows)) }
    }

    fn sums(held: &[Held], all: &[Written]) -> Vec<(String, i64, i64)> {
        let stretch = |s: Stretch| (s.names.join("+"), s.expected, s.held);
        compare(held, all).into_iter().map(stretch).collect()
    }

    #[test]
    fn ranges_that_share_a_partition_are_compared_together() {
        let parts = [
            held("a", Some((0, 10)), 5),
            held("b", Some((10, 20)), 7),
            held("c", Some((30, 40)), 2),
            held("d", Some((40, 50)), 0),
        ];
        let all = [
            written(Some((1, 9)), 5),
            written(Some((10, 12)), 3),
            written(Some((15, 19)), 4),
            written(Some((22, 25)), 6),
        ];
        let expected = [("a", 5, 5), ("b", 7, 7), ("", 6, 0), ("c", 0, 2)];
        let expected = expected.map(|(name, rows, held)| (name.to_owned(), rows, held));
        assert_eq!(sums(&parts, &all), expected);
        let across = [written(Some((5, 35)), 14), written(Some((36, 36)), -2)];
        assert_eq!(sums(&parts, &across), [("a+b+c".to_owned(), 12, 14)]);
    }

    #[test]
    fn without_ranges_the_table_is_one() {
        let parts = [held("a", Some((0, 10)), 5), held("rest", None, 1)];
        let one = [("a+rest".to_owned(), 6, 6)];
        assert_eq!(sums(&parts, &[written(Some((1, 2)), 6)]), one);
        let a = [held("a", Some((0, 10)), 5)];
        assert_eq!(sums(&a, &[written(None, 6)]), [("a".to_owned(), 6, 5)]);
        assert_eq!(sums(&[], &[written(Some((1, 2)), 6)]), [(String::new(), 6, 0)]);
    }
}
