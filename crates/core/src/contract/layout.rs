//! Where things lie in the results bucket: paths to typed values and back.
//!
//! The layout is a public contract that other programs read; the README has it as a table.

use std::fmt;

use ring::digest::{Context, SHA256};
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::photo::PhotoId;

/// One day of one model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The model's id.
    pub model: String,
    /// The day the photos were last modified, UTC.
    pub date: Date,
}

/// The name of a part: the first 16 bytes, in hex, of SHA-256 over the versions in it.
///
/// Named by its content, so that a redelivered batch is written to the same name and put-if-absent finds it there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartName(String);

impl PartName {
    /// The name of the part that holds these versions, in any order.
    ///
    /// A version is a photo id with its last-modified time: a photo that was deleted and put again unchanged has the
    /// same id, but a row that only stands for the time before the deletion must not pass for the new one.
    #[must_use]
    pub fn of(versions: impl IntoIterator<Item = (PhotoId, OffsetDateTime)>) -> Self {
        let mut versions: Vec<_> = versions.into_iter().collect();
        versions.sort_unstable();
        versions.dedup();
        let mut digest = Context::new(&SHA256);
        for (id, last_modified) in versions {
            digest.update(id.as_bytes());
            digest.update(&last_modified.unix_timestamp().to_le_bytes());
        }
        Self(hex::encode(&digest.finish().as_ref()[..16]))
    }

    /// The name of a part that holds these versions in place of the parts named `replaced`.
    ///
    /// It is another than that of a part that an ingest writes with the same rows: put-if-absent must not take one that is to be
    /// replaced for its own replacement, which happens when {a, b} and {b} become {a, b}.
    #[must_use]
    pub fn of_replacement(
        versions: impl IntoIterator<Item = (PhotoId, OffsetDateTime)>,
        replaced: &[Self],
    ) -> Self {
        let mut replaced: Vec<_> = replaced.iter().map(Self::as_str).collect();
        replaced.sort_unstable();
        let mut digest = Context::new(&SHA256);
        digest.update(Self::of(versions).as_str().as_bytes());
        replaced.iter().for_each(|name| digest.update(format!(" {name}").as_bytes()));
        Self(hex::encode(&digest.finish().as_ref()[..16]))
    }

    /// The name that this text writes, if it is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        (!name.is_empty() && !name.contains(['/', ','])).then(|| Self(name.to_owned()))
    }

    /// The name as it stands in paths.
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

/// A part of the table, and the objects that lie beside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// The model and the day.
    pub partition: Partition,
    /// The name within them.
    pub name: PartName,
}

impl Part {
    /// The rows: `embeddings/model=<id>/date=<day>/<part>.parquet`.
    #[must_use]
    pub fn embeddings_key(&self) -> String {
        format!("{}{}/{}.parquet", embeddings_prefix(&self.partition.model), self.day(), self.name)
    }

    /// Count, mean and scatter of the rows: `moments/model=<id>/date=<day>/<part>.moments`.
    #[must_use]
    pub fn moments_key(&self) -> String {
        format!("moments/model={}/{}/{}.moments", self.partition.model, self.day(), self.name)
    }

    /// The projection of the rows: `reduced/model=<id>/fit=<fit>/date=<day>/<part>.parquet`.
    #[must_use]
    pub fn reduced_key(&self, fit: &str) -> String {
        format!("{}{}/{}.parquet", reduced_prefix(&self.partition.model, fit), self.day(), self.name)
    }

    /// The part whose rows lie at this key, if it is such a key.
    #[must_use]
    pub fn of_embeddings_key(key: &str) -> Option<Self> {
        let (model, rest) = key.strip_prefix("embeddings/model=")?.split_once('/')?;
        let (date, file) = rest.strip_prefix("date=")?.split_once('/')?;
        let name = file.strip_suffix(".parquet")?;
        let valid = !model.is_empty() && !name.is_empty() && !name.contains('/');
        let partition = Partition { model: model.to_owned(), date: parse_date(date)? };
        valid.then(|| Self { partition, name: PartName(name.to_owned()) })
    }

    /// The day and the name, `date=<day>/<part>`: what its rows, moments and projections have in common.
    #[must_use]
    pub fn stem(&self) -> String {
        format!("{}/{}", self.day(), self.name)
    }

    fn day(&self) -> String {
        format!("date={}", format_date(self.partition.date))
    }
}

/// Below it lie all moments of a model.
#[must_use]
pub fn moments_prefix(model: &str) -> String {
    format!("moments/model={model}/")
}

/// Below it lie all fits of a model, one folder a fit.
#[must_use]
pub fn fits_prefix(model: &str) -> String {
    format!("pca/model={model}/")
}

/// Below it lies what a run hands from phase to phase, and in the end its record.
#[must_use]
pub fn run_key(run: &str, file: &str) -> String {
    format!("runs/{run}/{file}")
}

/// Below it lie all parts of a model.
#[must_use]
pub fn embeddings_prefix(model: &str) -> String {
    format!("embeddings/model={model}/")
}

/// Below it lie the projections of all fits of a model.
#[must_use]
pub fn reduced_of_model_prefix(model: &str) -> String {
    format!("reduced/model={model}/")
}

/// Below it lie the projections of one fit.
#[must_use]
pub fn reduced_prefix(model: &str, fit: &str) -> String {
    format!("reduced/model={model}/fit={fit}/")
}

/// Below it lie all rejects of a model.
#[must_use]
pub fn rejects_prefix(model: &str) -> String {
    format!("rejects/model={model}/")
}

/// Below it lie all removals.
pub const REMOVALS_PREFIX: &str = "removals/";

/// The reject of a photo.
#[must_use]
pub fn reject_key(partition: &Partition, photo: PhotoId) -> String {
    format!("{}date={}/{photo}.json", rejects_prefix(&partition.model), format_date(partition.date))
}

/// The removal of a key: named by the first 16 bytes of SHA-256 over bucket and key, length-prefixed.
#[must_use]
pub fn removal_key(bucket: &str, key: &str) -> String {
    format!("{REMOVALS_PREFIX}{}.json", PhotoId::of(bucket, key, ""))
}

/// A file of a fit: `fit.json`, `components.parquet`, `explained_variance.csv` or a picture.
#[must_use]
pub fn fit_key(model: &str, fit: &str, file: &str) -> String {
    format!("pca/model={model}/fit={fit}/{file}")
}

/// The pointer to the newest fit.
#[must_use]
pub fn latest_fit_key(model: &str) -> String {
    format!("pca/model={model}/latest.json")
}

/// `YYYY-MM-DD`.
#[must_use]
pub fn format_date(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// The day that `YYYY-MM-DD` writes, if it does.
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
        fn every_part_is_found_again_by_its_key(model in "[a-z0-9-]{1,40}", day in 1u16..=365, year in 1970i32..2200) {
            let part = part(&model, Date::from_ordinal_date(year, day).unwrap());
            prop_assert_eq!(Part::of_embeddings_key(&part.embeddings_key()), Some(part));
        }

        #[test]
        fn any_other_key_is_no_part(key in "\\PC*") {
            if let Some(part) = Part::of_embeddings_key(&key) {
                prop_assert_eq!(part.embeddings_key(), key);
            }
        }
    }

    #[test]
    fn the_paths_are_those_of_the_contract() {
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
    fn a_replacement_is_named_as_no_part_with_the_same_rows() {
        let versions = [(PhotoId::of("p", "a", "1"), datetime!(2026-11-23 10:00 UTC))];
        let (part, other) = (PartName::of(versions), PartName::of([]));
        let replacement = |replaced: &[PartName]| PartName::of_replacement(versions, replaced);
        assert_ne!(replacement(std::slice::from_ref(&part)), part);
        assert_ne!(replacement(std::slice::from_ref(&part)), replacement(std::slice::from_ref(&other)));
        assert_eq!(replacement(&[part.clone(), other.clone()]), replacement(&[other, part]));
    }

    #[test]
    fn a_name_depends_on_the_versions_but_not_on_their_order() {
        let (a, b) = (PhotoId::of("p", "a", "1"), PhotoId::of("p", "b", "1"));
        let (t, later) = (datetime!(2026-11-23 10:00 UTC), datetime!(2026-11-23 10:01 UTC));
        assert_eq!(PartName::of([(a, t), (b, t)]), PartName::of([(b, t), (a, t), (b, t)]));
        assert_ne!(PartName::of([(a, t)]), PartName::of([(a, later)]));
        assert_ne!(PartName::of([(a, t)]), PartName::of([(b, t)]));
    }
}
