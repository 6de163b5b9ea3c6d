//! Converts a stored row to samples of 8 bits.

use super::directory::ByteOrder;
use super::layout::{Layout, Predictor};
use super::photometric::Photometric;

/// Converts rows of one image.
#[derive(Debug)]
pub(super) struct Unpacker {
    bits: u32,
    is_float: bool,
    /// Whether samples are positions in a palette, which are not scaled.
    is_index: bool,
    order: ByteOrder,
    predictor: Predictor,
    /// Samples per pixel in a row.
    samples: usize,
    /// Floating-point samples outside the range from 0 to 1.
    pub(super) outliers: u64,
}

impl Unpacker {
    pub(super) fn new(layout: &Layout, order: ByteOrder) -> Self {
        Self {
            bits: layout.bits,
            is_float: layout.is_float,
            is_index: layout.photometric == Photometric::Palette,
            order,
            predictor: layout.predictor,
            samples: layout.samples_per_plane(),
            outliers: 0,
        }
    }

    /// Converts a row, and writes its samples to every `step`th byte of the target. `row` is
    /// overwritten.
    pub(super) fn unpack(&mut self, row: &mut [u8], target: &mut [u8], step: usize) {
        let order = match self.predictor {
            Predictor::None => self.order,
            Predictor::Difference => {
                self.add_differences(row);
                self.order
            }
            Predictor::FloatDifference => {
                self.add_float_differences(row);
                ByteOrder::Big
            }
        };
        let target = target.iter_mut().step_by(step);
        let size = self.bits as usize / 8;
        // The byte of a number that has its upper bits.
        let upper = if order == ByteOrder::Big { 0 } else { size.saturating_sub(1) };
        match self.bits {
            16 | 32 | 64 if self.is_float => {
                for (target, sample) in target.zip(row.chunks_exact(size)) {
                    let value = float(order.number(sample), self.bits);
                    self.outliers += u64::from(!(0.0..=1.0).contains(&value));
                    // The cast saturates, and turns NaN into 0.
                    *target = (value * 255.0 + 0.5) as u8;
                }
            }
            8 => target.zip(&*row).for_each(|(target, sample)| *target = *sample),
            16 | 24 | 32 => {
                // 16-bit samples lose their lower byte, as in Pillow's conversion to RGB.
                target.zip(row.chunks_exact(size)).for_each(|(target, sample)| *target = sample[upper]);
            }
            _ => self.unpack_bits(row, target),
        }
    }

    /// Unpacks samples of any number of bits, of which the highest come first in either byte order.
    fn unpack_bits<'t>(&self, row: &[u8], target: impl Iterator<Item = &'t mut u8>) {
        let largest = (1_u64 << self.bits) - 1;
        let (mut buffer, mut available) = (0_u64, 0);
        let mut bytes = row.iter();
        for target in target {
            while available < self.bits {
                buffer = buffer << 8 | u64::from(bytes.next().copied().unwrap_or(0));
                available += 8;
            }
            available -= self.bits;
            let sample = buffer >> available & largest;
            *target = match self.bits {
                _ if self.is_index => sample as u8,
                0..8 => (sample * 255 / largest) as u8,
                _ => (sample >> (self.bits - 8)) as u8,
            };
        }
    }

    fn add_differences(&self, row: &mut [u8]) {
        let size = self.bits as usize / 8;
        let distance = self.samples * size;
        if size == 1 {
            for at in distance..row.len() {
                row[at] = row[at].wrapping_add(row[at - distance]);
            }
            return;
        }
        if size == 2 {
            return match self.order {
                ByteOrder::Little => add_shorts(row, distance, u16::from_le_bytes, u16::to_le_bytes),
                ByteOrder::Big => add_shorts(row, distance, u16::from_be_bytes, u16::to_be_bytes),
            };
        }
        for at in (distance..row.len() / size * size).step_by(size) {
            let left = self.order.number(&row[at - distance..][..size]);
            let sum = self.order.number(&row[at..][..size]).wrapping_add(left);
            let bytes = sum.to_le_bytes();
            row[at..at + size].copy_from_slice(&bytes[..size]);
            if self.order == ByteOrder::Big {
                row[at..at + size].reverse();
            }
        }
    }

    /// Adds the differences of bytes, and collects those of each number (Adobe's TIFF Technical
    /// Note 3).
    fn add_float_differences(&self, row: &mut [u8]) {
        for at in self.samples..row.len() {
            row[at] = row[at].wrapping_add(row[at - self.samples]);
        }
        let size = self.bits as usize / 8;
        let (sorted, numbers) = (row.to_vec(), row.len() / size);
        for (index, number) in row.chunks_exact_mut(size).enumerate() {
            for (byte, value) in number.iter_mut().enumerate() {
                *value = sorted[byte * numbers + index];
            }
        }
    }
}

/// Adds differences of 16-bit numbers, of which there can be hundreds of millions.
fn add_shorts(
    row: &mut [u8],
    distance: usize,
    read: impl Fn([u8; 2]) -> u16,
    write: impl Fn(u16) -> [u8; 2],
) {
    for at in (distance..row.len() / 2 * 2).step_by(2) {
        let left = read([row[at - distance], row[at - distance + 1]]);
        let sum = read([row[at], row[at + 1]]).wrapping_add(left);
        row[at..at + 2].copy_from_slice(&write(sum));
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
