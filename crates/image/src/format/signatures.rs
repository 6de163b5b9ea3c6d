//! The signatures of binary formats.

use image::ImageFormat;

use super::rejections::{not_an_image, unsupported, unsupported_unless_converted};
use fruitvec_core::rejection::Rejection;

/// The signatures of supported formats.
const SUPPORTED: &[(&[u8], ImageFormat)] = &[
    (b"\xFF\xD8\xFF", ImageFormat::Jpeg),
    (b"\x89PNG\r\n\x1A\n", ImageFormat::Png),
    (b"GIF87a", ImageFormat::Gif),
    (b"GIF89a", ImageFormat::Gif),
    (b"II*\0", ImageFormat::Tiff),
    (b"MM\0*", ImageFormat::Tiff),
    (b"II+\0", ImageFormat::Tiff),
    (b"MM\0+", ImageFormat::Tiff),
];

/// The signatures of unsupported image formats.
const UNSUPPORTED: &[(&[u8], &str)] = &[
    (b"\xFF\x0A", "JPEG XL"),
    (b"\0\0\0\x0CJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xFF\x4F\xFF\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"%PDF-", "PDF"),
    (b"\0\0\x01\0", "Windows icon (ICO)"),
    (b"DDS ", "DirectDraw (DDS)"),
    (b"qoif", "QOI"),
    (b"farbfeld", "farbfeld"),
    (b"#?RADIANCE", "Radiance (HDR)"),
    (b"\x76\x2F\x31\x01", "OpenEXR"),
    (b"FUJIFILMCCD-RAW", "Fujifilm raw (RAF)"),
    (b"IIRO", "Olympus raw (ORF)"),
    (b"IIRS", "Olympus raw (ORF)"),
    (b"MMOR", "Olympus raw (ORF)"),
    (b"IIU\0", "Panasonic raw (RW2)"),
    (b"FOVb", "Sigma raw (X3F)"),
];

const UNPACK: &str = "unpack it and upload the photos in it";
const SEND_A_PHOTO: &str = "send a photo as JPEG, PNG or WebP";

/// The signatures of other files that get into folders of photos, and what to do.
const OTHERS: &[(&[u8], &str, &str)] = &[
    (b"\x1F\x8B", "gzip data", "decompress it, and upload without `Content-Encoding: gzip`"),
    (b"\x28\xB5\x2F\xFD", "Zstandard data", "decompress it and upload the photo"),
    (b"BZh", "bzip2 data", "decompress it and upload the photo"),
    (b"\xFD7zXZ\0", "xz data", "decompress it and upload the photo"),
    (b"PK\x03\x04", "a ZIP archive", UNPACK),
    (b"PK\x05\x06", "an empty ZIP archive", SEND_A_PHOTO),
    (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive", UNPACK),
    (b"Rar!\x1A\x07", "a RAR archive", UNPACK),
    (b"\x1A\x45\xDF\xA3", "a Matroska or WebM video", SEND_A_PHOTO),
    (b"\0\0\x01\xBA", "an MPEG video", SEND_A_PHOTO),
    (b"FLV\x01", "a Flash video", SEND_A_PHOTO),
    (b"OggS", "an Ogg recording", SEND_A_PHOTO),
    (b"ID3", "an MP3 recording", SEND_A_PHOTO),
    (
        b"\0\x05\x16\x07",
        "macOS metadata of a photo (AppleDouble)",
        "upload the file whose name lacks the `._`",
    ),
    (b"\0\0\0\x01Bud1", "a folder's settings (.DS_Store)", SEND_A_PHOTO),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "a Microsoft Office document or thumbnail cache", SEND_A_PHOTO),
    (b"SQLite format 3\0", "an SQLite database", SEND_A_PHOTO),
    (b"PAR1", "a Parquet file", SEND_A_PHOTO),
    (b"\x7FELF", "a program", SEND_A_PHOTO),
];

/// The forms of RIFF files other than WebP.
const RIFF_FORMS: &[(&[u8; 4], &str)] = &[(b"AVI ", "an AVI video"), (b"WAVE", "a WAV recording")];
/// The position of a RIFF file's form.
const RIFF_FORM: usize = 8;
/// The position of a tar archive's signature.
const TAR_SIGNATURE: usize = 257;

/// The sizes that the header after a BMP's file header can have.
const BMP_HEADERS: &[u32] = &[12, 16, 40, 52, 56, 64, 108, 124];
/// The length of the file header of a BMP.
const BMP_FILE_HEADER: usize = 14;

/// Returns the format of an image that can be decoded.
pub(super) fn supported(bytes: &[u8]) -> Option<ImageFormat> {
    if let Some((_, format)) = SUPPORTED.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return Some(*format);
    }
    if riff_form(bytes) == Some(b"WEBP") {
        return Some(ImageFormat::WebP);
    }
    // A BMP's signature is only two letters, which could also start a text about cars. The size of
    // the second header makes the match certain.
    let header = bytes.get(BMP_FILE_HEADER..)?.first_chunk()?;
    let is_bmp = bytes.starts_with(b"BM") && BMP_HEADERS.contains(&u32::from_le_bytes(*header));
    is_bmp.then_some(ImageFormat::Bmp)
}

/// Rejects a file of a known format.
pub(super) fn rejection(start: &[u8]) -> Option<Rejection> {
    if let Some((_, name)) = UNSUPPORTED.iter().find(|(signature, _)| start.starts_with(signature)) {
        return Some(match *name {
            "JPEG XL" => unsupported_unless_converted(name, "`djxl` converts it"),
            name => unsupported(name),
        });
    }
    if let [b'P', b'1'..=b'7', space, ..] = start
        && space.is_ascii_whitespace()
    {
        return Some(unsupported("PNM"));
    }
    if let Some((_, what, remedy)) = OTHERS.iter().find(|(signature, ..)| start.starts_with(signature)) {
        return Some(not_an_image(what, remedy));
    }
    if start.get(TAR_SIGNATURE..).is_some_and(|rest| rest.starts_with(b"ustar")) {
        return Some(not_an_image("a tar archive", UNPACK));
    }
    let (_, what) = RIFF_FORMS.iter().find(|(form, _)| riff_form(start) == Some(form))?;
    Some(not_an_image(what, SEND_A_PHOTO))
}

fn riff_form(bytes: &[u8]) -> Option<&[u8; 4]> {
    bytes.get(RIFF_FORM..)?.first_chunk().filter(|_| bytes.starts_with(b"RIFF"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fruitvec_core::rejection::RejectCode;

    #[test]
    fn every_signature_is_detected() {
        for (signature, format) in SUPPORTED {
            assert_eq!(supported(signature), Some(*format));
        }
        for (signature, name) in UNSUPPORTED {
            let rejection = rejection(signature).unwrap();
            assert_eq!(rejection.code, RejectCode::UnsupportedFormat);
            assert!(rejection.message.starts_with(unsupported(name).message.as_str()), "{rejection}");
        }
        for (signature, what, remedy) in OTHERS {
            assert_eq!(supported(signature), None);
            assert_eq!(rejection(signature), Some(not_an_image(what, remedy)));
        }
    }

    #[test]
    fn a_riff_file_is_an_image_only_with_the_webp_form() {
        let riff = |form: &[u8; 4]| [b"RIFF\x04\0\0\0", &form[..]].concat();
        assert_eq!(supported(&riff(b"WEBP")), Some(ImageFormat::WebP));
        for (form, what) in RIFF_FORMS {
            assert_eq!(supported(&riff(form)), None);
            assert!(rejection(&riff(form)).unwrap().message.contains(what));
        }
        assert_eq!(rejection(&riff(b"????")), None);
    }

    #[test]
    fn a_bmp_needs_a_known_header_size() {
        let bmp = |size: u32| [b"BM\0\0\0\0\0\0\0\0\0\0\0\0", &size.to_le_bytes()[..]].concat();
        for size in BMP_HEADERS {
            assert_eq!(supported(&bmp(*size)), Some(ImageFormat::Bmp));
        }
        assert_eq!(supported(&bmp(41)), None);
    }

    #[test]
    fn a_tar_archive_has_its_signature_after_the_name_of_its_first_file() {
        let mut tar = vec![0; 512];
        tar[..9].copy_from_slice(b"apple.jpg");
        tar[257..262].copy_from_slice(b"ustar");
        assert!(rejection(&tar).unwrap().message.contains("a tar archive"));
        assert_eq!(rejection(&tar[..260]), None);
    }
}
