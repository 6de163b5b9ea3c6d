//! Spreads chroma samples that several pixels share (TIFF 6.0, section 21).

/// Expands units of `across` × `down` brightnesses and two chroma samples to rows of three samples.
///
/// `rows` has space for `down` rows of `width` pixels. What is stored after them is padding.
pub(super) fn expand(stored: &[u8], (across, down): (usize, usize), width: usize, rows: &mut [u8]) {
    let unit = across * down + 2;
    for (column, unit) in stored.chunks_exact(unit).take(width.div_ceil(across)).enumerate() {
        let (brightnesses, chroma) = unit.split_at(across * down);
        for (index, brightness) in brightnesses.iter().enumerate() {
            let (x, y) = (column * across + index % across, index / across);
            if x < width {
                let at = 3 * (y * width + x);
                rows[at..at + 3].copy_from_slice(&[*brightness, chroma[0], chroma[1]]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pixels_of_a_unit_share_its_chroma() {
        let mut rows = [0; 18];
        expand(&[1, 2, 3, 4, 50, 60, 5, 6, 7, 8, 70, 80], (2, 2), 3, &mut rows);
        let first = [1, 50, 60, 2, 50, 60, 5, 70, 80];
        let second = [3, 50, 60, 4, 50, 60, 7, 70, 80];
        assert_eq!(rows[..], [first, second].concat());
    }
}
