//! Parses ICC profiles (ICC.1:2022), reading no more of them than the conversion to sRGB needs.
//!
//! The library would read every tag, a thousand times if the table of tags lists it a thousand
//! times, and refuse a profile for one bad text. So it gets a copy with only the tags that matter.

use moxcms::{ColorProfile, DataColorSpace, ParsingOptions, ProfileClass};

use super::declared::MAX_PROFILE_BYTES;

const HEADER: usize = 128;
const ENTRY: usize = 12;
/// The limit on tags. Profiles have up to 40.
const MAX_TAGS: usize = 200;
/// The limit on a table of colours, in bytes. A printer's has up to 1.2 MB.
const MAX_TABLE_BYTES: usize = 3 << 19;
/// The limit on a tone curve, in bytes: 16,384 points.
const MAX_CURVE_BYTES: usize = 12 + 2 * (1 << 14);

/// The colorants and curves of RGB and greyscale.
const CURVES_AND_COLORANTS: [&[u8; 4]; 7] = [b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC"];
/// The tables from device colours, for the perceptual and the colorimetric intent.
const TABLES: [&[u8; 4]; 2] = [b"A2B0", b"A2B1"];

/// Parses a profile. Returns `None` unless it describes the colours of a device.
pub(super) fn parse(profile: &[u8]) -> Option<ColorProfile> {
    let options = ParsingOptions {
        max_profile_size: MAX_PROFILE_BYTES,
        max_allowed_clut_size: MAX_TABLE_BYTES,
        max_allowed_trc_size: MAX_CURVE_BYTES,
    };
    let parsed = ColorProfile::new_from_slice_with_options(&reduced(profile)?, options).ok()?;
    let is_device = matches!(
        parsed.profile_class,
        ProfileClass::InputDevice
            | ProfileClass::DisplayDevice
            | ProfileClass::OutputDevice
            | ProfileClass::ColorSpace
    );
    let connects = matches!(parsed.pcs, DataColorSpace::Xyz | DataColorSpace::Lab);
    (is_device && connects).then_some(parsed)
}

/// Copies a profile with only the tags that the conversion needs.
fn reduced(profile: &[u8]) -> Option<Vec<u8>> {
    let declared = usize::try_from(u32::from_be_bytes(*profile.first_chunk()?)).ok()?;
    let profile = profile.get(..declared)?;
    let (header, rest) = profile.split_at_checked(HEADER)?;
    let (count, entries) = rest.split_first_chunk()?;
    let count = usize::try_from(u32::from_be_bytes(*count)).ok().filter(|count| *count <= MAX_TAGS)?;
    let tags: Vec<_> = entries.chunks_exact(ENTRY).take(count).collect();
    let find = |name: &[u8; 4], limit| {
        let entry = tags.iter().find(|entry| entry.starts_with(name))?;
        let number = |at: usize| entry[at..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize);
        let (offset, size) = (number(4)?, number(8)?);
        profile.get(offset..offset.checked_add(size)?).filter(|tag| tag.len() <= limit)
    };
    let curves = CURVES_AND_COLORANTS.iter().filter_map(|name| Some((*name, find(name, MAX_CURVE_BYTES)?)));
    // A table goes before curves. The library looks for the perceptual one only.
    let table = TABLES.iter().find_map(|name| find(name, MAX_TABLE_BYTES)).map(|table| (TABLES[0], table));
    let kept: Vec<_> = curves.chain(table).collect();
    let mut offset = HEADER + 4 + ENTRY * kept.len();
    let mut copy = [header, &(kept.len() as u32).to_be_bytes()].concat();
    for (name, tag) in &kept {
        copy.extend_from_slice(*name);
        copy.extend_from_slice(&(offset as u32).to_be_bytes());
        copy.extend_from_slice(&(tag.len() as u32).to_be_bytes());
        offset += tag.len().next_multiple_of(4);
    }
    for (_, tag) in &kept {
        copy.extend_from_slice(tag);
        copy.resize(copy.len().next_multiple_of(4), 0);
    }
    Some(copy)
}
