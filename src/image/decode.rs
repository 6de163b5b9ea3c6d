//! Bytes become rows of 8-bit grey or RGB, in the one buffer that the decoder filled.

use std::error::Error;
use std::io::{self, Cursor};

use image::metadata::Orientation;
use image::{ColorType, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, ImageReader};

use super::scale::Scale;
use super::{Header, Limits, format, jpeg, tiff};
use crate::reject::{RejectCode, Rejection};

/// What a PNG's profile may inflate to: a hundred times a usual one.
const METADATA_BYTES: u64 = 4 << 20;

/// Decoded pixels, as stored (before EXIF orientation).
#[derive(Debug)]
pub(super) struct Raster {
    pub(super) width: u32,
    pub(super) height: u32,
    /// 1 (grey) or 3 (RGB).
    pub(super) channels: u32,
    /// Rows from the top, without padding.
    pub(super) samples: Vec<u8>,
}

/// Size as stored, memory and orientation, from any header but a JPEG's.
pub(super) fn header(
    bytes: &[u8],
    format: ImageFormat,
    limits: &Limits,
) -> Result<(Header, Orientation), Rejection> {
    match format {
        ImageFormat::Tiff => tiff::check(bytes)?,
        ImageFormat::WebP => check_riff_length(bytes)?,
        _ => {}
    }
    let mut decoder = open(bytes, format, limits.decoded_bytes)?;
    let (width, height) = decoder.dimensions();
    let working = u64::from(width) * u64::from(height) * working_bytes_per_pixel(&decoder, bytes, format);
    let decoded_bytes = decoder.total_bytes().saturating_add(working);
    // An orientation that can't be read is none: metadata must not cost a photo.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((Header { width, height, decoded_bytes }, orientation))
}

/// Decodes a picture whose header, as stored, is known; a JPEG at a scale.
pub(super) fn raster(
    bytes: &[u8],
    format: ImageFormat,
    header: &Header,
    scale: Scale,
) -> Result<Raster, Rejection> {
    if format == ImageFormat::Jpeg {
        return jpeg::raster(bytes, header, scale);
    }
    let &Header { width, height, decoded_bytes } = header;
    let allowance = match format {
        // It is only asked about a frame that does not fill the screen: that is decoded apart.
        ImageFormat::Gif => u64::from(width) * u64::from(height) * 4,
        _ => decoded_bytes.saturating_add(bytes.len() as u64),
    };
    let decoder = open(bytes, format, allowance)?;
    if decoder.dimensions() != (width, height) || decoder.total_bytes() > decoded_bytes {
        let (other_width, other_height) = decoder.dimensions();
        let message =
            format!("it says {width}×{height} and {other_width}×{other_height} pixels; export it again");
        return Err(Rejection::new(RejectCode::Corrupt, message));
    }
    let color = decoder.color_type();
    let mut samples = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
    decoder.read_image(&mut samples).map_err(|error| rejection(format, &error))?;
    let channels = to_eight_bits(&mut samples, color)?;
    Ok(Raster { width, height, channels, samples })
}

fn open(bytes: &[u8], format: ImageFormat, allowance: u64) -> Result<impl ImageDecoder + '_, Rejection> {
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(match format {
        // Its decoder counts metadata only: stored text, which is no longer than the file, and an inflated
        // profile.
        ImageFormat::Png => METADATA_BYTES + 2 * bytes.len() as u64,
        _ => allowance,
    });
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    reader.into_decoder().map_err(|error| rejection(format, &error))
}

/// Bytes that a decoder keeps for each pixel beside its output, from reading its source.
fn working_bytes_per_pixel(decoder: &impl ImageDecoder, bytes: &[u8], format: ImageFormat) -> u64 {
    match format {
        // Palette indices, and a frame of its own size before it is laid on the screen.
        ImageFormat::Gif => 5,
        // The picture in its own layout: CMYK is one sample wider than the RGB it becomes.
        ImageFormat::Tiff => match decoder.original_color_type() {
            ExtendedColorType::Cmyk8 => 4,
            ExtendedColorType::Cmyk16 => 8,
            _ => u64::from(decoder.color_type().bytes_per_pixel()),
        },
        ImageFormat::WebP => match (bytes.get(12..16), bytes.get(20)) {
            // Luma, and chroma at half the size.
            (Some(b"VP8 "), _) => 2,
            // Animated: the canvas, the frame, its own planes.
            (Some(b"VP8X"), Some(flags)) if flags & 2 != 0 => 13,
            // Planes, and an alpha plane decoded as RGBA; or lossless RGBA and its transforms.
            _ if decoder.color_type().has_alpha() => 7,
            _ => 5,
        },
        _ => 0,
    }
}

/// Refuses a WebP shorter than its container says: chunks of any claimed length could be allocated for else.
fn check_riff_length(bytes: &[u8]) -> Result<(), Rejection> {
    let length =
        bytes.get(4..).and_then(|rest| rest.first_chunk()).map_or(0, |length| u32::from_le_bytes(*length));
    // The padding byte of the last chunk is forgotten by some writers.
    let expected = (u64::from(length) + 8) & !1;
    let found = bytes.len() as u64;
    if found + 1 >= expected {
        return Ok(());
    }
    let message = format!("the WebP breaks off after {found} of {expected} bytes; upload it again");
    Err(Rejection::new(RejectCode::Truncated, message))
}

/// Makes 8-bit grey or RGB of any samples, in place, and says how many channels there are now.
///
/// Transparency lies over white, the ground of the photos that the models know. It is laid there before any
/// resizing: a pixel that nobody sees has a colour all the same, and would bleed into its neighbours. Of 16
/// bits the upper 8 are kept, as Pillow does with RGB.
fn to_eight_bits(samples: &mut Vec<u8>, color: ColorType) -> Result<u32, Rejection> {
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
        ColorType::Rgb32F => pack(samples, |rgb: [u8; 12]| [0, 4, 8].map(|at| unit(&rgb, at))),
        ColorType::Rgba32F => {
            pack(samples, |rgba: [u8; 16]| [0, 4, 8].map(|at| over_white(unit(&rgba, at), unit(&rgba, 12))));
        }
        _ => return Err(format::unsupported(&format!("a picture of {color:?} samples"))),
    }
    Ok(if color.has_color() { 3 } else { 1 })
}

/// Replaces every `IN` bytes by the `OUT` bytes that `convert` makes of them.
pub(super) fn pack<const IN: usize, const OUT: usize>(
    samples: &mut Vec<u8>,
    convert: impl Fn([u8; IN]) -> [u8; OUT],
) {
    const { assert!(OUT <= IN) };
    let pixels = samples.len() / IN;
    let mut pixel = [0; IN];
    for index in 0..pixels {
        pixel.copy_from_slice(&samples[index * IN..][..IN]);
        samples[index * OUT..][..OUT].copy_from_slice(&convert(pixel));
    }
    samples.truncate(pixels * OUT);
}

/// (c·a + 255·(255 − a)) / 255, rounded to the nearest.
fn over_white(sample: u8, alpha: u8) -> u8 {
    let sum = u32::from(sample) * u32::from(alpha) + 255 * (255 - u32::from(alpha)) + 128;
    ((sum + (sum >> 8)) >> 8) as u8
}

/// The upper byte of a 16-bit sample, which decoders give in the machine's own byte order.
fn upper(sample: [u8; 2]) -> u8 {
    (u16::from_ne_bytes(sample) >> 8) as u8
}

/// A floating-point sample, 0 to 1, in 8 bits.
fn unit(pixel: &[u8], at: usize) -> u8 {
    let sample = pixel[at..].first_chunk().map_or(0.0, |bytes| f32::from_ne_bytes(*bytes));
    // The cast saturates, and takes NaN to 0.
    (sample * 255.0).round() as u8
}

/// What a decoder's error says about the photo.
fn rejection(format: ImageFormat, error: &ImageError) -> Rejection {
    let name = format.extensions_str().first().copied().unwrap_or("picture").to_ascii_uppercase();
    match error {
        ImageError::Unsupported(cause) => format::unsupported(&format!("this kind of {name} ({cause})")),
        ImageError::Limits(cause) => Rejection::new(
            RejectCode::DecodedTooLarge,
            format!("the {name} asks for more memory than its size explains ({cause}); export it again"),
        ),
        _ if breaks_off(error) => Rejection::new(
            RejectCode::Truncated,
            format!("the {name} breaks off before its last pixel ({error}); upload it again"),
        ),
        _ => Rejection::new(
            RejectCode::Corrupt,
            format!("the {name} can't be decoded ({error}); export it again"),
        ),
    }
}

/// Whether the file's end came too early, according to the error or one of its causes.
fn breaks_off(error: &ImageError) -> bool {
    let unexpected_end = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
    };
    if let ImageError::IoError(cause) = error {
        return unexpected_end(cause);
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        // The GIF decoder has an error of its own for it, a type that `image` does not pass on.
        if unexpected_end(error) || error.to_string() == "Unexpected End of File" {
            return true;
        }
        cause = error.source();
    }
    false
}
