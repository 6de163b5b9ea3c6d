//! The whole way, from bytes to square. Pictures are made on the spot, or come from `tests/photos`.

use image::codecs::gif::GifEncoder;
use image::{ColorType, DynamicImage, ImageFormat, RgbImage};
use proptest::prelude::*;

use super::*;

const QUADRANTS: [[u8; 3]; 4] = [[200, 40, 30], [40, 160, 60], [30, 60, 200], [230, 210, 50]];
const WHITE: [u8; 3] = [255; 3];
const PROGRESSIVE: &[u8] = include_bytes!("../../../tests/photos/progressive.jpg");
const LOSSY_WEBP: &[u8] = include_bytes!("../../../tests/photos/lossy.webp");

/// 32×32: red and green above blue and yellow.
fn quadrants() -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(32, 32, |x, y| {
        image::Rgb(QUADRANTS[(y / 16 * 2 + x / 16) as usize])
    }))
}

/// A picture that no format compresses to next to nothing.
fn textured(width: u32, height: u32) -> DynamicImage {
    let mut state = 1_u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 25) as u8
    };
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, next()])))
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn square_of(bytes: &[u8], side: u32) -> Result<Square, Rejection> {
    inspect(bytes, &Limits::default())?.square(side, Fit::Stretch, Filter::Bicubic)
}

fn code_of<T>(result: Result<T, Rejection>) -> Option<RejectCode> {
    result.err().map(|rejection| rejection.code)
}

fn pixel(square: &Square, x: u32, y: u32) -> [u8; 3] {
    let at = ((y * square.side() + x) * 3) as usize;
    [square.rgb()[at], square.rgb()[at + 1], square.rgb()[at + 2]]
}

fn centres(square: &Square) -> [[u8; 3]; 4] {
    [(8, 8), (24, 8), (8, 24), (24, 24)].map(|(x, y)| pixel(square, x, y))
}

#[track_caller]
fn assert_shows(bytes: &[u8], expected: [[u8; 3]; 4], tolerance: u8) {
    let found = centres(&square_of(bytes, 32).unwrap());
    let near =
        found.as_flattened().iter().zip(expected.as_flattened()).all(|(a, b)| a.abs_diff(*b) <= tolerance);
    assert!(near, "{found:?} is not {expected:?}");
}

mod formats {
    use super::*;

    #[test]
    fn every_format_is_known_by_its_content() {
        use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
        for (format, tolerance) in [(Png, 0), (Bmp, 0), (Tiff, 0), (WebP, 0), (Gif, 3), (Jpeg, 6)] {
            assert_shows(&encoded(&quadrants(), format), QUADRANTS, tolerance);
        }
        assert_shows(LOSSY_WEBP, QUADRANTS, 6);
        assert_shows(PROGRESSIVE, QUADRANTS, 6);
    }

    #[test]
    fn every_layout_of_samples_becomes_rgb() {
        let picture = quadrants();
        for color in [ColorType::Rgb16, ColorType::Rgba8, ColorType::Rgba16] {
            let png = encoded(&converted(&picture, color), ImageFormat::Png);
            assert_shows(&png, QUADRANTS, 0);
        }
        for color in [ColorType::Rgb32F, ColorType::Rgba32F] {
            let tiff = encoded(&converted(&picture, color), ImageFormat::Tiff);
            assert_shows(&tiff, QUADRANTS, 0);
        }
        let grey =
            centres(&square_of(&encoded(&converted(&picture, ColorType::L8), ImageFormat::Png), 32).unwrap());
        assert!(grey.iter().all(|[r, g, b]| r == g && g == b), "{grey:?}");
        for color in [ColorType::L16, ColorType::La8, ColorType::La16] {
            let png = encoded(&converted(&picture, color), ImageFormat::Png);
            assert_shows(&png, grey, 1);
        }
    }

    fn converted(picture: &DynamicImage, color: ColorType) -> DynamicImage {
        match color {
            ColorType::L8 => picture.to_luma8().into(),
            ColorType::L16 => picture.to_luma16().into(),
            ColorType::La8 => picture.to_luma_alpha8().into(),
            ColorType::La16 => picture.to_luma_alpha16().into(),
            ColorType::Rgb16 => picture.to_rgb16().into(),
            ColorType::Rgba8 => picture.to_rgba8().into(),
            ColorType::Rgba16 => picture.to_rgba16().into(),
            ColorType::Rgb32F => picture.to_rgb32f().into(),
            _ => picture.to_rgba32f().into(),
        }
    }

    #[test]
    fn cmyk_becomes_rgb_from_an_inverted_adobe_jpeg_and_from_a_tiff() {
        assert_shows(include_bytes!("../../../tests/photos/cmyk.jpg"), QUADRANTS, 6);
        assert_shows(include_bytes!("../../../tests/photos/cmyk.tif"), QUADRANTS, 1);
    }

    #[test]
    fn palettes_and_single_bits_become_rgb() {
        let [red, green, blue, _] = QUADRANTS;
        assert_shows(include_bytes!("../../../tests/photos/palette.bmp"), QUADRANTS, 0);
        assert_shows(include_bytes!("../../../tests/photos/palette.png"), [red, green, blue, WHITE], 0);
        for bytes in [
            &include_bytes!("../../../tests/photos/one_bit.png")[..],
            &include_bytes!("../../../tests/photos/one_bit.tif")[..],
        ] {
            assert_shows(bytes, [[0; 3], WHITE, [0; 3], WHITE], 0);
        }
    }

    #[test]
    fn transparency_lies_over_white_and_hidden_colours_do_not_bleed() {
        // The left half is invisible black, the right half visible yellow.
        let picture = image::RgbaImage::from_fn(64, 64, |x, _| {
            image::Rgba(if x < 32 { [0, 0, 0, 0] } else { [230, 210, 50, 255] })
        });
        let square = square_of(&encoded(&picture.into(), ImageFormat::Png), 32).unwrap();
        assert_eq!(pixel(&square, 4, 16), WHITE);
        assert_eq!(pixel(&square, 28, 16), QUADRANTS[3]);
        assert!((0..32).all(|x| pixel(&square, x, 16)[0] >= 225));

        let half = image::RgbaImage::from_pixel(4, 4, image::Rgba([0, 100, 255, 128]));
        let square = square_of(&encoded(&half.into(), ImageFormat::Png), 4).unwrap();
        assert_eq!(pixel(&square, 2, 2), [127, 177, 255]);
    }

    #[test]
    fn an_animation_is_its_first_frame() {
        let mut bytes = Vec::new();
        let mut encoder = GifEncoder::new(&mut bytes);
        for picture in [quadrants(), quadrants().rotate90()] {
            encoder.encode_frame(image::Frame::new(picture.to_rgba8())).unwrap();
        }
        drop(encoder);
        assert_shows(&bytes, QUADRANTS, 3);
    }
}

mod geometry {
    use super::*;

    /// Inserts an EXIF segment with this orientation behind a JPEG's first marker.
    fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let exif = [
            &b"\xFF\xE1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..],
            &[orientation, 0, 0, 0, 0, 0, 0],
        ];
        [&jpeg[..2], exif[0], exif[1], &jpeg[2..]].concat()
    }

    #[test]
    fn every_exif_orientation_is_turned_upright() {
        let upright = encoded(&quadrants(), ImageFormat::Jpeg);
        let [red, green, blue, yellow] = QUADRANTS;
        let expected = [
            [red, green, blue, yellow],
            [green, red, yellow, blue],
            [yellow, blue, green, red],
            [blue, yellow, red, green],
            [red, blue, green, yellow],
            [blue, red, yellow, green],
            [yellow, green, blue, red],
            [green, yellow, red, blue],
        ];
        for (orientation, expected) in (1..).zip(expected) {
            assert_shows(&with_orientation(&upright, orientation), expected, 6);
        }
        for unknown in [0, 9, 255] {
            assert_shows(&with_orientation(&upright, unknown), QUADRANTS, 6);
        }
    }

    #[test]
    fn width_and_height_are_upright_too() {
        let jpeg = encoded(&textured(60, 40), ImageFormat::Jpeg);
        for (orientation, expected) in
            [(1, (60, 40)), (4, (60, 40)), (5, (40, 60)), (6, (40, 60)), (8, (40, 60))]
        {
            let pending = inspect(with_orientation(&jpeg, orientation), &Limits::default()).unwrap();
            let Header { width, height, .. } = *pending.header();
            assert_eq!((width, height), expected, "orientation {orientation}");
            pending.square(32, Fit::Crop { shorter_side: 36 }, Filter::Bilinear).unwrap();
        }
    }

    #[test]
    fn a_picture_of_the_right_size_is_passed_through() {
        let picture = textured(48, 48);
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos3] {
            for fit in [Fit::Stretch, Fit::Crop { shorter_side: 48 }] {
                let png = encoded(&picture, ImageFormat::Png);
                let square = inspect(png, &Limits::default()).unwrap().square(48, fit, filter).unwrap();
                assert_eq!(square.rgb(), picture.as_bytes());
            }
        }
    }

    #[test]
    fn one_pixel_fills_the_square() {
        let picture = RgbImage::from_pixel(1, 1, image::Rgb(QUADRANTS[2]));
        let square = square_of(&encoded(&picture.into(), ImageFormat::Png), 8).unwrap();
        assert!(square.rgb().chunks(3).all(|pixel| pixel == QUADRANTS[2]));
    }

    #[test]
    fn a_crop_shows_the_centre() {
        // Green between red margins, 20 pixels wide each.
        let picture =
            RgbImage::from_fn(100, 60, |x, _| image::Rgb(QUADRANTS[usize::from((20..80).contains(&x))]));
        let png = encoded(&picture.into(), ImageFormat::Png);
        let crop = |shorter_side| {
            let pending = inspect(&png, &Limits::default()).unwrap();
            pending.square(30, Fit::Crop { shorter_side }, Filter::Bilinear).unwrap()
        };
        // All of the shorter side: 60×60 source pixels, green but for the kernel's reach at both edges.
        assert!((1..29).all(|x| pixel(&crop(30), x, 15) == QUADRANTS[1]));
        assert!(crop(40).rgb().chunks(3).all(|pixel| pixel == QUADRANTS[1]));
        assert_eq!(crop(10), crop(30), "a shorter side below the square's takes what there is");
    }

    #[test]
    fn every_filter_is_its_own_kernel() {
        let png = encoded(&textured(64, 64), ImageFormat::Png);
        let pending = inspect(png, &Limits::default()).unwrap();
        let [bilinear, bicubic, lanczos] = [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos3]
            .map(|filter| pending.square(30, Fit::Stretch, filter).unwrap());
        assert!(bilinear != bicubic && bicubic != lanczos && lanczos != bilinear);
        assert_eq!(serde_json::to_string(&Filter::Lanczos3).unwrap(), "\"lanczos3\"");
    }

    #[test]
    fn a_bicubic_edge_is_what_pillow_makes_of_it() {
        // Pillow 13: Image.fromarray([[0, 0, 255, 255]] * 4).resize((8, 8), BICUBIC)
        let picture = image::GrayImage::from_fn(4, 4, |x, _| image::Luma([if x < 2 { 0 } else { 255 }]));
        let square = square_of(&encoded(&picture.into(), ImageFormat::Png), 8).unwrap();
        let row: Vec<u8> = (0..8).map(|x| pixel(&square, x, 3)[0]).collect();
        assert_eq!(row, PILLOW_EDGE);
    }

    const PILLOW_EDGE: [u8; 8] = [0, 0, 0, 52, 203, 255, 255, 255];

    #[test]
    fn a_square_has_three_bytes_a_pixel() {
        assert!(Square::new(2, vec![0; 12]).is_some());
        assert!(Square::new(2, vec![0; 11]).is_none());
        assert!(Square::new(u32::MAX, vec![]).is_none());
    }
}

mod refusals {
    use super::*;

    #[test]
    fn what_is_no_picture_is_refused_by_name() {
        let cases: &[(&[u8], RejectCode, &str)] = &[
            (b"", RejectCode::Empty, "0 bytes"),
            (b"Dear Sir or Madam, ...\n", RejectCode::NotAnImage, "text"),
            (b"BMW and other brands of cars", RejectCode::NotAnImage, "text"),
            (b"P1 is where we park", RejectCode::UnsupportedFormat, "PNM"),
            (b"\x7fELF\x02\x01\x01\0\0", RejectCode::NotAnImage, "7f454c46"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", RejectCode::UnsupportedFormat, "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", RejectCode::UnsupportedFormat, "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", RejectCode::UnsupportedFormat, "AVIF"),
            (b"\0\0\0\x14ftypmsf1\0\0\0\0msf1", RejectCode::UnsupportedFormat, "HEIF"),
            (b"\0\0\0\x14ftypisom\0\0\x02\0isom", RejectCode::NotAnImage, "00000014"),
            (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", RejectCode::UnsupportedFormat, "CR3"),
            (b"\xFF\x0A\xFA\x7F", RejectCode::UnsupportedFormat, "JPEG XL"),
            (b"8BPS\0\x01", RejectCode::UnsupportedFormat, "PSD"),
            (b"%PDF-1.7", RejectCode::UnsupportedFormat, "PDF"),
            (b"<?xml version='1.0'?>\n<svg xmlns='...'/>", RejectCode::UnsupportedFormat, "SVG"),
            (b"II*\0\x10\0\0\0CR\x02\0", RejectCode::UnsupportedFormat, "CR2"),
        ];
        for (bytes, code, word) in cases {
            let rejection = inspect(bytes, &Limits::default()).unwrap_err();
            assert_eq!((rejection.code, rejection.message.contains(word)), (*code, true), "{rejection}");
            if *code == RejectCode::UnsupportedFormat {
                assert!(rejection.message.contains("send JPEG, PNG or WebP"), "{rejection}");
            }
        }
    }

    #[test]
    fn a_raw_file_does_not_pass_as_its_preview() {
        let entry = |tag: u16, value: u32| {
            [&tag.to_le_bytes()[..], &4_u16.to_le_bytes(), &1_u32.to_le_bytes(), &value.to_le_bytes()]
                .concat()
        };
        for (tag, value, word) in [(254, 1, "preview"), (50706, 0x0401, "DNG"), (259, 7, "JPEG")] {
            let tiff = [b"II*\0\x08\0\0\0\x01\0", &entry(tag, value)[..]].concat();
            let rejection = inspect(tiff, &Limits::default()).unwrap_err();
            assert_eq!(rejection.code, RejectCode::UnsupportedFormat);
            assert!(rejection.message.contains(word), "{rejection}");
        }
    }

    #[test]
    fn a_picture_cut_anywhere_is_truncated() {
        let picture = textured(64, 64);
        let mut files: Vec<(String, Vec<u8>)> = ["Jpeg", "Png", "Gif", "Bmp", "Tiff", "WebP"]
            .into_iter()
            .zip([
                ImageFormat::Jpeg,
                ImageFormat::Png,
                ImageFormat::Gif,
                ImageFormat::Bmp,
                ImageFormat::Tiff,
                ImageFormat::WebP,
            ])
            .map(|(name, format)| (name.to_owned(), encoded(&picture, format)))
            .collect();
        files.push(("progressive JPEG".to_owned(), PROGRESSIVE.to_vec()));
        files.push(("lossy WebP".to_owned(), LOSSY_WEBP.to_vec()));
        for (name, bytes) in files {
            square_of(&bytes, 32).unwrap();
            for tenths in 1..10 {
                let cut = bytes.len() * tenths / 10;
                let code = code_of(square_of(&bytes[..cut], 32));
                assert_eq!(code, Some(RejectCode::Truncated), "{name} after {cut} of {} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn a_jpeg_ends_with_its_marker_whatever_follows() {
        let jpeg = encoded(&quadrants(), ImageFormat::Jpeg);
        assert_shows(&[&jpeg[..], b"trailing bytes"].concat(), QUADRANTS, 6);
        assert_eq!(code_of(square_of(&jpeg[..jpeg.len() - 2], 32)), Some(RejectCode::Truncated));
    }

    #[test]
    fn a_jpeg_without_a_picture_is_corrupt() {
        assert_eq!(code_of(inspect(b"\xFF\xD8\xFF\xD9", &Limits::default())), Some(RejectCode::Corrupt));
        assert_eq!(code_of(inspect(b"\xFF\xD8\xFF\xE0\0\0", &Limits::default())), Some(RejectCode::Corrupt));
        assert_eq!(code_of(inspect(b"\xFF\xD8\xFF", &Limits::default())), Some(RejectCode::Truncated));
    }

    #[test]
    fn a_png_with_a_wrong_checksum_is_corrupt() {
        let mut png = encoded(&textured(64, 64), ImageFormat::Png);
        let middle = png.len() / 2;
        png[middle] ^= 0x55;
        assert_eq!(code_of(square_of(&png, 32)), Some(RejectCode::Corrupt));
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let size = 60_000_u32;
        let png = [
            b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR",
            &size.to_be_bytes()[..],
            &size.to_be_bytes(),
            b"\x08\x02\0\0\0",
        ]
        .concat();
        let mut bmp = encoded(&quadrants(), ImageFormat::Bmp);
        bmp[18..22].copy_from_slice(&size.to_le_bytes());
        bmp[22..26].copy_from_slice(&size.to_le_bytes());
        let mut gif = encoded(&quadrants(), ImageFormat::Gif);
        gif[6..10].copy_from_slice(&[0xFF; 4]);
        let mut jpeg = encoded(&quadrants(), ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|marker| marker == b"\xFF\xC0").unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xEA, 0x60, 0xEA, 0x60]);
        for bomb in [&png, &bmp, &gif, &jpeg] {
            assert_eq!(code_of(inspect(bomb, &Limits::default())), Some(RejectCode::TooManyPixels));
        }
        let message = inspect(png, &Limits::default()).unwrap_err().message;
        assert!(message.contains("60000×60000 = 3600000000 pixels; the limit is 64000000"), "{message}");
    }

    #[test]
    fn a_gif_frame_larger_than_its_screen_is_held_to_the_screens_memory() {
        let mut gif = encoded(&quadrants(), ImageFormat::Gif);
        gif[6..10].copy_from_slice(&[4, 0, 4, 0]);
        assert_eq!(code_of(square_of(&gif, 32)), Some(RejectCode::DecodedTooLarge));
    }

    #[test]
    fn a_jpeg_of_very_many_scans_is_refused() {
        let starts = |bytes: &[u8]| bytes.windows(2).filter(|marker| marker == b"\xFF\xDA").count();
        let first = PROGRESSIVE.windows(2).position(|marker| marker == b"\xFF\xDA").unwrap();
        // A scan without data costs ten bytes or so, and a walk over the whole picture.
        let empty = &PROGRESSIVE[first..first + 2 + usize::from(PROGRESSIVE[first + 3])];
        let (end, more) = (PROGRESSIVE.len() - 2, 100 - starts(PROGRESSIVE));
        let of = |more| [&PROGRESSIVE[..end], &empty.repeat(more), &PROGRESSIVE[end..]].concat();
        assert_eq!(starts(&of(more)), 100);
        inspect(of(more), &Limits::default()).unwrap();
        let refused = inspect(of(more + 1), &Limits::default()).unwrap_err();
        assert_eq!(refused.code, RejectCode::UnsupportedFormat);
        assert!(
            refused.message.starts_with("JPEG with more than 100 scans is not decoded here"),
            "{refused:?}"
        );
    }

    #[test]
    fn limits_are_the_callers() {
        let png = encoded(&textured(64, 64), ImageFormat::Png);
        let generous = Limits { bytes: png.len() as u64, pixels: 4096, decoded_bytes: 4096 * 3 };
        inspect(&png, &generous).unwrap();
        let cases = [
            (Limits { bytes: generous.bytes - 1, ..generous }, RejectCode::TooManyBytes),
            (Limits { pixels: 4095, ..generous }, RejectCode::TooManyPixels),
            (Limits { decoded_bytes: 4096 * 3 - 1, ..generous }, RejectCode::DecodedTooLarge),
        ];
        for (limits, code) in cases {
            assert_eq!(code_of(inspect(&png, &limits)), Some(code));
        }
    }

    #[test]
    fn a_panic_in_a_decoder_is_a_rejection_with_its_message() {
        let number = 7;
        let step = || -> Result<(), Rejection> { panic!("index {number} is out of range") };
        let rejection = guarded(step).unwrap_err();
        assert_eq!(rejection.code, RejectCode::Panicked);
        assert!(rejection.message.contains("index 7 is out of range"), "{rejection}");
        let rejection = guarded(|| -> Result<(), Rejection> { panic!("a plain word") }).unwrap_err();
        assert!(rejection.message.contains("a plain word"), "{rejection}");
    }
}

/// JPEGs much larger than the square.
mod scaled {
    use mozjpeg::{ColorSpace, Compress};

    use super::*;

    /// Rows that are made before they repeat: a picture of millions of pixels is not worth as many draws.
    const ROWS: usize = 13;

    /// The four colours, with grain, as a JPEG of that colour space.
    pub(super) fn jpeg(width: u32, height: u32, space: ColorSpace, progressive: bool) -> Vec<u8> {
        let mut state = 1_u32;
        let mut grain = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 29) as u8
        };
        let mut row = |half: usize| {
            let colours = (0..width).map(|x| QUADRANTS[half + (2 * x / width) as usize]);
            let mut samples = Vec::new();
            for [r, g, b] in colours {
                match space {
                    ColorSpace::JCS_CMYK => samples.extend([r, g, b, 255].map(|c| c.saturating_add(grain()))),
                    ColorSpace::JCS_GRAYSCALE => samples.push(g.saturating_add(grain())),
                    _ => samples.extend([r, g, b].map(|c| c.saturating_add(grain()))),
                }
            }
            samples
        };
        let halves = [0, 2].map(|half| [(); ROWS].map(|()| row(half)));
        let rows = (0..height as usize).map(|y| &halves[2 * y / height as usize][y % ROWS]);
        let mut compress = Compress::new(space);
        compress.set_fastest_defaults();
        compress.set_size(width as usize, height as usize);
        compress.set_quality(90.0);
        if progressive {
            compress.set_progressive_mode();
        }
        let mut started = compress.start_compress(Vec::new()).unwrap();
        rows.for_each(|row| started.write_scanlines(row).unwrap());
        started.finish().unwrap()
    }

    /// All kinds, of sizes that are no multiple of a block.
    fn kinds() -> Vec<(String, Vec<u8>)> {
        let spaces = [ColorSpace::JCS_RGB, ColorSpace::JCS_GRAYSCALE, ColorSpace::JCS_CMYK];
        let mut kinds = Vec::new();
        for (space, progressive) in spaces.into_iter().flat_map(|space| [(space, false), (space, true)]) {
            for (width, height) in [(1021, 1021), (517, 303), (131, 260)] {
                let name = format!("{space:?}, progressive: {progressive}, {width}×{height}");
                kinds.push((name, jpeg(width, height, space, progressive)));
            }
        }
        kinds
    }

    #[test]
    fn what_is_scaled_while_it_is_decoded_shows_what_all_of_it_shows() {
        for (name, bytes) in kinds() {
            let pending = inspect(&bytes[..], &Limits::default()).unwrap();
            let header = *pending.header();
            for fit in [Fit::Stretch, Fit::Crop { shorter_side: 33 }] {
                assert_ne!(pending.scale(32, fit), Scale::FULL, "{name}");
                let scaled = pending.square(32, fit, Filter::Bicubic).unwrap();
                let whole = Pending { scalable: None, ..pending.clone() };
                let whole = whole.square(32, fit, Filter::Bicubic).unwrap();
                let apart = scaled.rgb().iter().zip(whole.rgb()).map(|(a, b)| a.abs_diff(*b));
                let (sum, most) = apart.fold((0, 0), |(sum, most), it| (sum + u32::from(it), most.max(it)));
                let mean = f64::from(sum) / scaled.rgb().len() as f64;
                assert!(mean < 1.0 && most < 40, "{name}, {fit:?}: {mean} on the mean, {most} at most");
            }
            assert_eq!(header, *inspect(&bytes, &Limits::default()).unwrap().header(), "{name}");
        }
    }

    /// Fails where libjpeg is built of other code than its C or its assembler for x86, and that rounds otherwise: these two don't.
    #[test]
    fn every_build_of_libjpeg_gives_the_same_pixels() {
        let whole = encoded(&textured(517, 303), ImageFormat::Jpeg);
        let sampled = jpeg(517, 303, ColorSpace::JCS_RGB, false);
        let digests = [&whole, &sampled, PROGRESSIVE].map(|bytes| {
            let header = crate::pixels::jpeg::outline(bytes).unwrap().header();
            let mut pixels = Vec::new();
            for part in [16, 8, 4, 1] {
                let side = header.height / part;
                let scale = Scale::choose(header.width, header.height, side, Fit::Stretch);
                assert_eq!(u32::from(scale.eighths()), (16 / part).min(8));
                pixels.extend(crate::pixels::jpeg::raster(bytes, &header, scale).unwrap().samples);
            }
            hex::encode(&ring::digest::digest(&ring::digest::SHA256, &pixels).as_ref()[..8])
        });
        assert_eq!(digests, ["ae6725b9464752d8", "f6e36d4f750fe7f0", "cf88781a07d95c5f"]);
    }

    #[test]
    fn the_size_that_is_recorded_is_the_whole_pictures() {
        let bytes = jpeg(517, 303, ColorSpace::JCS_RGB, false);
        let header = *inspect(&bytes, &Limits::default()).unwrap().header();
        assert_eq!((header.width, header.height), (517, 303));
    }

    #[test]
    fn memory_is_asked_for_what_is_decoded() {
        let bytes = jpeg(1600, 1200, ColorSpace::JCS_RGB, false);
        let pending = inspect(&bytes, &Limits::default()).unwrap();
        let (whole, scaled) = (pending.memory(601, Fit::Stretch), pending.memory(64, Fit::Stretch));
        assert_eq!(whole, pending.header().decoded_bytes + 3 * 601 * 1200);
        assert_eq!(whole - scaled, 3 * (1600 * 1200 - 200 * 150) + 3 * (601 * 1200 - 64 * 150));
        let progressive = jpeg(1600, 1200, ColorSpace::JCS_RGB, true);
        let pending = inspect(&progressive, &Limits::default()).unwrap();
        // Its coefficients are kept at any scale: two bytes of each, a luma and twice a quarter of chroma or more.
        assert!(pending.memory(64, Fit::Stretch) >= 1600 * 1200 * 3, "{}", pending.memory(64, Fit::Stretch));
    }
}

/// Peaks are measured in a process of their own: this test program, started again for one file.
#[cfg(target_os = "linux")]
mod memory {
    use std::path::Path;
    use std::process::Command;

    use image::ImageEncoder;
    use image::codecs::png::PngEncoder;
    use mozjpeg::ColorSpace;

    use super::*;

    const FILE: &str = "FRUITVEC_TEST_PEAK_OF";
    const SIDE: &str = "FRUITVEC_TEST_PEAK_AT";
    /// What the allocator and the decoders' small tables may take.
    const SLACK: u64 = 3 << 20;

    /// Bytes, from a line of `/proc/self/status`.
    fn status(line: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let value = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
        value.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// In the child: decodes the file and leaves the growth of the process beside it.
    fn measure(path: &Path) {
        let bytes = std::fs::read(path).unwrap();
        let side = std::env::var(SIDE).unwrap().parse().unwrap();
        let decode = || {
            _ = inspect(&bytes, &Limits::default())
                .and_then(|it| it.square(side, Fit::Stretch, Filter::Bicubic));
        };
        // The first time, pages of the program itself come in. See proc(5), `clear_refs`: 5 resets the peak.
        decode();
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = status("VmRSS:");
        decode();
        let growth = status("VmHWM:").saturating_sub(before);
        std::fs::write(path.with_extension("peak"), growth.to_string()).unwrap();
    }

    /// Bytes by which a process grows that makes a square of 64 pixels of this file.
    fn growth(bytes: &[u8], test: &str) -> u64 {
        growth_at(64, bytes, test)
    }

    fn growth_at(side: u32, bytes: &[u8], test: &str) -> u64 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture");
        std::fs::write(&path, bytes).unwrap();
        let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
        let program = std::env::current_exe().unwrap();
        // Large blocks come from the system and go back to it at once, so that the process has what is in use.
        let mut child = Command::new(program);
        child
            .args(["--exact", &name])
            .env(FILE, &path)
            .env(SIDE, side.to_string())
            .env("MALLOC_MMAP_THRESHOLD_", "65536");
        let output = child.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        std::fs::read_to_string(path.with_extension("peak")).unwrap().parse().unwrap()
    }

    #[test]
    fn what_the_header_promises_covers_every_decoder() {
        if let Some(path) = std::env::var_os(FILE) {
            return measure(Path::new(&path));
        }
        let picture = textured(1600, 1200);
        let opaque = |picture: DynamicImage| DynamicImage::from(picture.to_rgba8());
        let formats =
            [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP];
        let mut files: Vec<(String, Vec<u8>)> =
            formats.map(|format| (format!("{format:?}"), encoded(&picture, format))).to_vec();
        // Shades of grey fit a palette; to choose one for more colours takes the encoder half a minute.
        files.push(("GIF".to_owned(), encoded(&opaque(picture.to_luma8().into()), ImageFormat::Gif)));
        files.push(("RGBA WebP".to_owned(), encoded(&opaque(picture.clone()), ImageFormat::WebP)));
        files.push(("16-bit PNG".to_owned(), encoded(&picture.to_rgb16().into(), ImageFormat::Png)));
        files.push(("16-bit TIFF".to_owned(), encoded(&picture.to_rgb16().into(), ImageFormat::Tiff)));
        // The decoder makes do with less data than its frame header asks for, and takes memory for all of it.
        let mut progressive = PROGRESSIVE.to_vec();
        let frame = progressive.windows(2).position(|marker| marker == b"\xFF\xC2").unwrap();
        progressive[frame + 5..frame + 9].copy_from_slice(&[0x04, 0xB0, 0x06, 0x40]);
        files.push(("progressive JPEG".to_owned(), progressive));
        // To 64 pixels a JPEG is decoded at an eighth, to 601 whole; nothing else knows a difference.
        let to_601 = files.iter().filter(|(name, _)| name.ends_with("JPEG") || name.ends_with("Jpeg"));
        for ((name, bytes), side) in files.iter().map(|file| (file, 64)).chain(to_601.map(|file| (file, 601)))
        {
            let pending = inspect(bytes, &Limits::default()).unwrap();
            let scale = pending.scale(side, Fit::Stretch);
            let Header { width, height, .. } = *pending.header();
            let growth = growth_at(side, bytes, "what_the_header_promises_covers_every_decoder");
            let promised = pending.memory(side, Fit::Stretch) + 3 * u64::from(side * side) + SLACK;
            assert!(growth <= promised, "{name} to {side}: {growth} > {promised}");
            let pixels = u64::from(scale.of(width)) * u64::from(scale.of(height));
            assert!(
                growth >= 3 * pixels,
                "{name} to {side}: {growth} bytes can't hold the picture: nothing was measured"
            );
        }
    }

    #[test]
    fn a_phones_photo_takes_less_than_60_megabytes() {
        if let Some(path) = std::env::var_os(FILE) {
            return measure(Path::new(&path));
        }
        for progressive in [false, true] {
            let bytes = super::scaled::jpeg(4032, 3024, ColorSpace::JCS_RGB, progressive);
            let peak =
                growth_at(224, &bytes, "a_phones_photo_takes_less_than_60_megabytes") + bytes.len() as u64;
            assert!(peak < 60_000_000, "progressive: {progressive}: {peak}");
            assert!(peak > 3 * 1008 * 756, "progressive: {progressive}: nothing was measured");
        }
    }

    #[test]
    fn sixty_four_megapixels_of_16_bits_are_refused_before_any_memory_is_taken() {
        if let Some(path) = std::env::var_os(FILE) {
            return measure(Path::new(&path));
        }
        let mut png = encoded(&textured(8, 8).to_rgb16().into(), ImageFormat::Png);
        png[16..24].copy_from_slice(&[0, 0, 0x1F, 0x40, 0, 0, 0x1F, 0x40]);
        let checksum = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.to_be_bytes());
        let rejection = inspect(&png, &Limits::default()).unwrap_err();
        assert_eq!(rejection.code, RejectCode::DecodedTooLarge);
        assert!(rejection.message.contains("8000×8000 pixels take 384000000 bytes"), "{rejection}");
        let growth = growth(&png, "sixty_four_megapixels_of_16_bits_are_refused_before_any_memory_is_taken");
        assert!(growth <= SLACK, "{growth}");
    }

    /// Resized across first, it would become a strip of 64,000,000 × side pixels.
    #[test]
    fn a_picture_one_pixel_wide_and_millions_high_is_refused() {
        let mut png = encoded(&textured(8, 8), ImageFormat::Png);
        png[16..20].copy_from_slice(&1u32.to_be_bytes());
        png[20..24].copy_from_slice(&64_000_000u32.to_be_bytes());
        let checksum = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.to_be_bytes());
        let rejection = inspect(&png, &Limits::default()).unwrap_err();
        assert_eq!(rejection.code, RejectCode::TooManyPixels);
        assert!(rejection.message.contains("no side may exceed 65500"), "{rejection}");
    }

    #[test]
    fn a_profile_that_inflates_without_end_is_dropped() {
        if let Some(path) = std::env::var_os(FILE) {
            return measure(Path::new(&path));
        }
        let mut png = Vec::new();
        let mut encoder = PngEncoder::new(&mut png);
        encoder.set_icc_profile(vec![0; 100 << 20]).unwrap();
        encoder.write_image(quadrants().as_bytes(), 32, 32, ColorType::Rgb8.into()).unwrap();
        assert!(png.len() < 1 << 20, "{}", png.len());
        assert_shows(&png, QUADRANTS, 0);
        let growth = growth(&png, "a_profile_that_inflates_without_end_is_dropped");
        assert!(growth <= (16 << 20), "{growth}");
    }

    /// CRC-32 as PNG uses it (ISO 3309), bit by bit.
    fn crc32(bytes: &[u8]) -> u32 {
        let bit = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), bit))
    }
}

fn specimens() -> Vec<Vec<u8>> {
    let picture = textured(24, 40);
    let mut files: Vec<_> = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
    ]
    .map(|format| encoded(&picture, format))
    .to_vec();
    files.extend([PROGRESSIVE, LOSSY_WEBP].map(<[u8]>::to_vec));
    files.push(include_bytes!("../../../tests/photos/cmyk.tif").to_vec());
    files
}

/// Any bytes end as a square or a rejection, and a square's header is within the limits.
fn assert_settled(bytes: &[u8]) {
    let limits = Limits { bytes: 1 << 20, pixels: 1 << 18, decoded_bytes: 4 << 20 };
    let Ok(pending) = inspect(bytes, &limits) else { return };
    let Header { width, height, decoded_bytes } = *pending.header();
    assert!(u64::from(width) * u64::from(height) <= limits.pixels && decoded_bytes <= limits.decoded_bytes);
    if let Ok(square) = pending.square(16, Fit::Stretch, Filter::Bicubic) {
        assert_eq!(square.rgb().len(), 16 * 16 * 3);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_settled(
        signature in prop::sample::select(vec![
            &b""[..], b"\xFF\xD8\xFF", b"\x89PNG\r\n\x1A\n", b"GIF89a", b"II*\0", b"MM\0*", b"RIFF\x10\0\0\0WEBPVP8 ",
            b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0", b"\0\0\0\x18ftyp",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        assert_settled(&[signature, &rest].concat());
    }

    #[test]
    fn a_damaged_picture_is_settled(
        specimen in prop::sample::select(specimens()),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        kept in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = specimen;
        for (index, value) in flips {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(kept) = kept {
            bytes.truncate(kept.index(bytes.len()));
        }
        assert_settled(&bytes);
    }
}
