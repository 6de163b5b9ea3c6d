//! Reads the header of a photo, and decodes the photo later.

use image::ImageFormat;
use image::metadata::Orientation;

use super::catch_panic::catch_panic;
#[cfg(debug_assertions)]
use super::fault_injection;
use super::header::Header;
use super::input_image::InputImage;
use super::raster::Raster;
use super::resize::Square;
use super::scale::Scale;
use super::watch::Watch;
use super::{colour, decode, fidelity, format, heif, jpeg, orientation, resize, tiff};
use fruitvec_core::contract::limits::{Limits, strip};
use fruitvec_core::contract::model_card::{Filter, ResizeMode};
use fruitvec_core::rejection::Rejection;

/// An image that passed [`probe`], not yet decoded.
#[derive(Debug, Clone)]
pub struct ProbedImage<B> {
    bytes: B,
    metadata: Metadata,
    limits: Limits,
    watch: Watch,
}

#[derive(Debug, Clone)]
struct Metadata {
    format: ImageFormat,
    orientation: Orientation,
    /// The header of the upright image.
    header: Header,
    /// The segments, if it is a JPEG.
    jpeg: Option<jpeg::Outline>,
    /// The channels of the strip between the two passes of the resizer: 3, or 4 for CMYK.
    strip_channels: u64,
    /// Whether the decoder can scale.
    scalable: bool,
}

/// Reads the header of an image: the format, the size and the orientation.
///
/// The format is detected from the content, never from the object's name. Nothing is decoded, and
/// little is allocated.
///
/// # Errors
/// `Empty`, `TooManyBytes`, `NotAnImage`, `UnsupportedFormat`, `TooManyPixels`, `DecodedTooLarge`,
/// `Truncated`, `Corrupt`, `Panicked`.
pub fn probe<B: AsRef<[u8]>>(bytes: B, limits: &Limits) -> Result<ProbedImage<B>, Rejection> {
    let metadata = catch_panic(|| read_metadata(bytes.as_ref(), limits))?;
    Ok(ProbedImage { bytes, metadata, limits: *limits, watch: Watch::default() })
}

impl<B: AsRef<[u8]>> ProbedImage<B> {
    /// Lets another thread stop the decoder.
    #[must_use]
    pub fn stopped_by(mut self, watch: Watch) -> Self {
        self.watch = watch;
        self
    }

    /// Returns the size and memory that the image's header declares.
    pub fn header(&self) -> &Header {
        &self.metadata.header
    }

    /// Rejects a format that the app can't upload.
    ///
    /// The other decoders are for photos of the data team. A presigned URL should not give access
    /// to them.
    ///
    /// # Errors
    /// `UnsupportedFormat` unless it is a JPEG, PNG or WebP.
    pub fn check_upload_format(&self) -> Result<(), Rejection> {
        match self.metadata.format {
            ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP => Ok(()),
            other => Err(format::not_for_uploads(other)),
        }
    }

    /// Returns the peak memory of [`ProbedImage::input_image`], in bytes.
    ///
    /// It is the memory to decode the image, plus the strip between the two passes of the resizer.
    /// A JPEG much larger than `side` takes less than its header's `decoded_bytes`, because it is
    /// decoded at a smaller scale.
    ///
    /// # Errors
    /// `DecodedTooLarge` if a JPEG takes more memory at its scale than the limits allow.
    pub fn memory(&self, side: u32, fit: ResizeMode) -> Result<u64, Rejection> {
        let Header { width, height, decoded_bytes } = self.stored_header();
        let Some(jpeg) = &self.metadata.jpeg else {
            return Ok(decoded_bytes + strip(side, height, self.metadata.strip_channels));
        };
        let scale = self.scale(side, fit);
        self.limits.check_memory((width, height), jpeg.memory(scale), jpeg.remedy_for_memory())?;
        let strip = |height| strip(side, height, self.metadata.strip_channels);
        let scaled = jpeg.memory(scale) + strip(scale.apply(height));
        Ok(if self.may_be_decoded_again(scale) {
            scaled.max(jpeg.memory_in_strips(Scale::FULL, fidelity::ROWS) + strip(height))
        } else {
            scaled
        })
    }

    /// Returns whether a JPEG that was decoded at a scale may have to be decoded at full size, too.
    fn may_be_decoded_again(&self, scale: Scale) -> bool {
        let may_be_decoded_again =
            |outline| fidelity::may_be_decoded_again(outline, self.bytes.as_ref().len());
        scale != Scale::FULL && self.metadata.jpeg.as_ref().is_some_and(may_be_decoded_again)
    }

    /// Returns the scale at which the image is decoded.
    pub(crate) fn scale(&self, side: u32, fit: ResizeMode) -> Scale {
        let Header { width, height, .. } = self.metadata.header;
        if self.metadata.scalable { Scale::choose(width, height, side, fit) } else { Scale::FULL }
    }

    /// Decodes the image and resizes it.
    ///
    /// # Errors
    /// Those of [`ProbedImage::memory`], `Truncated`, `Corrupt`, `UnsupportedFormat` or
    /// `DecodedTooLarge` if only the decoder can detect it, `TooSlow` if it was stopped, and
    /// `Panicked`.
    pub fn input_image(&self, side: u32, fit: ResizeMode, filter: Filter) -> Result<InputImage, Rejection> {
        catch_panic(|| {
            #[cfg(debug_assertions)]
            fault_injection::maybe_fail(self.bytes.as_ref());
            self.memory(side, fit)?;
            let (bytes, format, square) =
                (self.bytes.as_ref(), self.metadata.format, Square { side, fit, filter });
            let (header, scale) = (self.stored_header(), self.scale(side, fit));
            let mut raster = match &self.metadata.jpeg {
                Some(outline) => jpeg::decode(bytes, outline, scale)?,
                None => decode::decode(bytes, format, &header, &self.watch)?,
            };
            let conversion = colour::conversion(bytes, format, raster.channels);
            let prepare = |raster: &mut Raster| {
                if conversion.is_none() && raster.channels == 4 {
                    colour::cmyk_to_rgb(raster);
                }
            };
            prepare(&mut raster);
            let extent = (scale.apply_exactly(header.width), scale.apply_exactly(header.height));
            let mut resized = resize::to_square(raster, extent, square)?;
            if let Some(outline) = &self.metadata.jpeg
                && self.may_be_decoded_again(scale)
                && fidelity::is_nearly_grey(&resized)
            {
                resized = fidelity::square_in_full(bytes, outline, square, prepare)?;
            }
            // Converting the small square is cheap.
            let rgb = colour::to_srgb(resized, conversion.as_deref());
            // Turning the small square is cheap. It gives the same result as turning the image
            // first, because both fits keep the centre in place.
            resize::upright(side, rgb, self.metadata.orientation)
        })
    }

    /// Returns the header of the image as stored.
    fn stored_header(&self) -> Header {
        self.metadata.header.oriented(self.metadata.orientation)
    }

    /// Makes [`ProbedImage::input_image`] decode at full size.
    #[cfg(test)]
    pub(crate) fn without_scaling(mut self) -> Self {
        self.metadata.scalable = false;
        self
    }
}

fn read_metadata(bytes: &[u8], limits: &Limits) -> Result<Metadata, Rejection> {
    limits.check_bytes(bytes.len() as u64)?;
    let format = format::detect(bytes)?;
    // Checked before the decoder sees the file, which may end right after its header.
    if let Some(size) = format::declared_size(format, bytes) {
        limits.check_pixels(size)?;
    }
    let (stored, orientation, jpeg) = match format {
        ImageFormat::Jpeg => {
            let outline = jpeg::read_outline(bytes)?;
            let header = outline.header();
            // The limits come first: a photo that is too large stays too large after a new upload.
            let remedy = (!outline.is_baseline()).then(|| outline.remedy());
            limits.check_jpeg_pixels((header.width, header.height), remedy)?;
            outline.check_cost(bytes.len())?;
            outline.check_complete()?;
            (header, outline.orientation, Some(outline))
        }
        _ => {
            let (header, orientation) = if format == format::HEIF {
                let photo = heif::Photo::read(bytes)?;
                photo.check_pixels(limits)?;
                (photo.header(), photo.orientation())
            } else {
                (decode::read_header(bytes, format)?, orientation::find(bytes, format))
            };
            let size = (header.width, header.height);
            limits.check_pixels(size)?;
            limits.check_memory(size, header.decoded_bytes, "send a smaller image, or a baseline JPEG")?;
            (header, orientation, None)
        }
    };
    let channels = match &jpeg {
        Some(outline) => outline.samples_per_pixel(),
        None if format == ImageFormat::Tiff => tiff::channels(bytes)?,
        None => 3,
    };
    let strip_channels = channels.max(3);
    let header = stored.oriented(orientation);
    let scalable = jpeg.is_some();
    Ok(Metadata { format, orientation, header, jpeg, strip_channels, scalable })
}
