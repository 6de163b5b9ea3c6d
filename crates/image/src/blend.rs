//! Blends samples of 8 bits over a white background.

/// Returns (c·a + 255·(255 − a)) / 255, rounded to the nearest integer.
pub(crate) fn over_white(sample: u8, alpha: u8) -> u8 {
    // Exact division by 255 without a division, for every sum of this form.
    let sum = u32::from(sample) * u32::from(alpha) + 255 * (255 - u32::from(alpha)) + 128;
    ((sum + (sum >> 8)) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blending_over_white_is_rounded_to_the_nearest_integer() {
        for (sample, alpha) in (0..=255).flat_map(|sample| (0..=255).map(move |alpha| (sample, alpha))) {
            let (c, a) = (f64::from(sample), f64::from(alpha));
            let exact = (c * a + 255.0 * (255.0 - a)) / 255.0;
            assert_eq!(over_white(sample, alpha), exact.round() as u8, "{sample}, {alpha}");
        }
    }
}
