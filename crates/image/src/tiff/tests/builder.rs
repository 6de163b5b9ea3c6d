//! Writes TIFFs, honest and hostile ones.

/// The values of a tag.
pub(in crate::tiff) enum Field<'a> {
    Bytes(&'a [u8]),
    Short(&'a [u16]),
    Long(&'a [u32]),
    Fraction(&'a [(u32, u32)]),
}

/// A TIFF under construction.
#[derive(Clone)]
pub(in crate::tiff) struct Tiff {
    little_endian: bool,
    big: bool,
    /// Tag, type, count and values.
    fields: Vec<(u16, u16, u64, Vec<u8>)>,
    chunks: Vec<Vec<u8>>,
    /// The tags of the chunks' offsets and lengths.
    chunk_tags: (u16, u16),
}

impl Tiff {
    pub(in crate::tiff) fn little() -> Self {
        Self { little_endian: true, big: false, fields: vec![], chunks: vec![], chunk_tags: (273, 279) }
    }

    pub(in crate::tiff) fn big_endian() -> Self {
        Self { little_endian: false, ..Self::little() }
    }

    pub(in crate::tiff) fn bigtiff() -> Self {
        Self { big: true, ..Self::little() }
    }

    /// Creates an image with these depths of a pixel's samples.
    pub(in crate::tiff) fn image(self, (width, height): (u32, u32), photometric: u16, bits: &[u16]) -> Self {
        self.with(256, Field::Long(&[width]))
            .with(257, Field::Long(&[height]))
            .with(258, Field::Short(bits))
            .with(262, Field::Short(&[photometric]))
            .with(277, Field::Short(&[bits.len() as u16]))
    }

    /// Sets a tag.
    pub(in crate::tiff) fn with(mut self, tag: u16, field: Field<'_>) -> Self {
        let (kind, count, values) = match field {
            Field::Bytes(values) => (7, values.len(), values.to_vec()),
            Field::Short(values) => {
                (3, values.len(), values.iter().flat_map(|value| self.number(u64::from(*value), 2)).collect())
            }
            Field::Long(values) => {
                (4, values.len(), values.iter().flat_map(|value| self.number(u64::from(*value), 4)).collect())
            }
            Field::Fraction(values) => {
                let numbers = values.iter().flat_map(|(numerator, denominator)| [*numerator, *denominator]);
                (5, values.len(), numbers.flat_map(|value| self.number(u64::from(value), 4)).collect())
            }
        };
        self.fields.retain(|(other, ..)| *other != tag);
        self.fields.push((tag, kind, count as u64, values));
        self
    }

    /// Sets the strips, each of `rows` rows.
    pub(in crate::tiff) fn strips(self, rows: u32, strips: Vec<Vec<u8>>) -> Self {
        Self { chunks: strips, ..self }.with(278, Field::Long(&[rows]))
    }

    /// Sets the tiles.
    pub(in crate::tiff) fn tiles(self, (width, height): (u32, u32), tiles: Vec<Vec<u8>>) -> Self {
        Self { chunks: tiles, chunk_tags: (324, 325), ..self }
            .with(322, Field::Long(&[width]))
            .with(323, Field::Long(&[height]))
    }

    /// Returns the file: the header, the chunks, the values that don't fit into the directory, and
    /// the directory.
    pub(in crate::tiff) fn bytes(&self) -> Vec<u8> {
        let mut bytes = if self.little_endian { b"II".to_vec() } else { b"MM".to_vec() };
        let (width, header) = if self.big { (8, 16) } else { (4, 8) };
        bytes.extend(self.number(if self.big { 43 } else { 42 }, 2));
        bytes.resize(header, 0);
        if self.big {
            bytes[4..6].copy_from_slice(&self.number(8, 2));
        }
        let mut positions = (vec![], vec![]);
        for chunk in &self.chunks {
            positions.0.push(bytes.len() as u32);
            positions.1.push(chunk.len() as u32);
            bytes.extend(chunk);
        }
        let mut whole = self.clone();
        if !self.chunks.is_empty() {
            let (offsets, counts) = self.chunk_tags;
            // Tests set these tags to write a file that contradicts itself.
            if !self.fields.iter().any(|(tag, ..)| *tag == offsets) {
                whole = whole.with(offsets, Field::Long(&positions.0));
            }
            if !self.fields.iter().any(|(tag, ..)| *tag == counts) {
                whole = whole.with(counts, Field::Long(&positions.1));
            }
        }
        whole.fields.sort_by_key(|(tag, ..)| *tag);
        let mut entries = Vec::new();
        for (tag, kind, count, values) in &whole.fields {
            entries.extend([self.number(u64::from(*tag), 2), self.number(u64::from(*kind), 2)].concat());
            entries.extend(self.number(*count, width));
            let mut value = values.clone();
            if values.len() > width {
                value = self.number(bytes.len() as u64, width);
                bytes.extend(values);
            }
            value.resize(width, 0);
            entries.extend(value);
        }
        let directory = self.number(bytes.len() as u64, width);
        bytes[header - width..header].copy_from_slice(&directory);
        bytes.extend(self.number(whole.fields.len() as u64, if self.big { 8 } else { 2 }));
        bytes.extend(entries);
        bytes.extend(vec![0; width]);
        bytes
    }

    fn number(&self, value: u64, size: usize) -> Vec<u8> {
        let mut bytes = value.to_le_bytes()[..size].to_vec();
        if !self.little_endian {
            bytes.reverse();
        }
        bytes
    }
}
