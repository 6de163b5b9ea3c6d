//! A file becomes the body of a response.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use s3s::dto::StreamingBlob;

/// Bytes of a file that are read at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// These bytes of the file. A body of one chunk is read here; a longer one while it is sent.
pub(crate) fn body(mut file: File, range: Range<u64>) -> io::Result<StreamingBlob> {
    file.seek(SeekFrom::Start(range.start))?;
    let length = range.end - range.start;
    let first = chunk(&mut file, length)?;
    let left = length - first.len() as u64;
    let first = futures::stream::iter([Ok::<_, io::Error>(first)]);
    let rest = futures::stream::try_unfold((file, left), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || chunk(&mut file, left).map(|bytes| (bytes, file)));
        let (bytes, file) = read.await.map_err(io::Error::other)??;
        let left = left - bytes.len() as u64;
        Ok(Some((bytes, (file, left))))
    });
    Ok(StreamingBlob::wrap(futures::StreamExt::chain(first, rest)))
}

/// The next bytes of the file. A file that ends before it should was cut by another program: the response is broken
/// off, as its length has already been promised.
fn chunk(file: &mut File, left: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; left.min(CHUNK_BYTES) as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes.into())
}
