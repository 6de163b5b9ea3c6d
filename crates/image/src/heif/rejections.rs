//! The rejections of HEIC.

use heifer::{heifer_hevc_dec, heifer_isobmff};

use crate::format;
use fruitvec_core::rejection::{RejectCode, Rejection};

pub(super) fn other_codec(kind: &[u8; 4]) -> Rejection {
    format::unsupported(match kind {
        b"av01" => "AVIF",
        b"avc1" => "HEIF with H.264",
        b"jpeg" => "HEIF with JPEG",
        b"iovl" | b"iden" => "HEIC of several layers",
        _ => "HEIF with this codec",
    })
}

pub(super) fn rejection(error: &heifer_isobmff::Error) -> Rejection {
    match error {
        // Bursts and videos have no `meta` box.
        heifer_isobmff::Error::MissingBox(_) => format::unsupported("HEIC without a still image"),
        heifer_isobmff::Error::UnexpectedEof => corrupt("a part of it is missing"),
        _ => corrupt("its metadata is damaged"),
    }
}

pub(super) fn corrupt(reason: &str) -> Rejection {
    Rejection::new(RejectCode::Corrupt, format!("the HEIC is invalid: {reason}; export it again as JPEG"))
}

pub(super) fn truncated(file_bytes: usize) -> Rejection {
    let message = format!("the HEIC ends after {file_bytes} bytes, before its last box; upload it again");
    Rejection::new(RejectCode::Truncated, message)
}

pub(super) fn too_complex() -> Rejection {
    format::unsupported("HEIC with so many parts")
}

pub(super) fn hevc_rejection(error: &heifer_hevc_dec::Error) -> Rejection {
    use heifer_hevc_dec::Error::{Invalid, UnexpectedEof, Unimplemented};
    match error {
        UnexpectedEof | Invalid("picture is incomplete" | "no slice in bitstream") => {
            let message = "the HEIC ends before its last pixel; upload it again";
            Rejection::new(RejectCode::Truncated, message)
        }
        Unimplemented("picture larger than the configured size limit") => {
            corrupt("a picture is larger than it declares")
        }
        Unimplemented(_) => format::unsupported("this kind of HEIC"),
        _ => corrupt("its pixels can't be decoded"),
    }
}
