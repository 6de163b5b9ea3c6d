//! CMYK without a profile.

use crate::raster::{Raster, pack};

/// Converts CMYK samples, of which 255 means no ink, to RGB by a formula.
pub(crate) fn to_rgb(raster: &mut Raster) {
    pack(&mut raster.samples, |[c, m, y, k]| [c, m, y].map(|ink| over_black(ink, k)));
    raster.channels = 3;
}

/// Returns ink · black / 255, rounded to the nearest integer.
fn over_black(ink: u8, black: u8) -> u8 {
    // Exact division by 255 without a division, for every product of two bytes.
    let product = u32::from(ink) * u32::from(black) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ink_over_black_is_rounded_to_the_nearest_integer() {
        for (ink, black) in (0..=255).flat_map(|ink| (0..=255).map(move |black| (ink, black))) {
            let exact = f64::from(ink) * f64::from(black) / 255.0;
            assert_eq!(over_black(ink, black), exact.round() as u8, "{ink}, {black}");
        }
    }
}
