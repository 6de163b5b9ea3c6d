//! Files that are not ONNX, or are damaged.

use prost::Message;
use tract_onnx::pb::TensorProto;

use super::kind::{Kind, graph};
use super::network::network;

const DAMAGED: &str = "the file is truncated or is not an ONNX file";

pub(super) fn kinds() -> Vec<Kind> {
    let file = network().encode_to_vec();
    let damaged = |name, file: &[u8]| Kind { name, file: file.to_vec(), words: DAMAGED };
    // Field 7, the graph, has a length.
    let length = |bytes: &[u8]| [&[0x3A][..], bytes].concat();
    vec![
        Kind { name: "an empty file", file: Vec::new(), words: "no global average pool" },
        damaged("half a file", &file[..file.len() / 2]),
        damaged("a file without its last byte", &file[..file.len() - 1]),
        damaged("a file of text", b"<html><body>404 Not Found</body></html>"),
        damaged("a file of zeros", &[0; 4096]),
        damaged("a file of ones", &[0xFF; 4096]),
        damaged("a length of eleven bytes", &length(&[0xFF; 11])),
        damaged("a length of 2^63", &length(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01])),
        damaged("a length one beyond the end", &length(&[0x01])),
        damaged("a group in a group in a group", &[0x0B; 100_000]),
        damaged("a field with number 0", &[0x02, 0x00]),
        damaged("an unknown wire type", &[0x0F]),
        Kind { name: "a name that is not UTF-8", file: length(&[0x03, 0x12, 0x01, 0xFF]), words: "UTF-8" },
        graph("too many packed integers", "too many packed integers", |g| {
            g.initializer.push(TensorProto { int64_data: vec![0; (64 << 20) + 1], ..TensorProto::default() });
        }),
    ]
}
