//! The flags of an extended WebP (RFC 9649, section 2.7).

use std::borrow::Cow;

use super::chunks::Chunks;

/// The position of the flags in a file whose first chunk is `VP8X`.
const FLAGS: usize = 20;
const ANIMATED: u8 = 2;
pub(crate) const HAS_XMP: u8 = 4;
pub(crate) const HAS_EXIF: u8 = 8;
const HAS_ALPHA: u8 = 16;

/// Clears flags that announce a chunk which is missing. Only then, it copies the file.
///
/// Programs that remove metadata often leave its flag. Like libwebp, browsers don't mind. The
/// decoder rejects such a file.
pub(crate) fn with_honest_flags(webp: &[u8]) -> Cow<'_, [u8]> {
    let Some((b"VP8X", header)) = Chunks::of(webp).next() else { return webp.into() };
    let Some(flags) = header.first() else { return webp.into() };
    let has = |wanted: &[u8; 4]| Chunks::of(webp).any(|(name, _)| name == wanted);
    let mut honest = *flags;
    if flags & HAS_EXIF != 0 && !has(b"EXIF") {
        honest &= !HAS_EXIF;
    }
    if flags & HAS_XMP != 0 && !has(b"XMP ") {
        honest &= !HAS_XMP;
    }
    // A lossless image has its alpha inside, and an animation has it in the chunks of its frames.
    if flags & (HAS_ALPHA | ANIMATED) == HAS_ALPHA && has(b"VP8 ") && !has(b"ALPH") {
        honest &= !HAS_ALPHA;
    }
    if honest == *flags {
        return webp.into();
    }
    let mut copy = webp.to_vec();
    copy[FLAGS] = honest;
    copy.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webp(flags: u8, names: &[&[u8; 4]]) -> Vec<u8> {
        let mut bytes = [&b"RIFF\0\0\0\0WEBPVP8X\x0A\0\0\0"[..], &[flags], &[0; 9]].concat();
        for name in names {
            bytes.extend([&name[..], b"\x03\0\0\0abc\0"].concat());
        }
        bytes
    }

    #[test]
    fn only_flags_without_their_chunk_are_cleared() {
        let cases: &[(u8, &[&[u8; 4]], u8)] = &[
            (0b1_1100, &[b"ALPH", b"VP8 ", b"EXIF", b"XMP "], 0b1_1100),
            (0b1_1100, &[b"ALPH", b"VP8 ", b"XMP "], 0b1_0100),
            (0b1_1100, &[b"ALPH", b"VP8 ", b"EXIF"], 0b1_1000),
            (0b11_0000, &[b"VP8 "], 0b10_0000),
            (0b1_1000, &[b"VP8L"], 0b1_0000),
            (0b1_1010, &[b"ANIM", b"ANMF"], 0b1_0010),
            (0, &[b"VP8 ", b"EXIF"], 0),
        ];
        for (flags, names, honest) in cases {
            let dishonest = webp(*flags, names);
            let found = with_honest_flags(&dishonest);
            assert_eq!(found, webp(*honest, names));
            assert_eq!(matches!(found, Cow::Borrowed(_)), flags == honest);
        }
    }

    #[test]
    fn other_files_are_left_as_they_are() {
        for bytes in [&b""[..], b"RIFF\0\0\0\0WEBPVP8 \x02\0\0\0\x1C\0", b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0"] {
            assert_eq!(with_honest_flags(bytes), bytes);
        }
    }
}
