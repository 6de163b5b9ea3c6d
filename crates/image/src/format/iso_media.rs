//! ISO media files (ISO/IEC 14496-12): images such as HEIC and AVIF, and videos.

use super::rejections::{not_an_image, unsupported, unsupported_unless_converted};
use fruitvec_core::rejection::Rejection;

/// The brands of image formats that are not decoded.
const UNSUPPORTED_BRANDS: &[(&[u8; 4], &str)] =
    &[(b"avif", "AVIF"), (b"avis", "AVIF"), (b"crx ", "Canon raw (CR3)")];

/// The brands of HEIC, and of HEIF with any codec. Only the metadata tells which one it is.
const HEIF_BRANDS: &[&[u8; 4]] =
    &[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"];

/// The first box of a file from an old QuickTime, which has no `ftyp`.
const QUICKTIME_BOXES: &[&[u8; 4]] = &[b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"];

/// The limit on the length of the first box. A larger number could be four characters of text.
const LONGEST_BOX: u32 = 0x0900_0000;

/// Returns whether a file declares HEIC or HEIF, and no more specific format.
pub(super) fn is_heif(start: &[u8]) -> bool {
    let brands = brands(start).unwrap_or_default();
    let is_unsupported = UNSUPPORTED_BRANDS.iter().any(|(brand, _)| brands.contains(brand));
    !is_unsupported && HEIF_BRANDS.iter().any(|brand| brands.contains(brand))
}

/// Rejects an image of an unsupported format, or a video.
pub(super) fn rejection(start: &[u8]) -> Option<Rejection> {
    let (_, name) = first_box(start)?;
    if QUICKTIME_BOXES.contains(&name) {
        return Some(video("a QuickTime video"));
    }
    let brands = brands(start)?;
    if let Some((_, name)) = UNSUPPORTED_BRANDS.iter().find(|(brand, _)| brands.contains(brand)) {
        return Some(match *name {
            "AVIF" => unsupported_unless_converted(name, "`avifdec` converts it"),
            name => unsupported(name),
        });
    }
    Some(match brands.first()? {
        b"qt  " => video("a QuickTime video"),
        b"M4A " | b"M4B " => not_an_image("an audio recording", "send a photo as JPEG, PNG or WebP"),
        _ => video("an MP4 video"),
    })
}

fn video(what: &str) -> Rejection {
    not_an_image(what, "send a photo; of a Live Photo, send the still image")
}

/// Returns the length and the name of the first box, if they can be those of a box.
fn first_box(start: &[u8]) -> Option<(u32, &[u8; 4])> {
    let (length, rest) = start.split_first_chunk()?;
    let length = u32::from_be_bytes(*length);
    // 0 is the rest of the file, and 1 is for lengths of 64 bits.
    matches!(length, 0 | 1 | 8..LONGEST_BOX).then_some((length, rest.first_chunk()?))
}

/// Returns the main brand and the compatible ones from the `ftyp` box, which comes first.
fn brands(start: &[u8]) -> Option<Vec<[u8; 4]>> {
    let (length, b"ftyp") = first_box(start)? else { return None };
    let payload = &start[8..];
    let payload = &payload[..(length as usize).saturating_sub(8).min(payload.len())];
    // The second number is the version of the main brand.
    let (fields, _) = payload.as_chunks();
    Some(fields.iter().enumerate().filter(|(index, _)| *index != 1).map(|(_, brand)| *brand).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fruitvec_core::rejection::RejectCode;

    /// Returns an `ftyp` box with these brands; the first is the main brand.
    fn ftyp(brands: &[[u8; 4]]) -> Vec<u8> {
        let (main, compatible) = brands.split_first().unwrap();
        let length = 16 + 4 * compatible.len() as u32;
        let head = [length.to_be_bytes(), *b"ftyp", *main, [0; 4]];
        [head.as_flattened(), compatible.as_flattened()].concat()
    }

    #[track_caller]
    fn assert_rejects(bytes: &[u8], code: RejectCode, words: &str) {
        let rejection = rejection(bytes).unwrap();
        assert_eq!((rejection.code, rejection.message.contains(words)), (code, true), "{rejection}");
    }

    #[test]
    fn every_image_brand_is_found_as_the_main_brand_or_a_compatible_one() {
        for (brand, name) in UNSUPPORTED_BRANDS {
            for file in [ftyp(&[**brand]), ftyp(&[*b"mif1", *b"miaf", **brand])] {
                assert_rejects(&file, RejectCode::UnsupportedFormat, name);
                assert!(!is_heif(&file));
            }
        }
        for brand in HEIF_BRANDS {
            assert!(is_heif(&ftyp(&[**brand])) && is_heif(&ftyp(&[*b"isom", *b"mp41", **brand])));
        }
        assert_rejects(&ftyp(&[*b"avif"]), RejectCode::UnsupportedFormat, "avifdec");
    }

    #[test]
    fn a_video_is_named() {
        assert_rejects(&ftyp(&[*b"qt  "]), RejectCode::NotAnImage, "a QuickTime video");
        assert_rejects(&ftyp(&[*b"qt  "]), RejectCode::NotAnImage, "Live Photo");
        for main in [b"isom", b"mp42", b"avc1", b"M4V ", b"3gp5"] {
            assert_rejects(&ftyp(&[*main, *b"mp41"]), RejectCode::NotAnImage, "an MP4 video");
        }
        assert_rejects(&ftyp(&[*b"M4A ", *b"mp42"]), RejectCode::NotAnImage, "an audio recording");
        assert_rejects(b"\0\0\0\x08wide\0\0\0\0mdat", RejectCode::NotAnImage, "a QuickTime video");
    }

    #[test]
    fn the_version_and_what_follows_the_box_are_no_brands() {
        let mut video = ftyp(&[*b"isom"]);
        video[12..16].copy_from_slice(b"heic");
        assert_rejects(&video, RejectCode::NotAnImage, "an MP4 video");
        assert!(!is_heif(&video));
        assert_rejects(&[&ftyp(&[*b"isom"])[..], b"heic"].concat(), RejectCode::NotAnImage, "an MP4 video");
    }

    #[test]
    fn other_files_are_left_to_others() {
        for bytes in
            [&b""[..], b"\0\0\0\x18fty", b"\0\0\0\x08ftyp", b"\0\0\0\x18text file", b"\0\0\0\x07free"]
        {
            assert_eq!((rejection(bytes), is_heif(bytes)), (None, false));
        }
    }

    #[test]
    fn text_that_has_the_name_of_a_box_is_no_video() {
        for text in ["the free lunch", "was wide open", "let skipping", "how ftypheic", "\t\t\t\tmoov"] {
            assert_eq!((rejection(text.as_bytes()), is_heif(text.as_bytes())), (None, false), "{text}");
        }
        for length in [0_u32, 1, 8, 25 << 20, 100 << 20] {
            let video = [&length.to_be_bytes()[..], b"mdat"].concat();
            assert_rejects(&video, RejectCode::NotAnImage, "a QuickTime video");
        }
    }
}
