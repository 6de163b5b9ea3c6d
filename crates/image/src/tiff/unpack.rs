//! Converts a stored row to samples of 8 bits.

use super::directory::ByteOrder;
use super::layout::{Layout, Predictor};
use super::photometric::Photometric;

/// Converts rows of one image.
#[derive(Debug)]
pub(super) struct Unpacker {
    bits: u32,
    is_float: bool,
    /// The brightness, or the position in a palette, for each value of less than 8 bits.
    levels: Vec<u8>,
    order: ByteOrder,
    predictor: Predictor,
    /// Samples per pixel in a row.
    samples: usize,
    /// The positions in the pixel of the samples that are decoded.
    used: Vec<usize>,
    /// How many of them are colours.
    colours: usize,
    planar: bool,
    /// Floating-point colours outside the range from 0 to 1.
    pub(super) outliers: u64,
}

impl Unpacker {
    pub(super) fn new(layout: &Layout, order: ByteOrder) -> Self {
        let largest = (1_u32 << layout.bits.min(8)) - 1;
        let is_index = layout.photometric == Photometric::Palette;
        let level = |value: u32| if is_index { value } else { value * 255 / largest };
        Self {
            bits: layout.bits,
            is_float: layout.is_float,
            levels: (0..=largest).map(|value| level(value) as u8).collect(),
            order,
            predictor: layout.predictor,
            samples: layout.samples_per_plane(),
            used: layout.used().collect(),
            colours: layout.photometric.samples(),
            planar: layout.planar,
            outliers: 0,
        }
    }

    /// Converts as many pixels of a row as the target holds. `row` is overwritten.
    ///
    /// A pixel of the target consists of the samples that are used. A row of a plane has one of
    /// them.
    pub(super) fn unpack(&mut self, plane: usize, row: &mut [u8], target: &mut [u8]) {
        if self.predictor == Predictor::FloatDifference {
            add_float_differences(row, self.samples);
        }
        if self.planar {
            return self.unpack_sample(plane, 0, row, target);
        }
        if self.bits == 8 && self.predictor == Predictor::None && self.used.len() == self.samples {
            return target.copy_from_slice(&row[..target.len()]);
        }
        for index in 0..self.used.len() {
            self.unpack_sample(index, self.used[index], row, target);
        }
    }

    /// Converts the samples at a position of the pixels, to those at `index` of the target's.
    fn unpack_sample(&mut self, index: usize, position: usize, row: &[u8], target: &mut [u8]) {
        let target = target[index..].iter_mut().step_by(self.used.len());
        let size = self.bits as usize / 8;
        if !self.bits.is_multiple_of(8) {
            return self.unpack_bits(position, row, target);
        }
        let (order, shift) = (self.order, self.bits - 8);
        let samples = row.chunks_exact(size * self.samples).map(|pixel| &pixel[position * size..][..size]);
        match self.predictor {
            Predictor::FloatDifference => {
                let numbers = row.len() / size;
                let positions = (position..numbers).step_by(self.samples);
                let byte = |index, at| u64::from(row[index * numbers + at]);
                let values = positions.map(|at| match size {
                    // The largest image has the most of these.
                    2 => byte(0, at) << 8 | byte(1, at),
                    _ => (0..size).fold(0, |number, index| number << 8 | byte(index, at)),
                });
                self.unpack_floats(index, values, target);
            }
            Predictor::None if self.is_float => {
                self.unpack_floats(index, samples.map(|sample| order.number(sample)), target);
            }
            Predictor::None => {
                // 16-bit samples lose their lower byte, as in Pillow's conversion to RGB.
                let upper = if order == ByteOrder::Big { 0 } else { size - 1 };
                target.zip(samples).for_each(|(target, sample)| *target = sample[upper]);
            }
            Predictor::Difference => {
                let values = samples.scan(0_u64, |sum, sample| {
                    *sum = sum.wrapping_add(order.number(sample));
                    Some(*sum)
                });
                if self.is_float {
                    return self.unpack_floats(index, values, target);
                }
                target.zip(values).for_each(|(target, value)| *target = (value >> shift) as u8);
            }
        }
    }

    /// Converts numbers whose lower bits are those of a floating-point number.
    fn unpack_floats<'t>(
        &mut self,
        index: usize,
        values: impl Iterator<Item = u64>,
        target: impl Iterator<Item = &'t mut u8>,
    ) {
        let mut outliers = 0;
        for (target, bits) in target.zip(values) {
            let value = float(bits, self.bits);
            outliers += u64::from(!(0.0..=1.0).contains(&value));
            // The cast saturates, and turns NaN into 0.
            *target = (value * 255.0 + 0.5) as u8;
        }
        if index < self.colours {
            self.outliers += outliers;
        }
    }

    /// Unpacks samples of any number of bits, of which the highest come first in either byte order.
    fn unpack_bits<'t>(&self, position: usize, row: &[u8], target: impl Iterator<Item = &'t mut u8>) {
        let bits = self.bits as usize;
        let largest = (1_u64 << bits) - 1;
        let starts = (position * bits..).step_by(self.samples * bits);
        for (target, start) in target.zip(starts) {
            let bytes = &row[start / 8..(start + bits).div_ceil(8)];
            let after = 8 * bytes.len() - start % 8 - bits;
            let sample = ByteOrder::Big.number(bytes) >> after & largest;
            *target = if bits < 8 { self.levels[sample as usize] } else { (sample >> (bits - 8)) as u8 };
        }
    }
}

/// Adds the differences of bytes. The first bytes of all numbers come first, then the second ones
/// (Adobe's TIFF Technical Note 3).
fn add_float_differences(row: &mut [u8], distance: usize) {
    match distance {
        1 => add_bytes::<1>(row),
        3 => add_bytes::<3>(row),
        4 => add_bytes::<4>(row),
        _ => (distance..row.len()).for_each(|at| row[at] = row[at].wrapping_add(row[at - distance])),
    }
}

/// Adds differences of bytes without reading back what was just written.
fn add_bytes<const DISTANCE: usize>(row: &mut [u8]) {
    let mut sums = [0_u8; DISTANCE];
    let (groups, rest) = row.as_chunks_mut::<DISTANCE>();
    for bytes in groups.iter_mut().map(|group| &mut group[..]).chain([rest]) {
        for (sum, byte) in sums.iter_mut().zip(bytes) {
            *sum = sum.wrapping_add(*byte);
            *byte = *sum;
        }
    }
}

/// Interprets the bits of a floating-point number.
fn float(bits: u64, width: u32) -> f32 {
    match width {
        16 => half(bits as u16),
        32 => f32::from_bits(bits as u32),
        _ => f64::from_bits(bits) as f32,
    }
}

/// Interprets the bits of a number of half precision. Infinity and NaN become large numbers.
fn half(bits: u16) -> f32 {
    // In single precision the exponent has an offset of 127 instead of 15.
    let offset = f32::from_bits((127 + 127 - 15) << 23);
    let magnitude = f32::from_bits(u32::from(bits & 0x7FFF) << 13) * offset;
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}
