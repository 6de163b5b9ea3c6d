//! Finds the photo in a HEIC file: its pictures, and how they are put together.

use std::collections::BTreeSet;

use heifer::heifer_isobmff::ItemId;
use heifer::heifer_isobmff::boxes::{self, ColorInfo, Property};
use image::metadata::Orientation;

use super::bitstream;
use super::items::{Items, MAX_METADATA};
use super::rejections::{corrupt, other_codec, rejection, too_complex};
use super::transforms::{Crop, Transforms};
use crate::format;
use crate::header::Header;
use fruitvec_core::contract::limits::Limits;
use fruitvec_core::rejection::Rejection;

/// The limit on pictures. A photo of 200 megapixels has 768.
const MAX_TILES: usize = 1024;
/// The memory for each pixel of the picture that is being decoded, in addition to its planes: the
/// decoder's notes, and the converted pixels.
const PICTURE_BYTES: u64 = 2 + 4;
/// The planes of a picture exist twice, with padding and without.
const COPIES: u64 = 2;
/// The sides of a coded picture are multiples of a block, whose side is at most this long.
const BLOCK: u64 = 64;

const ALPHA: [&str; 2] = ["urn:mpeg:hevc:2015:auxid:1", "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"];

/// The main photo of a file.
pub(crate) struct Photo<'a> {
    pub(super) items: Items<'a>,
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
        let items = Items::read(bytes)?;
        let id = items.file.primary_id;
        let Grid { tiles, columns, canvas } = pictures(&items, id)?;
        let tile = tile_size(&items, &tiles)?;
        check_layout(tile, columns, tiles.len(), canvas)?;
        items.check_data(&tiles, bytes.len())?;
        let mut plane_bytes = 0;
        for tile in &tiles {
            plane_bytes = plane_bytes.max(bitstream::plane_bytes(items.config(*tile)?.chroma_format));
        }
        let is_alpha = |property: &Property| matches!(property, Property::AuxiliaryType(kind) if ALPHA.contains(&kind.as_str()));
        for auxiliary in
            [&tiles[..], &[id]].concat().iter().flat_map(|id| items.file.referencing_items(*id, b"auxl"))
        {
            if items.properties(auxiliary)?.any(is_alpha) {
                return Err(format::unsupported("HEIC with transparency"));
            }
        }
        let transforms = Transforms::read(canvas, items.properties(id)?);
        let Transforms { crop, orientation } =
            transforms.ok_or_else(|| corrupt("its crop leaves no pixels"))?;
        Ok(Self { items, tiles, columns, tile, canvas, crop, orientation, plane_bytes })
    }

    /// Rejects a photo of too many pixels, or with too long a side, before its crop.
    ///
    /// # Errors
    /// Those of [`Limits::check_pixels`].
    pub(crate) fn check_pixels(&self, limits: &Limits) -> Result<(), Rejection> {
        limits.check_pixels(self.canvas)?;
        limits.check_pixels(self.tile)
    }

    /// Returns the size as stored, without the crop's margins, and the memory to decode the photo.
    pub(crate) fn header(&self) -> Header {
        // A single picture becomes the canvas itself.
        let canvas = if self.is_single() { 0 } else { area(self.canvas.0.into(), self.canvas.1.into()) };
        let picture = self.coded_pixels().saturating_mul(PICTURE_BYTES + COPIES * self.plane_bytes);
        let decoded_bytes = canvas.saturating_mul(3).saturating_add(picture);
        Header { width: self.crop.width, height: self.crop.height, decoded_bytes }
    }

    /// Returns the longest sides that a picture can have in the bitstream.
    pub(super) fn coded_size(&self) -> (u64, u64) {
        let coded = |side: u32| u64::from(side).next_multiple_of(BLOCK);
        (coded(self.tile.0), coded(self.tile.1))
    }

    /// Returns the most pixels that a picture can have in the bitstream.
    pub(super) fn coded_pixels(&self) -> u64 {
        let (width, height) = self.coded_size();
        area(width, height)
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
        let picture = self.items.file.item_properties(tile).ok()?;
        let photo = self.items.file.item_properties(self.items.file.primary_id).ok()?;
        Some(picture.chain(photo).filter_map(|property| match property {
            Property::Color(colours) => Some(colours),
            _ => None,
        }))
    }
}

fn area(width: u64, height: u64) -> u64 {
    width.saturating_mul(height)
}

/// The pictures of a photo, row by row.
struct Grid {
    tiles: Vec<ItemId>,
    columns: u32,
    canvas: (u32, u32),
}

/// Returns the pictures of an item.
fn pictures(items: &Items<'_>, id: ItemId) -> Result<Grid, Rejection> {
    match &items.kind(id)?.0 {
        b"hvc1" => Ok(Grid { tiles: vec![id], columns: 1, canvas: items.size(id)? }),
        b"grid" => {
            items.check_data(&[id], MAX_METADATA)?;
            let grid = boxes::Grid::parse(&items.data(id)?).map_err(|error| rejection(&error))?;
            let tiles = items.file.referenced_items(id, b"dimg").to_vec();
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
                match &items.kind(*tile)?.0 {
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
fn tile_size(items: &Items<'_>, tiles: &[ItemId]) -> Result<(u32, u32), Rejection> {
    let first = tiles.first().ok_or_else(|| corrupt("its grid is empty"))?;
    let first = items.size(*first)?;
    for tile in tiles {
        let is_turned = |property: &Property| {
            matches!(property, Property::CleanAperture { .. } | Property::Rotation(1..) | Property::Mirror(_))
        };
        if tiles.len() > 1 && (items.size(*tile)? != first || items.properties(*tile)?.any(is_turned)) {
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
