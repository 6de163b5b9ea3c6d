//! Edits of a file: of bits, of numbers, of ranges, and of whole chunks.

use proptest::prelude::*;
use proptest::sample::Index;

use super::boundaries::boundaries;

/// The most bytes of an edited file.
const MAX_BYTES: usize = 4 << 20;

/// Numbers at which sizes overflow, change their sign, or become enormous.
const NUMBERS: [u64; 12] =
    [0, 1, 2, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, i64::MAX as u64, u64::MAX];

/// Texts that JSON, TOML and their readers treat specially.
const WORDS: [&str; 16] = [
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\\u0000",
    "\\ud800",
    "null",
    "-1",
    "1e999",
    "18446744073709551616",
    "[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":",
    ",",
    "\n",
    "\u{202E}",
];

/// A change of a file. Places are relative to its length.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    FlipBit(Index, u8),
    SetByte(Index, u8),
    /// Writes a number of 1, 2, 4 or 8 bytes.
    SetNumber {
        at: Index,
        number: Index,
        bytes: u32,
        big_endian: bool,
    },
    /// Adds to a byte.
    Add(Index, i8),
    InsertWord(Index, Index),
    Truncate(Index),
    Remove(Index, Index),
    Duplicate(Index, Index),
    /// Inserts a part of the other seed.
    Splice(Index, Index, Index),
    RemoveChunk(Index),
    DuplicateChunk(Index, Index),
    SwapChunks(Index, Index),
    /// Inserts a chunk of the other seed.
    SpliceChunk(Index, Index),
    /// Writes a number at the start of a chunk, where formats keep lengths and types.
    SetChunkNumber {
        chunk: Index,
        offset: usize,
        number: Index,
        bytes: u32,
        big_endian: bool,
    },
}

/// Returns a strategy for up to eight edits.
pub(super) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = any::<Index>;
    let width = || prop::sample::select(vec![1_u32, 2, 4, 8]);
    let edit = prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Edit::FlipBit(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::SetByte(at, byte)),
        (at(), at(), width(), any::<bool>()).prop_map(|(at, number, bytes, big_endian)| {
            Edit::SetNumber { at, number, bytes, big_endian }
        }),
        (at(), any::<i8>()).prop_map(|(at, amount)| Edit::Add(at, amount)),
        (at(), at()).prop_map(|(at, word)| Edit::InsertWord(at, word)),
        at().prop_map(Edit::Truncate),
        (at(), at()).prop_map(|(from, to)| Edit::Remove(from, to)),
        (at(), at()).prop_map(|(from, to)| Edit::Duplicate(from, to)),
        (at(), at(), at()).prop_map(|(at, from, to)| Edit::Splice(at, from, to)),
        at().prop_map(Edit::RemoveChunk),
        (at(), at()).prop_map(|(from, to)| Edit::DuplicateChunk(from, to)),
        (at(), at()).prop_map(|(first, second)| Edit::SwapChunks(first, second)),
        (at(), at()).prop_map(|(chunk, at)| Edit::SpliceChunk(chunk, at)),
        (at(), 0..12_usize, at(), width(), any::<bool>()).prop_map(
            |(chunk, offset, number, bytes, big_endian)| Edit::SetChunkNumber {
                chunk,
                offset,
                number,
                bytes,
                big_endian
            }
        ),
    ];
    prop::collection::vec(edit, 1..8)
}

/// Applies edits to a file. `other` is the file that parts are taken from.
pub(super) fn apply(edits: &[Edit], file: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for edit in edits {
        if bytes.is_empty() || bytes.len() > MAX_BYTES {
            break;
        }
        apply_one(edit, &mut bytes, other);
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

fn apply_one(edit: &Edit, bytes: &mut Vec<u8>, other: &[u8]) {
    let length = bytes.len();
    match edit {
        Edit::FlipBit(at, bit) => bytes[at.index(length)] ^= 1 << bit,
        Edit::SetByte(at, byte) => bytes[at.index(length)] = *byte,
        Edit::SetNumber { at, number, bytes: width, big_endian } => {
            set_number(bytes, at.index(length), *number.get(&NUMBERS), *width as usize, *big_endian);
        }
        Edit::Add(at, amount) => {
            let byte = &mut bytes[at.index(length)];
            *byte = byte.wrapping_add_signed(*amount);
        }
        Edit::InsertWord(at, word) => {
            let at = at.index(length);
            bytes.splice(at..at, word.get(&WORDS).bytes());
        }
        Edit::Truncate(at) => bytes.truncate(at.index(length)),
        Edit::Remove(from, to) => _ = bytes.drain(range(*from, *to, length)),
        Edit::Duplicate(from, to) => {
            let range = range(*from, *to, length);
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.end..range.end, copy);
        }
        Edit::Splice(at, from, to) if !other.is_empty() => {
            let at = at.index(length);
            bytes.splice(at..at, other[range(*from, *to, other.len())].iter().copied());
        }
        Edit::Splice(..) => (),
        _ => apply_to_chunks(edit, bytes, other),
    }
}

fn apply_to_chunks(edit: &Edit, bytes: &mut Vec<u8>, other: &[u8]) {
    let chunks = chunks(bytes);
    match edit {
        Edit::RemoveChunk(chunk) => _ = bytes.drain(chunk.get(&chunks).clone()),
        Edit::DuplicateChunk(from, to) => {
            let (copy, at) = (bytes[from.get(&chunks).clone()].to_vec(), to.get(&chunks).start);
            bytes.splice(at..at, copy);
        }
        Edit::SwapChunks(first, second) => {
            let (first, second) = (first.get(&chunks).clone(), second.get(&chunks).clone());
            let (first, second) = if first.start <= second.start { (first, second) } else { (second, first) };
            if first != second {
                let (earlier, later) = (bytes[first.clone()].to_vec(), bytes[second.clone()].to_vec());
                bytes.splice(second, earlier);
                bytes.splice(first, later);
            }
        }
        Edit::SpliceChunk(chunk, at) if !other.is_empty() => {
            let at = at.get(&chunks).start;
            bytes.splice(at..at, other[chunk.get(&self::chunks(other)).clone()].iter().copied());
        }
        Edit::SetChunkNumber { chunk, offset, number, bytes: width, big_endian } => {
            let at = chunk.get(&chunks).start + offset;
            set_number(bytes, at, *number.get(&NUMBERS), *width as usize, *big_endian);
        }
        _ => (),
    }
}

/// Returns the ranges between boundaries.
fn chunks(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    boundaries(bytes).windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// Returns a range of at most a quarter of a file.
fn range(from: Index, to: Index, length: usize) -> std::ops::Range<usize> {
    let start = from.index(length);
    start..start + to.index((length - start).min(length / 4 + 1)) + 1
}

/// Writes the lowest bytes of a number, as far as the file reaches.
fn set_number(bytes: &mut [u8], at: usize, number: u64, width: usize, big_endian: bool) {
    let number = if big_endian { number << (64 - 8 * width) } else { number };
    let encoded = if big_endian { number.to_be_bytes() } else { number.to_le_bytes() };
    for (byte, value) in bytes.iter_mut().skip(at).zip(&encoded[..width]) {
        *byte = *value;
    }
}
