//! Reads the segments of a JPEG, from the first marker to the last (ITU-T T.81, annex B).
//!
//! Two decisions need more than the size. libjpeg is lenient and paints missing pixels grey, so a
//! photo whose upload was interrupted would get an embedding. And libjpeg keeps all coefficients of
//! a progressive JPEG in memory, which must be known before decoding.

use image::metadata::Orientation;
use memchr::memchr;

use crate::format;
use crate::header::Header;
use crate::orientation::Tags;
use fruitvec_core::rejection::{RejectCode, Rejection};

const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const APP1: u8 = 0xE1;
/// The limit on scans. Encoders write at most 20. The decoder walks through the whole image for
/// each, even for an empty one.
const MAX_SCANS: usize = 100;
/// Width and height of a block of coefficients.
const BLOCK: u64 = 8;

/// The properties of a JPEG that its segments declare.
#[derive(Debug)]
pub(crate) struct Outline {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) orientation: Orientation,
    /// Whether the file has an end-of-image marker. Pillow requires it, too, for nearly all photos.
    complete: bool,
    frame: Frame,
    /// Whether the decoder must keep the coefficients of the whole image.
    buffered: bool,
}

/// A start-of-frame segment.
#[derive(Debug)]
struct Frame {
    progressive: bool,
    width: u64,
    height: u64,
    /// Horizontal and vertical sampling factors of each component.
    sampling: Vec<(u64, u64)>,
}

/// The properties found in the segments that were read so far.
#[derive(Default)]
struct Segments {
    frame: Option<Frame>,
    tags: Tags,
    /// The number of components in the first scan.
    first_scan: Option<usize>,
    scans: usize,
    complete: bool,
}

/// Reads the segments of a JPEG up to its end-of-image marker or the end of the file.
pub(crate) fn read_outline(bytes: &[u8]) -> Result<Outline, Rejection> {
    let mut segments = Segments::default();
    let mut position = 2;
    while let Some((marker, start)) = next_marker(bytes, position) {
        if marker == EOI {
            segments.complete = true;
            break;
        }
        let Some(payload) = payload(bytes, start)? else { break };
        segments.add(marker, payload)?;
        position = start + 2 + payload.len();
    }
    segments.into_outline(bytes.len())
}

impl Segments {
    fn add(&mut self, marker: u8, payload: &[u8]) -> Result<(), Rejection> {
        match marker {
            // In this range, C4 (Huffman tables), C8 (reserved) and CC (arithmetic conditioning) do
            // not start a frame.
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) && self.frame.is_none() => {
                self.frame = Some(Frame::parse(marker, payload)?);
            }
            APP1 => self.tags.add_app1(payload),
            SOS => {
                self.scans += 1;
                if self.scans > MAX_SCANS {
                    return Err(format::unsupported(&format!("JPEG with more than {MAX_SCANS} scans")));
                }
                let components = payload.first().map(|components| usize::from(*components));
                self.first_scan = self.first_scan.or(components);
            }
            _ => {}
        }
        Ok(())
    }

    fn into_outline(self, file_bytes: usize) -> Result<Outline, Rejection> {
        let Self { frame, tags, first_scan, complete, .. } = self;
        let Some(frame) = frame else {
            return Err(if complete { corrupt("it ends without a frame") } else { truncated(file_bytes) });
        };
        if complete && first_scan.is_none() {
            return Err(corrupt("it ends without a scan"));
        }
        let (width, height) = (frame.width as u32, frame.height as u32);
        // If the first scan lacks a component, no row is complete before the last scan is read.
        let buffered =
            frame.progressive || first_scan.is_some_and(|components| components != frame.sampling.len());
        Ok(Outline { width, height, orientation: tags.orientation(), complete, frame, buffered })
    }
}

impl Outline {
    /// Returns the size as stored, and the memory that the decoder uses: the pixels, a few rows of
    /// blocks of 16-bit samples, and for a buffered image every coefficient.
    pub(crate) fn header(&self) -> Header {
        let Frame { width, height, sampling, .. } = &self.frame;
        let max_across = sampling.iter().map(|(across, _)| *across).max().unwrap_or(1);
        let max_down = sampling.iter().map(|(_, down)| *down).max().unwrap_or(1);
        let units = (width.div_ceil(BLOCK * max_across), height.div_ceil(BLOCK * max_down));
        let blocks: u64 = sampling.iter().map(|(across, down)| units.0 * across * units.1 * down).sum();
        let coefficients = if self.buffered { blocks * BLOCK * BLOCK * 2 } else { 0 };
        let row = units.0 * max_across * BLOCK * max_down * BLOCK * 2 * sampling.len() as u64;
        let decoded_bytes = width * height * self.samples_per_pixel() + 3 * row + coefficients;
        Header { width: self.width, height: self.height, decoded_bytes }
    }

    /// Returns the number of decoded samples per pixel: 1 (greyscale), 3 (RGB) or 4 (CMYK).
    pub(crate) fn samples_per_pixel(&self) -> u64 {
        self.frame.sampling.len() as u64
    }

    /// Rejects a JPEG that ends before its end-of-image marker. Bytes after the marker are ignored.
    pub(crate) fn check_complete(&self, file_bytes: usize) -> Result<(), Rejection> {
        if self.complete { Ok(()) } else { Err(truncated(file_bytes)) }
    }
}

impl Frame {
    fn parse(marker: u8, payload: &[u8]) -> Result<Self, Rejection> {
        let &[precision, h1, h0, w1, w0, components, ref sampling @ ..] = payload else {
            return Err(corrupt("its frame header is too short"));
        };
        match marker {
            0xC0..=0xC2 if precision == 8 => {}
            0xC0..=0xC2 => {
                return Err(format::unsupported(&format!("JPEG with {precision} bits per sample")));
            }
            0xC3 => return Err(format::unsupported("lossless JPEG")),
            0xC9..=0xCB => return Err(format::unsupported("arithmetic-coded JPEG")),
            _ => return Err(format::unsupported("hierarchical JPEG")),
        }
        let sampling: Vec<_> = sampling
            .chunks_exact(3)
            .take(usize::from(components))
            .map(|component| (u64::from(component[1] >> 4), u64::from(component[1] & 15)))
            .collect();
        let is_valid = |(across, down): &(u64, u64)| (1..=4).contains(across) && (1..=4).contains(down);
        if !matches!(sampling.len(), 1 | 3 | 4)
            || sampling.len() != usize::from(components)
            || !sampling.iter().all(is_valid)
        {
            return Err(corrupt("its frame header declares invalid components"));
        }
        let number = |high, low| u64::from(u16::from_be_bytes([high, low]));
        Ok(Self { progressive: marker == 0xC2, width: number(w1, w0), height: number(h1, h0), sampling })
    }
}

/// Finds the next marker that starts a segment or ends the image, and returns it with the position
/// after it.
///
/// It skips stuffed zeros, fill bytes and restart markers inside scans. Like libjpeg, it also skips
/// bytes that are not a marker.
fn next_marker(bytes: &[u8], mut position: usize) -> Option<(u8, usize)> {
    loop {
        position += memchr(0xFF, bytes.get(position..)?)? + 1;
        let marker = *bytes.get(position)?;
        if matches!(marker, 0xC0..=0xCF | EOI..=0xEF | 0xFE) {
            return Some((marker, position + 1));
        }
    }
}

/// Returns the payload of the segment whose length is at `start`, or `None` if the file ends first.
fn payload(bytes: &[u8], start: usize) -> Result<Option<&[u8]>, Rejection> {
    let Some(length) = bytes.get(start..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    // The length includes its own two bytes.
    if length < 2 {
        return Err(corrupt("a segment has an invalid length"));
    }
    Ok(bytes.get(start + 2..start + length))
}

/// Rejects a JPEG whose contents are inconsistent.
pub(crate) fn corrupt(reason: &str) -> Rejection {
    Rejection::new(RejectCode::Corrupt, format!("the JPEG is invalid: {reason}; export it again"))
}

fn truncated(file_bytes: usize) -> Rejection {
    let message =
        format!("the JPEG ends after {file_bytes} bytes, before its end-of-image marker; upload it again");
    Rejection::new(RejectCode::Truncated, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three components, of which the first has twice the resolution of the others.
    const YCBCR: &[u8] = &[1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1];

    fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
        [&[0xFF, marker], &(payload.len() as u16 + 2).to_be_bytes()[..], payload].concat()
    }

    /// Returns a start-of-frame segment for 20 × 10 pixels.
    fn frame(marker: u8, precision: u8, components: &[u8]) -> Vec<u8> {
        let head = [precision, 0, 10, 0, 20, (components.len() / 3) as u8];
        segment(marker, &[&head, components].concat())
    }

    /// Returns a JPEG with these segments and one scan of `components` components.
    fn jpeg(segments: &[u8], components: u8) -> Vec<u8> {
        [b"\xFF\xD8", segments, &segment(SOS, &[components]), b"\xFF\xD9"].concat()
    }

    #[test]
    fn the_frame_declares_size_and_memory() {
        let outline = read_outline(&jpeg(&frame(0xC0, 8, YCBCR), 3)).unwrap();
        outline.check_complete(0).unwrap();
        assert_eq!((outline.width, outline.height, outline.samples_per_pixel()), (20, 10, 3));
        // Three rows of two units, each 16 × 16 pixels of three 16-bit samples.
        let rows = 3 * (2 * 16 * 16 * 2 * 3);
        assert_eq!(outline.header().decoded_bytes, 20 * 10 * 3 + rows);
        // Each unit has four blocks of luma and two of chroma.
        let coefficients = 2 * 6 * 64 * 2;
        let progressive = read_outline(&jpeg(&frame(0xC2, 8, YCBCR), 3)).unwrap();
        assert_eq!(progressive.header().decoded_bytes, 20 * 10 * 3 + rows + coefficients);
        let one_scan_per_component = read_outline(&jpeg(&frame(0xC0, 8, YCBCR), 1)).unwrap();
        assert_eq!(one_scan_per_component.header().decoded_bytes, 20 * 10 * 3 + rows + coefficients);
    }

    #[test]
    fn an_unsupported_coding_is_rejected_by_name() {
        for (marker, precision, word) in [
            (0xC1, 12, "12 bits"),
            (0xC3, 8, "lossless"),
            (0xC5, 8, "hierarchical"),
            (0xC9, 8, "arithmetic"),
            (0xCB, 8, "arithmetic"),
            (0xCF, 8, "hierarchical"),
        ] {
            let rejection = read_outline(&jpeg(&frame(marker, precision, YCBCR), 3)).unwrap_err();
            assert_eq!(rejection.code, RejectCode::UnsupportedFormat);
            assert!(rejection.message.contains(word), "{rejection}");
        }
    }

    #[test]
    fn invalid_components_are_corrupt() {
        let two: &[u8] = &[1, 0x11, 0, 2, 0x11, 1];
        for components in [&[][..], two, &[1, 0x01, 0], &[1, 0x51, 0], &[1, 0x10, 0]] {
            let rejection = read_outline(&jpeg(&frame(0xC0, 8, components), 1)).unwrap_err();
            assert_eq!(rejection.code, RejectCode::Corrupt, "{components:?}");
        }
    }

    #[test]
    fn a_scan_may_contain_stuffed_zeros_fill_bytes_and_restarts() {
        let scan = [&segment(SOS, &[3])[..], b"\x01\xFF\x00\x02\xFF\xD0\x03\xFF\xFF\xD7\x04"].concat();
        let bytes = [b"\xFF\xD8", &frame(0xC0, 8, YCBCR)[..], &scan, b"\xFF\xD9"].concat();
        read_outline(&bytes).unwrap().check_complete(bytes.len()).unwrap();
        let without_end = &bytes[..bytes.len() - 2];
        let rejection = read_outline(without_end).unwrap().check_complete(without_end.len()).unwrap_err();
        assert_eq!(rejection.code, RejectCode::Truncated);
    }

    #[test]
    fn only_the_first_frame_counts() {
        let tables = segment(0xC4, &[]);
        let larger = segment(0xC0, &[8, 1, 0, 1, 0, 1, 1, 0x11, 0]);
        let outline = read_outline(&jpeg(&[tables, frame(0xC0, 8, YCBCR), larger].concat(), 3)).unwrap();
        assert_eq!((outline.width, outline.height), (20, 10));
    }
}
