//! Decoded pixels, and their conversion to fewer bytes per pixel in place.

/// Decoded pixels as stored, before EXIF orientation.
#[derive(Debug)]
pub(crate) struct Raster {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// 1 (greyscale), 3 (RGB) or 4 (CMYK, of which 255 means no ink).
    pub(crate) channels: u32,
    /// Rows from the top, without padding.
    pub(crate) samples: Vec<u8>,
}

/// Replaces each pixel of `IN` bytes with the `OUT` bytes that `convert` returns.
///
/// The conversion is in place, because a second buffer would add to the peak memory. Surplus bytes
/// at the end are dropped.
pub(crate) fn pack<const IN: usize, const OUT: usize>(
    samples: &mut Vec<u8>,
    convert: impl Fn([u8; IN]) -> [u8; OUT],
) {
    let length = pack_slice(samples, convert);
    samples.truncate(length);
}

/// Does the same as [`pack`] in a slice, and returns the length of the result.
pub(crate) fn pack_slice<const IN: usize, const OUT: usize>(
    samples: &mut [u8],
    convert: impl Fn([u8; IN]) -> [u8; OUT],
) -> usize {
    // Otherwise a write would overwrite pixels that are not yet read.
    const { assert!(OUT <= IN) };
    let pixels = samples.len() / IN;
    let mut pixel = [0; IN];
    for index in 0..pixels {
        pixel.copy_from_slice(&samples[index * IN..][..IN]);
        samples[index * OUT..][..OUT].copy_from_slice(&convert(pixel));
    }
    pixels * OUT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_is_converted_in_order() {
        let mut samples = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        pack(&mut samples, |[a, b, c, d]| [d, a + b + c]);
        assert_eq!(samples, [4, 6, 8, 18, 12, 30]);
    }

    #[test]
    fn pixels_may_keep_their_size() {
        let mut samples = vec![1, 2, 3, 4];
        pack(&mut samples, |[a, b]| [b, a]);
        assert_eq!(samples, [2, 1, 4, 3]);
    }

    #[test]
    fn an_incomplete_last_pixel_is_dropped() {
        let mut samples = vec![1, 2, 3, 4, 5];
        pack(&mut samples, |[a, b]| [a.max(b)]);
        assert_eq!(samples, [2, 4]);
        let mut samples = vec![1];
        pack(&mut samples, |[a, b]| [a.max(b)]);
        assert!(samples.is_empty());
    }
}
