//! The messages of rejections are for people.

use image::ImageFormat;

use super::fixtures::{LOSSY_WEBP, PROGRESSIVE, encode, heic, input_image, textured};

/// What appears in bytes and in types of a program, but not in a sentence.
const UNREADABLE: [&str; 8] = ["{", "}", "[", "]", "\"", "0x", "Error(", "::"];

#[test]
fn a_damaged_file_is_rejected_in_words() {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let image = textured(40, 30);
    let mut files = [Bmp, Gif, Jpeg, Png, Tiff, WebP].map(|format| encode(&image, format)).to_vec();
    files.extend([PROGRESSIVE.to_vec(), LOSSY_WEBP.to_vec(), heic(&image)]);
    let mut messages = 0;
    for file in files {
        // Headers are where most errors are found.
        for at in (0..file.len().min(400)).chain((400..file.len()).step_by(97)) {
            let mut damaged = file.clone();
            damaged[at] ^= 0xA5;
            let Err(rejection) = input_image(&damaged, 16) else { continue };
            let message = rejection.message;
            assert!(!UNREADABLE.iter().any(|part| message.contains(part)), "{message}");
            messages += 1;
        }
    }
    assert!(messages > 500, "{messages}");
}
