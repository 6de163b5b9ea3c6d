//! Where the chunks of a file start, in the formats that have any.

use crate::ingest::png::crc32;

/// Returns the offsets at which chunks start, with 0 and the length of the file. The file is not
/// empty. A file of another format has one chunk.
pub(super) fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let number = |at: usize, big_endian: bool| {
        let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(if big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) } as usize)
    };
    let mut offsets = vec![0];
    let mut push_while = |start: usize, length: &dyn Fn(usize) -> Option<usize>| {
        let mut at = start;
        while at < bytes.len() {
            offsets.push(at);
            let Some(next) = length(at).map(|length| at.saturating_add(length.max(1))) else { break };
            at = next;
        }
    };
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => push_while(8, &|at| Some(number(at, true)?.saturating_add(12))),
        [b'R', b'I', b'F', b'F', ..] => {
            push_while(12, &|at| Some(number(at + 4, false)?.saturating_add(9) & !1));
        }
        [0xFF, 0xD8, ..] => push_while(2, &|at| {
            let &[0xFF, marker, high, low] = bytes.get(at..at + 4)? else { return None };
            // The data of a scan follow its header, so the scan is the last chunk.
            (marker != 0xDA).then(|| 2 + (usize::from(high) << 8 | usize::from(low)))
        }),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => push_while(0, &|at| match bytes.get(at + 4..at + 8)? {
            // Boxes that begin with a header and then contain boxes.
            b"meta" => Some(12),
            b"iinf" => Some(14),
            b"iprp" | b"ipco" => Some(8),
            _ => number(at, true),
        }),
        [b'P', b'A', b'R', b'1', ..] => {
            let footer =
                bytes.len().checked_sub(8).and_then(|at| (bytes.len() - 8).checked_sub(number(at, false)?));
            push_while(footer.unwrap_or(4).max(4), &|_| None);
        }
        [b'{' | b'[', ..] => push_while(1, &|at| {
            let rest = &bytes[at + 1..];
            rest.iter().position(|byte| matches!(byte, b',' | b':' | b'{' | b'[')).map(|length| length + 1)
        }),
        [b'#' | b'a'..=b'z', ..] => {
            push_while(1, &|at| bytes[at..].iter().position(|byte| *byte == b'\n').map(|length| length + 1))
        }
        _ => (),
    }
    offsets.retain(|offset| *offset < bytes.len());
    offsets.dedup();
    offsets.push(bytes.len());
    offsets
}

/// Makes the checksums of a PNG's chunks match their contents. Other files stay as they are.
pub(super) fn repair_png(bytes: &mut [u8]) {
    if !bytes.starts_with(b"\x89PNG\r\n\x1A\n") {
        return;
    }
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let end = at.saturating_add(8).saturating_add(length);
        let Some(content) = bytes.get(at + 4..end) else { return };
        let checksum = crc32(content).to_be_bytes();
        let Some(place) = bytes.get_mut(end..end + 4) else { return };
        place.copy_from_slice(&checksum);
        at = end + 4;
    }
}

#[test]
fn chunks_of_a_png_are_found_and_its_checksums_repaired() {
    let png = include_bytes!("../../photos/palette.png");
    let starts = boundaries(png);
    assert_eq!(&png[starts[1] + 4..starts[1] + 8], b"IHDR");
    assert_eq!(&png[starts[starts.len() - 2] + 4..][..4], b"IEND");
    let mut damaged = png.to_vec();
    for start in &starts[1..starts.len() - 1] {
        let length = u32::from_be_bytes(damaged[*start..start + 4].try_into().unwrap()) as usize;
        damaged[start + 8 + length] ^= 0xFF;
    }
    assert_ne!(damaged, png);
    repair_png(&mut damaged);
    assert_eq!(damaged, png);
}
