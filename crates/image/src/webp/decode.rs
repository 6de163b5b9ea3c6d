//! Decodes the first frame of a WebP to RGB.

use image_webp::{DecodingError, WebPDecoder};

use super::container::{LOSSLESS_HEADER, Pixels, Still};
use super::lossless;
use crate::blend::over_white;
use crate::decoder_error;
use crate::header::Header;
use crate::raster::{Raster, pack};
use crate::source::{Allowance, Source};
use crate::watch::Watch;
use fruitvec_core::rejection::{RejectCode, Rejection};

const NAME: &str = "WebP";
/// The size of the blocks that lossy frames consist of.
const MACROBLOCK: u32 = 16;
/// What the decoder keeps for each block.
const MACROBLOCK_BYTES: u64 = 64;

/// Reads the size, and the memory to decode the first frame.
pub(crate) fn read_header(bytes: &[u8]) -> Result<Header, Rejection> {
    check_riff_length(bytes)?;
    let still = Still::find(bytes)?;
    let (width, height) = still.canvas;
    let (frame_width, frame_height) = still.size;
    let pixels = u64::from(frame_width) * u64::from(frame_height);
    let blocks = u64::from(frame_width.div_ceil(MACROBLOCK)) * u64::from(frame_height.div_ceil(MACROBLOCK));
    // Luma, and chroma at half the resolution.
    let planes = blocks * (256 + 128 + MACROBLOCK_BYTES);
    let decoded = match still.pixels {
        // Four channels, whether it has alpha or not.
        Pixels::Lossless(stream) => {
            let codes = stream.get(LOSSLESS_HEADER..).unwrap_or_default();
            4 * pixels + lossless::working_bytes(codes, still.size)?
        }
        Pixels::Lossy { alpha: Some(alpha), .. } if still.alpha => {
            // Alpha itself is decoded as four channels, one of which is kept.
            let codes = match alpha.split_first() {
                Some((flags, codes)) if flags & 3 == 1 => lossless::working_bytes(codes, still.size)?,
                _ => 0,
            };
            4 * pixels + planes + 5 * pixels + codes
        }
        Pixels::Lossy { .. } => 3 * pixels + planes,
    };
    // A smaller frame is copied to the image.
    let canvas = if still.covers_canvas() { 0 } else { 3 * u64::from(width) * u64::from(height) };
    Ok(Header { width, height, decoded_bytes: decoded + canvas })
}

/// Decodes the first frame of a WebP whose header was read.
pub(crate) fn decode(bytes: &[u8], header: &Header, watch: &Watch) -> Result<Raster, Rejection> {
    let still = Still::find(bytes)?;
    let file = still.file();
    // The header is read twice, and everything else once.
    let allowance = Allowance::new(2 * file.len() + 1024, watch);
    let failed = |error: DecodingError| rejection(&error, &allowance);
    let mut decoder = WebPDecoder::new(Source::over(file, &allowance)).map_err(failed)?;
    if decoder.dimensions() != still.size {
        return Err(decoder_error::two_sizes(still.size, decoder.dimensions()));
    }
    decoder.set_memory_limit(usize::try_from(header.decoded_bytes).unwrap_or(usize::MAX));
    let mut samples = vec![0; decoder.output_buffer_size().unwrap_or(0)];
    decoder.read_image(&mut samples).map_err(failed)?;
    if decoder.has_alpha() {
        if still.alpha {
            pack(&mut samples, |[r, g, b, a]| [r, g, b].map(|c| over_white(c, a)));
        } else {
            pack(&mut samples, |[r, g, b, _]| [r, g, b]);
        }
    }
    let (width, height) = still.canvas;
    if !still.covers_canvas() {
        samples = on_canvas(&samples, &still);
    }
    Ok(Raster { width, height, channels: 3, samples })
}

/// Copies a frame to its position in a white image.
fn on_canvas(frame: &[u8], still: &Still<'_>) -> Vec<u8> {
    let bytes = |pixels: u32| 3 * pixels as usize;
    let mut canvas = vec![255; bytes(still.canvas.0) * still.canvas.1 as usize];
    let rows = canvas.chunks_exact_mut(bytes(still.canvas.0)).skip(still.offset.1 as usize);
    for (row, frame) in rows.zip(frame.chunks_exact(bytes(still.size.0))) {
        row[bytes(still.offset.0)..][..frame.len()].copy_from_slice(frame);
    }
    canvas
}

/// Rejects a WebP that is shorter than its container declares.
fn check_riff_length(bytes: &[u8]) -> Result<(), Rejection> {
    let length =
        bytes.get(4..).and_then(|rest| rest.first_chunk()).map_or(0, |length| u32::from_le_bytes(*length));
    let expected = (u64::from(length) + 8) & !1;
    let found = bytes.len() as u64;
    // Some encoders omit the padding byte of the last chunk.
    if found + 1 >= expected {
        return Ok(());
    }
    let message = format!("the WebP ends after {found} of {expected} bytes; upload it again");
    Err(Rejection::new(RejectCode::Truncated, message))
}

fn rejection(error: &DecodingError, allowance: &Allowance<'_>) -> Rejection {
    if let Some(rejection) = allowance.rejection(NAME) {
        return rejection;
    }
    match error {
        DecodingError::MemoryLimitExceeded | DecodingError::ImageTooLarge => {
            decoder_error::too_large(NAME, error)
        }
        _ => decoder_error::rejection(NAME, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webp_may_lack_its_last_padding_byte() {
        let webp = |declared: u32, length: usize| {
            let mut bytes = [b"RIFF", &declared.to_le_bytes()[..]].concat();
            bytes.resize(length, 0);
            check_riff_length(&bytes)
        };
        for (declared, length) in [(12, 20), (12, 30), (13, 20), (13, 21), (12, 19)] {
            webp(declared, length).unwrap();
        }
        assert_eq!(webp(14, 20).unwrap_err().code, RejectCode::Truncated);
        assert_eq!(webp(u32::MAX, 20).unwrap_err().code, RejectCode::Truncated);
    }
}
