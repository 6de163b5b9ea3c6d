//! A Parquet object of which only the footer and some columns were fetched.
//!
//! The key columns are a thirtieth of a part, so a scan of the table reads the footer of each part
//! and then only the byte ranges of those columns. The footer lists the ranges:
//! <https://parquet.apache.org/docs/file-format/>.

use std::ops::Range;

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};

use super::damage::caught;
use crate::error::{Error, Result};
use crate::s3::Store;

/// Bytes that the first request reads from the end of an object. They contain the footer of most
/// parts, and all of a small part.
const TAIL_BYTES: u64 = 256 << 10;

/// The largest gap between two ranges that are read with one request. Reading this many bytes takes
/// about as long as another request.
const MAX_GAP_BYTES: u64 = 256 << 10;

/// The fetched pieces of an object, each with its offset.
#[derive(Debug, Clone)]
pub(super) struct ColumnChunks {
    size: u64,
    pieces: Vec<(u64, Bytes)>,
}

impl ColumnChunks {
    /// Wraps an object that is completely in memory.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { size: bytes.len() as u64, pieces: vec![(0, bytes)] }
    }

    /// Fetches the footer and the named columns of an object of `size` bytes.
    pub(super) async fn fetch_columns(
        store: &Store,
        bucket: &str,
        key: &str,
        size: u64,
        columns: &[&str],
    ) -> Result<Self> {
        // S3 answers a range request for an empty object with an error that does not say why.
        if size == 0 {
            let reason = "the object is empty, so it is not a Parquet file".into();
            return Err(Error::Schema { object: key.to_owned(), reason });
        }
        let (metadata, tail) = fetch_footer(store, bucket, key, size).await?;
        let tail_start = size - tail.len() as u64;
        let mut pieces = Vec::new();
        for range in caught(key, || Ok(column_ranges(&metadata, columns)))? {
            if range.end > size {
                let reason = format!("a column ends at byte {}, but the object has {size}", range.end);
                return Err(Error::Schema { object: key.to_owned(), reason });
            }
            if range.start < tail_start {
                pieces.push((range.start, store.get_range(bucket, key, range).await?));
            }
        }
        pieces.push((tail_start, tail));
        Ok(Self { size, pieces })
    }

    /// Returns the bytes from `start` to the end of their piece.
    fn bytes_from(&self, start: u64) -> Option<Bytes> {
        self.pieces.iter().find_map(|(offset, bytes)| {
            let within = usize::try_from(start.checked_sub(*offset)?).ok()?;
            (within < bytes.len()).then(|| bytes.slice(within..))
        })
    }
}

/// Returns an object's metadata, and the end of the object that contains them.
async fn fetch_footer(store: &Store, bucket: &str, key: &str, size: u64) -> Result<(ParquetMetaData, Bytes)> {
    let mut tail = store.get_range(bucket, key, size.saturating_sub(TAIL_BYTES)..size).await?;
    let mut reader = ParquetMetaDataReader::new();
    // The last bytes of the tail give the footer's length. A longer footer needs one more request.
    if let Err(ParquetError::NeedMoreData(needed)) = reader.try_parse_sized(&tail, size)
        && needed as u64 > tail.len() as u64
    {
        tail = store.get_range(bucket, key, size.saturating_sub(needed as u64)..size).await?;
    }
    reader.try_parse_sized(&tail, size).map_err(Error::schema(key))?;
    let metadata = reader.finish().map_err(Error::schema(key))?;
    Ok((metadata, tail))
}

/// Returns the byte ranges of these columns in all row groups, in ascending order.
fn column_ranges(metadata: &ParquetMetaData, columns: &[&str]) -> Vec<Range<u64>> {
    let chunks = metadata.row_groups().iter().flat_map(|group| group.columns());
    let selected = chunks.filter(|chunk| {
        // The path of a nested column starts with the name of its top-level column.
        chunk.column_path().parts().first().is_some_and(|root| columns.contains(&root.as_str()))
    });
    let ranges = selected.map(|chunk| chunk.byte_range()).map(|(start, length)| start..start + length);
    join_close_ranges(ranges.collect())
}

/// Sorts ranges, and joins those that are at most [`MAX_GAP_BYTES`] apart.
fn join_close_ranges(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end + MAX_GAP_BYTES => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

impl Length for ColumnChunks {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for ColumnChunks {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(self.bytes_from(start).ok_or_else(|| not_fetched(start))?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.bytes_from(start).filter(|bytes| bytes.len() >= length);
        Ok(bytes.ok_or_else(|| not_fetched(start))?.slice(..length))
    }
}

fn not_fetched(start: u64) -> ParquetError {
    ParquetError::EOF(format!("the bytes from offset {start} were not fetched"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Joins ranges. Each has a start and an end.
    fn joined(ranges: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let ranges = ranges.iter().map(|&(start, end)| start..end).collect();
        join_close_ranges(ranges).into_iter().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn ranges_are_joined_up_to_the_largest_gap() {
        let far = 300 + MAX_GAP_BYTES + 1;
        assert_eq!(joined(&[(100, 300), (0, 50), (200, 250)]), [(0, 300)]);
        assert_eq!(joined(&[(far, far + 1), (0, 300)]), [(0, 300), (far, far + 1)]);
        assert_eq!(joined(&[(far - 1, far + 1), (0, 300)]), [(0, far + 1)]);
        assert_eq!(joined(&[]), []);
    }

    #[test]
    fn only_bytes_within_one_piece_can_be_read() {
        let pieces = vec![(10, Bytes::from_static(b"abc")), (20, Bytes::from_static(b"xyz"))];
        let chunks = ColumnChunks { size: 23, pieces };
        assert_eq!(chunks.get_bytes(11, 2).unwrap(), "bc");
        assert_eq!(chunks.get_bytes(20, 3).unwrap(), "xyz");
        assert!(chunks.get_bytes(11, 3).is_err(), "longer than the piece");
        assert!(chunks.get_bytes(9, 1).is_err(), "before the first piece");
        assert!(chunks.get_read(13).is_err(), "between the pieces");
    }
}
