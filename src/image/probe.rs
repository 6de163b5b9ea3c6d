//! A photo's bytes become the upright RGB square that a model wants.
//!
//! Two steps, so that a caller can take memory from its budget in between: [`inspect`] reads the header and
//! refuses what is too large, broken or of another format before anything is decoded; [`Pending::square`]
//! decodes and resizes. Pillow (`convert('RGB').resize(…)`) is the yardstick of both, except for
//! transparency, which lies over white here.

mod decode;
mod format;
#[path = "jpeg_segments.rs"]
mod jpeg;
#[cfg(debug_assertions)]
#[path = "panic_injection.rs"]
mod poison;
mod resize;
mod scale;
mod tiff;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::ImageFormat;
use image::metadata::Orientation;
use serde::{Deserialize, Serialize};

use self::scale::Scale;
use crate::reject::{RejectCode, Rejection};

/// How pixels are weighed when a picture is resized; names and kernels are Pillow's, widened when it shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// A triangle.
    Bilinear,
    /// The cubic of Keys with a = −0.5, also known as Catmull-Rom.
    Bicubic,
    /// A sinc windowed to three lobes.
    Lanczos3,
}

/// How a picture that is not square becomes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// All of it, squeezed: what Keras does.
    Stretch,
    /// Scaled so that its shorter side measures `shorter_side`, then cut to the centre: what the ONNX model
    /// zoo does.
    Crop {
        /// Pixels; no less than the square's side, else the picture's whole shorter side is taken.
        shorter_side: u32,
    },
}

/// The longest side of a picture, as libjpeg has it. A picture one pixel wide and millions high would be small until it is resized.
pub const LONGEST_SIDE: u32 = 65_500;

/// What a photo may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: u64,
    /// Width × height.
    pub pixels: u64,
    /// Bytes of memory, as [`Header::decoded_bytes`] counts them.
    pub decoded_bytes: u64,
}

impl Default for Limits {
    /// 25 MiB of file, 64 million pixels, 256 MiB of memory.
    fn default() -> Self {
        Self { bytes: 25 << 20, pixels: 64_000_000, decoded_bytes: 256 << 20 }
    }
}

impl Limits {
    /// The most that [`Pending::memory`] can be of what these limits let in.
    #[must_use]
    pub fn memory(&self, side: u32) -> u64 {
        self.decoded_bytes + strip(side, LONGEST_SIDE)
    }

    /// Refuses a file that is too long, before anything of it is read.
    ///
    /// # Errors
    /// `TooManyBytes`.
    pub fn check_bytes(&self, bytes: u64) -> Result<(), Rejection> {
        if bytes <= self.bytes {
            return Ok(());
        }
        let message =
            format!("{bytes} bytes; the limit is {}; send a smaller or more compressed picture", self.bytes);
        Err(Rejection::new(RejectCode::TooManyBytes, message))
    }

    /// Refuses a picture that is too large, too long, or empty, as its header has it.
    fn check_pixels(&self, (width, height): (u32, u32)) -> Result<(), Rejection> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 {
            let message = format!("its header says {width}×{height} pixels; export it again");
            return Err(Rejection::new(RejectCode::Corrupt, message));
        }
        if width.max(height) > LONGEST_SIDE {
            let message =
                format!("{width}×{height} pixels; no side may exceed {LONGEST_SIDE}; send a smaller picture");
            return Err(Rejection::new(RejectCode::TooManyPixels, message));
        }
        if pixels <= self.pixels {
            return Ok(());
        }
        let limit = self.pixels;
        let message =
            format!("{width}×{height} = {pixels} pixels; the limit is {limit}; send a smaller picture");
        Err(Rejection::new(RejectCode::TooManyPixels, message))
    }

    /// Refuses a picture that takes too much memory to decode.
    fn check_memory(&self, header: &Header) -> Result<(), Rejection> {
        if header.decoded_bytes <= self.decoded_bytes {
            return Ok(());
        }
        let message = format!(
            "{}×{} pixels take {} bytes to decode; the limit is {}; send fewer pixels, or 8-bit samples",
            header.width, header.height, header.decoded_bytes, self.decoded_bytes
        );
        Err(Rejection::new(RejectCode::DecodedTooLarge, message))
    }
}

/// What the header of a picture says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Pixels, after EXIF orientation.
    pub width: u32,
    /// Pixels, after EXIF orientation.
    pub height: u32,
    /// What decoding all of it allocates at its peak: the pixels as decoded, and what the decoder of this
    /// format keeps beside them. Not counted: the file itself, the resizer's strip of 3 × side × height bytes,
    /// and metadata of at most 4 MiB and twice the file.
    pub decoded_bytes: u64,
}

/// A picture that passed [`inspect`]: its bytes and what is known of them.
#[derive(Debug, Clone)]
pub struct Pending<B> {
    bytes: B,
    format: ImageFormat,
    orientation: Orientation,
    header: Header,
    /// Samples of a pixel, where the decoder can scale.
    scalable: Option<u64>,
}

/// A square of upright RGB pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Square {
    side: u32,
    rgb: Vec<u8>,
}

impl Square {
    /// The square of these pixels: rows from the top, pixels from the left, red, green, blue. `None` unless
    /// they are `side` × `side` × 3 bytes.
    #[must_use]
    pub fn new(side: u32, rgb: Vec<u8>) -> Option<Self> {
        let bytes = u128::from(side) * u128::from(side) * 3;
        (rgb.len() as u128 == bytes).then_some(Self { side, rgb })
    }

    /// Pixels along each side.
    #[must_use]
    pub fn side(&self) -> u32 {
        self.side
    }

    /// Row-major RGB, `side` × `side` × 3 bytes.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

/// Reads a picture's header: its format by content (the name says nothing), size and orientation. Nothing is
/// decoded, and little allocated. A JPEG is also followed to its end, for its decoder would paint what is
/// missing grey.
///
/// # Errors
/// `Empty`, `TooManyBytes`, `NotAnImage`, `UnsupportedFormat`, `TooManyPixels`, `DecodedTooLarge`,
/// `Truncated`, `Corrupt`, `Panicked`.
pub fn inspect<B: AsRef<[u8]>>(bytes: B, limits: &Limits) -> Result<Pending<B>, Rejection> {
    let (format, orientation, header, scalable) = guarded(|| read_header(bytes.as_ref(), limits))?;
    Ok(Pending { bytes, format, orientation, header, scalable })
}

impl<B: AsRef<[u8]>> Pending<B> {
    /// What the picture's header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes that [`Pending::square`] takes at its peak: the pixels, and the strip that is as wide as the square and as
    /// high as the picture. A JPEG that is much larger than the square is not decoded whole.
    pub fn memory(&self, side: u32, fit: Fit) -> u64 {
        let Header { width, height, decoded_bytes } = self.stored_header();
        let scale = self.scale(side, fit);
        let pixels = |width, height| self.scalable.unwrap_or(0) * u64::from(width) * u64::from(height);
        let not_decoded = pixels(width, height) - pixels(scale.of(width), scale.of(height));
        decoded_bytes - not_decoded + strip(side, scale.of(height))
    }

    /// How far the picture is scaled down while it is decoded.
    fn scale(&self, side: u32, fit: Fit) -> Scale {
        let Header { width, height, .. } = self.header;
        if self.scalable.is_some() { Scale::choose(width, height, side, fit) } else { Scale::FULL }
    }

    /// Decodes the picture and resizes it. The square is turned upright after it was cut: turning a small
    /// picture is cheap, and both fits keep the centre where it is.
    ///
    /// # Errors
    /// `Truncated`, `Corrupt`, `UnsupportedFormat`, `DecodedTooLarge` where only the decoder finds out,
    /// `Panicked`.
    pub fn square(&self, side: u32, fit: Fit, filter: Filter) -> Result<Square, Rejection> {
        guarded(|| {
            #[cfg(debug_assertions)]
            poison::taste(self.bytes.as_ref());
            let (header, scale) = (self.stored_header(), self.scale(side, fit));
            let raster = decode::raster(self.bytes.as_ref(), self.format, &header, scale)?;
            let shown = (scale.exactly(header.width), scale.exactly(header.height));
            let square = resize::to_square(raster, shown, side, fit, filter)?;
            resize::upright(square, self.orientation)
        })
    }

    /// The header before EXIF orientation.
    fn stored_header(&self) -> Header {
        turned(self.header, self.orientation)
    }
}

/// Bytes of the picture when it is resized across but not down yet.
fn strip(side: u32, height: u32) -> u64 {
    3 * u64::from(side) * u64::from(height)
}

/// Runs a step on bytes that nobody vouches for: a panic in it becomes a rejection, so that one photo never
/// costs its batch.
///
/// # Errors
/// What the step returns, or `Panicked` with the panic's message.
pub fn guarded<T>(step: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    // Nothing that the step may have left half done is reachable afterwards: it only reads what it borrows.
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|payload| {
        let message = format!("the decoder panicked: {}; export the picture again", panic_message(&*payload));
        Err(Rejection::new(RejectCode::Panicked, message))
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

type Read = (ImageFormat, Orientation, Header, Option<u64>);

fn read_header(bytes: &[u8], limits: &Limits) -> Result<Read, Rejection> {
    limits.check_bytes(bytes.len() as u64)?;
    let format = format::sniff(bytes)?;
    if let Some(claimed) = format::claimed_size(format, bytes) {
        limits.check_pixels(claimed)?;
    }
    let (stored, orientation, scalable) = match format {
        ImageFormat::Jpeg => {
            let outline = jpeg::outline(bytes)?;
            limits.check_pixels((outline.width, outline.height))?;
            let header = outline.header();
            limits.check_memory(&header)?;
            outline.check_complete(bytes.len())?;
            (header, outline.orientation, Some(outline.samples()))
        }
        _ => {
            let (header, orientation) = decode::header(bytes, format, limits)?;
            (header, orientation, None)
        }
    };
    limits.check_pixels((stored.width, stored.height))?;
    limits.check_memory(&stored)?;
    Ok((format, orientation, turned(stored, orientation), scalable))
}

/// EXIF orientations 5 to 8 lay a picture on its side; turning a header twice gives it back.
fn turned(header: Header, orientation: Orientation) -> Header {
    if orientation.to_exif() < 5 {
        return header;
    }
    Header { width: header.height, height: header.width, ..header }
}

#[cfg(test)]
#[path = "tests/rejections.rs"]
mod tests;
