//! Decodes the first image of a TIFF, one row of a chunk at a time.

use super::chunks::Chunks;
use super::codec::{self, Codec};
use super::colour::Converter;
use super::compression::Compression;
use super::directory::Directory;
use super::jpeg::{self, JpegChunks};
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

/// Returns the number of channels of the decoded image.
pub(crate) fn channels(bytes: &[u8]) -> Result<u64, Rejection> {
    Ok(Image::read(bytes)?.channels())
}

/// Decodes a TIFF to greyscale, RGB or CMYK. Transparent pixels are blended over white.
pub(crate) fn decode(bytes: &[u8]) -> Result<Raster, Rejection> {
    Image::read(bytes)?.decode(bytes)
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
        let Layout { compression, planar, chunk, height, subsampling, .. } = self.layout;
        let collects_planes = compression == Compression::Jpeg && planar;
        let rows = u64::from(if collects_planes { chunk.1.min(height) } else { subsampling.1 });
        (u64::from(self.layout.visible_width()) * rows).saturating_mul(self.layout.used_samples() as u64)
    }

    /// Returns the memory that is needed in addition to the decoded image.
    fn buffer_bytes(&self) -> u64 {
        let layout = &self.layout;
        let decoder = if layout.compression == Compression::Jpeg {
            jpeg::memory(layout, self.chunks.longest())
        } else {
            // One row, and a copy of the file for bits in reverse.
            let copy = if layout.reversed_bits { self.chunks.file_bytes() } else { 0 };
            layout.row_bytes().saturating_add(copy) + codec::memory(layout)
        };
        decoder.saturating_add(self.samples_bytes())
    }

    /// Returns the samples of an area's rows that are converted at once.
    fn samples_in(&self, area: &Area) -> usize {
        area.width as usize * self.layout.used_samples() * self.layout.subsampling.1 as usize
    }

    fn decode(&self, bytes: &[u8]) -> Result<Raster, Rejection> {
        self.check_stored_bytes()?;
        let Layout { width, height, photometric, compression, .. } = self.layout;
        let length = u64::from(width) * u64::from(height) * self.channels();
        let mut canvas = Canvas {
            converter: Converter::new(&self.layout, &self.tags)?,
            unpacker: Unpacker::new(&self.layout, self.tags.order),
            samples: vec![0; self.samples_bytes() as usize],
            target: vec![0; length as usize],
        };
        if compression == Compression::Jpeg {
            self.decode_jpegs(bytes, &mut canvas)?;
        } else if self.layout.reversed_bits {
            let reversed: Vec<u8> = bytes.iter().map(|byte| byte.reverse_bits()).collect();
            self.decode_rows(&reversed, &mut canvas)?;
        } else {
            self.decode_rows(bytes, &mut canvas)?;
        }
        if canvas.unpacker.outliers > length / MAX_OUTLIERS {
            return Err(unsupported("floating-point samples beyond the range from 0 (black) to 1 (white)"));
        }
        Ok(Raster { width, height, channels: photometric.channels(), samples: canvas.target })
    }

    /// Decodes the JPEGs of each area.
    fn decode_jpegs(&self, bytes: &[u8], canvas: &mut Canvas) -> Result<(), Rejection> {
        let layout = &self.layout;
        let jpegs = JpegChunks::new(layout, self.tags.data(347)?)?;
        for (index, area) in self.areas().enumerate() {
            let length = self.samples_in(&area);
            for (plane, position) in layout.used().take(layout.planes()).enumerate() {
                let chunk = self.chunk(bytes, index, position)?;
                jpegs.decode(chunk, area.height, &mut |y, row| {
                    // Planes follow one another, so the colours are complete after the last.
                    let line = if layout.planar { y as usize } else { 0 };
                    canvas.unpacker.unpack(plane, row, &mut canvas.samples[line * length..][..length]);
                    if !layout.planar {
                        self.convert(canvas, length, &area, y);
                    }
                })?;
            }
            if layout.planar {
                self.convert(canvas, length * area.height as usize, &area, 0);
            }
        }
        Ok(())
    }

    /// Decodes the rows of each area, with the planes side by side.
    fn decode_rows(&self, bytes: &[u8], canvas: &mut Canvas) -> Result<(), Rejection> {
        let layout = &self.layout;
        let codecs = (0..layout.planes()).map(|_| Codec::new(layout));
        let mut codecs = codecs.collect::<Result<Vec<_>, _>>()?;
        let mut row = vec![0; layout.row_bytes() as usize];
        for (index, area) in self.areas().enumerate() {
            for (position, codec) in layout.used().zip(&mut codecs) {
                codec.start(self.chunk(bytes, index, position)?)?;
            }
            let length = self.samples_in(&area);
            for y in (0..area.height).step_by(layout.subsampling.1 as usize) {
                let Canvas { unpacker, samples, .. } = canvas;
                self.read_samples(&mut codecs, unpacker, &mut row, &mut samples[..length])?;
                self.convert(canvas, length, &area, y);
            }
        }
        Ok(())
    }

    /// Returns the areas that the chunks of a plane show.
    fn areas(&self) -> impl Iterator<Item = Area> {
        let (across, down) = self.layout.chunks();
        (0..across * down).map(move |index| Area::new(&self.layout, index % across, index / across))
    }

    /// Returns the bytes of the chunk of an area. Chunks of separate planes have a sample each.
    fn chunk<'b>(&self, bytes: &'b [u8], area: usize, sample: usize) -> Result<&'b [u8], Rejection> {
        let (across, down) = self.layout.chunks();
        let plane = if self.layout.planar { sample } else { 0 };
        self.chunks.bytes(bytes, plane * across as usize * down as usize + area)
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

    /// Converts the first `length` samples, which are the rows from `y` in an area.
    fn convert(&self, canvas: &mut Canvas, length: usize, area: &Area, y: u32) {
        let Canvas { converter, samples, target, .. } = canvas;
        let step = self.layout.used_samples();
        let channels = self.channels() as usize;
        let width = area.width as usize;
        let rows = samples[..length].chunks_exact(width * step);
        for (below, row) in rows.take((area.height - y) as usize).enumerate() {
            let line = (area.top + y) as usize + below;
            let start = (line * self.layout.width as usize + area.left as usize) * channels;
            converter.convert(row, step, &mut target[start..start + width * channels]);
        }
    }
}

/// The image that is decoded, and what its rows pass through.
struct Canvas {
    converter: Converter,
    unpacker: Unpacker,
    /// Samples that are used, of rows that are converted at once.
    samples: Vec<u8>,
    target: Vec<u8>,
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
