//! Decodes JPEGs with libjpeg.
//!
//! The decoder is libjpeg because the reference embeddings were made with it. Decoders round
//! differently when they upsample chroma. On small photos, that alone can lower the cosine between
//! two embeddings of the same photo below 0.9995.
//!
//! Of libjpeg's variants, mozjpeg needs only a C compiler to build. If nasm is installed at build
//! time, it includes its assembly code. That decodes the same pixels in 20 % less time, and a
//! test compares their digests.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mozjpeg::{ColorSpace, Decompress};

use super::rejections::{corrupt, scan_ends_early};
use super::segments::Outline;
use super::source::Source;
use super::watch::{Stop, error_manager};
use crate::raster::Raster;
use crate::scale::Scale;
use fruitvec_core::rejection::Rejection;

/// Decodes a JPEG at a scale.
pub(crate) fn decode(bytes: &[u8], outline: &Outline, scale: Scale) -> Result<Raster, Rejection> {
    let mut image = Err(corrupt("it has no rows"));
    in_strips(bytes, outline, scale, u32::MAX, &mut |strip| {
        image = Ok(strip);
        Ok(())
    })?;
    image
}

/// Decodes a JPEG at a scale, and passes it on in strips of `rows` rows. The last may have fewer.
pub(crate) fn in_strips(
    bytes: &[u8],
    outline: &Outline,
    scale: Scale,
    rows: u32,
    pass_on: &mut dyn FnMut(Raster) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    // libjpeg reports an error by unwinding. Unwinding frees everything that the decoder allocated.
    let decode = || decode_or_unwind(bytes, outline, scale, rows, pass_on);
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|payload| {
        match payload.downcast_ref() {
            Some(Stop::EndsEarly(position)) => Err(scan_ends_early(*position, bytes.len())),
            Some(Stop::Damaged) => Err(corrupt("too many of its pixels are missing")),
            Some(Stop::Failed) => Err(corrupt(&reason(bytes))),
            // Any other panic is a bug, which the caller reports with another code.
            None => resume_unwind(payload),
        }
    })
}

/// Returns libjpeg's own words for what is wrong with a header that it can't read.
fn reason(bytes: &[u8]) -> String {
    // Only the error manager of the mozjpeg crate can read the message.
    let failed = catch_unwind(|| Decompress::new_mem(bytes).map(drop)).err();
    let message = failed.as_ref().and_then(|payload| payload.downcast_ref::<String>());
    let reason = message.and_then(|message| message.strip_prefix("libjpeg fatal error: "));
    reason.unwrap_or("its pixels can't be decoded").to_owned()
}

fn decode_or_unwind(
    bytes: &[u8],
    outline: &Outline,
    scale: Scale,
    rows: u32,
    pass_on: &mut dyn FnMut(Raster) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    let failed = |cause: std::io::Error| corrupt(&cause.to_string());
    let source = Source::new(bytes, &outline.scans, outline.buffered);
    let mut decoder = Decompress::builder().with_err(error_manager()).from_reader(source).map_err(failed)?;
    let &Outline { width, height, .. } = outline;
    // libjpeg may use another frame than the one whose size was checked against the limits.
    if decoder.size() != (width as usize, height as usize) {
        return Err(corrupt("it has frames of different sizes"));
    }
    decoder.scale(scale.eighths());
    let (channels, started) = match decoder.color_space() {
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK => (4, decoder.to_colorspace(ColorSpace::JCS_CMYK)),
        ColorSpace::JCS_GRAYSCALE => (1, decoder.grayscale()),
        _ => (3, decoder.rgb()),
    };
    let mut started = started.map_err(failed)?;
    let (width, height) = (scale.apply(width), scale.apply(height));
    let mut rest = height;
    while rest > 0 {
        let height = rest.min(rows);
        rest -= height;
        let mut samples = vec![0; width as usize * height as usize * channels as usize];
        started.read_scanlines_into::<u8>(&mut samples).map_err(failed)?;
        // Adobe stores CMYK inverted, and every other encoder follows: 255 means no ink.
        pass_on(Raster { width, height, channels, samples })?;
    }
    Ok(())
}
