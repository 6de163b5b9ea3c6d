//! Every supported format and sample layout becomes 8-bit RGB.

use image::codecs::gif::GifEncoder;
use image::{ColorType, DynamicImage, ImageFormat};

use super::fixtures::{
    LOSSY_WEBP, PROGRESSIVE, QUADRANTS, WHITE, assert_shows, centres, encode, input_image, pixel, quadrants,
};

fn converted(image: &DynamicImage, color: ColorType) -> DynamicImage {
    match color {
        ColorType::L8 => image.to_luma8().into(),
        ColorType::L16 => image.to_luma16().into(),
        ColorType::La8 => image.to_luma_alpha8().into(),
        ColorType::La16 => image.to_luma_alpha16().into(),
        ColorType::Rgb16 => image.to_rgb16().into(),
        ColorType::Rgba8 => image.to_rgba8().into(),
        ColorType::Rgba16 => image.to_rgba16().into(),
        ColorType::Rgb32F => image.to_rgb32f().into(),
        _ => image.to_rgba32f().into(),
    }
}

#[test]
fn every_format_is_detected_by_its_content() {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    for (format, tolerance) in [(Png, 0), (Bmp, 0), (Tiff, 0), (WebP, 0), (Gif, 3), (Jpeg, 6)] {
        assert_shows(&encode(&quadrants(), format), QUADRANTS, tolerance);
    }
    assert_shows(LOSSY_WEBP, QUADRANTS, 6);
    assert_shows(PROGRESSIVE, QUADRANTS, 6);
}

#[test]
fn every_sample_layout_becomes_rgb() {
    let image = quadrants();
    for color in [ColorType::Rgb16, ColorType::Rgba8, ColorType::Rgba16] {
        let png = encode(&converted(&image, color), ImageFormat::Png);
        assert_shows(&png, QUADRANTS, 0);
    }
    for color in [ColorType::Rgb32F, ColorType::Rgba32F] {
        let tiff = encode(&converted(&image, color), ImageFormat::Tiff);
        assert_shows(&tiff, QUADRANTS, 0);
    }
    let grey = encode(&converted(&image, ColorType::L8), ImageFormat::Png);
    let grey = centres(&input_image(&grey, 32).unwrap());
    assert!(grey.iter().all(|[r, g, b]| r == g && g == b), "{grey:?}");
    for color in [ColorType::L16, ColorType::La8, ColorType::La16] {
        let png = encode(&converted(&image, color), ImageFormat::Png);
        assert_shows(&png, grey, 1);
    }
}

#[test]
fn cmyk_becomes_rgb_from_an_inverted_adobe_jpeg_and_from_a_tiff() {
    assert_shows(include_bytes!("../../../../tests/photos/cmyk.jpg"), QUADRANTS, 6);
    assert_shows(include_bytes!("../../../../tests/photos/cmyk.tif"), QUADRANTS, 1);
}

#[test]
fn palettes_and_single_bits_become_rgb() {
    let [red, green, blue, _] = QUADRANTS;
    assert_shows(include_bytes!("../../../../tests/photos/palette.bmp"), QUADRANTS, 0);
    assert_shows(include_bytes!("../../../../tests/photos/palette.png"), [red, green, blue, WHITE], 0);
    for bytes in [
        &include_bytes!("../../../../tests/photos/one_bit.png")[..],
        &include_bytes!("../../../../tests/photos/one_bit.tif")[..],
    ] {
        assert_shows(bytes, [[0; 3], WHITE, [0; 3], WHITE], 0);
    }
}

#[test]
fn transparency_is_blended_over_white_and_hidden_colours_do_not_bleed() {
    // The left half is invisible black, the right half visible yellow.
    let image = image::RgbaImage::from_fn(64, 64, |x, _| {
        image::Rgba(if x < 32 { [0, 0, 0, 0] } else { [230, 210, 50, 255] })
    });
    let input = input_image(&encode(&image.into(), ImageFormat::Png), 32).unwrap();
    assert_eq!(pixel(&input, 4, 16), WHITE);
    assert_eq!(pixel(&input, 28, 16), QUADRANTS[3]);
    assert!((0..32).all(|x| pixel(&input, x, 16)[0] >= 225));

    let half = image::RgbaImage::from_pixel(4, 4, image::Rgba([0, 100, 255, 128]));
    let input = input_image(&encode(&half.into(), ImageFormat::Png), 4).unwrap();
    assert_eq!(pixel(&input, 2, 2), [127, 177, 255]);
}

#[test]
fn an_animation_shows_its_first_frame() {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for image in [quadrants(), quadrants().rotate90()] {
        encoder.encode_frame(image::Frame::new(image.to_rgba8())).unwrap();
    }
    drop(encoder);
    assert_shows(&bytes, QUADRANTS, 3);
}
