//! Stages the body of a request and verifies its checksums.

use bytes::Bytes;
use futures::StreamExt;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Checksum as _;
use s3s::dto::{Checksum, PutObjectInput, StreamingBlob, UploadPartInput};
use s3s::{S3Request, S3Result, TrailingHeaders, s3_error};

use crate::http::blocking::run_blocking;
use crate::storage::staged_object::StagedObject;

/// Bytes to buffer before a write.
///
/// Each write takes a switch to a blocking thread, which is too slow for the small chunks of a
/// connection. A body below this size takes a single switch.
const BUFFER_BYTES: usize = 1 << 20;

const CRC32: &str = "x-amz-checksum-crc32";
const CRC32C: &str = "x-amz-checksum-crc32c";
const CRC64NVME: &str = "x-amz-checksum-crc64nvme";
const SHA1: &str = "x-amz-checksum-sha1";
const SHA256: &str = "x-amz-checksum-sha256";

/// The checksums that a client sends with a body, in headers before it or in trailers after it.
#[derive(Debug, Default)]
pub(crate) struct ExpectedChecksums {
    /// In Base64.
    md5: Option<String>,
    headers: Checksum,
    /// Comma-separated names of the trailers, in lower case.
    trailer_names: String,
    trailers: Option<TrailingHeaders>,
}

macro_rules! expected_checksums_from {
    ($($input:ty),*) => { $(
        impl From<&S3Request<$input>> for ExpectedChecksums {
            fn from(request: &S3Request<$input>) -> Self {
                let input = &request.input;
                let headers = Checksum {
                    checksum_crc32: input.checksum_crc32.clone(),
                    checksum_crc32c: input.checksum_crc32c.clone(),
                    checksum_crc64nvme: input.checksum_crc64nvme.clone(),
                    checksum_sha1: input.checksum_sha1.clone(),
                    checksum_sha256: input.checksum_sha256.clone(),
                    ..Checksum::default()
                };
                let trailer_names = request.headers.get("x-amz-trailer");
                let trailer_names = trailer_names.and_then(|names| names.to_str().ok());
                Self {
                    md5: input.content_md5.clone(),
                    headers,
                    trailer_names: trailer_names.unwrap_or_default().to_ascii_lowercase(),
                    trailers: request.trailing_headers.clone(),
                }
            }
        }
    )* };
}

expected_checksums_from!(PutObjectInput, UploadPartInput);

impl ExpectedChecksums {
    /// Returns a hasher of the checksums to verify. A trailer's value is not known yet, but its
    /// name is.
    fn hasher(&self) -> ChecksumHasher {
        let in_trailer = |name: &str| self.trailer_names.split(',').any(|other| other.trim() == name);
        let is_expected = |header: &Option<String>, name| header.is_some() || in_trailer(name);
        let headers = &self.headers;
        ChecksumHasher {
            crc32: is_expected(&headers.checksum_crc32, CRC32).then(s3s::crypto::Crc32::new),
            crc32c: is_expected(&headers.checksum_crc32c, CRC32C).then(s3s::crypto::Crc32c::new),
            crc64nvme: is_expected(&headers.checksum_crc64nvme, CRC64NVME).then(s3s::crypto::Crc64Nvme::new),
            sha1: is_expected(&headers.checksum_sha1, SHA1).then(s3s::crypto::Sha1::new),
            sha256: is_expected(&headers.checksum_sha256, SHA256).then(s3s::crypto::Sha256::new),
        }
    }

    /// Compares the checksums of the complete body with the expected ones.
    fn verify(&self, md5: [u8; 16], computed: &Checksum) -> S3Result<()> {
        let md5 = base64_simd::STANDARD.encode_to_string(md5);
        if self.md5.as_ref().is_some_and(|expected| *expected != md5) {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
        // Trailers arrive with the end of the body, so they can't be read earlier.
        let trailers = self.trailers.as_ref().and_then(TrailingHeaders::take).unwrap_or_default();
        for (name, header, computed) in [
            (CRC32, &self.headers.checksum_crc32, &computed.checksum_crc32),
            (CRC32C, &self.headers.checksum_crc32c, &computed.checksum_crc32c),
            (CRC64NVME, &self.headers.checksum_crc64nvme, &computed.checksum_crc64nvme),
            (SHA1, &self.headers.checksum_sha1, &computed.checksum_sha1),
            (SHA256, &self.headers.checksum_sha256, &computed.checksum_sha256),
        ] {
            let trailer = trailers.get(name).and_then(|value| value.to_str().ok());
            let expected = header.as_deref().or(trailer);
            // A checksum is computed only if one is expected, so a missing trailer is a mismatch.
            if computed.is_some() && expected != computed.as_deref() {
                return Err(s3_error!(BadDigest, "The {name} you specified did not match what we received."));
            }
        }
        Ok(())
    }
}

/// Appends a body to a staged object, and returns both the object and the verified checksums.
///
/// The body is received completely before any error response. A client that is still sending would
/// see a closed connection instead of the response.
pub(crate) async fn stage_body(
    staged: StagedObject,
    body: Option<StreamingBlob>,
    expected: &ExpectedChecksums,
) -> S3Result<(StagedObject, Checksum)> {
    let mut staged = staged.with_checksums(expected.hasher());
    let mut buffer = Vec::new();
    if let Some(mut body) = body {
        while let Some(bytes) = body.next().await {
            buffer.push(bytes.map_err(|cause| s3_error!(IncompleteBody, "{cause}"))?);
            if buffer.iter().map(Bytes::len).sum::<usize>() >= BUFFER_BYTES {
                staged = write_all(staged, std::mem::take(&mut buffer)).await?;
            }
        }
    }
    let mut staged = write_all(staged, buffer).await?;
    let computed = staged.take_checksums();
    expected.verify(staged.md5(), &computed)?;
    Ok((staged, computed))
}

async fn write_all(mut staged: StagedObject, buffer: Vec<Bytes>) -> S3Result<StagedObject> {
    run_blocking(move || {
        for bytes in buffer {
            staged.write(&bytes)?;
        }
        Ok(staged)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5_OF_ABC: &str = "kAFQmDzST7DWlj99KOF/cg==";
    const CRC32_OF_ABC: &str = "NSRBwg==";

    async fn stage(expected: &ExpectedChecksums) -> S3Result<(StagedObject, Checksum)> {
        let folder = tempfile::tempdir().unwrap();
        let staged = StagedObject::new(folder.path()).unwrap();
        let chunks = [Ok::<_, std::io::Error>(Bytes::from_static(b"a")), Ok(Bytes::from_static(b"bc"))];
        let body = StreamingBlob::wrap(futures::stream::iter(chunks));
        stage_body(staged, Some(body), expected).await
    }

    fn crc32(value: &str) -> ExpectedChecksums {
        let headers = Checksum { checksum_crc32: Some(value.into()), ..Checksum::default() };
        ExpectedChecksums { headers, ..ExpectedChecksums::default() }
    }

    async fn error_code(expected: &ExpectedChecksums) -> Option<String> {
        stage(expected).await.err().map(|error| error.code().as_str().to_owned())
    }

    #[tokio::test]
    async fn a_body_with_the_expected_checksums_is_staged() {
        let expected = ExpectedChecksums { md5: Some(MD5_OF_ABC.into()), ..crc32(CRC32_OF_ABC) };
        let (staged, computed) = stage(&expected).await.unwrap();
        assert_eq!(staged.finish().etag, "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(computed.checksum_crc32.as_deref(), Some(CRC32_OF_ABC));
        assert_eq!(computed.checksum_sha256, None, "nothing asks for it");
    }

    #[tokio::test]
    async fn a_wrong_checksum_is_a_bad_digest() {
        assert_eq!(error_code(&crc32("AAAAAA==")).await.as_deref(), Some("BadDigest"));
        let md5 = ExpectedChecksums { md5: Some("AAAA".into()), ..ExpectedChecksums::default() };
        assert_eq!(error_code(&md5).await.as_deref(), Some("BadDigest"));
    }

    #[tokio::test]
    async fn an_announced_trailer_must_arrive() {
        let names = format!("x-amz-meta, {SHA256}");
        let expected = ExpectedChecksums { trailer_names: names, ..ExpectedChecksums::default() };
        assert_eq!(error_code(&expected).await.as_deref(), Some("BadDigest"));
    }
}
