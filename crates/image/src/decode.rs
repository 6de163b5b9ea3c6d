//! Decodes images to rows of 8-bit greyscale or RGB, in the buffer that the decoder filled.

use std::borrow::Cow;
use std::error::Error;
use std::io::{self, Cursor};

use image::{ColorType, ImageDecoder, ImageError, ImageFormat, ImageReader};

use super::blend::over_white;
use super::header::Header;
use super::raster::{Raster, pack};
use super::{format, heif, plain_words, tiff, webp};
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::rejection::{RejectCode, Rejection};

/// The limit on a PNG's inflated colour profile, in bytes: a hundred times a typical one.
const METADATA_BYTES: u64 = 4 << 20;

/// Reads the size as stored and the memory of any image but a JPEG.
pub(crate) fn read_header(bytes: &[u8], format: ImageFormat, limits: &Limits) -> Result<Header, Rejection> {
    match format {
        ImageFormat::Tiff => return tiff::read_header(bytes),
        ImageFormat::WebP => check_riff_length(bytes)?,
        _ => {}
    }
    let repaired = repaired(bytes, format);
    let decoder = open(&repaired, format, limits.decoded_bytes)?;
    let (width, height) = decoder.dimensions();
    let working = u64::from(width) * u64::from(height) * working_bytes_per_pixel(&decoder, bytes, format);
    let copied = if let Cow::Owned(copy) = &repaired { copy.len() as u64 } else { 0 };
    let decoded_bytes = decoder.total_bytes().saturating_add(working).saturating_add(copied);
    Ok(Header { width, height, decoded_bytes })
}

/// Decodes any image but a JPEG. `header` is the size as stored.
pub(crate) fn decode(bytes: &[u8], format: ImageFormat, header: &Header) -> Result<Raster, Rejection> {
    if format == ImageFormat::Tiff {
        return tiff::decode(bytes);
    }
    if format == format::HEIF {
        return heif::Photo::read(bytes)?.decode();
    }
    let &Header { width, height, decoded_bytes } = header;
    let allowance = match format {
        // The decoder checks only the buffer of a frame that does not fill the screen.
        ImageFormat::Gif => u64::from(width) * u64::from(height) * 4,
        _ => decoded_bytes.saturating_add(bytes.len() as u64),
    };
    let repaired = repaired(bytes, format);
    let decoder = open(&repaired, format, allowance)?;
    if decoder.dimensions() != (width, height) || decoder.total_bytes() > decoded_bytes {
        let (other_width, other_height) = decoder.dimensions();
        let message = format!(
            "the image declares both {width}×{height} and {other_width}×{other_height} pixels; \
             export it again"
        );
        return Err(Rejection::new(RejectCode::Corrupt, message));
    }
    let color = decoder.color_type();
    let mut samples = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
    decoder.read_image(&mut samples).map_err(|error| rejection(format, &error))?;
    let channels = to_eight_bits(&mut samples, color)?;
    Ok(Raster { width, height, channels, samples })
}

/// Returns the file without harmless faults that the decoder does not tolerate.
fn repaired(bytes: &[u8], format: ImageFormat) -> Cow<'_, [u8]> {
    if format == ImageFormat::WebP { webp::with_honest_flags(bytes) } else { bytes.into() }
}

/// Opens a decoder that may allocate `allowance` bytes.
fn open(bytes: &[u8], format: ImageFormat, allowance: u64) -> Result<impl ImageDecoder + '_, Rejection> {
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(match format {
        // The PNG decoder counts only metadata: stored text, which is not longer than the file, and
        // the inflated profile.
        ImageFormat::Png => METADATA_BYTES + 2 * bytes.len() as u64,
        _ => allowance,
    });
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    reader.into_decoder().map_err(|error| rejection(format, &error))
}

/// Returns the bytes per pixel that a decoder allocates in addition to its output.
///
/// `tests/memory.rs` compares these numbers with the process's peak.
fn working_bytes_per_pixel(decoder: &impl ImageDecoder, bytes: &[u8], format: ImageFormat) -> u64 {
    match format {
        // One byte for palette indices, and four for a frame smaller than the screen.
        ImageFormat::Gif => 5,
        ImageFormat::WebP => match (bytes.get(12..16), bytes.get(20)) {
            // Luma, and chroma at half the resolution.
            (Some(b"VP8 "), _) => 2,
            // Animated: the canvas, the frame, and the frame's planes.
            (Some(b"VP8X"), Some(flags)) if flags & 2 != 0 => 13,
            // Planes, and an alpha plane that is decoded as RGBA. Or lossless RGBA and its
            // transforms.
            _ if decoder.color_type().has_alpha() => 7,
            _ => 5,
        },
        _ => 0,
    }
}

/// Rejects a WebP that is shorter than its container declares.
///
/// Otherwise a chunk could declare any length, and the decoder would allocate it.
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

/// Converts samples of any type to 8-bit greyscale or RGB in place, and returns the number of
/// channels.
///
/// Transparent images are blended over white, the background of the photos that the models know.
/// 16-bit samples lose their lower byte, as in Pillow's conversion to RGB.
fn to_eight_bits(samples: &mut Vec<u8>, color: ColorType) -> Result<u32, Rejection> {
    // Blending comes before resizing. Invisible pixels still have a colour, which would bleed into
    // their neighbours.
    match color {
        ColorType::L8 | ColorType::Rgb8 => {}
        ColorType::La8 => pack(samples, |[l, a]| [over_white(l, a)]),
        ColorType::Rgba8 => pack(samples, |[r, g, b, a]| [r, g, b].map(|c| over_white(c, a))),
        ColorType::L16 => pack(samples, |[l0, l1]| [upper([l0, l1])]),
        ColorType::La16 => pack(samples, |[l0, l1, a0, a1]| [over_white(upper([l0, l1]), upper([a0, a1]))]),
        ColorType::Rgb16 => pack(samples, |rgb: [u8; 6]| [0, 2, 4].map(|at| upper([rgb[at], rgb[at + 1]]))),
        ColorType::Rgba16 => pack(samples, |[r0, r1, g0, g1, b0, b1, a0, a1]| {
            [[r0, r1], [g0, g1], [b0, b1]].map(|c| over_white(upper(c), upper([a0, a1])))
        }),
        _ => return Err(format::unsupported("an image with samples of this kind")),
    }
    Ok(if color.has_color() { 3 } else { 1 })
}

/// Returns the upper byte of a 16-bit sample, which decoders return in native byte order.
fn upper(sample: [u8; 2]) -> u8 {
    (u16::from_ne_bytes(sample) >> 8) as u8
}

/// Turns a decoder's error into a rejection.
fn rejection(format: ImageFormat, error: &ImageError) -> Rejection {
    let name = format.extensions_str().first().copied().unwrap_or("image").to_ascii_uppercase();
    let cause = plain_words::cause(error);
    match error {
        ImageError::Unsupported(_) => format::unsupported(&format!("this kind of {name}{cause}")),
        ImageError::Limits(_) => Rejection::new(
            RejectCode::DecodedTooLarge,
            format!("the {name} needs more memory than its size justifies{cause}; export it again"),
        ),
        _ if is_truncation(error) => Rejection::new(
            RejectCode::Truncated,
            format!("the {name} ends before its last pixel{cause}; upload it again"),
        ),
        _ => Rejection::new(
            RejectCode::Corrupt,
            format!("the {name} can't be decoded{cause}; export it again"),
        ),
    }
}

/// Returns whether the error or one of its causes is an unexpected end of the file.
fn is_truncation(error: &ImageError) -> bool {
    let is_unexpected_end = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
    };
    if let ImageError::IoError(cause) = error {
        return is_unexpected_end(cause);
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        // The GIF decoder's own error has a type that `image` does not export, so only its message
        // identifies it.
        if is_unexpected_end(error) || error.to_string() == "Unexpected End of File" {
            return true;
        }
        cause = error.source();
    }
    false
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
