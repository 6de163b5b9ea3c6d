//! The object keys of the results bucket, built from typed values and parsed back.
//!
//! The layout is a public contract with other programs. `docs/table-format.md`
//! describes each object.

use std::fmt;

use ring::digest::{Context, SHA256};
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::contract::photo::PhotoId;

/// The rows of one model and one date.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The model's id.
    pub model: String,
    /// The UTC date on which the photos were last modified.
    pub date: Date,
}

/// The name of a part, derived from the photo versions in it: 16 bytes of SHA-256, in hex.
///
/// A redelivered batch therefore gets the name of the part that exists already, and put-if-absent
/// does not write it twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartName(String);

impl PartName {
    /// Returns the name of a part with these versions, in any order.
    ///
    /// A version is a photo id and a last-modified time. A photo that is deleted and uploaded again
    /// unchanged keeps its id, but needs a new row because the old one is dead.
    #[must_use]
    pub fn of(versions: impl IntoIterator<Item = (PhotoId, OffsetDateTime)>) -> Self {
        let mut versions: Vec<_> = versions.into_iter().collect();
        // Two deliveries of one batch may differ in the order of the photos, or repeat some.
        versions.sort_unstable();
        versions.dedup();
        let mut digest = Context::new(&SHA256);
        for (id, last_modified) in versions {
            digest.update(id.as_bytes());
            digest.update(&last_modified.unix_timestamp().to_le_bytes());
        }
        Self(hex::encode(&digest.finish().as_ref()[..16]))
    }

    /// Returns the name of a part with these versions that compaction writes to replace `replaced`.
    ///
    /// It differs from the name that ingest gives to the same versions. Otherwise, when the parts
    /// {a, b} and {b} are compacted into {a, b}, put-if-absent would mistake the first for its own
    /// replacement.
    #[must_use]
    pub fn of_replacement(
        versions: impl IntoIterator<Item = (PhotoId, OffsetDateTime)>,
        replaced: &[Self],
    ) -> Self {
        let mut replaced: Vec<_> = replaced.iter().map(Self::as_str).collect();
        // A retried compaction may list the parts in another order, but must write the same name.
        replaced.sort_unstable();
        let mut digest = Context::new(&SHA256);
        digest.update(Self::of(versions).as_str().as_bytes());
        replaced.iter().for_each(|name| digest.update(format!(" {name}").as_bytes()));
        Self(hex::encode(&digest.finish().as_ref()[..16]))
    }

    /// Parses a name; `None` if it is empty or contains a slash or comma.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        // A compacted part lists the names that it replaces, separated by commas.
        (!name.is_empty() && !name.contains(['/', ','])).then(|| Self(name.to_owned()))
    }

    /// Returns the name as it appears in keys.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One part of the table. Its moments and projections share its date and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// The model and date.
    pub partition: Partition,
    /// The name, unique within the partition.
    pub name: PartName,
}

impl Part {
    /// Returns the key of the rows, `embeddings/model=<id>/date=<date>/<part>.parquet`.
    #[must_use]
    pub fn embeddings_key(&self) -> String {
        format!("{}{}/{}.parquet", embeddings_prefix(&self.partition.model), self.date_folder(), self.name)
    }

    /// Returns the key of the rows' count, mean and scatter matrix,
    /// `moments/model=<id>/date=<date>/<part>.moments`.
    #[must_use]
    pub fn moments_key(&self) -> String {
        format!("moments/model={}/{}/{}.moments", self.partition.model, self.date_folder(), self.name)
    }

    /// Returns the key of the rows' projection by a fit,
    /// `reduced/model=<id>/fit=<fit>/date=<date>/<part>.parquet`.
    #[must_use]
    pub fn reduced_key(&self, fit: &str) -> String {
        format!("{}{}/{}.parquet", reduced_prefix(&self.partition.model, fit), self.date_folder(), self.name)
    }

    /// Parses the key of a part's rows; `None` for any other key.
    #[must_use]
    pub fn of_embeddings_key(key: &str) -> Option<Self> {
        let (model, rest) = key.strip_prefix("embeddings/model=")?.split_once('/')?;
        let (date, file) = rest.strip_prefix("date=")?.split_once('/')?;
        let name = file.strip_suffix(".parquet")?;
        let valid = !model.is_empty() && !name.is_empty() && !name.contains('/');
        let partition = Partition { model: model.to_owned(), date: parse_date(date)? };
        valid.then(|| Self { partition, name: PartName(name.to_owned()) })
    }

    /// Returns `date=<date>/<part>`, the path that the part's rows, moments and projections share.
    #[must_use]
    pub fn path_in_model(&self) -> String {
        format!("{}/{}", self.date_folder(), self.name)
    }

    fn date_folder(&self) -> String {
        format!("date={}", format_date(self.partition.date))
    }
}

/// Returns the prefix of all moments of a model.
#[must_use]
pub fn moments_prefix(model: &str) -> String {
    format!("moments/model={model}/")
}

/// Returns the prefix of all fits of a model. Each fit has its own folder.
#[must_use]
pub fn fits_prefix(model: &str) -> String {
    format!("pca/model={model}/")
}

/// Returns the key of a run's file: the files that its phases exchange, and its final record.
#[must_use]
pub fn run_key(run: &str, file: &str) -> String {
    format!("runs/{run}/{file}")
}

/// Returns the prefix of all parts of a model.
#[must_use]
pub fn embeddings_prefix(model: &str) -> String {
    format!("embeddings/model={model}/")
}

/// Returns the prefix of the projections by all fits of a model.
#[must_use]
pub fn reduced_of_model_prefix(model: &str) -> String {
    format!("reduced/model={model}/")
}

/// Returns the prefix of the projections by one fit.
#[must_use]
pub fn reduced_prefix(model: &str, fit: &str) -> String {
    format!("reduced/model={model}/fit={fit}/")
}

/// Returns the prefix of all rejects of a model.
#[must_use]
pub fn rejects_prefix(model: &str) -> String {
    format!("rejects/model={model}/")
}

/// The prefix of all removals.
pub const REMOVALS_PREFIX: &str = "removals/";

/// Returns the key of a photo's reject.
#[must_use]
pub fn reject_key(partition: &Partition, photo: PhotoId) -> String {
    format!("{}date={}/{photo}.json", rejects_prefix(&partition.model), format_date(partition.date))
}

/// Returns the key of a removal: 16 bytes of SHA-256 over the length-prefixed bucket and photo key.
#[must_use]
pub fn removal_key(bucket: &str, key: &str) -> String {
    // An empty `ETag` belongs to no photo, so the digest differs from all photo ids.
    format!("{REMOVALS_PREFIX}{}.json", PhotoId::of(bucket, key, ""))
}

/// Returns the key of a fit's file: `fit.json`, `components.parquet`, `explained_variance.csv` or a
/// plot.
#[must_use]
pub fn fit_key(model: &str, fit: &str, file: &str) -> String {
    format!("pca/model={model}/fit={fit}/{file}")
}

/// Returns the key of the pointer to the newest fit.
#[must_use]
pub fn latest_fit_key(model: &str) -> String {
    format!("pca/model={model}/latest.json")
}

/// Formats a date as `YYYY-MM-DD`.
#[must_use]
pub fn format_date(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// Parses a date in the form `YYYY-MM-DD`; `None` if malformed.
#[must_use]
pub fn parse_date(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::{date, datetime};

    fn part(model: &str, date: Date) -> Part {
        let version = (PhotoId::of("photos", "a.jpg", "e"), datetime!(2026-11-23 10:00 UTC));
        Part { partition: Partition { model: model.to_owned(), date }, name: PartName::of([version]) }
    }

    proptest! {
        #[test]
        fn a_part_is_parsed_from_its_key(model in "[a-z0-9-]{1,40}", day in 1u16..=365, year in 1970i32..2200) {
            let part = part(&model, Date::from_ordinal_date(year, day).unwrap());
            prop_assert_eq!(Part::of_embeddings_key(&part.embeddings_key()), Some(part));
        }

        #[test]
        fn any_other_key_is_rejected(key in "\\PC*") {
            if let Some(part) = Part::of_embeddings_key(&key) {
                prop_assert_eq!(part.embeddings_key(), key);
            }
        }
    }

    #[test]
    fn keys_follow_the_contract() {
        let part = part("m", date!(2026 - 01 - 02));
        let name = &part.name;
        assert_eq!(part.embeddings_key(), format!("embeddings/model=m/date=2026-01-02/{name}.parquet"));
        assert_eq!(part.moments_key(), format!("moments/model=m/date=2026-01-02/{name}.moments"));
        assert_eq!(part.reduced_key("f"), format!("reduced/model=m/fit=f/date=2026-01-02/{name}.parquet"));
        let id = PhotoId::of("photos", "a.jpg", "e");
        assert_eq!(reject_key(&part.partition, id), format!("rejects/model=m/date=2026-01-02/{id}.json"));
        assert_eq!(fit_key("m", "f", "fit.json"), "pca/model=m/fit=f/fit.json");
        assert_eq!(latest_fit_key("m"), "pca/model=m/latest.json");
    }

    #[test]
    fn a_replacement_is_named_unlike_the_parts_with_the_same_versions() {
        let versions = [(PhotoId::of("p", "a", "1"), datetime!(2026-11-23 10:00 UTC))];
        let (part, other) = (PartName::of(versions), PartName::of([]));
        let replacement = |replaced: &[PartName]| PartName::of_replacement(versions, replaced);
        assert_ne!(replacement(std::slice::from_ref(&part)), part);
        assert_ne!(replacement(std::slice::from_ref(&part)), replacement(std::slice::from_ref(&other)));
        assert_eq!(replacement(&[part.clone(), other.clone()]), replacement(&[other, part]));
    }

    #[test]
    fn a_part_name_depends_on_the_versions_but_not_on_their_order() {
        let (a, b) = (PhotoId::of("p", "a", "1"), PhotoId::of("p", "b", "1"));
        let (t, later) = (datetime!(2026-11-23 10:00 UTC), datetime!(2026-11-23 10:01 UTC));
        assert_eq!(PartName::of([(a, t), (b, t)]), PartName::of([(b, t), (a, t), (b, t)]));
        assert_ne!(PartName::of([(a, t)]), PartName::of([(a, later)]));
        assert_ne!(PartName::of([(a, t)]), PartName::of([(b, t)]));
    }
}
