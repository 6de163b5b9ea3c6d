//! Bounds the units of an HEVC bitstream (ITU-T H.265, section 7.4.2).

use heifer::heifer_hevc_dec::nal::NalUnit;
use heifer::heifer_hevc_dec::params::ParameterSets;
use heifer::heifer_isobmff::boxes::HevcConfig;
use memchr::memmem;

use super::rejections::{corrupt, hevc_rejection, too_complex};
use fruitvec_core::rejection::Rejection;

/// The limit on units, most of which are parameters. Encoders write fewer than ten.
const MAX_UNITS: usize = 64;
/// The limit on slices of a picture.
const MAX_SLICES: usize = 8;
/// What separates units in the decoder's input. Encoders let it appear nowhere else.
const START_CODE: &[u8] = &[0, 0, 1];
/// The types of units below this one are slices.
const FIRST_OTHER_TYPE: u8 = 32;

/// The type of the units that declare the layout of the planes.
const SEQUENCE_PARAMETERS: u8 = 33;

/// Returns the bytes of a pixel in planes of 16-bit samples.
pub(super) fn plane_bytes(chroma_format: u8) -> u64 {
    match chroma_format {
        0 => 2,
        1 => 3,
        2 => 4,
        _ => 6,
    }
}

/// Returns the units of a picture: those in its configuration, and those in `data`, each with its
/// length in front.
///
/// # Errors
/// `UnsupportedFormat` for more units than encoders write, and `Corrupt`.
pub(super) fn units<'a>(config: &'a HevcConfig, data: &'a [u8]) -> Result<Vec<&'a [u8]>, Rejection> {
    let damaged = || corrupt("a picture ends inside a unit");
    let mut units: Vec<&[u8]> = config.nal_units.iter().map(Vec::as_slice).collect();
    let mut rest = data;
    while !rest.is_empty() && units.len() <= MAX_UNITS {
        let prefix = usize::from(config.nal_length_size);
        let (length, tail) = rest.split_at_checked(prefix).ok_or_else(damaged)?;
        let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let (unit, tail) = tail.split_at_checked(length).ok_or_else(damaged)?;
        units.push(unit);
        rest = tail;
    }
    if units.len() > MAX_UNITS {
        return Err(too_complex());
    }
    // The decoder would take the rest of the unit for another one, which nobody has checked.
    if units.iter().any(|unit| memmem::find(unit, START_CODE).is_some()) {
        return Err(corrupt("a unit contains the start of another"));
    }
    Ok(units)
}

/// Returns the number of slices.
///
/// # Errors
/// `UnsupportedFormat` for more slices than encoders write.
pub(super) fn slices(units: &[&[u8]]) -> Result<u64, Rejection> {
    let slices = units.iter().filter(|unit| kind(unit).is_some_and(|kind| kind < FIRST_OTHER_TYPE)).count();
    if slices > MAX_SLICES { Err(too_complex()) } else { Ok(slices as u64) }
}

/// Returns units as the decoder reads them, each after a start code.
pub(super) fn stream(units: &[&[u8]]) -> Vec<u8> {
    units.iter().flat_map(|unit| [&[0], START_CODE, *unit]).collect::<Vec<_>>().concat()
}

fn kind(unit: &[u8]) -> Option<u8> {
    unit.first().map(|first| first >> 1 & 0x3F)
}

/// Checks that the planes are no larger than the container declares, by which memory is reserved.
/// `size` is the limit on their width and height.
pub(super) fn check_planes(config: &HevcConfig, size: (u64, u64), units: &[&[u8]]) -> Result<(), Rejection> {
    for unit in units.iter().filter(|unit| kind(unit) == Some(SEQUENCE_PARAMETERS)) {
        let mut sets = ParameterSets::default();
        let added = NalUnit::parse(unit).and_then(|unit| sets.add(&unit));
        added.map_err(|error| hevc_rejection(&error))?;
        for parameters in sets.sps.iter().flatten() {
            if plane_bytes(parameters.chroma_format_idc) > plane_bytes(config.chroma_format) {
                return Err(corrupt("a picture has other planes than it declares"));
            }
            let (width, height) =
                (parameters.pic_width_in_luma_samples, parameters.pic_height_in_luma_samples);
            if u64::from(width) > size.0 || u64::from(height) > size.1 {
                return Err(corrupt("a picture is larger than it declares"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fruitvec_core::rejection::RejectCode;

    /// Checks units of this first byte, each of two bytes.
    fn check_units(first: u8, count: usize) -> Option<RejectCode> {
        let config = HevcConfig {
            profile_idc: 1,
            level_idc: 30,
            chroma_format: 1,
            bit_depth_luma: 8,
            bit_depth_chroma: 8,
            nal_length_size: 1,
            nal_units: vec![vec![0x40, 1]; 3],
        };
        let data = [2, first, 1].repeat(count);
        units(&config, &data).and_then(|units| slices(&units)).err().map(|rejection| rejection.code)
    }

    #[test]
    fn a_picture_has_few_slices_and_units() {
        const SLICE: u8 = 19 << 1;
        const MESSAGE: u8 = 39 << 1;
        assert_eq!(check_units(SLICE, MAX_SLICES), None);
        assert_eq!(check_units(SLICE, MAX_SLICES + 1), Some(RejectCode::UnsupportedFormat));
        assert_eq!(check_units(MESSAGE, MAX_UNITS - 3), None);
        assert_eq!(check_units(MESSAGE, MAX_UNITS - 2), Some(RejectCode::UnsupportedFormat));
    }
}
