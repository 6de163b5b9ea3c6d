//! The items of a HEIC file: their kinds, properties and data.

use std::borrow::Cow;

use heifer::heifer_isobmff::boxes::{ConstructionMethod, HevcConfig, Property};
use heifer::heifer_isobmff::{FourCC, HeifFile, Item, ItemId};

use super::rejections::{corrupt, rejection, too_complex, truncated};
use fruitvec_core::rejection::Rejection;

/// The limit on the metadata, whose items the parser compares with each other. A photo of 200
/// megapixels has 40 kilobytes.
pub(super) const MAX_METADATA: usize = 256 << 10;
/// The length of the header of a box.
const BOX_HEADER: u64 = 8;

/// The items of a file, and the bytes that hold their data.
pub(super) struct Items<'a> {
    bytes: &'a [u8],
    pub(super) file: HeifFile<'a>,
}

impl<'a> Items<'a> {
    /// Reads the metadata.
    ///
    /// What follows it may be anything, as long as the data of the photo is in the file.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Rejection> {
        let end = metadata_end(bytes)?;
        let file = HeifFile::parse(&bytes[..end]).map_err(|error| rejection(&error))?;
        Ok(Self { bytes, file })
    }

    pub(super) fn kind(&self, id: ItemId) -> Result<FourCC, Rejection> {
        Ok(self.item(id)?.item_type)
    }

    pub(super) fn properties(&self, id: ItemId) -> Result<impl Iterator<Item = &Property>, Rejection> {
        self.file.item_properties(id).map_err(|error| rejection(&error))
    }

    pub(super) fn config(&self, id: ItemId) -> Result<&HevcConfig, Rejection> {
        let config = self.file.hevc_config(id).map_err(|error| rejection(&error))?;
        config.ok_or_else(|| corrupt("a picture has no parameters"))
    }

    pub(super) fn size(&self, id: ItemId) -> Result<(u32, u32), Rejection> {
        let size = self.file.image_size(id).map_err(|error| rejection(&error))?;
        size.ok_or_else(|| corrupt("a picture has no size"))
    }

    /// Checks that the data of items is in the file, and has at most `limit` bytes. It can have
    /// more than the file only if items share it.
    pub(super) fn check_data(&self, items: &[ItemId], limit: usize) -> Result<(), Rejection> {
        let mut total = 0_u64;
        for id in items {
            let Some(location) = &self.item(*id)?.location else { continue };
            match location.construction_method {
                ConstructionMethod::Item => return Err(too_complex()),
                ConstructionMethod::Idat => {}
                ConstructionMethod::File => self.extents(*id).try_for_each(|part| part.map(|_| ()))?,
            }
            for extent in &location.extents {
                // Without a length, an extent reaches to the end of the file.
                let length =
                    if extent.length == 0 { self.bytes.len().min(limit) as u64 } else { extent.length };
                total = total.saturating_add(length);
            }
        }
        if total > limit as u64 { Err(corrupt("its pictures overlap")) } else { Ok(()) }
    }

    /// Returns the data of an item that was checked.
    pub(super) fn data(&self, id: ItemId) -> Result<Cow<'a, [u8]>, Rejection> {
        let location = self.item(id)?.location.as_ref();
        if location.is_none_or(|location| location.construction_method != ConstructionMethod::File) {
            return self.file.item_data(id).map_err(|error| rejection(&error));
        }
        let parts: Vec<_> = self.extents(id).collect::<Result<_, _>>()?;
        Ok(if let [part] = parts[..] { part.into() } else { parts.concat().into() })
    }

    /// Returns the parts of an item's data, which is in the file.
    fn extents(&self, id: ItemId) -> impl Iterator<Item = Result<&'a [u8], Rejection>> {
        let location = self.file.item(id).ok().and_then(|item| item.location.as_ref());
        location.into_iter().flat_map(|location| &location.extents).map(|extent| {
            let start = usize::try_from(extent.offset).ok().and_then(|start| self.bytes.get(start..));
            let part = match usize::try_from(extent.length) {
                Ok(0) => start,
                Ok(length) => start.and_then(|rest| rest.get(..length)),
                Err(_) => None,
            };
            part.ok_or_else(|| truncated(self.bytes.len()))
        })
    }

    fn item(&self, id: ItemId) -> Result<&Item, Rejection> {
        self.file.item(id).map_err(|error| rejection(&error))
    }
}

/// Returns where the metadata ends, or the end of a file without any. Checks that it is small.
fn metadata_end(bytes: &[u8]) -> Result<usize, Rejection> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let ends_early = || truncated(bytes.len());
        let (length, after) = rest.split_first_chunk().ok_or_else(ends_early)?;
        let (name, after) = after.split_first_chunk().ok_or_else(ends_early)?;
        let length = match u32::from_be_bytes(*length) {
            // The last box may have no length.
            0 => rest.len() as u64,
            1 => u64::from_be_bytes(*after.first_chunk().ok_or_else(ends_early)?),
            length => length.into(),
        };
        if length < BOX_HEADER {
            return Err(corrupt("a box has an impossible length"));
        }
        if name == b"meta" && length > MAX_METADATA as u64 {
            return Err(too_complex());
        }
        let next = usize::try_from(length).ok().and_then(|length| rest.get(length..));
        rest = next.ok_or_else(ends_early)?;
        if name == b"meta" {
            break;
        }
    }
    Ok(bytes.len() - rest.len())
}
