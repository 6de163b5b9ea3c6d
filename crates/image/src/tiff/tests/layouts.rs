//! Any layout of samples decodes to the pixels that were stored.

use std::io::Write;

use flate2::Compression as Level;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;

use super::builder::{Field, Tiff};
use crate::raster::Raster;
use crate::tiff::{decode, read_header};

/// How a random image is stored.
#[derive(Debug, Clone)]
struct Case {
    size: (u32, u32),
    photometric: u16,
    bits: u16,
    /// The kinds of the samples after those of the colour.
    extra: Vec<u16>,
    planar: bool,
    /// The size of a tile, or the rows of a strip.
    tile: Option<(u32, u32)>,
    rows: u32,
    compression: u16,
    predictor: bool,
    reversed_bits: bool,
    order: usize,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let extra = prop::collection::vec(0_u16..3, 0..3);
    let samples =
        (0_u16..3, prop::sample::select(vec![1, 2, 4, 8, 10, 12, 16, 24, 32]), extra, any::<bool>());
    let tile = prop::option::of((1_u32..40, 1_u32..40));
    let compressions = prop::sample::select(vec![1, 5, 8, 32773, 50000]);
    let storage = (tile, 1_u32..40, compressions, any::<bool>(), any::<bool>(), 0_usize..3, any::<u64>());
    ((1_u32..40, 1_u32..40), samples, storage).prop_map(|(size, samples, storage)| {
        let (photometric, bits, extra, planar) = samples;
        let (tile, rows, compression, predictor, reversed_bits, order, seed) = storage;
        let predictor = predictor && matches!(bits, 8 | 16 | 32) && matches!(compression, 5 | 8 | 50000);
        Case {
            size,
            photometric,
            bits,
            extra,
            planar,
            tile,
            rows,
            compression,
            predictor,
            reversed_bits,
            order,
            seed,
        }
    })
}

impl Case {
    fn colours(&self) -> usize {
        if self.photometric == 2 { 3 } else { 1 }
    }

    fn samples(&self) -> usize {
        self.colours() + self.extra.len()
    }

    /// Returns the value of a sample. Outside the image, it is the padding of a tile.
    fn sample(&self, x: u32, y: u32, sample: usize) -> u64 {
        let position = (u64::from(x) << 32 | u64::from(y) << 8 | sample as u64) ^ self.seed;
        position.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - self.bits)
    }

    fn file(&self) -> Vec<u8> {
        let (width, height) = self.size;
        let bits = vec![self.bits; self.samples()];
        let tiff = vec![Tiff::little(), Tiff::big_endian(), Tiff::bigtiff()].swap_remove(self.order);
        let mut tiff = tiff
            .image(self.size, self.photometric, &bits)
            .with(259, Field::Short(&[self.compression]))
            .with(266, Field::Short(&[1 + u16::from(self.reversed_bits)]))
            .with(284, Field::Short(&[1 + u16::from(self.planar)]))
            .with(317, Field::Short(&[1 + u16::from(self.predictor)]));
        if !self.extra.is_empty() {
            tiff = tiff.with(338, Field::Short(&self.extra));
        }
        let chunk = self.tile.unwrap_or((width, self.rows));
        let planes = if self.planar {
            (0..self.samples()).map(|plane| vec![plane]).collect()
        } else {
            vec![(0..self.samples()).collect()]
        };
        let mut chunks = Vec::new();
        for plane in &planes {
            for top in (0..height).step_by(chunk.1 as usize) {
                for left in (0..width).step_by(chunk.0 as usize) {
                    // The last strip is shorter, tiles are padded.
                    let bottom = if self.tile.is_some() { top + chunk.1 } else { height.min(top + chunk.1) };
                    chunks.push(self.chunk(plane, left..left + chunk.0, top..bottom));
                }
            }
        }
        if self.tile.is_some() {
            tiff.tiles(chunk, chunks).bytes()
        } else {
            tiff.strips(self.rows, chunks).bytes()
        }
    }

    fn chunk(&self, plane: &[usize], columns: std::ops::Range<u32>, rows: std::ops::Range<u32>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for y in rows {
            let values =
                columns.clone().flat_map(|x| plane.iter().map(move |sample| self.sample(x, y, *sample)));
            let values: Vec<u64> = values.collect();
            let left = |index: usize| if index < plane.len() { 0 } else { values[index - plane.len()] };
            let stored = values.iter().enumerate().map(|(index, value)| {
                if self.predictor { value.wrapping_sub(left(index)) & ((1 << self.bits) - 1) } else { *value }
            });
            bytes.extend(self.pack(&stored.collect::<Vec<_>>()));
        }
        let mut compressed = compress(&bytes, self.compression);
        if self.reversed_bits {
            compressed.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        compressed
    }

    fn pack(&self, values: &[u64]) -> Vec<u8> {
        if matches!(self.bits, 16 | 24 | 32) {
            let size = usize::from(self.bits / 8);
            return values
                .iter()
                .flat_map(|value| {
                    let little = value.to_le_bytes();
                    let big = value.to_be_bytes();
                    if self.order == 1 { big[8 - size..].to_vec() } else { little[..size].to_vec() }
                })
                .collect();
        }
        let bits: String =
            values.iter().map(|value| format!("{value:0width$b}", width = usize::from(self.bits))).collect();
        from_bits(&bits)
    }

    /// Returns the pixel that readers show.
    fn expected(&self, x: u32, y: u32) -> Vec<u8> {
        let byte = |sample| {
            let value = self.sample(x, y, sample);
            if self.bits < 8 {
                (value * 255 / ((1 << self.bits) - 1)) as u8
            } else {
                (value >> (self.bits - 8)) as u8
            }
        };
        let alpha = self.extra.iter().position(|kind| *kind > 0);
        let alpha = alpha.map(|at| (f64::from(byte(self.colours() + at)), self.extra[at] == 1));
        let colour = |sample| {
            let stored = f64::from(byte(sample));
            let shown = if self.photometric == 0 { 255.0 - stored } else { stored };
            let over_white = match alpha {
                None => shown,
                // White ink that is multiplied by alpha is no ink.
                Some((_, true)) if self.photometric == 0 => shown,
                Some((alpha, true)) => (shown + 255.0 - alpha).min(255.0),
                Some((alpha, false)) => (shown * alpha + 255.0 * (255.0 - alpha)) / 255.0,
            };
            over_white.round() as u8
        };
        (0..self.colours()).map(colour).collect()
    }
}

/// Packs a text of zeros and ones into bytes.
pub(super) fn from_bits(bits: &str) -> Vec<u8> {
    let byte = |bits: &[u8]| {
        bits.iter().enumerate().fold(0, |byte, (index, bit)| byte | (bit - b'0') << (7 - index))
    };
    bits.as_bytes().chunks(8).map(byte).collect()
}

pub(super) fn compress(bytes: &[u8], compression: u16) -> Vec<u8> {
    match compression {
        5 => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(bytes).unwrap(),
        8 => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Level::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        32773 => bytes.chunks(128).flat_map(|run| [&[run.len() as u8 - 1], run].concat()).collect(),
        50000 => zstd::encode_all(bytes, 1).unwrap(),
        _ => bytes.to_vec(),
    }
}

/// Decodes a file, of which the header must pass first.
pub(super) fn decoded(file: &[u8]) -> Raster {
    read_header(file).unwrap();
    decode(file).unwrap()
}

proptest! {
    #[test]
    fn every_layout_decodes_to_its_pixels(case in cases()) {
        let raster = decoded(&case.file());
        let (width, height) = case.size;
        let expected: Vec<u8> =
            (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| case.expected(x, y)).collect();
        prop_assert_eq!((raster.width, raster.height, raster.channels as usize), (width, height, case.colours()));
        prop_assert_eq!(raster.samples, expected);
    }

    #[test]
    fn floating_point_samples_decode_with_their_predictor(
        values in prop::collection::vec(0_u8..=255, 1..60),
        (bits, predictor, big_endian) in (prop::sample::select(vec![16_u16, 32, 64]), 1_u16..=3, any::<bool>()),
        heights in 0_usize..5,
    ) {
        prop_assume!(predictor != 2);
        let tiff = if big_endian { Tiff::big_endian() } else { Tiff::little() };
        let size = usize::from(bits / 8);
        // Samples that are not colours may have any value, and don't count as outliers.
        let pixels = values.iter().map(|value| f64::from(*value) / 255.0);
        let pixels = pixels.flat_map(|value| std::iter::once(value).chain(std::iter::repeat_n(9000.0, heights)));
        let numbers: Vec<Vec<u8>> = pixels.map(|value| float_bytes(value, bits)).collect();
        let row: Vec<u8> = if predictor == 3 {
            let sorted: Vec<u8> = (0..size).flat_map(|byte| numbers.iter().map(move |number| number[byte])).collect();
            let left = [&vec![0; 1 + heights], &sorted[..sorted.len() - 1 - heights]].concat();
            sorted.iter().zip(left).map(|(byte, left)| byte.wrapping_sub(left)).collect()
        } else {
            let ordered = |mut number: Vec<u8>| { if !big_endian { number.reverse(); } number };
            numbers.into_iter().flat_map(ordered).collect()
        };
        let file = tiff
            .image((values.len() as u32, 1), 1, &vec![bits; 1 + heights])
            .with(259, Field::Short(&[8]))
            .with(317, Field::Short(&[predictor]))
            .with(338, Field::Short(&vec![0; heights]))
            .with(339, Field::Short(&[3]))
            .strips(1, vec![compress(&row, 8)])
            .bytes();
        let tolerance = if bits == 16 { 1 } else { 0 };
        let found = decoded(&file).samples;
        prop_assert!(found.iter().zip(&values).all(|(a, b)| a.abs_diff(*b) <= tolerance), "{:?}", found);
    }
}

/// Returns the bytes of a number from 0 to 1, the highest first.
fn float_bytes(value: f64, bits: u16) -> Vec<u8> {
    match bits {
        16 if value == 0.0 => vec![0, 0],
        16 => {
            // The exponent of a half has an offset of 15, and the fraction has 10 bits.
            let exponent = value.log2().floor();
            let fraction = ((value / exponent.exp2() - 1.0) * 1024.0) as u16;
            (((exponent + 15.0) as u16) << 10 | fraction).to_be_bytes().to_vec()
        }
        32 => (value as f32).to_be_bytes().to_vec(),
        _ => value.to_be_bytes().to_vec(),
    }
}
