//! Finds the first frame of a WebP, and turns it into a file of its own.
//!
//! The decoder would keep the canvas of an animation next to its frame, and read all chunks first.
//! A still image of the frame's own size needs neither. Chunks that it doesn't need, such as
//! metadata, can be missing or damaged.

use super::chunks::Chunks;
use super::flags::{ANIMATED, HAS_ALPHA};
use super::parts::Parts;
use crate::decoder_error;
use fruitvec_core::rejection::Rejection;

/// The length of the name and length of a chunk.
const CHUNK_HEADER: usize = 8;
/// The length of a lossless stream's header: a signature, the size, and the use of alpha.
pub(super) const LOSSLESS_HEADER: usize = 5;
/// The bit of that header's last byte that marks the use of alpha.
const USES_ALPHA: u8 = 0x10;

/// The first frame of a WebP.
#[derive(Debug)]
pub(super) struct Still<'a> {
    /// The width and height of the whole image.
    pub(super) canvas: (u32, u32),
    /// The position of the frame in it.
    pub(super) offset: (u32, u32),
    /// The width and height of the frame.
    pub(super) size: (u32, u32),
    /// Whether it can be transparent.
    pub(super) alpha: bool,
    pub(super) pixels: Pixels<'a>,
}

/// The contents of the chunks that hold the pixels.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pixels<'a> {
    Lossy { frame: &'a [u8], alpha: Option<&'a [u8]> },
    Lossless(&'a [u8]),
}

impl<'a> Still<'a> {
    /// Finds the first frame.
    ///
    /// # Errors
    /// `Truncated` or `Corrupt`.
    pub(super) fn find(bytes: &'a [u8]) -> Result<Self, Rejection> {
        let broken = || decoder_error::corrupt("WebP", " (it has no image)");
        let mut chunks = Chunks::of(bytes);
        let (name, first) = chunks.next().ok_or_else(broken)?;
        if name != b"VP8X" {
            let pixels = Pixels::find([(name, first)].into_iter()).ok_or_else(broken)?;
            let size = pixels.size().ok_or_else(broken)?;
            let alpha = matches!(pixels, Pixels::Lossless(stream) if stream[4] & USES_ALPHA != 0);
            return Ok(Self { canvas: size, offset: (0, 0), size, alpha, pixels });
        }
        let flags = *first.first().ok_or_else(broken)?;
        let canvas = pair(first, 4).map(|(width, height)| (width + 1, height + 1)).ok_or_else(broken)?;
        let (offset, declared, pixels) = if flags & ANIMATED == 0 {
            ((0, 0), canvas, Pixels::find(chunks))
        } else {
            let frame = chunks.find(|(name, _)| *name == b"ANMF").ok_or_else(broken)?.1;
            let (left, top) = pair(frame, 0).ok_or_else(broken)?;
            let (width, height) = pair(frame, 6).ok_or_else(broken)?;
            let inner = Chunks::within(frame.get(16..).unwrap_or_default());
            ((2 * left, 2 * top), (width + 1, height + 1), Pixels::find(inner))
        };
        let pixels = pixels.ok_or_else(broken)?;
        let size = pixels.size().ok_or_else(broken)?;
        if size != declared {
            return Err(decoder_error::two_sizes(declared, size));
        }
        if offset.0 + size.0 > canvas.0 || offset.1 + size.1 > canvas.1 {
            return Err(decoder_error::corrupt("WebP", " (its frame is outside the image)"));
        }
        let alpha = flags & HAS_ALPHA != 0 && !matches!(pixels, Pixels::Lossy { alpha: None, .. });
        Ok(Self { canvas, offset, size, alpha, pixels })
    }

    pub(super) fn covers_canvas(&self) -> bool {
        self.size == self.canvas
    }

    /// Returns the frame as a file of its own, with four channels if it is lossless.
    ///
    /// The decoder would decode a lossless frame without alpha to four channels, too, and then copy
    /// three of them.
    pub(super) fn file(&self) -> Parts<'a> {
        let mut chunks: Vec<([u8; 4], &[u8], &[u8])> = Vec::new();
        let mut extended = [0; 10];
        let mut header = [0; LOSSLESS_HEADER];
        match self.pixels {
            Pixels::Lossless(stream) => {
                let (start, rest) = stream.split_at(LOSSLESS_HEADER);
                header.copy_from_slice(start);
                header[4] |= USES_ALPHA;
                chunks.push((*b"VP8L", &header, rest));
            }
            Pixels::Lossy { frame, alpha } => {
                if let Some(alpha) = alpha.filter(|_| self.alpha) {
                    extended[0] = HAS_ALPHA;
                    extended[4..7].copy_from_slice(&(self.size.0 - 1).to_le_bytes()[..3]);
                    extended[7..].copy_from_slice(&(self.size.1 - 1).to_le_bytes()[..3]);
                    chunks.push((*b"VP8X", &extended, &[]));
                    chunks.push((*b"ALPH", &[], alpha));
                }
                chunks.push((*b"VP8 ", &[], frame));
            }
        }
        assemble(&chunks)
    }
}

/// Returns a file of these chunks, whose contents are in two parts each.
fn assemble<'a>(chunks: &[([u8; 4], &[u8], &'a [u8])]) -> Parts<'a> {
    let mut parts = Parts::default();
    let body = 4 + chunks
        .iter()
        .map(|(_, start, rest)| CHUNK_HEADER + (start.len() + rest.len()).next_multiple_of(2))
        .sum::<usize>();
    parts.push([&b"RIFF"[..], &(body as u32).to_le_bytes(), b"WEBP"].concat());
    for (name, start, rest) in chunks {
        let length = start.len() + rest.len();
        parts.push([&name[..], &(length as u32).to_le_bytes(), start].concat());
        parts.push(*rest);
        parts.push(vec![0; length % 2]);
    }
    parts
}

impl<'a> Pixels<'a> {
    /// Finds the first image among chunks.
    fn find(chunks: impl Iterator<Item = (&'a [u8; 4], &'a [u8])>) -> Option<Self> {
        let mut alpha = None;
        for (name, content) in chunks {
            match name {
                b"ALPH" => alpha = alpha.or(Some(content)),
                b"VP8 " => return Some(Self::Lossy { frame: content, alpha }),
                b"VP8L" => return Some(Self::Lossless(content)),
                _ => {}
            }
        }
        None
    }

    /// Returns the width and height of the stream itself.
    fn size(&self) -> Option<(u32, u32)> {
        match self {
            Self::Lossless(stream) => {
                let bits = u32::from_le_bytes(*stream.get(1..)?.first_chunk()?);
                Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
            }
            Self::Lossy { frame, .. } => {
                let side = |at: usize| {
                    Some(u32::from(u16::from_le_bytes(*frame.get(at..)?.first_chunk()?) & 0x3FFF))
                };
                Some((side(6)?, side(8)?))
            }
        }
    }
}

/// Reads two numbers of three bytes.
fn pair(bytes: &[u8], at: usize) -> Option<(u32, u32)> {
    let number = |at: usize| {
        let [low, middle, high] = *bytes.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes([low, middle, high, 0]))
    };
    Some((number(at)?, number(at + 3)?))
}
