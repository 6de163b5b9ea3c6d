//! Decodes the JPEGs of which a TIFF's strips or tiles consist (Adobe's TIFF Technical Note 2).

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mozjpeg::decompress::DecompressStarted;
use mozjpeg::{ColorSpace, Decompress};

use super::layout::Layout;
use super::photometric::Photometric;
use super::refuse::{corrupt, unsupported};
use fruitvec_core::rejection::Rejection;

const START: u8 = 0xD8;
const END: u8 = 0xD9;
const SCAN: u8 = 0xDA;
/// The limit on the tables that all chunks share, in bytes. As many as a decoder can hold fit.
const MAX_TABLES: usize = 4096;

/// Runs a step that decodes with libjpeg, and turns libjpeg's errors into rejections.
pub(super) fn catch_libjpeg<T>(step: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    // libjpeg reports an error by unwinding with a message.
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|payload| {
        let message = payload.downcast_ref::<String>();
        match message.and_then(|message| message.strip_prefix("libjpeg fatal error: ")) {
            Some(reason) => Err(corrupt(&format!("a strip or tile is a damaged JPEG ({reason})"))),
            // Any other panic is a bug, which the caller reports with another code.
            None => resume_unwind(payload),
        }
    })
}

/// The rows of one chunk after another.
pub(super) struct JpegRows<'a> {
    tables: Option<&'a [u8]>,
    width: u32,
    components: usize,
    /// Whether the samples are YCbCr, which libjpeg converts to RGB.
    is_ycbcr: bool,
    started: Option<DecompressStarted<Cursor<Vec<u8>>>>,
}

impl<'a> JpegRows<'a> {
    pub(super) fn new(layout: &Layout, tables: Option<&'a [u8]>) -> Self {
        Self {
            tables,
            width: layout.chunk.0,
            components: layout.samples_per_plane(),
            is_ycbcr: layout.photometric == Photometric::YCbCr,
            started: None,
        }
    }

    /// Reads the header of a chunk that has at least `rows` rows.
    pub(super) fn start(&mut self, chunk: &[u8], rows: u32) -> Result<(), Rejection> {
        // A decoder for the last chunk would add to the memory of the next one's.
        self.started = None;
        let mut jpeg = Splice::new(self.is_ycbcr);
        if let Some(tables) = self.tables {
            if tables.len() > MAX_TABLES {
                return Err(corrupt("its JPEG tables are too long"));
            }
            jpeg.append(tables)?;
        }
        jpeg.append(chunk)?;
        let (width, height, components) =
            jpeg.frame.ok_or_else(|| corrupt("a strip or tile is a JPEG without a frame"))?;
        if width != self.width || height < rows || components != self.components {
            return Err(corrupt("a strip or tile is a JPEG of another size or number of colours"));
        }
        let failed = |cause: std::io::Error| corrupt(&cause.to_string());
        let decoder = Decompress::new_reader(Cursor::new(jpeg.bytes)).map_err(failed)?;
        let started = match components {
            1 => decoder.grayscale(),
            3 => decoder.rgb(),
            4 => decoder.to_colorspace(ColorSpace::JCS_CMYK),
            _ => return Err(unsupported(&format!("JPEGs of {components} samples per pixel"))),
        };
        self.started = Some(started.map_err(failed)?);
        Ok(())
    }

    pub(super) fn read(&mut self, row: &mut [u8]) -> Result<(), Rejection> {
        let read = self.started.as_mut().map(|started| started.read_scanlines_into::<u8>(row).map(drop));
        match read {
            Some(Ok(())) => Ok(()),
            _ => Err(corrupt("a strip or tile ends before its last pixel")),
        }
    }
}

/// A JPEG joined from the tables and a chunk.
struct Splice {
    bytes: Vec<u8>,
    /// Width, height and number of components.
    frame: Option<(u32, u32, usize)>,
}

impl Splice {
    /// Starts with a marker that declares the colour space. Without it, libjpeg would guess.
    fn new(is_ycbcr: bool) -> Self {
        let mut bytes = b"\xFF\xD8\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0".to_vec();
        bytes.push(u8::from(is_ycbcr));
        Self { bytes, frame: None }
    }

    /// Appends the segments that matter, and a scan with all that follows.
    fn append(&mut self, jpeg: &[u8]) -> Result<(), Rejection> {
        let mut rest = jpeg;
        while let [0xFF, marker, after @ ..] = rest {
            match *marker {
                START => rest = after,
                END => return Ok(()),
                0xFF => rest = &rest[1..],
                SCAN => {
                    // Components in scans of their own would take memory for the whole chunk.
                    let components = after.get(2).map(|count| usize::from(*count));
                    if self.frame.is_none_or(|frame| Some(frame.2) != components) {
                        return Err(unsupported("JPEGs of several scans"));
                    }
                    self.bytes.extend_from_slice(rest);
                    return Ok(());
                }
                marker => {
                    let length = after.first_chunk().map_or(0, |length| u16::from_be_bytes(*length));
                    let segment = after.get(..usize::from(length)).filter(|segment| segment.len() >= 2);
                    let segment =
                        segment.ok_or_else(|| corrupt("a strip or tile is a JPEG that is cut off"))?;
                    self.add(marker, segment)?;
                    rest = &after[segment.len()..];
                }
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(corrupt("a strip or tile is not a JPEG")) }
    }

    fn add(&mut self, marker: u8, segment: &[u8]) -> Result<(), Rejection> {
        match (marker, segment) {
            (0xC0 | 0xC1, [_, _, 8, h1, h0, w1, w0, components, ..]) if self.frame.is_none() => {
                let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
                self.frame = Some((side(*w1, *w0), side(*h1, *h0), usize::from(*components)));
            }
            (0xC4 | 0xDB | 0xDD, _) => {}
            (0xC0..=0xCF, _) => return Err(unsupported("JPEGs that are not 8-bit baseline")),
            _ => return Ok(()),
        }
        self.bytes.extend([0xFF, marker]);
        self.bytes.extend_from_slice(segment);
        Ok(())
    }
}
