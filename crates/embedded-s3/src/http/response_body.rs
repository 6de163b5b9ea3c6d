//! Streams a file as the body of a response.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use s3s::dto::StreamingBlob;

/// Bytes per read of a file.
const CHUNK_BYTES: u64 = 1 << 20;

/// Returns a byte range of a file as a body.
///
/// The first chunk is read now, on the calling thread. The rest is read while the body is sent.
pub(crate) fn file_body(mut file: File, range: Range<u64>) -> io::Result<StreamingBlob> {
    file.seek(SeekFrom::Start(range.start))?;
    let length = range.end - range.start;
    // Most objects fit one chunk, and need no further switch to a blocking thread.
    let first = read_chunk(&mut file, length)?;
    let remaining = length - first.len() as u64;
    let first = futures::stream::iter([Ok::<_, io::Error>(first)]);
    let rest = futures::stream::try_unfold((file, remaining), |(mut file, remaining)| async move {
        if remaining == 0 {
            return Ok(None);
        }
        let read = move || read_chunk(&mut file, remaining).map(|bytes| (bytes, file));
        let (bytes, file) = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
        let remaining = remaining - bytes.len() as u64;
        Ok(Some((bytes, (file, remaining))))
    });
    Ok(StreamingBlob::wrap(futures::StreamExt::chain(first, rest)))
}

/// Reads the next chunk of a file.
///
/// A file that is too short was truncated by another program. The response then fails midway,
/// because its `Content-Length` has already been sent.
fn read_chunk(file: &mut File, remaining: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; remaining.min(CHUNK_BYTES) as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_range_across_chunks_is_sent_in_order() {
        let bytes: Vec<u8> = (0..2 * CHUNK_BYTES + 10).map(|index| (index % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &bytes).unwrap();
        let body = file_body(file, 5..bytes.len() as u64 - 1).unwrap();
        let chunks: Vec<Bytes> = body.try_collect().await.unwrap();
        assert_eq!(chunks.len(), 3);
        assert_eq!(chunks.concat(), bytes[5..bytes.len() - 1]);
    }

    #[tokio::test]
    async fn a_truncated_file_is_an_error_and_not_a_short_body() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(CHUNK_BYTES + 1).unwrap();
        let body = file_body(file.try_clone().unwrap(), 0..CHUNK_BYTES + 1).unwrap();
        file.set_len(CHUNK_BYTES).unwrap();
        assert!(body.try_collect::<Vec<Bytes>>().await.is_err());
    }
}
