//! Limits on the resources that one photo may use.

use std::time::Duration;

use crate::rejection::{RejectCode, Rejection};

/// The limit on the longer side of an image, in pixels. It is the same as libjpeg's.
///
/// Without it, an image one pixel wide and millions high would pass the pixel limit but exhaust the
/// resizer's memory.
pub const LONGEST_SIDE: u32 = 65_500;

/// Per-photo resource limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// File size, in bytes.
    pub bytes: u64,
    /// Width × height.
    pub pixels: u64,
    /// Peak memory of decoding, in bytes.
    pub decoded_bytes: u64,
    /// Time to decode and embed, excluding waits for memory or a thread.
    pub time: Duration,
}

impl Default for Limits {
    /// Returns 25 MiB of file, 64 million pixels, 256 MiB of memory and 20 seconds.
    fn default() -> Self {
        Self { bytes: 25 << 20, pixels: 64_000_000, decoded_bytes: 256 << 20, time: Duration::from_secs(20) }
    }
}

impl Limits {
    /// Returns the peak memory, in bytes, to decode the largest photo within these limits and
    /// resize it to `side` pixels.
    #[must_use]
    pub fn memory(&self, side: u32) -> u64 {
        // The decoded image and the half-resized one exist at the same time, the latter with up to
        // four channels (CMYK).
        self.decoded_bytes + strip(side, LONGEST_SIDE, 4)
    }

    /// Returns the rejection of a photo that took longer than `time`.
    #[must_use]
    pub fn too_slow(time: Duration) -> Rejection {
        let seconds = (time.as_secs_f64() * 10.0).round() / 10.0;
        let message = format!(
            "decoding and embedding took more than {seconds} s; export the image again, as a plain JPEG"
        );
        Rejection::new(RejectCode::TooSlow, message)
    }

    /// Rejects a file by its size, before any of it is read.
    ///
    /// # Errors
    /// `TooManyBytes`.
    pub fn check_bytes(&self, bytes: u64) -> Result<(), Rejection> {
        if bytes <= self.bytes {
            return Ok(());
        }
        let message =
            format!("{bytes} bytes; the limit is {}; send a smaller or more compressed image", self.bytes);
        Err(Rejection::new(RejectCode::TooManyBytes, message))
    }

    /// Returns the limit on the pixels of a baseline JPEG: 250 million by default.
    ///
    /// It is larger, because its decoder keeps only a few rows, and skips most of the work on a
    /// large photo.
    #[must_use]
    pub fn baseline_pixels(&self) -> u64 {
        self.pixels.saturating_mul(250) / 64
    }

    /// Rejects an image whose header declares no pixels, too many pixels, or too long a side.
    ///
    /// # Errors
    /// `Corrupt` or `TooManyPixels`.
    pub fn check_pixels(&self, size: (u32, u32)) -> Result<(), Rejection> {
        check_pixels(size, self.pixels, "send a smaller image")
    }

    /// Rejects a JPEG like [`Limits::check_pixels`]. Unless the higher limit of a baseline JPEG
    /// applies to it, `remedy` says how to save it so that it does.
    ///
    /// # Errors
    /// `Corrupt` or `TooManyPixels`.
    pub fn check_jpeg_pixels(&self, size: (u32, u32), remedy: Option<&str>) -> Result<(), Rejection> {
        const SMALLER: &str = "send a smaller image";
        match remedy {
            None => check_pixels(size, self.baseline_pixels(), SMALLER),
            Some(remedy) if pixels(size) <= self.baseline_pixels() => {
                check_pixels(size, self.pixels, &format!("{remedy}, or {SMALLER}"))
            }
            Some(_) => check_pixels(size, self.pixels, SMALLER),
        }
    }

    /// Rejects an image that takes too much memory to decode. `remedy` says how it takes less.
    ///
    /// # Errors
    /// `DecodedTooLarge`.
    pub fn check_memory(
        &self,
        (width, height): (u32, u32),
        decoded_bytes: u64,
        remedy: &str,
    ) -> Result<(), Rejection> {
        if decoded_bytes <= self.decoded_bytes {
            return Ok(());
        }
        let message = format!(
            "{width}×{height} pixels take {decoded_bytes} bytes to decode; the limit is {}; {remedy}",
            self.decoded_bytes
        );
        Err(Rejection::new(RejectCode::DecodedTooLarge, message))
    }
}

fn pixels((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

fn check_pixels(size: (u32, u32), limit: u64, remedy: &str) -> Result<(), Rejection> {
    let ((width, height), pixels) = (size, pixels(size));
    if pixels == 0 {
        let message = format!("the header declares {width}×{height} pixels; export the image again");
        return Err(Rejection::new(RejectCode::Corrupt, message));
    }
    if width.max(height) > LONGEST_SIDE {
        let message =
            format!("{width}×{height} pixels; no side may exceed {LONGEST_SIDE}; send a smaller image");
        return Err(Rejection::new(RejectCode::TooManyPixels, message));
    }
    if pixels <= limit {
        return Ok(());
    }
    let message = format!("{width}×{height} = {pixels} pixels; the limit is {limit}; {remedy}");
    Err(Rejection::new(RejectCode::TooManyPixels, message))
}

/// Returns the size, in bytes, of an image that is resized horizontally but not yet vertically.
#[must_use]
pub fn strip(side: u32, height: u32, channels: u64) -> u64 {
    channels * u64::from(side) * u64::from(height)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes: 1000, pixels: 10_000, decoded_bytes: 30_000, time: Duration::MAX };

    fn code(result: Result<(), Rejection>) -> Option<RejectCode> {
        result.err().map(|rejection| rejection.code)
    }

    #[test]
    fn every_limit_is_inclusive() {
        assert_eq!(code(LIMITS.check_bytes(1000)), None);
        assert_eq!(code(LIMITS.check_bytes(1001)), Some(RejectCode::TooManyBytes));
        assert_eq!(code(LIMITS.check_pixels((100, 100))), None);
        assert_eq!(code(LIMITS.check_pixels((100, 101))), Some(RejectCode::TooManyPixels));
        assert_eq!(code(LIMITS.check_memory((100, 100), 30_000, "")), None);
        assert_eq!(code(LIMITS.check_memory((100, 100), 30_001, "")), Some(RejectCode::DecodedTooLarge));
    }

    #[test]
    fn a_baseline_jpeg_may_have_more_pixels() {
        assert_eq!(Limits::default().baseline_pixels(), 250_000_000);
        assert_eq!(LIMITS.baseline_pixels(), 39_062);
        let message = |size, remedy| LIMITS.check_jpeg_pixels(size, remedy).err().map(|it| it.message);
        assert_eq!(message((100, 390), None), None);
        assert!(message((100, 391), None).unwrap().ends_with("the limit is 39062; send a smaller image"));
        let save = Some("save it");
        assert_eq!(message((100, 100), save), None);
        let remedy = "the limit is 10000; save it, or send a smaller image";
        assert!(message((100, 390), save).unwrap().ends_with(remedy));
        assert!(message((100, 391), save).unwrap().ends_with("the limit is 10000; send a smaller image"));
    }

    #[test]
    fn an_image_without_pixels_is_corrupt() {
        assert_eq!(code(LIMITS.check_pixels((0, 7))), Some(RejectCode::Corrupt));
        assert_eq!(code(LIMITS.check_pixels((7, 0))), Some(RejectCode::Corrupt));
    }

    #[test]
    fn a_long_thin_image_is_rejected_within_the_pixel_limit() {
        let limits = Limits { pixels: u64::MAX, ..LIMITS };
        assert_eq!(code(limits.check_pixels((1, LONGEST_SIDE))), None);
        assert_eq!(code(limits.check_pixels((1, LONGEST_SIDE + 1))), Some(RejectCode::TooManyPixels));
        assert_eq!(code(limits.check_pixels((u32::MAX, u32::MAX))), Some(RejectCode::TooManyPixels));
    }

    #[test]
    fn peak_memory_includes_the_half_resized_image() {
        assert_eq!(LIMITS.memory(224), 30_000 + 4 * 224 * 65_500);
    }

    #[test]
    fn a_rejection_gives_the_value_the_limit_and_a_remedy() {
        let rejection = LIMITS.check_bytes(1001).unwrap_err();
        assert_eq!(
            rejection.message,
            "1001 bytes; the limit is 1000; send a smaller or more compressed image"
        );
    }
}
