//! Decodes PNGs row by row to 8-bit greyscale or RGB.
//!
//! So a PNG of 16 bits or with transparency takes no more memory than one without.

use std::io::ErrorKind;

use png::{ColorType, Decoder, DecodingError, InterlaceInfo, Reader, Transformations, expand_interlaced_row};

use super::chunks::PixelChunks;
use super::progress::Progress;
use crate::blend::over_white;
use crate::decoder_error;
use crate::header::Header;
use crate::raster::{Raster, pack_slice};
use crate::source::{Allowance, Source};
use crate::watch::Watch;
use fruitvec_core::rejection::Rejection;

const NAME: &str = "PNG";
/// The decoder counts only metadata and one row, so this is far above what an honest file needs.
const METADATA_BYTES: usize = 4 << 20;

type PngReader<'a> = Reader<Source<'a, PixelChunks<'a>>>;

/// Reads the size as stored, and the memory to decode it.
pub(crate) fn read_header(bytes: &[u8]) -> Result<Header, Rejection> {
    let watch = Watch::default();
    let allowance = Allowance::new(u64::MAX, &watch);
    let reader = open(bytes, &allowance)?;
    let (width, height) = reader.info().size();
    let decoded_bytes = u64::from(width) * u64::from(height) * u64::from(layout(&reader).channels);
    Ok(Header { width, height, decoded_bytes })
}

/// Decodes a PNG whose header was read. Only its first image counts.
pub(crate) fn decode(bytes: &[u8], header: &Header, watch: &Watch) -> Result<Raster, Rejection> {
    let allowance = Allowance::new(u64::MAX, watch);
    let mut reader = open(bytes, &allowance)?;
    let &Header { width, height, .. } = header;
    let channels = layout(&reader).channels;
    let mut samples = vec![0; width as usize * height as usize * channels as usize];
    let read = if reader.info().interlaced { read_interlaced } else { read_rows };
    read(&mut reader, &mut samples, width as usize, &allowance)
        .map_err(|error| rejection(&error, &allowance))?;
    Ok(Raster { width, height, channels, samples })
}

fn open<'a>(bytes: &'a [u8], allowance: &'a Allowance<'a>) -> Result<PngReader<'a>, Rejection> {
    let limits = png::Limits { bytes: METADATA_BYTES + 2 * bytes.len() };
    let mut decoder = Decoder::new_with_limits(Source::over(PixelChunks::new(bytes), allowance), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.read_info().map_err(|error| rejection(&error, allowance))
}

/// How the decoder returns a pixel, in samples of 8 bits, and how many of them are kept.
struct Layout {
    decoded: usize,
    channels: u32,
}

fn layout(reader: &PngReader<'_>) -> Layout {
    let (color, _) = reader.output_color_type();
    let channels = match color {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => 1,
        ColorType::Rgb | ColorType::Rgba | ColorType::Indexed => 3,
    };
    Layout { decoded: color.samples(), channels }
}

fn read_rows(
    reader: &mut PngReader<'_>,
    samples: &mut [u8],
    width: usize,
    allowance: &Allowance<'_>,
) -> Result<(), DecodingError> {
    let Layout { decoded, channels } = layout(reader);
    let mut progress = Progress::new(allowance, reader.info());
    let mut buffer = vec![0; width * decoded];
    for row in samples.chunks_exact_mut(width * channels as usize) {
        progress.allow_row(width as u32);
        if decoded == channels as usize {
            reader.read_row(row)?;
        } else {
            reader.read_row(&mut buffer)?;
            row.copy_from_slice(blended(&mut buffer, decoded));
        }
    }
    finish(reader)
}

fn read_interlaced(
    reader: &mut PngReader<'_>,
    samples: &mut [u8],
    width: usize,
    allowance: &Allowance<'_>,
) -> Result<(), DecodingError> {
    let Layout { decoded, channels } = layout(reader);
    let mut progress = Progress::new(allowance, reader.info());
    let mut buffer = Vec::new();
    let stride = width * channels as usize;
    let mut missing = interlaced_rows(width, samples.len() / stride);
    loop {
        // A row of the last pass is as wide as the image, so it allows for any other.
        progress.allow_row(width as u32);
        let row = match reader.next_interlaced_row() {
            Err(error) if missing == 0 => return ignore_end(error),
            row => row?,
        };
        let Some(row) = row else { return Ok(()) };
        missing = missing.saturating_sub(1);
        let InterlaceInfo::Adam7(place) = *row.interlace() else { continue };
        let bits = 8 * channels as u8;
        if decoded == channels as usize {
            expand_interlaced_row(samples, stride, row.data(), &place, bits);
        } else {
            buffer.clear();
            buffer.extend_from_slice(row.data());
            expand_interlaced_row(samples, stride, blended(&mut buffer, decoded), &place, bits);
        }
    }
}

/// Reads what follows the last row, so that a wrong checksum is found.
fn finish(reader: &mut PngReader<'_>) -> Result<(), DecodingError> {
    reader.read_row(&mut []).map(|_| ()).or_else(ignore_end)
}

/// Ignores that the end of a PNG is missing, which harms nobody if all pixels are there.
fn ignore_end(error: DecodingError) -> Result<(), DecodingError> {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        error => Err(error),
    }
}

/// Returns the number of rows of all passes of an interlaced image.
fn interlaced_rows(width: usize, height: usize) -> usize {
    // The first pixel of each pass, and the distance between two of its rows (Adam7).
    let passes = [(0, 0, 8), (4, 0, 8), (0, 4, 8), (2, 0, 4), (0, 2, 4), (1, 0, 2), (0, 1, 2)];
    let rows = |(left, top, step): (usize, usize, usize)| {
        if left < width { height.saturating_sub(top).div_ceil(step) } else { 0 }
    };
    passes.map(rows).iter().sum()
}

/// Blends a row of pixels with two or four samples over white, in place.
fn blended(row: &mut [u8], samples: usize) -> &[u8] {
    let length = if samples == 2 {
        pack_slice(row, |[l, a]| [over_white(l, a)])
    } else {
        pack_slice(row, |[r, g, b, a]| [r, g, b].map(|c| over_white(c, a)))
    };
    &row[..length]
}

fn rejection(error: &DecodingError, allowance: &Allowance<'_>) -> Rejection {
    if let Some(rejection) = allowance.rejection(NAME) {
        return rejection;
    }
    match error {
        DecodingError::IoError(cause) => decoder_error::rejection(NAME, cause),
        DecodingError::LimitsExceeded => decoder_error::too_large(NAME, error),
        _ => decoder_error::rejection(NAME, error),
    }
}
