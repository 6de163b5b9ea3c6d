//! The ICC profile of a WebP.

use crate::webp::Chunks;

/// The flag of an extended header that announces a profile.
const HAS_PROFILE: u8 = 0x20;

/// Returns the content of the `ICCP` chunk, if the header announces it.
pub(super) fn profile(bytes: &[u8]) -> Option<&[u8]> {
    let mut chunks = Chunks::of(bytes);
    let (b"VP8X", [flags, ..]) = chunks.next()? else { return None };
    if flags & HAS_PROFILE == 0 {
        return None;
    }
    // The profile comes before the pixels.
    chunks
        .take_while(|(name, _)| !matches!(*name, b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ANMF"))
        .find(|(name, _)| *name == b"ICCP")
        .map(|(_, profile)| profile)
}
