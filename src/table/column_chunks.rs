//! A Parquet object of which only some pieces are here: those that hold the columns that are wanted.
//!
//! The key columns of a part are a thirtieth of it. Whoever scans the table reads each footer, and then only the byte ranges that the
//! footer names: <https://parquet.apache.org/docs/file-format/>.

use std::ops::Range;

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};

use crate::error::{Error, Result};
use crate::store::Store;

/// Read from the end of an object at once: the footer of most parts, and the whole of small ones.
const TAIL: u64 = 256 << 10;
/// Ranges that are so near to each other are read as one: a request takes as long as so many bytes.
const GAP: u64 = 256 << 10;

/// Pieces of an object, each at its place.
#[derive(Debug, Clone)]
pub(crate) struct Pieces {
    size: u64,
    pieces: Vec<(u64, Bytes)>,
}

impl Pieces {
    /// An object that is here as a whole.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { size: bytes.len() as u64, pieces: vec![(0, bytes)] }
    }

    /// The pieces of an object of so many bytes that hold its footer and these columns.
    pub(crate) async fn of_columns(
        store: &Store,
        bucket: &str,
        key: &str,
        size: u64,
        columns: &[&str],
    ) -> Result<Self> {
        if size == 0 {
            return Err(Error::Schema {
                object: key.to_owned(),
                reason: "it is empty, and no Parquet file".into(),
            });
        }
        let mut tail = store.get_range(bucket, key, size.saturating_sub(TAIL)..size).await?;
        let mut reader = ParquetMetaDataReader::new();
        if let Err(ParquetError::NeedMoreData(needed)) = reader.try_parse_sized(&tail, size)
            && needed as u64 > tail.len() as u64
        {
            tail = store.get_range(bucket, key, size.saturating_sub(needed as u64)..size).await?;
        }
        reader.try_parse_sized(&tail, size).map_err(Error::schema(key))?;
        let metadata = reader.finish().map_err(Error::schema(key))?;
        let tail_starts = size - tail.len() as u64;
        let mut pieces = Vec::new();
        for range in ranges(&metadata, columns) {
            if range.start < tail_starts {
                pieces.push((range.start, store.get_range(bucket, key, range).await?));
            }
        }
        pieces.push((tail_starts, tail));
        Ok(Self { size, pieces })
    }

    /// The bytes from `start` on, as far as they are here.
    fn from(&self, start: u64) -> Option<Bytes> {
        self.pieces.iter().find_map(|(offset, bytes)| {
            let within = usize::try_from(start.checked_sub(*offset)?).ok()?;
            (within < bytes.len()).then(|| bytes.slice(within..))
        })
    }
}

/// Where these columns lie in all row groups, in order, near ranges as one.
fn ranges(metadata: &ParquetMetaData, columns: &[&str]) -> Vec<Range<u64>> {
    let chunks = metadata.row_groups().iter().flat_map(|group| group.columns());
    let wanted = chunks.filter(|chunk| {
        chunk.column_path().parts().first().is_some_and(|root| columns.contains(&root.as_str()))
    });
    let mut ranges: Vec<Range<u64>> =
        wanted.map(|chunk| chunk.byte_range()).map(|(start, length)| start..start + length).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end + GAP => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

impl Length for Pieces {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Pieces {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(self.from(start).ok_or_else(|| absent(start))?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.from(start).filter(|bytes| bytes.len() >= length).ok_or_else(|| absent(start))?;
        Ok(bytes.slice(..length))
    }
}

fn absent(start: u64) -> ParquetError {
    ParquetError::EOF(format!("the bytes from {start} on were not read"))
}
