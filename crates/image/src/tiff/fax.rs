//! Decodes fax rows to one bit per pixel, black as 1 (ITU-T T.4 and T.6).
//!
//! The crate `fax` has the code tables. Its own decoders read neither two-dimensional rows of
//! Group 3 nor rows without end-of-line marks.

use std::convert::Infallible;

use fax::maps::{Mode, black, mode, white};
use fax::{BitReader, ByteReader};

use super::compression::Fax;
use super::refuse::corrupt;
use fruitvec_core::rejection::Rejection;

/// Zeros that no code starts with, so only an end-of-line mark can follow.
const MARK_ZEROS: u8 = 11;

/// The rows of one chunk after another.
pub(super) struct FaxRows<'a> {
    kind: Fax,
    width: u32,
    bits: ByteReader<Bytes<'a>>,
    /// The columns at which the colour changes in the row above, starting from white.
    above: Vec<u32>,
    row: Vec<u32>,
    /// Whether the stream has declared its end. Rows after it are white.
    is_over: bool,
}

/// The bytes of a chunk, and zeros after them. The longest code would otherwise be unreadable at
/// the end.
struct Bytes<'a> {
    chunk: std::slice::Iter<'a, u8>,
    padding: u8,
}

impl Iterator for Bytes<'_> {
    type Item = Result<u8, Infallible>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(byte) = self.chunk.next() {
            return Some(Ok(*byte));
        }
        self.padding = self.padding.checked_sub(1)?;
        Some(Ok(0))
    }
}

fn reader(chunk: &[u8]) -> ByteReader<Bytes<'_>> {
    let Ok(reader) = ByteReader::new(Bytes { chunk: chunk.iter(), padding: 4 });
    reader
}

impl<'a> FaxRows<'a> {
    pub(super) fn new(kind: Fax, width: u32) -> Self {
        Self { kind, width, bits: reader(&[]), above: Vec::new(), row: Vec::new(), is_over: false }
    }

    pub(super) fn start(&mut self, chunk: &'a [u8]) {
        self.bits = reader(chunk);
        self.above.clear();
        self.is_over = false;
    }

    /// Decodes the next row.
    pub(super) fn read(&mut self, packed: &mut [u8]) -> Result<(), Rejection> {
        self.row.clear();
        if !self.is_over {
            match self.kind {
                Fax::Rle => {
                    self.read_runs()?;
                    let bits = self.bits.bits_to_byte_boundary();
                    self.skip(bits);
                }
                Fax::Group3 { two_dimensional } => self.read_group3(two_dimensional)?,
                Fax::Group4 => self.read_changes()?,
            }
        }
        draw(&self.row, self.width, packed);
        std::mem::swap(&mut self.above, &mut self.row);
        Ok(())
    }

    fn read_group3(&mut self, two_dimensional: bool) -> Result<(), Rejection> {
        let mut marks = 0;
        let mut is_one_dimensional = true;
        // Six marks end the page.
        while self.skip_mark() {
            marks += 1;
            if two_dimensional {
                is_one_dimensional = self.bits.peek(1) == Some(1);
                self.skip(1);
            }
            if marks == 6 {
                self.is_over = true;
                return Ok(());
            }
        }
        if is_one_dimensional { self.read_runs() } else { self.read_changes() }
    }

    /// Skips an end-of-line mark and the zeros before it, and returns whether there is one.
    fn skip_mark(&mut self) -> bool {
        if self.bits.peek(MARK_ZEROS) != Some(0) {
            return false;
        }
        while self.bits.peek(8) == Some(0) {
            self.skip(8);
        }
        while self.bits.peek(1) == Some(0) {
            self.skip(1);
        }
        let is_mark = self.bits.peek(1) == Some(1);
        self.skip(1);
        is_mark
    }

    /// Reads a row as the lengths of its runs.
    fn read_runs(&mut self) -> Result<(), Rejection> {
        let (mut column, mut is_black) = (0, false);
        // A run can be empty, but not two in sequence.
        for _ in 0..=2 * self.width {
            let has_begun = column > 0 || is_black;
            // Some machines end a row early, and leave the rest white.
            if has_begun && self.kind != Fax::Rle && self.bits.peek(MARK_ZEROS) == Some(0) {
                if is_black {
                    change(&mut self.row, column);
                }
                return Ok(());
            }
            column += self.run(is_black)?;
            if column >= self.width {
                return self.end_row(column);
            }
            change(&mut self.row, column);
            is_black = !is_black;
        }
        Err(corrupt("a fax row has too many runs"))
    }

    /// Reads a row as its differences from the row above.
    fn read_changes(&mut self) -> Result<(), Rejection> {
        // The first change can be at column 0, which is after the start of the row.
        let (mut start, mut is_black) = (None, false);
        // The first change in the row above that is after `start`.
        let mut next = 0;
        for _ in 0..=2 * self.width {
            while start.is_some_and(|start| self.above.get(next).is_some_and(|column| *column <= start)) {
                next += 1;
            }
            let opposite = next + usize::from((next % 2 == 1) != is_black);
            let above = |index: usize| self.above.get(index).copied().unwrap_or(self.width);
            let column = start.unwrap_or(0);
            if start.is_none() && self.bits.peek(MARK_ZEROS + 1) == Some(1) {
                self.is_over = true;
                return Ok(());
            }
            match mode::decode(&mut self.bits) {
                Some(Mode::Pass) => start = Some(above(opposite + 1)),
                Some(Mode::Horizontal) => {
                    let first = column + self.run(is_black)?;
                    let second = first + self.run(!is_black)?;
                    if first < self.width {
                        change(&mut self.row, first);
                    }
                    if second < self.width {
                        change(&mut self.row, second);
                    }
                    start = Some(second);
                }
                Some(Mode::Vertical(distance)) => {
                    let to = above(opposite).saturating_add_signed(i32::from(distance));
                    if to < column {
                        return Err(corrupt("a fax row goes backwards"));
                    }
                    if to < self.width {
                        change(&mut self.row, to);
                    }
                    is_black = !is_black;
                    start = Some(to);
                }
                _ => return Err(corrupt("a fax row has an unknown code")),
            }
            if let Some(column) = start.filter(|column| *column >= self.width) {
                return self.end_row(column);
            }
        }
        Err(corrupt("a fax row has too many changes"))
    }

    fn end_row(&self, column: u32) -> Result<(), Rejection> {
        if column == self.width { Ok(()) } else { Err(corrupt("a fax row is longer than the image")) }
    }

    /// Reads the length of a run: any number of codes for multiples of 64, and one for the rest.
    fn run(&mut self, is_black: bool) -> Result<u32, Rejection> {
        let mut length: u32 = 0;
        while length <= self.width {
            let code = if is_black { black::decode(&mut self.bits) } else { white::decode(&mut self.bits) };
            let Some(code) = code else { return Err(corrupt("a fax row has an unknown code")) };
            length += u32::from(code);
            if code < 64 {
                return Ok(length);
            }
        }
        Err(corrupt("a fax row is longer than the image"))
    }

    fn skip(&mut self, bits: u8) {
        let Ok(()) = self.bits.consume(bits);
    }
}

/// Appends a change of colour. Two changes at one column are none.
fn change(row: &mut Vec<u32>, column: u32) {
    if row.last() == Some(&column) {
        row.pop();
    } else {
        row.push(column);
    }
}

/// Sets the bits between every second change and the next.
fn draw(changes: &[u32], width: u32, packed: &mut [u8]) {
    packed.fill(0);
    for run in changes.chunks(2) {
        let start = run[0] as usize;
        let end = run.get(1).copied().unwrap_or(width) as usize;
        let (first, last) = (start / 8, end / 8);
        let (head, tail) = (0xFF >> (start % 8), !(0xFF_u8 >> (end % 8)));
        if first == last {
            packed[first] |= head & tail;
            continue;
        }
        packed[first] |= head;
        packed[first + 1..last].fill(0xFF);
        // A run to the end of the last byte has no tail.
        if let Some(byte) = packed.get_mut(last) {
            *byte |= tail;
        }
    }
}
