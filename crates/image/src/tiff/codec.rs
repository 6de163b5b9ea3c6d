//! Decompresses a chunk row by row.
//!
//! A codec fails as soon as a stream has consumed far more than it produced. Otherwise streams of
//! clear codes, no-ops or empty blocks would cost time without a bound by the size of the image.

use std::error::Error;

use flate2::{Decompress, FlushDecompress};
use weezl::BitOrder;
use weezl::decode::Configuration;
use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::compression::Compression;
use super::fax::FaxRows;
use super::layout::Layout;
use super::refuse::{corrupt, cut_off};
use crate::plain_words;
use fruitvec_core::rejection::Rejection;

/// Bytes that a decompressor gets at once. It bounds the work between two checks.
const PIECE: usize = 4096;
/// Bytes that the chunks of an image may consume before they have produced any. Zstandard reads
/// whole blocks, which have at most half as many.
const HEAD_START: u64 = 256 << 10;
/// What the head and tail of a stream may take, for images of which each row is a chunk.
const FRAMING: u64 = 64;
/// The limit on memory for the history of a Zstandard stream, as a power of two.
const ZSTD_WINDOW: u32 = 23;
/// The memory of a Zstandard decoder apart from the history, rounded up.
const ZSTD_STATE: u64 = 512 << 10;

/// Decompresses one chunk after another.
pub(super) struct Codec<'a> {
    method: Method<'a>,
    /// The bytes of the chunk that are not yet consumed.
    rest: &'a [u8],
    /// Bytes of all chunks so far.
    consumed: u64,
    /// Bytes that the chunks so far justify consuming.
    justified: u64,
}

enum Method<'a> {
    None,
    PackBits(Run),
    Lzw { newer: Box<weezl::decode::Decoder>, older: Box<weezl::decode::Decoder>, is_old: bool },
    Deflate(Box<Decompress>),
    Zstd(Box<Decoder<'static>>),
    Fax(FaxRows<'a>),
}

/// What is left of a run of PackBits.
enum Run {
    Literal(usize),
    Repeat(u8, usize),
}

/// The result of one step of a decompressor.
struct Step {
    consumed: usize,
    produced: usize,
    /// Whether nothing follows.
    is_last: bool,
}

impl Step {
    /// Returns a step of a decompressor. One that stands still needs input that does not come.
    fn new(consumed: usize, produced: usize, has_ended: bool) -> Self {
        Self { consumed, produced, is_last: has_ended || (consumed, produced) == (0, 0) }
    }
}

/// Returns the memory of the codecs of an image, one for each plane. All but those of Zstandard are
/// small.
pub(super) fn memory(layout: &Layout) -> u64 {
    match layout.compression {
        Compression::Zstd => layout.planes() as u64 * ((1 << ZSTD_WINDOW) + ZSTD_STATE),
        _ => 0,
    }
}

impl<'a> Codec<'a> {
    pub(super) fn new(layout: &Layout) -> Result<Self, Rejection> {
        let method = match layout.compression {
            // JPEGs have a decoder of their own.
            Compression::None | Compression::Jpeg => Method::None,
            Compression::PackBits => Method::PackBits(Run::Literal(0)),
            Compression::Lzw => {
                let newer = Configuration::with_tiff_size_switch(BitOrder::Msb, 8);
                let older = Configuration::new(BitOrder::Lsb, 8);
                let build =
                    |configuration: Configuration| configuration.with_yield_on_full_buffer(true).build();
                Method::Lzw { newer: build(newer).into(), older: build(older).into(), is_old: false }
            }
            Compression::Deflate => Method::Deflate(Decompress::new(true).into()),
            Compression::Zstd => {
                let mut decoder = Decoder::new().map_err(invalid)?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW)).map_err(invalid)?;
                Method::Zstd(decoder.into())
            }
            Compression::Fax(kind) => Method::Fax(FaxRows::new(kind, layout.chunk.0)),
        };
        Ok(Self { method, rest: &[], consumed: 0, justified: HEAD_START })
    }

    pub(super) fn start(&mut self, chunk: &'a [u8]) -> Result<(), Rejection> {
        self.rest = chunk;
        self.justified += FRAMING;
        match &mut self.method {
            Method::None => {}
            Method::PackBits(run) => *run = Run::Literal(0),
            Method::Lzw { newer, older, is_old } => {
                // Writers before TIFF 6.0 stored the bits of the first code, a clear code, in
                // reverse.
                *is_old = matches!(chunk, [0, second, ..] if second & 1 == 1);
                if *is_old { older.reset() } else { newer.reset() }
            }
            Method::Deflate(stream) => stream.reset(true),
            Method::Zstd(stream) => stream.reinit().map_err(invalid)?,
            Method::Fax(fax) => fax.start(chunk),
        }
        Ok(())
    }

    /// Fills a row.
    ///
    /// # Errors
    /// `Corrupt` if the stream is invalid, too short, or inflated with bytes that produce nothing.
    /// `Truncated` if the file ends first.
    pub(super) fn read(&mut self, row: &mut [u8]) -> Result<(), Rejection> {
        if let Method::Fax(fax) = &mut self.method {
            return fax.read(row);
        }
        let mut filled = 0;
        while filled < row.len() {
            let piece = &self.rest[..self.rest.len().min(PIECE)];
            let step = self.method.step(piece, &mut row[filled..])?;
            filled += step.produced;
            self.rest = &self.rest[step.consumed..];
            self.consumed += step.consumed as u64;
            // The least efficient honest streams are PackBits without a run.
            self.justified += 2 * step.produced as u64;
            if filled < row.len() && step.is_last {
                if matches!(self.method, Method::None) {
                    return Err(cut_off());
                }
                return Err(corrupt("a strip or tile ends before its last pixel"));
            }
            if self.consumed > self.justified {
                return Err(corrupt("a strip or tile has long stretches without pixels"));
            }
        }
        Ok(())
    }
}

impl Method<'_> {
    /// Decompresses a piece until it is consumed or the output is full.
    fn step(&mut self, piece: &[u8], output: &mut [u8]) -> Result<Step, Rejection> {
        match self {
            Self::PackBits(run) => Ok(unpack_bits(run, piece, output)),
            Self::Lzw { newer, older, is_old } => {
                let decoder = if *is_old { older } else { newer };
                // A step can clear the table, or fill a buffer for the next step, and seem to stand
                // still. Two in sequence can't.
                let mut result = decoder.decode_bytes(piece, output);
                if (result.consumed_in, result.consumed_out) == (0, 0) {
                    result = decoder.decode_bytes(piece, output);
                }
                let has_ended = matches!(result.status.map_err(invalid)?, weezl::LzwStatus::Done);
                Ok(Step::new(result.consumed_in, result.consumed_out, has_ended))
            }
            Self::Deflate(stream) => {
                let before = (stream.total_in(), stream.total_out());
                let status = stream.decompress(piece, output, FlushDecompress::None).map_err(invalid)?;
                let consumed = (stream.total_in() - before.0) as usize;
                let produced = (stream.total_out() - before.1) as usize;
                Ok(Step::new(consumed, produced, status == flate2::Status::StreamEnd))
            }
            Self::Zstd(stream) => {
                let status = stream.run_on_buffers(piece, output).map_err(invalid)?;
                Ok(Step::new(status.bytes_read, status.bytes_written, status.remaining == 0))
            }
            Self::None | Self::Fax(_) => {
                let count = piece.len().min(output.len());
                output[..count].copy_from_slice(&piece[..count]);
                Ok(Step::new(count, count, false))
            }
        }
    }
}

/// Unpacks runs until the piece or the output is used up.
fn unpack_bits(run: &mut Run, piece: &[u8], output: &mut [u8]) -> Step {
    let (mut consumed, mut produced) = (0, 0);
    while produced < output.len() {
        match run {
            Run::Literal(0) | Run::Repeat(_, 0) => match piece[consumed..] {
                [head @ 0..=127, ..] => {
                    *run = Run::Literal(usize::from(head) + 1);
                    consumed += 1;
                }
                [128, ..] => consumed += 1,
                [head, value, ..] => {
                    *run = Run::Repeat(value, 257 - usize::from(head));
                    consumed += 2;
                }
                // A pair that spans two pieces is read with the next one.
                [_] | [] => break,
            },
            Run::Literal(left) => {
                let count = (*left).min(output.len() - produced).min(piece.len() - consumed);
                if count == 0 {
                    break;
                }
                output[produced..produced + count].copy_from_slice(&piece[consumed..consumed + count]);
                *left -= count;
                consumed += count;
                produced += count;
            }
            Run::Repeat(value, left) => {
                let count = (*left).min(output.len() - produced);
                output[produced..produced + count].fill(*value);
                *left -= count;
                produced += count;
            }
        }
    }
    Step::new(consumed, produced, false)
}

fn invalid(error: impl Error + 'static) -> Rejection {
    corrupt(&format!("a strip or tile can't be decompressed{}", plain_words::cause(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packbits_runs_may_span_pieces_and_rows() {
        // The example of TIFF 6.0, section 9.
        let packed =
            [0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7, 0xAA];
        let expected = [
            0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0x22, 0xAA, 0xAA,
            0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
        ];
        for (piece, row) in (2..16).flat_map(|piece| (1..25).map(move |row| (piece, row))) {
            let (mut run, mut rest, mut unpacked) = (Run::Literal(0), &packed[..], Vec::new());
            while unpacked.len() < expected.len() {
                let mut output = vec![0; row.min(expected.len() - unpacked.len())];
                let mut filled = 0;
                while filled < output.len() {
                    let step = unpack_bits(&mut run, &rest[..rest.len().min(piece)], &mut output[filled..]);
                    rest = &rest[step.consumed..];
                    filled += step.produced;
                    assert!(step.consumed + step.produced > 0);
                }
                unpacked.extend(output);
            }
            assert_eq!(unpacked, expected, "pieces of {piece}, rows of {row}");
        }
    }
}
