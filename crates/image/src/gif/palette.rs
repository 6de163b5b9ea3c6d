//! The colours of a GIF.

/// The colour of each index. Transparent pixels and those without a colour are white.
#[derive(Debug)]
pub(super) struct Palette([[u8; 3]; 256]);

impl Palette {
    pub(super) fn new(colours: &[u8], transparent: Option<u8>) -> Self {
        let mut palette = [[255; 3]; 256];
        for (entry, colour) in palette.iter_mut().zip(colours.as_chunks().0) {
            *entry = *colour;
        }
        if let Some(index) = transparent {
            palette[usize::from(index)] = [255; 3];
        }
        Self(palette)
    }

    /// Replaces the indices at the end of a buffer with RGB for the whole buffer.
    pub(super) fn expand(&self, samples: &mut [u8]) {
        let pixels = samples.len() / 3;
        let first = samples.len() - pixels;
        // The write to a pixel never reaches an index that is not yet read.
        for (from, to) in (first..).zip((0..3 * pixels).step_by(3)) {
            let colour = self.0[usize::from(samples[from])];
            samples[to..to + 3].copy_from_slice(&colour);
        }
    }

    /// Writes the colours of some indices.
    pub(super) fn write(&self, indices: &[u8], samples: &mut [u8]) {
        for (index, pixel) in indices.iter().zip(samples.as_chunks_mut().0) {
            *pixel = self.0[usize::from(*index)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_become_colours_in_place() {
        let palette = Palette::new(&[1, 2, 3, 4, 5, 6, 7, 8, 9], Some(2));
        let mut samples = [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 3];
        palette.expand(&mut samples);
        assert_eq!(samples, [4, 5, 6, 1, 2, 3, 255, 255, 255, 255, 255, 255]);
        let mut written = [0; 6];
        palette.write(&[0, 200], &mut written);
        assert_eq!(written, [1, 2, 3, 255, 255, 255]);
    }
}
