//! Reads the segments of a JPEG, from the first marker to the last that the decoder needs (ITU-T
//! T.81, annex B).
//!
//! Some decisions need more than the size. libjpeg keeps all coefficients of a progressive JPEG in
//! memory, and walks through all of them for each scan, which must be known before decoding.

use std::iter;

use image::metadata::Orientation;
use memchr::memchr;

use super::cost::Cost;
use super::data::ScanData;
use super::frame::{BLOCK, Coding, Frame};
use super::rejections::{corrupt, ends_early, scan_ends_early};
use super::scan::{Progress, Scan};
use crate::format;
use crate::header::Header;
use crate::orientation::Tags;
use crate::scale::Scale;
use fruitvec_core::rejection::Rejection;

const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DRI: u8 = 0xDD;
const APP1: u8 = 0xE1;
/// The limit on scans. Encoders write at most 20.
const MAX_SCANS: usize = 100;

/// The properties of a JPEG that its segments declare.
#[derive(Debug, Clone)]
pub(crate) struct Outline {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) orientation: Orientation,
    /// The data of each scan, as far as the decoder reads. Empty in arithmetic coding, which has no
    /// end: the decoder takes missing data for zeros.
    pub(super) scans: Vec<ScanData>,
    frame: Frame,
    /// Whether the decoder must keep the coefficients of the whole image.
    pub(super) buffered: bool,
    cost: Cost,
    /// The bytes of data in all scans.
    scan_bytes: u64,
    complete: Result<(), Rejection>,
}

/// The properties found in the segments that were read so far.
#[derive(Default)]
struct Segments {
    frame: Option<Frame>,
    tags: Tags,
    buffered: bool,
    /// The number of units in a restart interval, or 0.
    restart_interval: u64,
    scans: Vec<ScanData>,
    cost: Cost,
    progress: Progress,
    /// The end of the first scan whose data is too short.
    short_scan: Option<usize>,
}

/// The way in which reading the segments ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// At the end-of-image marker.
    Marker,
    /// After the only scan that the decoder reads.
    OnlyScan,
    /// At the end of the file, in which no marker followed.
    NoMarker,
    /// At the end of the file, inside a segment.
    InsideSegment,
}

/// Reads the segments of a JPEG up to its end-of-image marker or the end of the file.
pub(crate) fn read_outline(bytes: &[u8]) -> Result<Outline, Rejection> {
    let mut segments = Segments::default();
    let end = segments.read(bytes)?;
    segments.into_outline(end, bytes.len())
}

impl Segments {
    fn read(&mut self, bytes: &[u8]) -> Result<End, Rejection> {
        let mut position = 2;
        while let Some((marker, start)) = next_marker(bytes, position) {
            if marker == EOI {
                return Ok(End::Marker);
            }
            let Some((payload, end)) = payload(bytes, marker, start)? else { return Ok(End::InsideSegment) };
            position = end;
            if marker == SOS {
                position = self.add_scan(bytes, payload, end)?;
                if self.is_read() {
                    return Ok(End::OnlyScan);
                }
            } else {
                self.add(marker, payload)?;
            }
        }
        Ok(End::NoMarker)
    }

    /// Returns whether the decoder stops after the scans so far.
    fn is_read(&self) -> bool {
        // The end of a scan in arithmetic coding can be missing, so its marker must follow.
        !self.buffered && !self.frame.as_ref().is_some_and(|frame| frame.coding.arithmetic)
    }

    fn add(&mut self, marker: u8, payload: &[u8]) -> Result<(), Rejection> {
        match marker {
            // In this range, C4 (Huffman tables), C8 (reserved) and CC (arithmetic conditioning) do
            // not start a frame.
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) && self.frame.is_none() => {
                self.frame = Some(Frame::parse(marker, payload)?);
            }
            APP1 => self.tags.add_app1(payload),
            DRI => {
                let interval = payload.first_chunk().map_or(0, |interval| u16::from_be_bytes(*interval));
                self.restart_interval = u64::from(interval);
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds the scan with this header, whose data begins at `start`. Returns where the data ends.
    fn add_scan(&mut self, bytes: &[u8], payload: &[u8], start: usize) -> Result<usize, Rejection> {
        let Some(frame) = &self.frame else { return Err(corrupt("a scan comes before the frame")) };
        let scan = Scan::parse(payload, frame)?;
        let units = frame.units_in_scan(&scan.components);
        let data = ScanData::find(bytes, start, self.restart_interval, units);
        if self.scans.is_empty() {
            // If the first scan lacks a component, no row is complete before the last scan is read.
            self.buffered = frame.coding.progressive || scan.components.len() != frame.components.len();
        }
        if self.scans.len() == MAX_SCANS {
            return Err(format::unsupported(&format!("JPEG with more than {MAX_SCANS} scans")));
        }
        if self.buffered || frame.coding.arithmetic {
            self.cost.add(frame.blocks_in_scan(&scan.components), frame.coding);
        }
        if scan.is_shorter_than_its_bits(frame, data.bytes) {
            self.short_scan.get_or_insert(data.end);
        }
        self.progress.add(&scan);
        self.scans.push(data);
        Ok(data.end)
    }

    fn into_outline(self, end: End, file_bytes: usize) -> Result<Outline, Rejection> {
        let Self { frame, tags, buffered, mut scans, cost, progress, short_scan, .. } = self;
        let Some(frame) = frame else {
            return Err(match end {
                End::Marker => corrupt("it ends without a frame"),
                _ => ends_early(file_bytes),
            });
        };
        let complete = match end {
            End::Marker if scans.is_empty() => return Err(corrupt("it ends without a scan")),
            End::InsideSegment => Err(ends_early(file_bytes)),
            End::NoMarker if frame.coding.arithmetic || !progress.is_complete(&frame) => {
                Err(ends_early(file_bytes))
            }
            _ => short_scan.map_or(Ok(()), |position| Err(scan_ends_early(position, file_bytes))),
        };
        let scan_bytes = scans.iter().map(|scan| scan.bytes as u64).sum();
        if frame.coding.arithmetic {
            scans.clear();
        }
        let (width, height) = (frame.width as u32, frame.height as u32);
        let orientation = tags.orientation();
        Ok(Outline { width, height, orientation, scans, frame, buffered, cost, scan_bytes, complete })
    }
}

impl Outline {
    /// Returns the size as stored, and the memory to decode the image at full size.
    pub(crate) fn header(&self) -> Header {
        let decoded_bytes = self.memory(Scale::FULL);
        Header { width: self.width, height: self.height, decoded_bytes }
    }

    /// Returns the number of decoded samples per pixel: 1 (greyscale), 3 (RGB) or 4 (CMYK).
    pub(crate) fn samples_per_pixel(&self) -> u64 {
        self.frame.components.len() as u64
    }

    /// Returns the memory that the decoder uses at a scale: the pixels, a few rows of blocks of
    /// 16-bit samples, and for a buffered image every coefficient.
    pub(crate) fn memory(&self, scale: Scale) -> u64 {
        self.memory_in_strips(scale, u32::MAX)
    }

    /// Returns the memory that the decoder uses at a scale if it passes on strips of `rows` rows.
    pub(crate) fn memory_in_strips(&self, scale: Scale, rows: u32) -> u64 {
        let samples = self.samples_per_pixel();
        let pixels = u64::from(scale.apply(self.width)) * u64::from(scale.apply(self.height).min(rows));
        let (max_across, max_down) = self.frame.largest_factors();
        let coefficients = if self.buffered { self.frame.blocks() * BLOCK * BLOCK * 2 } else { 0 };
        let row = self.frame.units().0 * max_across * BLOCK * max_down * BLOCK * 2 * samples;
        pixels * samples + 3 * row + coefficients
    }

    /// Returns what makes the decoder use less memory.
    pub(crate) fn remedy_for_memory(&self) -> &'static str {
        if self.buffered { self.remedy() } else { "send a smaller image" }
    }

    /// Returns how to save a JPEG that is not [`Outline::is_baseline`], so that it is.
    pub(crate) fn remedy(&self) -> &'static str {
        let Coding { progressive, arithmetic } = self.frame.coding;
        if progressive || arithmetic {
            "save it as a baseline JPEG"
        } else {
            "save it with all colours in one scan"
        }
    }

    /// Returns the bits of coefficients per pixel.
    pub(crate) fn bits_per_pixel(&self) -> f64 {
        8.0 * self.scan_bytes as f64 / (self.frame.width * self.frame.height) as f64
    }

    /// Returns whether the scans take so little time that they may be decoded twice.
    pub(crate) fn allows_two_passes(&self, file_bytes: usize) -> bool {
        self.cost.allows_two_passes(file_bytes)
    }

    /// Rejects a JPEG whose scans take longer to decode than its size justifies.
    pub(crate) fn check_cost(&self, file_bytes: usize) -> Result<(), Rejection> {
        self.cost.check(&self.frame, file_bytes, self.remedy())
    }

    /// Returns whether the decoder needs little more memory than the pixels that it returns.
    pub(crate) fn is_baseline(&self) -> bool {
        !self.buffered && !self.frame.coding.arithmetic
    }

    /// Rejects a JPEG whose last pixels are certainly missing. The decoder detects other scans that
    /// end early.
    pub(crate) fn check_complete(&self) -> Result<(), Rejection> {
        self.complete.clone()
    }
}

/// Returns the segments before the first scan, each with its marker and payload.
pub(crate) fn segments_before_scan(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut position = 2;
    iter::from_fn(move || {
        let (marker, start) = next_marker(bytes, position)?;
        if matches!(marker, SOS | EOI) {
            return None;
        }
        let (payload, end) = payload(bytes, marker, start).ok()??;
        position = end;
        Some((marker, payload))
    })
}

/// Finds the next marker that starts a segment or ends the image, and returns it with the position
/// after it.
///
/// Like libjpeg, it skips bytes that are not a marker.
fn next_marker(bytes: &[u8], mut position: usize) -> Option<(u8, usize)> {
    loop {
        position += memchr(0xFF, bytes.get(position..)?)? + 1;
        let marker = *bytes.get(position)?;
        if matches!(marker, 0xC0..=0xCF | EOI..=0xEF | 0xFE) {
            return Some((marker, position + 1));
        }
    }
}

/// Returns the payload of the segment whose length is at `start`, and where the segment ends, or
/// `None` if the file ends first.
fn payload(bytes: &[u8], marker: u8, start: usize) -> Result<Option<(&[u8], usize)>, Rejection> {
    let Some(length) = bytes.get(start..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
    // The length includes its own two bytes.
    let length = match (marker, usize::from(u16::from_be_bytes(*length))) {
        // libjpeg goes on behind the length of a comment or an application's segment.
        (0xE0..=0xEF | 0xFE, 0..=1) => 2,
        (_, 0..=1) => return Err(corrupt("a segment has an invalid length")),
        (_, length) => length,
    };
    Ok(bytes.get(start + 2..start + length).map(|payload| (payload, start + length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fruitvec_core::rejection::RejectCode;

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

    /// Returns a start-of-scan segment for all coefficients of the first `components` components.
    fn scan(components: u8) -> Vec<u8> {
        let ids: Vec<u8> = (1..=components).flat_map(|id| [id, 0]).collect();
        segment(SOS, &[&[components], &ids[..], &[0, 63, 0]].concat())
    }

    /// Returns a JPEG with these segments and one scan of `components` components.
    fn jpeg(segments: &[u8], components: u8) -> Vec<u8> {
        [b"\xFF\xD8", segments, &scan(components), b"\xFF\xD9"].concat()
    }

    #[test]
    fn the_frame_declares_size_and_memory() {
        let outline = read_outline(&jpeg(&frame(0xC0, 8, YCBCR), 3)).unwrap();
        outline.check_complete().unwrap();
        assert_eq!((outline.width, outline.height), (20, 10));
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
            (0xC9, 12, "12 bits"),
            (0xCB, 8, "lossless"),
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
    fn a_progressive_jpeg_without_an_end_needs_every_bit_of_every_coefficient() {
        let scan = |components: &[u8], first, last, bits| {
            let ids: Vec<u8> = components.iter().flat_map(|id| [*id, 0]).collect();
            segment(SOS, &[&[components.len() as u8], &ids[..], &[first, last, bits]].concat())
        };
        let mut scans = vec![scan(&[1, 2, 3], 0, 0, 0x01)];
        scans.extend([1, 2, 3].map(|id| scan(&[id], 1, 5, 0x00)));
        scans.extend([1, 2, 3].map(|id| scan(&[id], 6, 63, 0x01)));
        scans.extend([1, 2, 3].map(|id| scan(&[id], 6, 63, 0x10)));
        scans.push([&scan(&[1, 2, 3], 0, 0, 0x10)[..], &[0; 2]].concat());
        let start = [b"\xFF\xD8", &frame(0xC2, 8, YCBCR)[..]].concat();
        let is_complete = |scans: &[Vec<u8>], end: &[u8]| {
            read_outline(&[&start, &scans.concat()[..], end].concat()).unwrap().check_complete().is_ok()
        };
        assert!(is_complete(&scans, b"") && is_complete(&scans, b"\0\0") && is_complete(&scans, b"\xFF\xD9"));
        assert!(!is_complete(&scans, b"\xFF\xDA") && !is_complete(&scans, b"\xFF\xE1\0\x04"));
        for missing in 0..scans.len() {
            let rest = [&scans[..missing], &scans[missing + 1..]].concat();
            assert!(!is_complete(&rest, b""), "without scan {missing}");
        }
        // The last scan has a bit for each of twelve blocks.
        let end = scans.len() - 1;
        let cut = scans[end].len() - 1;
        scans[end].truncate(cut);
        assert!(!is_complete(&scans, b"") && !is_complete(&scans, b"\xFF\xD9"));
    }

    #[test]
    fn an_applications_segment_or_a_comment_may_have_an_impossible_length() {
        for marker in [0xE0, 0xE1, 0xEF, 0xFE] {
            for length in 0..2 {
                let segments = [&[0xFF, marker, 0, length][..], &frame(0xC0, 8, YCBCR)].concat();
                assert_eq!(read_outline(&jpeg(&segments, 3)).unwrap().width, 20);
            }
        }
        let tables = [&[0xFF, 0xDB, 0, 1][..], &frame(0xC0, 8, YCBCR)].concat();
        assert_eq!(read_outline(&jpeg(&tables, 3)).unwrap_err().code, RejectCode::Corrupt);
    }

    #[test]
    fn a_scan_must_name_components_of_the_frame() {
        for payload in [&[][..], &[1], &[0, 0, 63, 0], &[1, 4, 0, 0, 63, 0], &[1, 1, 0, 0, 63]] {
            let bytes = [b"\xFF\xD8", &frame(0xC0, 8, YCBCR)[..], &segment(SOS, payload)].concat();
            assert_eq!(read_outline(&bytes).unwrap_err().code, RejectCode::Corrupt, "{payload:?}");
        }
    }

    #[test]
    fn only_the_first_frame_counts() {
        let tables = segment(0xC4, &[]);
        let larger = segment(0xC0, &[8, 1, 0, 1, 0, 1, 1, 0x11, 0]);
        let outline = read_outline(&jpeg(&[tables, frame(0xC0, 8, YCBCR), larger].concat(), 3)).unwrap();
        assert_eq!((outline.width, outline.height), (20, 10));
    }
}
