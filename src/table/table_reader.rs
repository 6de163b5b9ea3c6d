//! Reads everything from S3 that the current rows of a model depend on.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use futures::StreamExt;

use super::external_sort::ExternalSorter;
use super::part_reader::PartReader;
use super::part_rows::{PartRows, check_missing_were_compacted, index_replacements};
use super::reject::Reject;
use super::removal::Removal;
use super::row_version::{Origin, RowVersion};
use super::schema::micros;
use crate::contract::layout::{Part, PartName, REMOVALS_PREFIX, embeddings_prefix, rejects_prefix};
use crate::contract::photo::PhotoId;
use crate::error::{Error, Result};
use crate::rejection::RejectCode;
use crate::s3::{ObjectMeta, Store};

/// Bytes of records in memory before they are spilled to a temporary file.
const SORT_BUDGET: usize = 64 << 20;

/// Rejects or removals that are fetched concurrently.
const CONCURRENCY: usize = 64;

/// Parts whose key columns are fetched concurrently.
const PART_CONCURRENCY: usize = 16;

/// Reads the table of one model.
pub(super) struct TableReader<'a> {
    pub(super) store: &'a Store,
    pub(super) results_bucket: &'a str,
    pub(super) model: &'a str,
}

/// All parts, and the records of all keys.
pub(super) struct TableRecords {
    /// The parts, in the order of their keys. No row is marked as dead yet.
    pub(super) parts: Vec<PartRows>,
    pub(super) versions: ExternalSorter,
    /// The code of each reject, by photo id.
    pub(super) codes: BTreeMap<[u8; 16], RejectCode>,
}

impl TableReader<'_> {
    /// Reads the key columns of all parts, all rejects and all removals.
    ///
    /// # Errors
    /// [`Error::NotFound`] when a part was deleted after it was listed, and no part that was read
    /// replaces it.
    pub(super) async fn read(&self) -> Result<TableRecords> {
        let mut versions = ExternalSorter::new(SORT_BUDGET);
        let parts = self.read_parts(&mut versions).await?;
        let codes = self.read_rejects(&mut versions).await?;
        self.read_removals(&mut versions).await?;
        Ok(TableRecords { parts, versions, codes })
    }

    async fn read_parts(&self, versions: &mut ExternalSorter) -> Result<Vec<PartRows>> {
        let listed = self.list_parts().await?;
        let listed_parts: HashSet<Part> = listed.iter().map(|(part, _)| part.clone()).collect();
        let mut opened = futures::stream::iter(listed)
            .map(async |(part, object)| {
                let (key, size_bytes) = (&object.key, object.size_bytes);
                let reader = PartReader::open_keys(self.store, self.results_bucket, key, size_bytes).await;
                (part, object, reader)
            })
            .buffered(PART_CONCURRENCY);
        let (mut parts, mut missing) = (Vec::new(), Vec::new());
        while let Some((part, object, reader)) = opened.next().await {
            match reader {
                Ok(reader) => {
                    let index = u32::try_from(parts.len()).map_err(Error::schema("embeddings/"))?;
                    let rows = push_rows(&reader, index, versions)?;
                    parts.push(part_rows(part, &object, rows, reader.replaces()?, &listed_parts));
                }
                Err(error @ Error::NotFound { .. }) => missing.push((part, error)),
                Err(error) => return Err(error),
            }
        }
        check_missing_were_compacted(missing, &parts)?;
        index_replacements(&mut parts);
        Ok(parts)
    }

    async fn list_parts(&self) -> Result<Vec<(Part, ObjectMeta)>> {
        let mut parts = Vec::new();
        let add = |object: ObjectMeta| {
            parts.extend(Part::of_embeddings_key(&object.key).map(|part| (part, object)));
            Ok(())
        };
        self.store.list(self.results_bucket, &embeddings_prefix(self.model), add).await?;
        Ok(parts)
    }

    async fn read_rejects(&self, versions: &mut ExternalSorter) -> Result<BTreeMap<[u8; 16], RejectCode>> {
        let mut codes = BTreeMap::new();
        self.read_each(&rejects_prefix(self.model), |key, bytes| {
            let reject = Reject::parse(key, bytes)?;
            let photo_id = *reject.id().as_bytes();
            codes.insert(photo_id, reject.code);
            versions.push(RowVersion {
                last_modified: micros(reject.photo.last_modified),
                made_at: micros(reject.rejected_at),
                bucket: reject.photo.bucket,
                key: reject.photo.key,
                photo_id,
                origin: Origin::Reject,
            })
        })
        .await?;
        Ok(codes)
    }

    async fn read_removals(&self, versions: &mut ExternalSorter) -> Result<()> {
        self.read_each(REMOVALS_PREFIX, |key, bytes| {
            let Removal { bucket, key, up_to, except_photo_id } = Removal::parse(key, bytes)?;
            let except = except_photo_id.as_deref().and_then(PhotoId::parse);
            // Zeros stand for no exception: the first 16 bytes of a digest are never all zero in
            // practice.
            let photo_id = except.map_or([0; 16], |id| *id.as_bytes());
            let last_modified = micros(up_to);
            versions.push(RowVersion {
                bucket,
                key,
                last_modified,
                made_at: 0,
                photo_id,
                origin: Origin::Removal,
            })
        })
        .await
    }

    /// Calls `each` with the key and content of every JSON object below a prefix.
    async fn read_each(&self, prefix: &str, mut each: impl FnMut(&str, &[u8]) -> Result<()>) -> Result<()> {
        let mut keys = self.list_keys(prefix).await?;
        // In the embedded S3 a bucket is a folder, to which file managers add hidden files.
        keys.retain(|key| Path::new(key).extension().is_some_and(|extension| extension == "json"));
        let mut objects = futures::stream::iter(&keys)
            .map(async |key| (key, self.store.get(self.results_bucket, key).await))
            .buffered(CONCURRENCY);
        while let Some((key, bytes)) = objects.next().await {
            match bytes {
                Ok(bytes) => each(key, &bytes)?,
                // It was deleted after the listing, so it no longer applies.
                Err(Error::NotFound { .. }) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn list_keys(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let add = |object: ObjectMeta| {
            keys.push(object.key);
            Ok(())
        };
        self.store.list(self.results_bucket, prefix, add).await?;
        Ok(keys)
    }
}

/// Builds the description of a part, in which no row is dead yet.
fn part_rows(
    part: Part,
    object: &ObjectMeta,
    rows: u32,
    mut replaces: Vec<PartName>,
    listed: &HashSet<Part>,
) -> PartRows {
    let compacted = !replaces.is_empty();
    // After years a part names thousands of parts that were deleted long ago.
    replaces.retain(|name| listed.contains(&Part { partition: part.partition.clone(), name: name.clone() }));
    PartRows {
        part,
        rows,
        dead: Vec::new(),
        size_bytes: object.size_bytes,
        written_at: object.last_modified,
        compacted,
        replaces,
        replaced_by: Vec::new(),
    }
}

/// Adds all rows of a part to the sort. Returns their number.
fn push_rows(reader: &PartReader, part: u32, versions: &mut ExternalSorter) -> Result<u32> {
    let mut row = 0;
    for batch in reader.keys()? {
        for key in batch?.iter() {
            let photo_id = PhotoId::parse(key.photo_id)
                .ok_or_else(|| reader.broken("a photo id does not consist of 32 hex digits"))?;
            versions.push(RowVersion {
                bucket: key.bucket.to_owned(),
                key: key.key.to_owned(),
                last_modified: key.last_modified,
                made_at: key.embedded_at,
                photo_id: *photo_id.as_bytes(),
                origin: Origin::Row { part, row },
            })?;
            row += 1;
        }
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::layout::Partition;
    use time::OffsetDateTime;
    use time::macros::date;

    #[test]
    fn a_part_keeps_only_the_names_of_listed_parts_that_it_replaces() {
        let name = |name| PartName::parse(name).unwrap();
        let partition = Partition { model: "m".into(), date: date!(2026 - 11 - 23) };
        let part = |part| Part { partition: partition.clone(), name: name(part) };
        let mut of_another_date = part("b");
        of_another_date.partition.date = date!(2026 - 11 - 24);
        let object = ObjectMeta {
            key: "key".into(),
            etag: "etag".into(),
            size_bytes: 1000,
            last_modified: OffsetDateTime::UNIX_EPOCH,
        };
        let listed = HashSet::from([part("a"), of_another_date, part("new")]);
        let rows = part_rows(part("new"), &object, 10, ["a", "b"].map(name).into(), &listed);
        assert_eq!(rows.replaces, [name("a")]);
        let rows = part_rows(part("new"), &object, 10, vec![name("b")], &listed);
        assert!(rows.compacted && rows.replaces.is_empty(), "the replaced part is deleted");
    }
}
