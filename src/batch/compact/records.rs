//! The lists that compaction tasks refer to: `runs/<run id>/…`.

use serde::{Deserialize, Serialize};

use crate::contract::layout::{Part, PartName, Partition, parse_date};
use crate::error::{Error, Result};

/// The parts of one date that one task rewrites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrite {
    /// The format [`VERSION`](crate::contract::run::VERSION).
    pub version: u32,
    /// The partition's date: `2026-11-23`.
    pub date: String,
    /// The parts to read.
    pub parts: Vec<PartToRead>,
    /// The names that the new parts record as replaced: the parts to read, and the superseded parts
    /// that those replaced.
    pub replaces: Vec<String>,
    /// Number of parts to write.
    pub into: u64,
}

/// A part to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartToRead {
    /// The part's name.
    pub name: String,
    /// The object's size.
    pub size_bytes: u64,
    /// The indices of the dead rows, ascending.
    pub dead: Vec<u32>,
}

/// The objects that one task deletes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteList {
    /// The format [`VERSION`](crate::contract::run::VERSION).
    pub version: u32,
    /// Replaced parts, with their moments and projections.
    pub parts: Vec<PartToDelete>,
    /// Keys of dead rejects, and of moments and projections without a part.
    pub objects: Vec<String>,
}

/// A part to delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartToDelete {
    /// The keys of the part's moments and projections, if any, and of the part itself, which is
    /// last.
    pub keys: Vec<String>,
    /// The keys of the parts that replace it. The part is deleted only while all of them exist.
    /// Empty for a part without rows, which needs no replacement.
    pub replaced_by: Vec<String>,
}

impl Rewrite {
    /// Returns the part with a name, on the list's date.
    ///
    /// # Errors
    /// [`Error::Task`] when the date or the name is malformed.
    pub(super) fn part(&self, model: &str, name: &str) -> Result<Part> {
        let parsed = parse_date(&self.date).zip(PartName::parse(name));
        let (date, name) =
            parsed.ok_or_else(|| Error::Task(format!("not a part: date={}/{name}", self.date)))?;
        Ok(Part { partition: Partition { model: model.to_owned(), date }, name })
    }
}

impl DeleteList {
    /// Returns the number of parts and other objects.
    pub(super) fn len(&self) -> usize {
        self.parts.len() + self.objects.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lists that the previous version wrote. A plan of one version may be executed by another.
    #[test]
    fn lists_have_the_documented_format() {
        let rewrite = Rewrite {
            version: 1,
            date: "2026-11-23".into(),
            parts: vec![PartToRead { name: "a".into(), size_bytes: 10, dead: vec![0, 3] }],
            replaces: vec!["a".into(), "b".into()],
            into: 1,
        };
        let json = concat!(
            r#"{"version":1,"date":"2026-11-23","parts":[{"name":"a","size_bytes":10,"dead":[0,3]}],"#,
            r#""replaces":["a","b"],"into":1}"#,
        );
        assert_eq!(serde_json::to_string(&rewrite).unwrap(), json);
        assert_eq!(serde_json::from_str::<Rewrite>(json).unwrap(), rewrite);

        let part = PartToDelete { keys: vec!["m".into(), "p".into()], replaced_by: vec!["q".into()] };
        let delete = DeleteList { version: 1, parts: vec![part], objects: vec!["r".into()] };
        let json = concat!(
            r#"{"version":1,"parts":[{"keys":["m","p"],"replaced_by":["q"]}],"#,
            r#""objects":["r"]}"#,
        );
        assert_eq!(serde_json::to_string(&delete).unwrap(), json);
        assert_eq!(serde_json::from_str::<DeleteList>(json).unwrap(), delete);
    }

    #[test]
    fn a_malformed_part_is_named_in_the_error() {
        let rewrite = |date: &str| {
            let (parts, replaces) = (Vec::new(), Vec::new());
            Rewrite { version: 1, date: date.into(), parts, replaces, into: 1 }
        };
        let part = rewrite("2026-11-23").part("m", "a").unwrap();
        assert_eq!(part.embeddings_key(), "embeddings/model=m/date=2026-11-23/a.parquet");
        for (date, name) in [("2026-11-31", "a"), ("2026-11-23", "a/b")] {
            let error = rewrite(date).part("m", name).unwrap_err().to_string();
            assert!(error.contains(date) && error.contains(name), "{error}");
        }
    }
}
