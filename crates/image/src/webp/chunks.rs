//! The chunks of a WebP (RFC 9649, section 2.3).

/// The position of the first chunk.
const FIRST_CHUNK: usize = 12;

/// The names and payloads of the chunks. A chunk that the file ends inside of is left out.
#[derive(Debug, Clone)]
pub(crate) struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    pub(crate) fn of(webp: &'a [u8]) -> Self {
        Self(webp.get(FIRST_CHUNK..).unwrap_or_default())
    }

    /// Iterates over the chunks that another chunk contains.
    pub(super) fn within(payload: &'a [u8]) -> Self {
        Self(payload)
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = (&'a [u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.0.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (payload, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        // A payload of an odd length is padded.
        self.0 = rest.get(payload.len() % 2..).unwrap_or_default();
        Some((name, payload))
    }
}
