//! Counts of source records, and the equation that they must satisfy.

use std::ops::{AddAssign, SubAssign};

/// What became of the source records of a batch, a load or a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records read from the source.
    pub read: u64,
    /// Records that are new in the target.
    pub inserted: u64,
    /// Records that replaced a stored one.
    pub updated: u64,
    /// Records whose key was there already, and which changed nothing.
    pub duplicate: u64,
    /// The part of `duplicate` whose values differ from what is stored.
    pub conflicting: u64,
    /// Records refused, each with a row in the reject table.
    pub rejected: u64,
    /// Records outside `--from` and `--to`.
    pub skipped: u64,
}

impl Counts {
    /// Whether `read = inserted + updated + duplicate + rejected + skipped`, and `conflicting` is
    /// no more than `duplicate`.
    pub fn add_up(&self) -> bool {
        self.read == self.inserted + self.updated + self.duplicate + self.rejected + self.skipped
            && self.conflicting <= self.duplicate
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.duplicate += other.duplicate;
        self.conflicting += other.conflicting;
        self.rejected += other.rejected;
        self.skipped += other.skipped;
    }
}

impl SubAssign for Counts {
    fn sub_assign(&mut self, other: Self) {
        self.read = self.read.saturating_sub(other.read);
        self.inserted = self.inserted.saturating_sub(other.inserted);
        self.updated = self.updated.saturating_sub(other.updated);
        self.duplicate = self.duplicate.saturating_sub(other.duplicate);
        self.conflicting = self.conflicting.saturating_sub(other.conflicting);
        self.rejected = self.rejected.saturating_sub(other.rejected);
        self.skipped = self.skipped.saturating_sub(other.skipped);
    }
}

/// Rows of one table, as its command tags counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableCounts {
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated in place.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
}

impl AddAssign for TableCounts {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
    }
}

impl SubAssign for TableCounts {
    fn sub_assign(&mut self, other: Self) {
        self.inserted = self.inserted.saturating_sub(other.inserted);
        self.updated = self.updated.saturating_sub(other.updated);
        self.deleted = self.deleted.saturating_sub(other.deleted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_exactly_one_fate() {
        let mut counts = Counts { read: 5, inserted: 2, duplicate: 1, ..Counts::default() };
        assert!(!counts.add_up());
        counts.rejected = 2;
        assert!(counts.add_up());
        counts.conflicting = 2;
        assert!(!counts.add_up(), "conflicting is a part of duplicate");
    }
}
