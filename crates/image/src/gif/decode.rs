//! Decodes the first frame of a GIF to RGB, in three bytes per pixel.

use std::io::Cursor;

use gif::{DecodeOptions, Decoder, DecodingError, Frame};

use super::palette::Palette;
use crate::decoder_error;
use crate::header::Header;
use crate::raster::Raster;
use crate::source::{Allowance, Source};
use crate::watch::Watch;
use fruitvec_core::rejection::Rejection;

const NAME: &str = "GIF";
/// What an encoder may waste, for example on tiny sub-blocks of a small image.
const TOLERANCE: u64 = 64 << 10;
/// Codes have at most 12 bits, which is 1.5 bytes per pixel. Sub-blocks and clear codes add less
/// than a twentieth.
const TENTHS_OF_A_BYTE_PER_PIXEL: u64 = 16;

type GifDecoder<'a> = Decoder<Source<'a, Cursor<&'a [u8]>>>;

/// Where the first frame is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    interlaced: bool,
}

impl Place {
    fn of(frame: &Frame<'_>) -> Self {
        let [left, top, width, height] = [frame.left, frame.top, frame.width, frame.height].map(usize::from);
        Self { left, top, width, height, interlaced: frame.interlaced }
    }

    fn covers(&self, header: &Header) -> bool {
        let screen = (header.width as usize, header.height as usize);
        (self.left, self.top) == (0, 0) && (self.width, self.height) == screen
    }

    /// Iterates over the rows in the order in which they are stored.
    fn rows(&self) -> impl Iterator<Item = usize> + use<> {
        let passes: &[(usize, usize)] =
            if self.interlaced { &[(0, 8), (4, 8), (2, 4), (1, 2)] } else { &[(0, 1)] };
        let height = self.height;
        passes.iter().flat_map(move |(start, step)| (*start..height).step_by(*step))
    }
}

/// Reads the size of the screen, and the memory to decode the first frame.
pub(crate) fn read_header(bytes: &[u8]) -> Result<Header, Rejection> {
    let watch = Watch::default();
    let allowance = Allowance::new(u64::MAX, &watch);
    let decoder = open(bytes, &allowance)?;
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    let pixels = u64::from(width) * u64::from(height);
    let header = Header { width, height, decoded_bytes: 3 * pixels };
    // Palette indices are decoded at the end of the buffer, unless the frame has another size.
    let frame = first_frame(decoder, &allowance)?.0;
    Ok(if frame.covers(&header) { header } else { Header { decoded_bytes: 4 * pixels, ..header } })
}

/// Decodes the first frame of a GIF whose header was read.
pub(crate) fn decode(bytes: &[u8], header: &Header, watch: &Watch) -> Result<Raster, Rejection> {
    let allowance = Allowance::new(u64::MAX, watch);
    let (place, palette, mut decoder) = first_frame(open(bytes, &allowance)?, &allowance)?;
    let &Header { width, height, .. } = header;
    let pixels = width as usize * height as usize;
    if place.width * place.height > pixels {
        let cause = format!(" (its frame has {}×{} pixels)", place.width, place.height);
        return Err(decoder_error::needs_too_much(NAME, &cause));
    }
    let mut read = |indices: &mut [u8]| read_rows(&mut decoder, indices, place, &allowance);
    let mut samples = vec![255; 3 * pixels];
    if place.covers(header) {
        read(&mut samples[2 * pixels..])?;
        palette.expand(&mut samples);
    } else {
        let mut indices = vec![0; place.width * place.height];
        read(&mut indices)?;
        let visible = place.width.min((width as usize).saturating_sub(place.left));
        let rows = samples.chunks_exact_mut(3 * width as usize).skip(place.top);
        for (row, indices) in rows.zip(indices.chunks_exact(place.width.max(1))) {
            palette.write(&indices[..visible], &mut row[3 * place.left.min(width as usize)..]);
        }
    }
    Ok(Raster { width, height, channels: 3, samples })
}

fn open<'a>(bytes: &'a [u8], allowance: &'a Allowance<'a>) -> Result<GifDecoder<'a>, Rejection> {
    DecodeOptions::new()
        .read_info(Source::new(bytes, allowance))
        .map_err(|error| rejection(&error, allowance))
}

/// Reads up to the pixels of the first frame.
fn first_frame<'a>(
    mut decoder: GifDecoder<'a>,
    allowance: &Allowance<'_>,
) -> Result<(Place, Palette, GifDecoder<'a>), Rejection> {
    let failed = |error: DecodingError| rejection(&error, allowance);
    let frame = decoder.next_frame_info().map_err(failed)?;
    let Some(frame) = frame else { return Err(decoder_error::corrupt(NAME, " (it has no image)")) };
    let (place, transparent) = (Place::of(frame), frame.transparent);
    let palette = Palette::new(decoder.palette().map_err(failed)?, transparent);
    Ok((place, palette, decoder))
}

fn read_rows(
    decoder: &mut GifDecoder<'_>,
    indices: &mut [u8],
    place: Place,
    allowance: &Allowance<'_>,
) -> Result<(), Rejection> {
    if place.width == 0 {
        return Ok(());
    }
    let (start, mut pixels) = (allowance.taken(), 0);
    for row in place.rows() {
        pixels += place.width as u64;
        allowance.set_limit(start + pixels * TENTHS_OF_A_BYTE_PER_PIXEL / 10 + TOLERANCE);
        let is_full = decoder
            .fill_buffer(&mut indices[row * place.width..][..place.width])
            .map_err(|error| rejection(&error, allowance))?;
        if !is_full {
            return Err(decoder_error::corrupt(NAME, " (its codes end before the last pixel)"));
        }
    }
    Ok(())
}

fn rejection(error: &DecodingError, allowance: &Allowance<'_>) -> Rejection {
    if let Some(rejection) = allowance.rejection(NAME) {
        return rejection;
    }
    match error {
        DecodingError::Io(cause) => decoder_error::rejection(NAME, cause),
        DecodingError::UnexpectedEof => decoder_error::truncated(NAME, error),
        DecodingError::MemoryLimit | DecodingError::OutOfMemory => decoder_error::too_large(NAME, error),
        _ => decoder_error::rejection(NAME, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interlaced_rows_come_in_four_passes() {
        let place = |interlaced| Place { left: 0, top: 0, width: 1, height: 10, interlaced };
        assert!(place(false).rows().eq(0..10));
        assert_eq!(place(true).rows().collect::<Vec<_>>(), [0, 8, 4, 2, 6, 1, 3, 5, 7, 9]);
    }
}
