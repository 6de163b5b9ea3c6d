//! The state of the whole table at one time.

use std::collections::BTreeMap;

use time::{Date, OffsetDateTime};

use super::part_rows::PartRows;
use crate::rejection::RejectCode;

/// The parts of one model, and which of their rows were current at one time.
///
/// [`Snapshot::take`] reads it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The time before the first read. Everything written earlier is included.
    pub taken_at: OffsetDateTime,
    /// The parts, in the order of their keys.
    pub parts: Vec<PartRows>,
    /// The number of photos whose current version is a reject, by code.
    pub rejected: BTreeMap<RejectCode, u64>,
}

impl Snapshot {
    /// Returns the number of current rows in all parts.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.current())).sum()
    }

    /// Returns the first and last date with a current row.
    #[must_use]
    pub fn dates(&self) -> Option<(Date, Date)> {
        let dates = || {
            let with_current_rows = self.parts.iter().filter(|part| part.current() > 0);
            with_current_rows.map(|part| part.part.partition.date)
        };
        Some((dates().min()?, dates().max()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::part_rows::tests::part_rows;
    use super::*;
    use time::macros::date;

    #[test]
    fn only_current_rows_count() {
        let part = |date: Date, dead: u32| {
            let mut part = part_rows("a", &[]);
            (part.part.partition.date, part.dead) = (date, (0..dead).collect());
            part
        };
        let (first, second, last) = (date!(2026 - 01 - 01), date!(2026 - 01 - 02), date!(2026 - 01 - 03));
        let parts = vec![part(first, 10), part(second, 0), part(last, 4)];
        let mut snapshot =
            Snapshot { taken_at: OffsetDateTime::UNIX_EPOCH, parts, rejected: BTreeMap::new() };
        assert_eq!((snapshot.rows(), snapshot.dates()), (16, Some((second, last))));
        snapshot.parts.truncate(1);
        assert_eq!((snapshot.rows(), snapshot.dates()), (0, None));
    }
}
