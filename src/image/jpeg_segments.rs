//! JPEG: its outline, which is its segments from the first marker to the last (ITU-T T.81, annex B), and its decoding by libjpeg.
//!
//! Two things need the outline. The decoder is lenient: it paints what is missing of a photo grey, and a photo whose
//! upload broke off would get an embedding. And a progressive JPEG keeps all its coefficients in memory,
//! which must be known beforehand.
//!
//! libjpeg, because the references are made with it: decoders differ in how they round when they double the chroma, and on small
//! photos that alone moves an embedding by more than a cosine of 0.9995. mozjpeg is the libjpeg that builds with a C compiler only. Where
//! nasm is there when it is built, its assembler goes in: the same pixels (a test has their digest) in four fifths of the time.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use image::metadata::Orientation;
use memchr::memchr;
use mozjpeg::{ColorSpace, Decompress};

use super::decode::{Raster, pack};
use super::scale::Scale;
use super::{Header, format};
use crate::reject::{RejectCode, Rejection};

const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const APP1: u8 = 0xE1;
/// Scans that a picture may have. Encoders write 20 at most, and the decoder goes through the whole picture for each, also for one that
/// holds nothing.
const SCANS: usize = 100;
/// Samples along each side of a block of coefficients.
const BLOCK: u64 = 8;

/// What the segments of a JPEG say.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) orientation: Orientation,
    /// Whether the end-of-image marker is there. It is what Pillow, too, asks of a photo in nearly all cases.
    complete: bool,
    frame: Frame,
    /// Whether the decoder must keep the coefficients of the whole picture.
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

/// Follows the segments of a JPEG to its end.
pub(super) fn outline(bytes: &[u8]) -> Result<Outline, Rejection> {
    let mut frame: Option<Frame> = None;
    let mut orientation = None;
    let mut first_scan = None;
    let mut scans = 0;
    let mut complete = false;
    let mut position = 2;
    while let Some((marker, after)) = next_marker(bytes, position) {
        if marker == EOI {
            complete = true;
            break;
        }
        let Some(payload) = payload(bytes, after)? else { break };
        match marker {
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) && frame.is_none() => {
                frame = Some(Frame::parse(marker, payload)?);
            }
            APP1 if orientation.is_none() => {
                orientation = payload.strip_prefix(b"Exif\0\0").and_then(Orientation::from_exif_chunk);
            }
            SOS => {
                scans += 1;
                if scans > SCANS {
                    return Err(format::unsupported(&format!("JPEG with more than {SCANS} scans")));
                }
                first_scan = first_scan.or(payload.first().map(|components| usize::from(*components)));
            }
            _ => {}
        }
        position = after + 2 + payload.len();
    }
    let Some(frame) = frame else {
        return Err(if complete { corrupt("it ends without a frame") } else { truncated(bytes.len()) });
    };
    if complete && first_scan.is_none() {
        return Err(corrupt("it ends without a scan"));
    }
    let (width, height) = (frame.width as u32, frame.height as u32);
    let buffered =
        frame.progressive || first_scan.is_some_and(|components| components != frame.sampling.len());
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    Ok(Outline { width, height, orientation, complete, frame, buffered })
}

impl Outline {
    /// Size as stored, and memory as the decoder takes it: the pixels, a few rows of blocks of 16-bit samples, and for a
    /// progressive picture every coefficient.
    pub(super) fn header(&self) -> Header {
        let Frame { width, height, sampling, .. } = &self.frame;
        let widest = sampling.iter().map(|(across, _)| *across).max().unwrap_or(1);
        let tallest = sampling.iter().map(|(_, down)| *down).max().unwrap_or(1);
        let units = (width.div_ceil(BLOCK * widest), height.div_ceil(BLOCK * tallest));
        let blocks: u64 = sampling.iter().map(|(across, down)| units.0 * across * units.1 * down).sum();
        let coefficients = if self.buffered { blocks * BLOCK * BLOCK * 2 } else { 0 };
        let row = units.0 * widest * BLOCK * tallest * BLOCK * 2 * sampling.len() as u64;
        let decoded_bytes = width * height * self.samples() + 3 * row + coefficients;
        Header { width: self.width, height: self.height, decoded_bytes }
    }

    /// Samples of a pixel as they are decoded: grey, red, green and blue, or CMYK.
    pub(super) fn samples(&self) -> u64 {
        self.frame.sampling.len() as u64
    }

    /// Refuses a JPEG that ends before its end-of-image marker. What follows the marker does not matter.
    pub(super) fn check_complete(&self, file_bytes: usize) -> Result<(), Rejection> {
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
            0xC0..=0xC2 => return Err(format::unsupported(&format!("JPEG with {precision} bits a sample"))),
            0xC3 => return Err(format::unsupported("lossless JPEG")),
            0xC9..=0xCB => return Err(format::unsupported("arithmetic-coded JPEG")),
            _ => return Err(format::unsupported("hierarchical JPEG")),
        }
        let sampling: Vec<_> = sampling
            .chunks_exact(3)
            .take(usize::from(components))
            .map(|component| (u64::from(component[1] >> 4), u64::from(component[1] & 15)))
            .collect();
        let valid = |(across, down): &(u64, u64)| (1..=4).contains(across) && (1..=4).contains(down);
        if !matches!(sampling.len(), 1 | 3 | 4)
            || sampling.len() != usize::from(components)
            || !sampling.iter().all(valid)
        {
            return Err(corrupt("its frame header has impossible components"));
        }
        let number = |high, low| u64::from(u16::from_be_bytes([high, low]));
        Ok(Self { progressive: marker == 0xC2, width: number(w1, w0), height: number(h1, h0), sampling })
    }
}

/// Decodes a JPEG whose header, as stored, is known, at a scale.
pub(super) fn raster(bytes: &[u8], header: &Header, scale: Scale) -> Result<Raster, Rejection> {
    // libjpeg tells of an error by unwinding with its words. It leaves nothing behind: what it had is dropped on the way.
    catch_unwind(AssertUnwindSafe(|| decoded(bytes, header, scale))).unwrap_or_else(|payload| {
        match payload.downcast_ref::<String>().and_then(|words| words.strip_prefix("libjpeg fatal error: ")) {
            Some(words) => Err(corrupt(words)),
            None => resume_unwind(payload),
        }
    })
}

fn decoded(bytes: &[u8], header: &Header, scale: Scale) -> Result<Raster, Rejection> {
    let failed = |cause: std::io::Error| corrupt(&cause.to_string());
    let mut jpeg = Decompress::new_mem(bytes).map_err(failed)?;
    let &Header { width, height, .. } = header;
    if jpeg.size() != (width as usize, height as usize) {
        return Err(corrupt("it has frames of different sizes"));
    }
    jpeg.scale(scale.eighths());
    let (channels, started) = match jpeg.color_space() {
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK => (4, jpeg.to_colorspace(ColorSpace::JCS_CMYK)),
        ColorSpace::JCS_GRAYSCALE => (1, jpeg.grayscale()),
        _ => (3, jpeg.rgb()),
    };
    let mut started = started.map_err(failed)?;
    let (width, height) = (scale.of(width), scale.of(height));
    let mut samples = vec![0; width as usize * height as usize * channels];
    started.read_scanlines_into::<u8>(&mut samples).map_err(failed)?;
    if channels == 4 {
        // As Adobe writes it, and all others after it: 255 is no ink.
        pack(&mut samples, |[c, m, y, k]| [c, m, y].map(|ink| over_black(ink, k)));
    }
    Ok(Raster { width, height, channels: if channels == 1 { 1 } else { 3 }, samples })
}

/// colour·black / 255, rounded to the nearest.
fn over_black(colour: u8, black: u8) -> u8 {
    let product = u32::from(colour) * u32::from(black) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

/// The next marker that begins or ends something, and the position behind it. Stuffed zeros, fill bytes and
/// restarts inside scans are passed over, and so is what is no marker at all, as libjpeg does.
fn next_marker(bytes: &[u8], mut position: usize) -> Option<(u8, usize)> {
    loop {
        position += memchr(0xFF, bytes.get(position..)?)? + 1;
        let marker = *bytes.get(position)?;
        if matches!(marker, 0xC0..=0xCF | EOI..=0xEF | 0xFE) {
            return Some((marker, position + 1));
        }
    }
}

/// What follows a marker and its length; `None` where the file ends first.
fn payload(bytes: &[u8], after: usize) -> Result<Option<&[u8]>, Rejection> {
    let Some(length) = bytes.get(after..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    if length < 2 {
        return Err(corrupt("a segment has an impossible length"));
    }
    Ok(bytes.get(after + 2..after + length))
}

fn corrupt(why: &str) -> Rejection {
    Rejection::new(RejectCode::Corrupt, format!("the JPEG contradicts itself: {why}; export it again"))
}

fn truncated(file_bytes: usize) -> Rejection {
    let message = format!(
        "the JPEG breaks off after {file_bytes} bytes, before its end-of-image marker; upload it again"
    );
    Rejection::new(RejectCode::Truncated, message)
}
