//! The colour space of a PNG: cICP, iCCP, sRGB, or gAMA and cHRM, in this order (PNG, third
//! edition, section 4.3).

use std::io::Read;

use flate2::read::ZlibDecoder;
use moxcms::{
    Chromaticity, CicpProfile, ColorPrimaries, ColorProfile, ToneReprCurve, TransferCharacteristics, XyY,
};

use super::declared::{Declared, MAX_PROFILE_BYTES};

/// The gamma of sRGB in a gAMA chunk, and the one of all other files that mean sRGB.
const SRGB_GAMMA: u32 = 45_455;
/// The chromaticities of sRGB in a cHRM chunk: white, red, green and blue, x and y of each.
const SRGB_CHROMATICITIES: [u32; 8] = [31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000];
/// How far two chromaticities can be apart and still mean the same, in the units of a cHRM chunk.
const SAME_CHROMATICITY: u32 = 200;
/// The gammas of a gAMA chunk that are believed: from 0.1 to 10.
const PLAUSIBLE_GAMMAS: std::ops::RangeInclusive<u32> = 10_000..=1_000_000;

/// The chunks that declare a colour space, each the first of its kind.
#[derive(Default)]
struct Chunks<'a> {
    cicp: Option<&'a [u8]>,
    iccp: Option<&'a [u8]>,
    srgb: Option<&'a [u8]>,
    gama: Option<&'a [u8]>,
    chrm: Option<&'a [u8]>,
}

/// Reads the colour space that a PNG declares.
///
/// A chunk that can't be read counts as absent.
pub(super) fn colour_space(bytes: &[u8]) -> Option<Declared> {
    let chunks = Chunks::read(bytes);
    if let Some(space) = chunks.cicp.and_then(cicp) {
        return Some(Declared::Rgb(Box::new(space)));
    }
    if let Some(profile) = chunks.iccp.and_then(inflate) {
        return Some(Declared::Icc(profile));
    }
    if chunks.srgb.is_some() {
        return None;
    }
    let space = gamma_and_chromaticities(chunks.gama, chunks.chrm)?;
    Some(Declared::Rgb(Box::new(space)))
}

impl<'a> Chunks<'a> {
    /// Reads the chunks before the pixels.
    fn read(bytes: &'a [u8]) -> Self {
        let mut chunks = Self::default();
        let mut rest = bytes.get(8..).unwrap_or_default();
        while let Some((name, content, after)) = chunk(rest) {
            let slot = match name {
                b"IDAT" => break,
                b"cICP" => &mut chunks.cicp,
                b"iCCP" => &mut chunks.iccp,
                b"sRGB" => &mut chunks.srgb,
                b"gAMA" => &mut chunks.gama,
                b"cHRM" => &mut chunks.chrm,
                _ => &mut None,
            };
            slot.get_or_insert(content);
            rest = after;
        }
        chunks
    }
}

/// Splits off the first chunk: its name, its content and the rest of the file.
fn chunk(bytes: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (name, rest) = rest.split_first_chunk()?;
    let content = rest.get(..length)?;
    Some((name, content, rest.get(length + 4..)?))
}

/// Returns the profile of an iCCP chunk: a name, a zero, the compression method 0 and zlib.
fn inflate(chunk: &[u8]) -> Option<Vec<u8>> {
    let name = chunk.iter().take(80).position(|byte| *byte == 0)?;
    let [0, compressed @ ..] = chunk.get(name + 1..)? else { return None };
    let mut profile = Vec::new();
    let limit = MAX_PROFILE_BYTES as u64 + 1;
    ZlibDecoder::new(compressed).take(limit).read_to_end(&mut profile).ok()?;
    (profile.len() <= MAX_PROFILE_BYTES).then_some(profile)
}

/// Returns the colour space of a cICP chunk.
fn cicp(chunk: &[u8]) -> Option<ColorProfile> {
    // RGB has no matrix, and a file has the full range.
    let &[primaries, transfer, 0, 1] = chunk else { return None };
    code_points(primaries, transfer)
}

/// Returns the colour space with these code points (ITU-T H.273).
///
/// Returns `None` for the transfer curves of HDR video. Its brightest whites are far above those of
/// a photo, so a conversion would have to compress them.
pub(super) fn code_points(primaries: u8, transfer: u8) -> Option<ColorProfile> {
    let space = CicpProfile {
        color_primaries: primaries.try_into().ok()?,
        transfer_characteristics: transfer.try_into().ok()?,
        matrix_coefficients: 0.try_into().ok()?,
        full_range: true,
    };
    if matches!(
        space.transfer_characteristics,
        TransferCharacteristics::Smpte2084 | TransferCharacteristics::Hlg
    ) {
        return None;
    }
    let profile = ColorProfile::new_from_cicp(space);
    profile.is_matrix_shaper().then_some(profile)
}

/// Returns the colour space of a gAMA and a cHRM chunk, or `None` for sRGB.
///
/// As in browsers, primaries without gAMA have the curve of sRGB, and gAMA without primaries has
/// those of sRGB.
fn gamma_and_chromaticities(gama: Option<&[u8]>, chrm: Option<&[u8]>) -> Option<ColorProfile> {
    let gamma = gama.and_then(integers::<1>).map(|[gamma]| gamma);
    let gamma = gamma.filter(|gamma| PLAUSIBLE_GAMMAS.contains(gamma));
    let chromaticities = chrm.and_then(integers::<8>).filter(are_plausible).unwrap_or(SRGB_CHROMATICITIES);
    let is_srgb = chromaticities
        .iter()
        .zip(SRGB_CHROMATICITIES)
        .all(|(found, srgb)| found.abs_diff(srgb) <= SAME_CHROMATICITY);
    let has_curve_of_srgb = gamma.is_none_or(|gamma| is_srgb && gamma.abs_diff(SRGB_GAMMA) <= 1);
    if is_srgb && has_curve_of_srgb {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    if !is_srgb {
        let [white, red, green, blue] =
            [0, 2, 4, 6].map(|at| [chromaticities[at], chromaticities[at + 1]].map(|v| v as f32 / 100_000.0));
        let [red, green, blue] = [red, green, blue].map(|[x, y]| Chromaticity { x, y });
        let white = XyY { x: white[0].into(), y: white[1].into(), yb: 1.0 };
        profile.update_rgb_colorimetry(white, ColorPrimaries { red, green, blue });
    }
    profile.cicp = None;
    if let Some(gamma) = gamma.filter(|_| !has_curve_of_srgb) {
        let curve = ToneReprCurve::Parametric(vec![100_000.0 / gamma as f32]);
        profile.red_trc = Some(curve.clone());
        profile.green_trc = Some(curve.clone());
        profile.blue_trc = Some(curve);
    }
    Some(profile)
}

/// Returns whether chromaticities are those of colours, and the primaries span a triangle.
fn are_plausible(chromaticities: &[u32; 8]) -> bool {
    let [white, red, green, blue] = [0, 2, 4, 6].map(|at| [chromaticities[at], chromaticities[at + 1]]);
    let are_colours =
        [white, red, green, blue].iter().all(|[x, y]| *y > 0 && x.saturating_add(*y) <= 100_000);
    let [red, green, blue] = [red, green, blue].map(|point| point.map(f64::from));
    let area = (green[0] - red[0]) * (blue[1] - red[1]) - (blue[0] - red[0]) * (green[1] - red[1]);
    // That of sRGB is 2.2 × 10⁹, in the units of the chunk.
    are_colours && white[1] >= 10_000 && area.abs() >= 1e8
}

/// Reads a chunk of `N` integers.
fn integers<const N: usize>(chunk: &[u8]) -> Option<[u32; N]> {
    let (integers, []) = chunk.as_chunks::<4>() else { return None };
    let integers: &[[u8; 4]; N] = integers.try_into().ok()?;
    Some(integers.map(u32::from_be_bytes))
}
