//! Finds the conversion of a photo to sRGB, and keeps those used last.
//!
//! The photos of one phone carry the same profile. To prepare its conversion takes several times as
//! long as to decode a small photo, and fifty times as long for a printer's profile.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use image::ImageFormat;

use super::conversion::Conversion;
use super::declared::Declared;
use super::find::find;
use super::icc;

/// The number of conversions that are kept. The largest take 1.3 MB.
const KEPT: usize = 8;

static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);

/// Returns the conversion of a photo with this number of channels, or `None` if it needs none.
///
/// A profile that is broken or of another kind of image counts as none: a photo must not be
/// rejected for its metadata.
pub(crate) fn conversion(bytes: &[u8], format: ImageFormat, channels: u32) -> Option<Arc<Conversion>> {
    match find(bytes, format)? {
        Declared::Icc(profile) => CACHE.get(&profile, channels),
        Declared::Rgb(profile) => create(|| Conversion::new(&profile, channels)),
    }
}

/// Creates a conversion. A panic of the library counts as none.
fn create(create: impl FnOnce() -> Option<Conversion>) -> Option<Arc<Conversion>> {
    catch_unwind(AssertUnwindSafe(create)).ok().flatten().map(Arc::new)
}

/// Two hashes of a profile with secret keys, so that nobody can make a profile that equals another.
type Key = ([u64; 2], u32);
type Kept = VecDeque<(Key, Option<Arc<Conversion>>)>;

/// Conversions by profile and number of channels, the last used at the end.
#[derive(Default)]
struct Cache {
    hashers: [RandomState; 2],
    kept: Mutex<Kept>,
}

impl Cache {
    /// Returns the conversion of a profile for images with this number of channels.
    fn get(&self, profile: &[u8], channels: u32) -> Option<Arc<Conversion>> {
        let key = (self.hashers.each_ref().map(|hasher| hasher.hash_one(profile)), channels);
        if let Some(kept) = self.find(key) {
            return kept;
        }
        // Without the lock: other photos don't wait. Two of them may create the same conversion.
        let created = create(|| Conversion::new(&icc::parse(profile)?, channels));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((key, created.clone()));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        created
    }

    /// Returns what is kept for a key, which may be that there is no conversion.
    fn find(&self, key: Key) -> Option<Option<Arc<Conversion>>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let index = kept.iter().position(|(found, _)| *found == key)?;
        let entry = kept.remove(index)?;
        kept.push_back(entry.clone());
        Some(entry.1)
    }
}

#[cfg(test)]
mod tests {
    use moxcms::ColorProfile;

    use super::*;

    /// Returns a profile of greyscale with this gamma.
    fn grey(gamma: f32) -> Vec<u8> {
        ColorProfile::new_gray_with_gamma(gamma).encode().unwrap()
    }

    #[test]
    fn a_conversion_is_created_once_for_each_kind_of_image() {
        let cache = Cache::default();
        let profile = ColorProfile::new_display_p3().encode().unwrap();
        let first = cache.get(&profile, 3).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.get(&profile, 3).unwrap()));
        assert!(cache.get(&profile, 1).is_none(), "its curve is that of sRGB");
        assert!(cache.get(&profile, 4).is_none(), "it is not for CMYK");
        assert!(Arc::ptr_eq(&first, &cache.get(&profile, 3).unwrap()));
        assert_eq!(cache.kept.lock().unwrap().len(), 3);
    }

    #[test]
    fn the_conversion_used_longest_ago_is_dropped() {
        let cache = Cache::default();
        let gamma = |number: usize| 1.0 + number as f32 / 16.0;
        let first: Vec<_> = (0..KEPT).map(|number| cache.get(&grey(gamma(number)), 1).unwrap()).collect();
        let is_kept =
            |number: usize| Arc::ptr_eq(&first[number], &cache.get(&grey(gamma(number)), 1).unwrap());
        assert!(is_kept(0));
        cache.get(&grey(3.0), 1).unwrap();
        assert_eq!(cache.kept.lock().unwrap().len(), KEPT);
        assert!(is_kept(0) && is_kept(2));
        assert!(!is_kept(1));
    }
}
