//! Finds the photo in a HEIC file: its pictures, and how they are put together.

use std::collections::BTreeSet;

use heifer::heifer_isobmff::boxes::{ColorInfo, ConstructionMethod, HevcConfig, Property};
use heifer::heifer_isobmff::{self, FourCC, HeifFile, ItemId};
use image::metadata::Orientation;

use super::bitstream;
use super::rejections::{corrupt, other_codec, rejection, too_complex, truncated};
use super::transforms::{Crop, Transforms};
use crate::format;
use crate::header::Header;
use fruitvec_core::rejection::Rejection;

/// The limit on the metadata, whose items the parser compares with each other. A photo of 200
/// megapixels has 40 kilobytes.
const MAX_METADATA: usize = 256 << 10;
/// The limit on pictures. A photo of 200 megapixels has 768.
const MAX_TILES: usize = 1024;
/// The memory for each pixel of the picture that is being decoded, in addition to its planes: the
/// decoder's notes, and the converted pixels.
const PICTURE_BYTES: u64 = 2 + 4;
/// The planes of a picture exist twice, with padding and without.
const COPIES: u64 = 2;

const ALPHA: [&str; 2] = ["urn:mpeg:hevc:2015:auxid:1", "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"];

/// The main photo of a file.
pub(crate) struct Photo<'a> {
    pub(super) file: HeifFile<'a>,
    /// The pictures, row by row.
    pub(super) tiles: Vec<ItemId>,
    pub(super) columns: u32,
    pub(super) tile: (u32, u32),
    /// The size before the crop.
    pub(super) canvas: (u32, u32),
    pub(super) crop: Crop,
    orientation: Orientation,
    /// The bytes of a pixel in the decoded planes.
    plane_bytes: u64,
}

impl<'a> Photo<'a> {
    /// Reads the metadata of a file.
    ///
    /// # Errors
    /// `Truncated`, `Corrupt`, and `UnsupportedFormat` for other codecs than HEVC, transparency,
    /// and structures that no camera writes.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Rejection> {
        check_metadata(bytes)?;
        let file = HeifFile::parse(bytes).map_err(|error| rejection(&error))?;
        let id = file.primary_id;
        let Grid { tiles, columns, canvas } = pictures(&file, id)?;
        let tile = tile_size(&file, &tiles)?;
        check_layout(tile, columns, tiles.len(), canvas)?;
        check_data(&file, &tiles, bytes.len())?;
        let mut plane_bytes = 0;
        for tile in &tiles {
            plane_bytes = plane_bytes.max(bitstream::plane_bytes(config(&file, *tile)?.chroma_format));
        }
        let is_alpha = |property: &Property| matches!(property, Property::AuxiliaryType(kind) if ALPHA.contains(&kind.as_str()));
        for auxiliary in
            [&tiles[..], &[id]].concat().iter().flat_map(|id| file.referencing_items(*id, b"auxl"))
        {
            if properties(&file, auxiliary)?.any(is_alpha) {
                return Err(format::unsupported("HEIC with transparency"));
            }
        }
        let transforms = Transforms::read(canvas, properties(&file, id)?);
        let Transforms { crop, orientation } =
            transforms.ok_or_else(|| corrupt("its crop leaves no pixels"))?;
        Ok(Self { file, tiles, columns, tile, canvas, crop, orientation, plane_bytes })
    }

    /// Returns the size as stored, without the crop's margins, and the memory to decode the photo.
    pub(crate) fn header(&self) -> Header {
        let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
        // A single picture becomes the canvas itself.
        let canvas = if self.is_single() { 0 } else { 3 * area(self.canvas) };
        let decoded_bytes = canvas + (PICTURE_BYTES + COPIES * self.plane_bytes) * area(self.tile);
        Header { width: self.crop.width, height: self.crop.height, decoded_bytes }
    }

    /// Returns whether the photo is one whole picture.
    pub(super) fn is_single(&self) -> bool {
        self.tiles.len() == 1 && self.tile == self.canvas
    }

    pub(crate) fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// Returns the ICC profile of the photo or of its first picture.
    pub(crate) fn profile(&self) -> Option<&[u8]> {
        self.colours(self.tiles[0]).into_iter().flatten().find_map(|colours| match colours {
            ColorInfo::Icc(profile) if !profile.is_empty() => Some(profile.as_slice()),
            _ => None,
        })
    }

    /// Returns the code points of the primaries and of the transfer curve (ITU-T H.273).
    pub(crate) fn code_points(&self) -> Option<(u16, u16)> {
        self.colours(self.tiles[0]).into_iter().flatten().find_map(|colours| match colours {
            ColorInfo::Nclx { primaries, transfer, .. } => Some((*primaries, *transfer)),
            _ => None,
        })
    }

    /// Returns the matrix and the range of the colours of a picture, if the container has them.
    pub(super) fn matrix(&self, tile: ItemId) -> Option<(u16, bool)> {
        self.colours(tile).into_iter().flatten().find_map(|colours| match colours {
            ColorInfo::Nclx { matrix, full_range, .. } => Some((*matrix, *full_range)),
            _ => None,
        })
    }

    /// Returns what the container says about the colours of a picture, and then of the photo.
    fn colours(&self, tile: ItemId) -> Option<impl Iterator<Item = &ColorInfo>> {
        let picture = self.file.item_properties(tile).ok()?;
        let photo = self.file.item_properties(self.file.primary_id).ok()?;
        Some(picture.chain(photo).filter_map(|property| match property {
            Property::Color(colours) => Some(colours),
            _ => None,
        }))
    }
}

/// Checks the lengths of the boxes, and that the metadata is small.
fn check_metadata(bytes: &[u8]) -> Result<(), Rejection> {
    let mut rest = bytes;
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let [.., n0, n1, n2, n3] = *head;
        let length = match u32::from_be_bytes([head[0], head[1], head[2], head[3]]) {
            // The last box may have no length.
            0 => rest.len() as u64,
            1 => {
                rest.get(8..).and_then(|rest| rest.first_chunk()).map_or(0, |long| u64::from_be_bytes(*long))
            }
            length => length.into(),
        };
        if length < 8 {
            return Err(corrupt("a box has an impossible length"));
        }
        if [n0, n1, n2, n3] == *b"meta" && length > MAX_METADATA as u64 {
            return Err(too_complex());
        }
        let next = usize::try_from(length).ok().and_then(|length| rest.get(length..));
        rest = next.ok_or_else(|| truncated(bytes.len()))?;
    }
    Ok(())
}

/// The pictures of a photo, row by row.
struct Grid {
    tiles: Vec<ItemId>,
    columns: u32,
    canvas: (u32, u32),
}

/// Returns the pictures of an item.
fn pictures(file: &HeifFile<'_>, id: ItemId) -> Result<Grid, Rejection> {
    match &item_type(file, id)?.0 {
        b"hvc1" => Ok(Grid { tiles: vec![id], columns: 1, canvas: size(file, id)? }),
        b"grid" => {
            check_data(file, &[id], MAX_METADATA)?;
            let grid = file.grid(id).map_err(|error| rejection(&error))?;
            let tiles = file.referenced_items(id, b"dimg").to_vec();
            let distinct: BTreeSet<_> = tiles.iter().collect();
            if tiles.len() != usize::from(grid.rows) * usize::from(grid.columns)
                || distinct.len() != tiles.len()
            {
                return Err(corrupt("its grid has other pictures than it declares"));
            }
            if tiles.len() > MAX_TILES {
                return Err(too_complex());
            }
            for tile in &tiles {
                match &item_type(file, *tile)?.0 {
                    b"hvc1" => {}
                    other => return Err(other_codec(other)),
                }
            }
            Ok(Grid { tiles, columns: grid.columns.into(), canvas: (grid.output_width, grid.output_height) })
        }
        other => Err(other_codec(other)),
    }
}

/// Returns the size that all pictures have.
fn tile_size(file: &HeifFile<'_>, tiles: &[ItemId]) -> Result<(u32, u32), Rejection> {
    let first = tiles.first().ok_or_else(|| corrupt("its grid is empty"))?;
    let first = size(file, *first)?;
    for tile in tiles {
        let is_turned = |property: &Property| {
            matches!(property, Property::CleanAperture { .. } | Property::Rotation(1..) | Property::Mirror(_))
        };
        if tiles.len() > 1 && (size(file, *tile)? != first || properties(file, *tile)?.any(is_turned)) {
            return Err(format::unsupported("HEIC with pictures of different sizes"));
        }
    }
    Ok(first)
}

/// Checks that the pictures cover the canvas, and that none is outside.
fn check_layout(
    (width, height): (u32, u32),
    columns: u32,
    tiles: usize,
    canvas: (u32, u32),
) -> Result<(), Rejection> {
    let rows = tiles as u64 / u64::from(columns);
    let fits = |side: u32, count: u64, canvas: u32| {
        canvas > 0 && u64::from(canvas).div_ceil(u64::from(side.max(1))) == count
    };
    if fits(width, columns.into(), canvas.0) && fits(height, rows, canvas.1) {
        return Ok(());
    }
    Err(corrupt("its grid does not cover it"))
}

/// Checks that the data of items is not longer than the file, as it would be if they shared it.
fn check_data(file: &HeifFile<'_>, items: &[ItemId], file_bytes: usize) -> Result<(), Rejection> {
    let mut total = 0_u64;
    for id in items {
        let Some(location) = &item(file, *id)?.location else { continue };
        if location.construction_method == ConstructionMethod::Item {
            return Err(too_complex());
        }
        for extent in &location.extents {
            // Without a length, an extent reaches to the end of the file.
            let length = if extent.length == 0 { file_bytes as u64 } else { extent.length };
            total = total.saturating_add(length);
        }
    }
    if total > file_bytes as u64 { Err(corrupt("its pictures overlap")) } else { Ok(()) }
}

fn item<'f>(file: &'f HeifFile<'_>, id: ItemId) -> Result<&'f heifer_isobmff::Item, Rejection> {
    file.item(id).map_err(|error| rejection(&error))
}

fn item_type(file: &HeifFile<'_>, id: ItemId) -> Result<FourCC, Rejection> {
    Ok(item(file, id)?.item_type)
}

fn properties<'f>(
    file: &'f HeifFile<'_>,
    id: ItemId,
) -> Result<impl Iterator<Item = &'f Property>, Rejection> {
    file.item_properties(id).map_err(|error| rejection(&error))
}

pub(super) fn config<'f>(file: &'f HeifFile<'_>, id: ItemId) -> Result<&'f HevcConfig, Rejection> {
    let config = file.hevc_config(id).map_err(|error| rejection(&error))?;
    config.ok_or_else(|| corrupt("a picture has no parameters"))
}

fn size(file: &HeifFile<'_>, id: ItemId) -> Result<(u32, u32), Rejection> {
    let size = file.image_size(id).map_err(|error| rejection(&error))?;
    size.ok_or_else(|| corrupt("a picture has no size"))
}
