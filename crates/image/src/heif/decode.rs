//! Decodes a HEIC photo, picture by picture.

use heifer::color::{ColorParams, frame_to_rgba_into};
use heifer::heifer_hevc_dec::decoder::{DecodeOptions, decode_picture};
use heifer::heifer_isobmff::ItemId;

use super::bitstream;
use super::container::Photo;
use super::rejections::{corrupt, hevc_rejection, too_complex};
use super::transforms::Crop;
use crate::raster::{Raster, pack};
use fruitvec_core::rejection::Rejection;

/// The limit on slices × pixels, because a hostile file could let each slice cover its picture. The
/// decoder takes a second of CPU for so many pixels of one colour, which are a few kilobytes.
const MAX_SLICE_PIXELS: u64 = 160_000_000;

impl Photo<'_> {
    /// Decodes the photo to RGB, as stored.
    ///
    /// # Errors
    /// `Truncated`, `Corrupt` or `UnsupportedFormat`.
    pub(crate) fn decode(&self) -> Result<Raster, Rejection> {
        self.check_work()?;
        let (width, height) = self.tile;
        let mut pixels = vec![0; width as usize * height as usize * 4];
        let mut samples = if self.is_single() {
            self.decode_picture(self.tiles[0], &mut pixels)?;
            pack(&mut pixels, |[r, g, b, _]| [r, g, b]);
            pixels
        } else {
            self.assemble(&mut pixels)?
        };
        crop(&mut samples, self.canvas.0 as usize * 3, self.crop);
        Ok(Raster { width: self.crop.width, height: self.crop.height, channels: 3, samples })
    }

    /// Checks what the slices of all pictures can cost.
    fn check_work(&self) -> Result<(), Rejection> {
        let mut pixels = 0_u64;
        for tile in &self.tiles {
            let data = self.items.data(*tile)?;
            let units = bitstream::units(self.items.config(*tile)?, &data)?;
            let slices = bitstream::slices(&units)?;
            pixels = pixels.saturating_add(self.coded_pixels().saturating_mul(slices));
        }
        if pixels > MAX_SLICE_PIXELS { Err(too_complex()) } else { Ok(()) }
    }

    /// Decodes the pictures one after the other into `pixels`, and puts them together.
    fn assemble(&self, pixels: &mut [u8]) -> Result<Vec<u8>, Rejection> {
        let (width, height) = self.tile;
        let stride = self.canvas.0 as usize * 3;
        let mut samples = vec![0; stride * self.canvas.1 as usize];
        for (index, tile) in (0..).zip(&self.tiles) {
            self.decode_picture(*tile, pixels)?;
            let (left, top) = (index % self.columns * width, index / self.columns * height);
            let visible = width.min(self.canvas.0 - left) as usize;
            let canvas_rows = samples.chunks_exact_mut(stride).skip(top as usize);
            for (to, from) in canvas_rows.zip(pixels.chunks_exact(width as usize * 4)) {
                let to = to[left as usize * 3..].as_chunks_mut::<3>().0;
                for (to, [r, g, b, _]) in to.iter_mut().zip(&from.as_chunks::<4>().0[..visible]) {
                    *to = [*r, *g, *b];
                }
            }
        }
        Ok(samples)
    }

    /// Decodes a picture to RGBA.
    fn decode_picture(&self, tile: ItemId, pixels: &mut [u8]) -> Result<(), Rejection> {
        let (width, height) = self.tile;
        let data = self.items.data(tile)?;
        let config = self.items.config(tile)?;
        let units = bitstream::units(config, &data)?;
        bitstream::check_planes(config, self.coded_size(), &units)?;
        let stream = bitstream::stream(&units);
        let options = DecodeOptions { max_pixels: self.coded_pixels(), ..DecodeOptions::default() };
        let frame = decode_picture(&stream, options).map_err(|error| hevc_rejection(&error))?;
        if frame.widths[0] < width || frame.heights[0] < height {
            return Err(corrupt("a picture is smaller than it declares"));
        }
        // The container's word comes before that of the picture.
        let declared = self.matrix(tile).map(|(matrix, full_range)| ColorParams { matrix, full_range });
        let colours = declared.unwrap_or_else(|| ColorParams::from_frame(&frame));
        let mut rows: Vec<_> = pixels.chunks_exact_mut(width as usize * 4).collect();
        frame_to_rgba_into(&frame, colours, &mut rows, width as usize, height as usize);
        Ok(())
    }
}

/// Moves the rows of a crop to the front, and drops the rest.
fn crop(samples: &mut Vec<u8>, stride: usize, crop: Crop) {
    let (left, length) = (crop.left as usize * 3, crop.width as usize * 3);
    for row in 0..crop.height as usize {
        let start = (crop.top as usize + row) * stride + left;
        samples.copy_within(start..start + length, row * length);
    }
    samples.truncate(crop.height as usize * length);
}
