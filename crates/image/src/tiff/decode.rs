//! Decodes the first image of a TIFF, one row of a chunk at a time.

use super::chunks::Chunks;
use super::codec::{self, Codec};
use super::colour::Converter;
use super::compression::Compression;
use super::directory::Directory;
use super::jpeg::catch_libjpeg;
use super::layout::Layout;
use super::refuse::{too_large, unsupported};
use super::subsampling;
use super::unpack::Unpacker;
use crate::format;
use crate::header::Header;
use crate::raster::Raster;
use fruitvec_core::rejection::Rejection;

/// The limit on the stored image after decompression, in bytes. The largest image with four samples
/// of 16 bits fits.
const MAX_STORED_BYTES: u64 = 512 << 20;
/// The same for JPEGs, which take longer. The largest image with four samples fits.
const MAX_JPEG_BYTES: u64 = 256 << 20;
/// The bytes as which a shorter row counts, because each row costs some time. The largest image in
/// tiles of 16 pixels fits.
const MIN_ROW_BYTES: u64 = 64;
/// How many of the floating-point samples may be above white: a tenth.
const MAX_OUTLIERS: u64 = 10;

/// Reads the size as stored and the memory of a TIFF.
pub(crate) fn read_header(bytes: &[u8]) -> Result<Header, Rejection> {
    let image = Image::read(bytes)?;
    let Layout { width, height, .. } = image.layout;
    let pixels = u64::from(width) * u64::from(height);
    // Of an image with so many pixels, the caller's limit says more.
    if pixels < MAX_STORED_BYTES {
        image.check_stored_bytes()?;
    }
    let decoded_bytes = pixels.saturating_mul(image.channels()).saturating_add(image.buffer_bytes());
    Ok(Header { width, height, decoded_bytes })
}

/// Decodes a TIFF to greyscale, RGB or CMYK. Transparent pixels are blended over white.
pub(crate) fn decode(bytes: &[u8]) -> Result<Raster, Rejection> {
    catch_libjpeg(|| Image::read(bytes)?.decode(bytes))
}

struct Image<'a> {
    tags: Directory<'a>,
    layout: Layout,
    chunks: Chunks<'a>,
}

impl<'a> Image<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Rejection> {
        if bytes.get(8..10) == Some(b"CR") {
            return Err(format::unsupported("Canon raw (CR2)"));
        }
        let tags = Directory::read(bytes)?;
        let layout = Layout::read(&tags)?;
        let chunks = Chunks::read(bytes, &tags, &layout)?;
        Ok(Self { tags, layout, chunks })
    }

    fn check_stored_bytes(&self) -> Result<(), Rejection> {
        let is_jpeg = self.layout.compression == Compression::Jpeg;
        let limit = if is_jpeg { MAX_JPEG_BYTES } else { MAX_STORED_BYTES };
        let stored = self.stored_bytes();
        if stored <= limit {
            return Ok(());
        }
        Err(too_large(&format!("{stored} bytes of samples and padding, above the limit of {limit}")))
    }

    fn channels(&self) -> u64 {
        u64::from(self.layout.photometric.channels())
    }

    /// Returns the length of the rows that are decompressed, with the padding of tiles.
    fn stored_bytes(&self) -> u64 {
        let rows = u64::from(self.layout.height.div_ceil(self.layout.subsampling.1));
        let row = self.layout.row_bytes().max(MIN_ROW_BYTES) * self.layout.planes() as u64;
        row.saturating_mul(u64::from(self.layout.chunks().0)).saturating_mul(rows)
    }

    /// Returns the samples of the rows that are converted at once.
    fn samples_bytes(&self) -> u64 {
        let rows = u64::from(self.layout.subsampling.1);
        u64::from(self.layout.visible_width()) * self.layout.used_samples() as u64 * rows
    }

    /// Returns the memory that is needed in addition to the decoded image.
    fn buffer_bytes(&self) -> u64 {
        // A row, and libjpeg's rows of blocks.
        let jpeg = if self.layout.compression == Compression::Jpeg { 64 } else { 0 };
        self.layout.row_bytes() * (1 + jpeg) + self.samples_bytes() + codec::memory(&self.layout)
    }

    /// Returns the samples of an area's rows that are converted at once.
    fn samples_in(&self, area: &Area) -> usize {
        area.width as usize * self.layout.used_samples() * self.layout.subsampling.1 as usize
    }

    fn decode(&self, bytes: &[u8]) -> Result<Raster, Rejection> {
        self.check_stored_bytes()?;
        let layout = &self.layout;
        let reversed: Vec<u8> = if layout.reversed_bits {
            bytes.iter().map(|byte| byte.reverse_bits()).collect()
        } else {
            vec![]
        };
        let bytes = if layout.reversed_bits { &reversed } else { bytes };
        let converter = Converter::new(layout, &self.tags)?;
        let mut unpacker = Unpacker::new(layout, self.tags.order);
        let tables = self.tags.data(347)?;
        let codecs = (0..layout.planes()).map(|_| Codec::new(layout, tables));
        let mut codecs = codecs.collect::<Result<Vec<_>, _>>()?;
        let mut row = vec![0; layout.row_bytes() as usize];
        let mut samples = vec![0; self.samples_bytes() as usize];
        let length = u64::from(layout.width) * u64::from(layout.height) * self.channels();
        let mut target = vec![0; length as usize];
        let (across, down) = layout.chunks();
        let per_plane = across as usize * down as usize;
        for index in 0..per_plane {
            let (column, line) = (index as u32 % across, index as u32 / across);
            let area = Area::new(layout, column, line);
            for (plane, codec) in layout.used().zip(&mut codecs) {
                let chunk = self.chunks.bytes(bytes, plane * per_plane + index)?;
                codec.start(chunk, area.height)?;
            }
            for y in (0..area.height).step_by(layout.subsampling.1 as usize) {
                let samples = &mut samples[..self.samples_in(&area)];
                self.read_samples(&mut codecs, &mut unpacker, &mut row, samples)?;
                self.convert(&converter, samples, &area, y, &mut target);
            }
        }
        if unpacker.outliers > length / MAX_OUTLIERS {
            return Err(unsupported("floating-point samples beyond the range from 0 (black) to 1 (white)"));
        }
        let Layout { width, height, photometric, .. } = *layout;
        Ok(Raster { width, height, channels: photometric.channels(), samples: target })
    }

    /// Reads a row of a chunk from each plane, or the rows that share chroma samples.
    fn read_samples(
        &self,
        codecs: &mut [Codec<'_>],
        unpacker: &mut Unpacker,
        row: &mut [u8],
        samples: &mut [u8],
    ) -> Result<(), Rejection> {
        for (plane, codec) in codecs.iter_mut().enumerate() {
            codec.read(row)?;
            let (across, down) = self.layout.subsampling;
            if (across, down) == (1, 1) {
                unpacker.unpack(plane, row, samples);
            } else {
                let factors = (across as usize, down as usize);
                let width = samples.len() / self.layout.used_samples() / factors.1;
                subsampling::expand(row, factors, width, samples);
            }
        }
        Ok(())
    }

    /// Converts the rows from `y` in an area.
    fn convert(&self, converter: &Converter, samples: &[u8], area: &Area, y: u32, target: &mut [u8]) {
        let step = self.layout.used_samples();
        let channels = self.channels() as usize;
        let width = area.width as usize;
        let rows = samples.chunks_exact(width * step);
        for (below, row) in rows.take((area.height - y) as usize).enumerate() {
            let line = (area.top + y) as usize + below;
            let start = (line * self.layout.width as usize + area.left as usize) * channels;
            converter.convert(row, step, &mut target[start..start + width * channels]);
        }
    }
}

/// The part of the image that a chunk shows.
struct Area {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Area {
    /// Returns the area of the chunk at this column and line of chunks, without its padding.
    fn new(layout: &Layout, column: u32, line: u32) -> Self {
        let (left, top) = (column * layout.chunk.0, line * layout.chunk.1);
        let width = layout.chunk.0.min(layout.width - left);
        Self { left, top, width, height: layout.chunk.1.min(layout.height - top) }
    }
}
