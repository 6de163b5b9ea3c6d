//! Decodes images to rows of 8-bit greyscale or RGB, each format with its own decoder.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder, ImageError, ImageFormat};

use super::blend::over_white;
use super::header::Header;
use super::raster::{Raster, pack};
use super::source::{Allowance, Source};
use super::watch::Watch;
use super::{decoder_error, format, gif, heif, plain_words, png, tiff, webp};
use fruitvec_core::rejection::Rejection;

/// How often a decoder may read a BMP. It reads the pixels once, and some headers again.
const MAX_READS: u64 = 3;

/// Reads the size as stored and the memory of any image but a JPEG.
pub(crate) fn read_header(bytes: &[u8], format: ImageFormat) -> Result<Header, Rejection> {
    match format {
        ImageFormat::Gif => gif::read_header(bytes),
        ImageFormat::Png => png::read_header(bytes),
        ImageFormat::Tiff => tiff::read_header(bytes),
        ImageFormat::WebP => webp::read_header(bytes),
        _ => {
            let watch = Watch::default();
            let allowance = allowance(bytes, &watch);
            let decoder = open_bmp(bytes, &allowance)?;
            let (width, height) = decoder.dimensions();
            Ok(Header { width, height, decoded_bytes: decoder.total_bytes() })
        }
    }
}

/// Decodes any image but a JPEG. `header` is the size as stored.
pub(crate) fn decode(
    bytes: &[u8],
    format: ImageFormat,
    header: &Header,
    watch: &Watch,
) -> Result<Raster, Rejection> {
    if format == format::HEIF {
        return heif::Photo::read(bytes)?.decode();
    }
    match format {
        ImageFormat::Gif => gif::decode(bytes, header, watch),
        ImageFormat::Png => png::decode(bytes, header, watch),
        ImageFormat::Tiff => tiff::decode(bytes),
        ImageFormat::WebP => webp::decode(bytes, header, watch),
        _ => decode_bmp(bytes, header, watch),
    }
}

fn decode_bmp(bytes: &[u8], header: &Header, watch: &Watch) -> Result<Raster, Rejection> {
    let &Header { width, height, .. } = header;
    let allowance = allowance(bytes, watch);
    let decoder = open_bmp(bytes, &allowance)?;
    let color = decoder.color_type();
    let mut samples = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
    decoder.read_image(&mut samples).map_err(|error| rejection(&error, &allowance))?;
    match color {
        ColorType::Rgb8 => {}
        ColorType::Rgba8 => pack(&mut samples, |[r, g, b, a]| [r, g, b].map(|c| over_white(c, a))),
        _ => return Err(format::unsupported("a BMP with samples of this kind")),
    }
    Ok(Raster { width, height, channels: 3, samples })
}

fn allowance<'a>(bytes: &[u8], watch: &'a Watch) -> Allowance<'a> {
    Allowance::new(MAX_READS * bytes.len() as u64, watch)
}

fn open_bmp<'a>(
    bytes: &'a [u8],
    allowance: &'a Allowance<'a>,
) -> Result<BmpDecoder<Source<'a, Cursor<&'a [u8]>>>, Rejection> {
    BmpDecoder::new(Source::new(bytes, allowance)).map_err(|error| rejection(&error, allowance))
}

/// Turns the error of the decoder of BMP into a rejection.
fn rejection(error: &ImageError, allowance: &Allowance<'_>) -> Rejection {
    const NAME: &str = "BMP";
    if let Some(rejection) = allowance.rejection(NAME) {
        return rejection;
    }
    match error {
        ImageError::Unsupported(_) => {
            format::unsupported(&format!("this kind of {NAME}{}", plain_words::cause(error)))
        }
        ImageError::Limits(_) => decoder_error::too_large(NAME, error),
        ImageError::IoError(cause) => decoder_error::rejection(NAME, cause),
        _ => decoder_error::rejection(NAME, error),
    }
}
