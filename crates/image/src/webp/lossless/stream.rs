//! Walks through a lossless stream up to its pixels (RFC 9649, section 3).
//!
//! The decoder builds tables for up to 65,536 groups of five codes before the first pixel: more
//! than a gigabyte for a file of a few megabytes. Their number depends on images inside the stream,
//! but not on the values of their pixels. So the walk follows their codes without decoding them.

use super::bits::Bits;
use super::codes::Code;
use crate::decoder_error::{corrupt, needs_too_much};
use fruitvec_core::rejection::Rejection;

const NAME: &str = "WebP";
/// The alphabets of green and lengths, red, blue, alpha, and distances.
const ALPHABETS: [usize; 5] = [256 + 24, 256, 256, 256, 40];
const LITERALS: u16 = 256;
const LENGTHS: u16 = 24;
const MAX_CACHE_BITS: u32 = 11;
/// The limit on groups of codes: libwebp writes at most 2,600.
const MAX_GROUPS: u32 = 2600;
/// The limit on pixels of inner images. libwebp writes fewer than 300,000 for the largest image.
const MAX_INNER_PIXELS: u64 = 1 << 20;
/// A group itself, without its tables.
const GROUP_BYTES: u64 = 320;
const PREDICTOR: u32 = 0;
const CROSS_COLOUR: u32 = 1;
const PALETTE: u32 = 3;

/// Returns what the decoder allocates for a stream of this size besides its pixels.
///
/// The stream starts after its header.
///
/// # Errors
/// `Corrupt`, or `DecodedTooLarge` for more codes or inner images than encoders write.
pub(in crate::webp) fn working_bytes(stream: &[u8], size: (u32, u32)) -> Result<u64, Rejection> {
    let mut walk = Walk { bits: Bits::new(stream), inner_pixels: 0, code_bytes: 0, too_large: None };
    let found = walk.stream(size);
    match (found, walk.too_large) {
        (Some(()), _) => Ok(walk.code_bytes + 8 * walk.inner_pixels),
        (None, Some(cause)) => Err(needs_too_much(NAME, &cause)),
        _ if walk.bits.is_past_end() => Err(corrupt(NAME, " (its codes are incomplete)")),
        _ => Err(corrupt(NAME, " (its codes are invalid)")),
    }
}

struct Walk<'a> {
    bits: Bits<'a>,
    inner_pixels: u64,
    code_bytes: u64,
    /// Why the walk ended although the stream is valid.
    too_large: Option<String>,
}

impl Walk<'_> {
    /// Walks to the first pixel.
    fn stream(&mut self, (mut width, height): (u32, u32)) -> Option<()> {
        let mut seen = [false; 4];
        while self.bits.flag()? {
            let kind = self.bits.read(2)?;
            if std::mem::replace(&mut seen[kind as usize], true) {
                return None;
            }
            match kind {
                PREDICTOR | CROSS_COLOUR => {
                    self.inner_image_of_blocks(width, height)?;
                }
                PALETTE => {
                    let colours = self.bits.read(8)? + 1;
                    self.inner_image(colours, 1)?;
                    // Small indices share a pixel.
                    let shift = match colours {
                        0..=2 => 3,
                        3..=4 => 2,
                        5..=16 => 1,
                        _ => 0,
                    };
                    width = width.div_ceil(1 << shift);
                }
                _ => {}
            }
        }
        let cache = self.colour_cache()?;
        let groups = if self.bits.flag()? { self.inner_image_of_blocks(width, height)? + 1 } else { 1 };
        if groups > MAX_GROUPS {
            self.too_large =
                Some(format!(" (it has {groups} groups of codes, and the limit is {MAX_GROUPS})"));
            return None;
        }
        for _ in 0..groups {
            let codes = self.group(cache)?;
            self.code_bytes += GROUP_BYTES + codes.iter().map(Code::decoder_bytes).sum::<u64>();
        }
        Some(())
    }

    /// Walks through an image with a pixel for each block, whose size comes first.
    fn inner_image_of_blocks(&mut self, width: u32, height: u32) -> Option<u32> {
        let side = 1 << (self.bits.read(3)? + 2);
        self.inner_image(width.div_ceil(side), height.div_ceil(side))
    }

    /// Walks through an image, and returns the largest number that red and green of a pixel form.
    ///
    /// Copies and colours from the cache repeat pixels or are zero, so only literals matter.
    fn inner_image(&mut self, width: u32, height: u32) -> Option<u32> {
        let pixels = u64::from(width) * u64::from(height);
        self.inner_pixels += pixels;
        if self.inner_pixels > MAX_INNER_PIXELS {
            self.too_large = Some(" (it divides the image too finely)".to_owned());
            return None;
        }
        let cache = self.colour_cache()?;
        let codes = self.group(cache)?;
        let [green, red, blue, alpha, distance] = &codes;
        let has_bits = [green, red, blue, alpha].iter().any(|code| code.single().is_none());
        let (mut largest, mut at) = (0, 0);
        while at < pixels {
            let symbol = green.symbol(&mut self.bits)?;
            if symbol < LITERALS {
                largest = largest.max(u32::from(red.symbol(&mut self.bits)?) << 8 | u32::from(symbol));
                blue.symbol(&mut self.bits)?;
                alpha.symbol(&mut self.bits)?;
                at = if has_bits { at + 1 } else { pixels };
            } else if symbol < LITERALS + LENGTHS {
                at += u64::from(self.number(symbol - LITERALS)?);
                let symbol = distance.symbol(&mut self.bits)?;
                self.number(symbol)?;
            } else {
                at += 1;
            }
        }
        (at == pixels).then_some(largest)
    }

    fn colour_cache(&mut self) -> Option<u32> {
        if !self.bits.flag()? {
            return Some(0);
        }
        let bits = self.bits.read(4)?;
        self.code_bytes += 4 << bits;
        (1..=MAX_CACHE_BITS).contains(&bits).then_some(bits)
    }

    fn group(&mut self, cache_bits: u32) -> Option<[Code; 5]> {
        let cached = if cache_bits > 0 { 1 << cache_bits } else { 0 };
        let mut code =
            |at: usize| Code::read(&mut self.bits, ALPHABETS[at] + if at == 0 { cached } else { 0 });
        Some([code(0)?, code(1)?, code(2)?, code(3)?, code(4)?])
    }

    /// Reads the rest of a length or distance.
    fn number(&mut self, symbol: u16) -> Option<u32> {
        if symbol < 4 {
            return Some(u32::from(symbol) + 1);
        }
        let extra = u32::from(symbol - 2) >> 1;
        let offset = (2 + u32::from(symbol & 1)) << extra;
        Some(offset + self.bits.read(extra)? + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fruitvec_core::rejection::RejectCode;

    const SIZE: (u32, u32) = (64, 64);

    /// A stream in the making, with numbers of a few bits each.
    #[derive(Default)]
    struct Writer(Vec<bool>);

    impl Writer {
        fn put(&mut self, numbers: &[(u32, u32)]) {
            for (number, count) in numbers {
                self.0.extend((0..*count).map(|bit| number >> bit & 1 == 1));
            }
        }

        /// Writes a code of two symbols, zero and another one.
        fn pair(&mut self, other: u32) {
            self.put(&[(1, 1), (1, 1), (1, 1), (0, 8), (other, 8)]);
        }

        /// Writes a code of one symbol.
        fn single(&mut self) {
            self.put(&[(1, 1), (0, 1), (0, 1), (0, 1)]);
        }

        fn bytes(&self) -> Vec<u8> {
            let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
            self.0.chunks(8).map(byte).collect()
        }
    }

    /// Returns a stream whose blocks of 4 × 4 pixels all use group 0, but the last one the last.
    fn with_groups(groups: u32) -> Vec<u8> {
        let mut writer = Writer::default();
        // No transform, no cache; groups by blocks, whose image has no cache.
        writer.put(&[(0, 1), (0, 1), (1, 1), (0, 3), (0, 1)]);
        writer.pair((groups - 1) & 0xFF);
        writer.pair((groups - 1) >> 8);
        (0..3).for_each(|_| writer.single());
        (0..255).for_each(|_| writer.put(&[(0, 2)]));
        writer.put(&[(3, 2)]);
        (0..5 * groups).for_each(|_| writer.single());
        writer.bytes()
    }

    #[test]
    fn more_groups_of_codes_than_encoders_write_are_rejected() {
        let bytes = working_bytes(&with_groups(MAX_GROUPS), SIZE).unwrap();
        assert!(bytes >= u64::from(MAX_GROUPS) * GROUP_BYTES, "{bytes}");
        let rejection = working_bytes(&with_groups(MAX_GROUPS + 1), SIZE).unwrap_err();
        assert_eq!(rejection.code, RejectCode::DecodedTooLarge);
        assert!(rejection.message.contains("2601 groups of codes"), "{rejection}");
    }

    #[test]
    fn a_stream_that_ends_in_its_codes_is_corrupt() {
        let stream = with_groups(300);
        for length in (0..stream.len() - 1).step_by(7) {
            assert_eq!(working_bytes(&stream[..length], SIZE).unwrap_err().code, RejectCode::Corrupt);
        }
    }

    #[test]
    fn inner_images_with_a_pixel_for_every_few_are_rejected() {
        // A predictor for each block of 4 × 4 pixels.
        let stream = [1, 0, 0, 0, 0];
        let rejection = working_bytes(&stream, (8000, 8000)).unwrap_err();
        assert!(rejection.message.contains("too finely"), "{rejection}");
    }
}
