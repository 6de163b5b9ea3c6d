//! Decodes the JPEGs of which a TIFF's strips or tiles consist (Adobe's TIFF Technical Note 2).

use super::layout::Layout;
use super::photometric::Photometric;
use super::refuse::{corrupt, unsupported};
use crate::jpeg;
use crate::scale::Scale;
use fruitvec_core::rejection::{RejectCode, Rejection};

const START: u8 = 0xD8;
const END: u8 = 0xD9;
const SCAN: u8 = 0xDA;
/// The limit on the tables that all chunks share, in bytes. As many as a decoder can hold fit.
const MAX_TABLES: usize = 4096;
/// The rows that are decoded at once.
const ROWS: u32 = 16;

/// Decodes one chunk after another.
pub(super) struct JpegChunks<'a> {
    tables: Option<&'a [u8]>,
    width: u32,
    components: usize,
    /// Whether the samples are YCbCr, which libjpeg converts to RGB.
    is_ycbcr: bool,
}

/// Returns the memory for decoding chunks of up to `chunk_bytes`: the joined JPEG, and rows of
/// pixels and of libjpeg's blocks.
pub(super) fn memory(layout: &Layout, chunk_bytes: u64) -> u64 {
    (layout.row_bytes() * u64::from(5 * ROWS)).saturating_add(chunk_bytes + 2 * MAX_TABLES as u64)
}

impl<'a> JpegChunks<'a> {
    pub(super) fn new(layout: &Layout, tables: Option<&'a [u8]>) -> Result<Self, Rejection> {
        let components = layout.samples_per_plane();
        if !matches!(components, 1 | 3 | 4) {
            return Err(unsupported(&format!("JPEGs of {components} samples per pixel")));
        }
        let is_ycbcr = layout.photometric == Photometric::YCbCr;
        Ok(Self { tables, width: layout.chunk.0, components, is_ycbcr })
    }

    /// Decodes the first `rows` rows of a chunk, and passes each on with its position.
    pub(super) fn decode(
        &self,
        chunk: &[u8],
        rows: u32,
        pass_on: &mut dyn FnMut(u32, &mut [u8]),
    ) -> Result<(), Rejection> {
        let bytes = self.join(chunk, rows)?;
        let outline = jpeg::read_outline(&bytes).map_err(damaged)?;
        outline.check_complete().map_err(damaged)?;
        let row_bytes = self.width as usize * self.components;
        let mut next = 0;
        let decoded = jpeg::in_strips(&bytes, &outline, Scale::FULL, ROWS, &mut |mut strip| {
            for row in strip.samples.chunks_exact_mut(row_bytes).take((rows - next) as usize) {
                pass_on(next, row);
                next += 1;
            }
            // An error stops the decoder, also before rows below the image.
            if next < rows { Ok(()) } else { Err(corrupt("it has rows below the image")) }
        });
        if next == rows { Ok(()) } else { decoded.map_err(damaged) }
    }

    /// Joins the tables and a chunk that has at least `rows` rows.
    fn join(&self, chunk: &[u8], rows: u32) -> Result<Vec<u8>, Rejection> {
        let mut jpeg = Splice::new(self.is_ycbcr, chunk.len());
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
        Ok(jpeg.bytes)
    }
}

/// Rejects the TIFF for the reason for which one of its JPEGs is rejected. The words of that speak
/// of bytes that the TIFF does not have.
fn damaged(rejection: Rejection) -> Rejection {
    match rejection.code {
        RejectCode::Truncated => Rejection::new(
            RejectCode::Truncated,
            "the TIFF has a strip or tile whose JPEG ends before its last pixel; upload it again",
        ),
        RejectCode::Corrupt => corrupt("a strip or tile is a damaged JPEG"),
        _ => rejection,
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
    fn new(is_ycbcr: bool, chunk_bytes: usize) -> Self {
        // Growing would take more memory than it needs.
        let mut bytes = Vec::with_capacity(chunk_bytes + 2 * MAX_TABLES);
        bytes.extend(b"\xFF\xD8\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0");
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
