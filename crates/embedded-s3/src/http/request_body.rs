//! The body of a request becomes a draft, and what the client says of it is checked.

use bytes::Bytes;
use futures::StreamExt;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Checksum as _;
use s3s::dto::{Checksum, PutObjectInput, StreamingBlob, UploadPartInput};
use s3s::{S3Request, S3Result, TrailingHeaders, s3_error};

use super::draft::Draft;
use super::protocol::blocking;

/// Bytes held before they are written. A smaller body is written at once, when it is complete.
const HELD_BYTES: usize = 1 << 20;

const CRC32: &str = "x-amz-checksum-crc32";
const CRC32C: &str = "x-amz-checksum-crc32c";
const CRC64NVME: &str = "x-amz-checksum-crc64nvme";
const SHA1: &str = "x-amz-checksum-sha1";
const SHA256: &str = "x-amz-checksum-sha256";

/// What a client says of the bytes it sends: before them, and for some checksums behind them.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Base64.
    md5: Option<String>,
    before: Checksum,
    /// The names of the headers that will follow the body.
    announced: String,
    behind: Option<TrailingHeaders>,
}

macro_rules! claims_of {
    ($($input:ty),*) => { $(
        impl From<&S3Request<$input>> for Claims {
            fn from(request: &S3Request<$input>) -> Self {
                let input = &request.input;
                let before = Checksum {
                    checksum_crc32: input.checksum_crc32.clone(),
                    checksum_crc32c: input.checksum_crc32c.clone(),
                    checksum_crc64nvme: input.checksum_crc64nvme.clone(),
                    checksum_sha1: input.checksum_sha1.clone(),
                    checksum_sha256: input.checksum_sha256.clone(),
                    ..Checksum::default()
                };
                let announced = request.headers.get("x-amz-trailer").and_then(|names| names.to_str().ok());
                Self {
                    md5: input.content_md5.clone(),
                    before,
                    announced: announced.unwrap_or_default().to_ascii_lowercase(),
                    behind: request.trailing_headers.clone(),
                }
            }
        }
    )* };
}

claims_of!(PutObjectInput, UploadPartInput);

impl Claims {
    fn hasher(&self) -> ChecksumHasher {
        let announced = |name: &str| self.announced.split(',').any(|other| other.trim() == name);
        let claimed = |before: &Option<String>, name| before.is_some() || announced(name);
        let before = &self.before;
        ChecksumHasher {
            crc32: claimed(&before.checksum_crc32, CRC32).then(s3s::crypto::Crc32::new),
            crc32c: claimed(&before.checksum_crc32c, CRC32C).then(s3s::crypto::Crc32c::new),
            crc64nvme: claimed(&before.checksum_crc64nvme, CRC64NVME).then(s3s::crypto::Crc64Nvme::new),
            sha1: claimed(&before.checksum_sha1, SHA1).then(s3s::crypto::Sha1::new),
            sha256: claimed(&before.checksum_sha256, SHA256).then(s3s::crypto::Sha256::new),
        }
    }

    /// Refuses bytes that are not what the client says, once they are all here.
    fn check(&self, md5: [u8; 16], computed: &Checksum) -> S3Result<()> {
        let digest = base64_simd::STANDARD.encode_to_string(md5);
        if self.md5.as_ref().is_some_and(|claimed| *claimed != digest) {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
        let behind = self.behind.as_ref().and_then(TrailingHeaders::take).unwrap_or_default();
        for (name, before, computed) in [
            (CRC32, &self.before.checksum_crc32, &computed.checksum_crc32),
            (CRC32C, &self.before.checksum_crc32c, &computed.checksum_crc32c),
            (CRC64NVME, &self.before.checksum_crc64nvme, &computed.checksum_crc64nvme),
            (SHA1, &self.before.checksum_sha1, &computed.checksum_sha1),
            (SHA256, &self.before.checksum_sha256, &computed.checksum_sha256),
        ] {
            let behind = behind.get(name).and_then(|value| value.to_str().ok());
            let claimed = before.as_deref().or(behind);
            if computed.is_some() && claimed != computed.as_deref() {
                return Err(s3_error!(BadDigest, "The {name} you specified did not match what we received."));
            }
        }
        Ok(())
    }
}

/// Receives a body to its end, before anything about the request is refused: a client that is still sending would
/// see a broken connection in place of the answer.
pub(crate) async fn receive(
    draft: Draft,
    body: Option<StreamingBlob>,
    claims: &Claims,
) -> S3Result<(Draft, Checksum)> {
    let mut draft = draft.with_checksums(claims.hasher());
    let mut held = Vec::new();
    if let Some(mut body) = body {
        while let Some(bytes) = body.next().await {
            held.push(bytes.map_err(|cause| s3_error!(IncompleteBody, "{cause}"))?);
            if held.iter().map(Bytes::len).sum::<usize>() >= HELD_BYTES {
                draft = write(draft, std::mem::take(&mut held)).await?;
            }
        }
    }
    let mut draft = write(draft, held).await?;
    let computed = draft.take_checksums();
    claims.check(draft.md5(), &computed)?;
    Ok((draft, computed))
}

async fn write(mut draft: Draft, held: Vec<Bytes>) -> S3Result<Draft> {
    blocking(move || {
        for bytes in held {
            draft.write(&bytes)?;
        }
        Ok(draft)
    })
    .await
}
