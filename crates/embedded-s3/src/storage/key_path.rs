//! Maps keys to paths below their bucket's folder, and file names back to keys.
//!
//! A key is split at each `/`. The last segment becomes a file and the others become folders. A key
//! like `embeddings/model=x/date=2026-11-23/abc.parquet` is therefore its own path. File names are
//! more restricted than keys, so some segments are encoded:
//!
//! * `%`, control bytes and `\ : * ? " < > |` are percent-encoded as two upper-case hex digits.
//! * A folder's name never contains a dot, which becomes `%2E`. A file's name always contains one,
//!   and gets the suffix `.%` if it would not. So `x` and `x/y` can coexist, and no name is `.` or
//!   `..`.
//! * An empty folder segment, as in `a//b`, becomes `%-`.
//! * A segment too long for a file name is split. A folder whose name ends in `%+` contains the
//!   rest.
//!
//! A `%` is an escape only before two hex digits, so these marks can't be confused with the bytes
//! of a key. [`EntryName::parse`] rejects names that this module would not write.
//!
//! # Limits
//!
//! Some file systems ignore case or normalise Unicode, for example on macOS and Windows. Keys that
//! differ in nothing else are one object there. A path below the data folder can have 3,300 bytes,
//! so the path of the data folder must leave room for them.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// Characters that some system does not allow in a file name.
const RESERVED: &str = "%\\/:*?\"<>|";

/// Suffix of a file whose segment has no dot.
const DOTLESS: &str = ".%";
/// Suffix of a folder that contains the rest of its segment.
const CONTINUED: &str = "%+";
/// Name of a folder whose segment is empty.
const EMPTY: &str = "%-";

/// Maximum length of a name on common file systems, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Maximum length of a split segment's name without its suffix, in bytes.
const MAX_START_BYTES: usize = 250;

/// Returns the path of a key's object below the bucket's folder.
pub(crate) fn object(key: &str) -> PathBuf {
    let (folders, last) =
        key.rsplit_once('/').map_or(("", key), |(folders, last)| (&key[..=folders.len()], last));
    let mut path = folder(folders);
    let mut rest = last;
    while file_name(rest).len() > MAX_NAME_BYTES {
        rest = push_segment_start(&mut path, rest);
    }
    path.push(file_name(rest));
    path
}

/// Returns the path of a prefix's folder below the bucket's folder.
///
/// The prefix must be empty or end in `/`.
pub(crate) fn folder(prefix: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for segment in prefix.split_inclusive('/') {
        let mut rest = segment.strip_suffix('/').unwrap_or(segment);
        while encode(rest, EntryKind::Folder).len() > MAX_NAME_BYTES {
            rest = push_segment_start(&mut path, rest);
        }
        path.push(if rest.is_empty() { EMPTY.to_owned() } else { encode(rest, EntryKind::Folder) });
    }
    path
}

/// Pushes the longest start of a segment that fits a name, and returns the rest of the segment.
fn push_segment_start<'a>(path: &mut PathBuf, segment: &'a str) -> &'a str {
    let mut start = String::new();
    // Split between characters, so that each name is valid UTF-8.
    for (at, character) in segment.char_indices() {
        let encoded = encode(character.encode_utf8(&mut [0; 4]), EntryKind::Folder);
        if start.len() + encoded.len() > MAX_START_BYTES {
            path.push(start + CONTINUED);
            return &segment[at..];
        }
        start.push_str(&encoded);
    }
    path.push(start + CONTINUED);
    ""
}

fn file_name(segment: &str) -> String {
    match segment.bytes().all(|byte| byte == b'.') {
        // Also the empty segment. Unencoded, `.` and `..` would name folders.
        true => encode(segment, EntryKind::Folder) + DOTLESS,
        false if segment.contains('.') => encode(segment, EntryKind::File),
        false => encode(segment, EntryKind::File) + DOTLESS,
    }
}

/// The kind of entry that a segment becomes. Only folders encode dots.
#[derive(Clone, Copy, PartialEq)]
enum EntryKind {
    Folder,
    File,
}

fn encode(segment: &str, kind: EntryKind) -> String {
    let mut name = String::with_capacity(segment.len());
    for character in segment.chars() {
        let escaped = character.is_ascii_control()
            || RESERVED.contains(character)
            || (character == '.' && kind == EntryKind::Folder);
        match escaped {
            true => name.push_str(&format!("%{:02X}", u32::from(character))),
            false => name.push(character),
        }
    }
    name
}

/// The part of a key that a directory entry represents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EntryName {
    /// A file: the last segment of a key.
    Object(String),
    /// A folder: a segment without its `/`.
    Folder(String),
    /// A folder: the start of a long segment. The entries in the folder contain the rest.
    SegmentStart(String),
}

impl EntryName {
    /// Parses the name of a file or folder. `None` if [`object`] does not write such names.
    pub(crate) fn parse(name: &str, is_folder: bool) -> Option<Self> {
        if !is_folder {
            let segment = decode(name.strip_suffix(DOTLESS).unwrap_or(name))?;
            return (file_name(&segment) == name).then_some(Self::Object(segment));
        }
        if name == EMPTY {
            return Some(Self::Folder(String::new()));
        }
        let start = name.strip_suffix(CONTINUED);
        let encoded = start.unwrap_or(name);
        let segment = decode(encoded)?;
        // Decoding is lenient. Only a name that round-trips has exactly one key.
        if segment.is_empty() || encode(&segment, EntryKind::Folder) != encoded {
            return None;
        }
        Some(if start.is_some() { Self::SegmentStart(segment) } else { Self::Folder(segment) })
    }
}

fn decode(name: &str) -> Option<String> {
    percent_decode_str(name).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    /// Returns the key of an object's path, as a walk over the folders would.
    fn key(path: &Path) -> Option<String> {
        let names: Vec<_> = path.iter().map(|name| name.to_str().unwrap()).collect();
        let (last, folders) = names.split_last()?;
        let mut key = String::new();
        for name in folders {
            match EntryName::parse(name, true)? {
                EntryName::Folder(segment) => key.push_str(&(segment + "/")),
                EntryName::SegmentStart(start) => key.push_str(&start),
                EntryName::Object(_) => return None,
            }
        }
        match EntryName::parse(last, false)? {
            EntryName::Object(segment) => Some(key + &segment),
            _ => None,
        }
    }

    #[test]
    fn an_ordinary_key_is_its_own_path() {
        for key in
            ["embeddings/model=x-1/date=2026-11-23/abc.parquet", "photos/Pomme d'été/1 2+3.jpg", "🍎/🍐.jpg"]
        {
            assert_eq!(object(key), Path::new(key));
        }
    }

    #[test]
    fn a_segment_that_is_not_a_valid_name_is_encoded() {
        for (key, file) in [
            ("x", "x.%"),
            ("x/y", "x/y.%"),
            ("a//b.c", "a/%-/b.c"),
            ("/a.b", "%-/a.b"),
            ("a/", "a/.%"),
            ("/", "%-/.%"),
            ("../..", "%2E%2E/%2E%2E.%"),
            ("v1.5/a.jpg", "v1%2E5/a.jpg"),
            ("100%.jpg", "100%25.jpg"),
            ("a.%", "a.%25"),
            ("%2E", "%252E.%"),
            ("a:b\\c\n.d", "a%3Ab%5Cc%0A.d"),
            (".hidden", ".hidden"),
        ] {
            assert_eq!(object(key), Path::new(file), "{key}");
            assert_eq!(self::key(Path::new(file)).as_deref(), Some(key), "{file}");
        }
    }

    #[test]
    fn a_long_segment_is_split() {
        let long = object(&"a".repeat(1024));
        assert_eq!(long.iter().count(), 5);
        assert_eq!(object(&format!("{}.jpg", "b".repeat(251))).iter().count(), 1);
    }

    #[test]
    fn a_name_that_the_encoding_does_not_produce_is_not_an_object() {
        for (name, is_folder) in
            [("README", false), ("v1.5", true), ("a%2eb.c", false), ("%+", true), ("a%.%", false)]
        {
            assert_eq!(EntryName::parse(name, is_folder), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_key_comes_back_from_its_path(key in "([./%+\\-a:]|\\PC|[\\x00-\\x1f]|[0-9A-F]{2}){0,300}") {
            prop_assume!(!key.is_empty() && key.len() <= 1024);
            prop_assert_eq!(self::key(&object(&key)), Some(key));
        }

        #[test]
        fn every_name_fits_a_file_system(key in "([./%]|\\PC){1,8}", times in 1_usize..300) {
            let key = key.repeat(times);
            prop_assume!(key.len() <= 1024);
            let path = object(&key);
            prop_assert!(path.as_os_str().len() <= 3300);
            let count = path.components().count();
            for (index, component) in path.components().enumerate() {
                let Component::Normal(name) = component else { panic!("{component:?} in {key}") };
                prop_assert!(name.len() <= MAX_NAME_BYTES);
                prop_assert_eq!(name.to_str().unwrap().contains('.'), index + 1 == count);
            }
            prop_assert_eq!(self::key(&path), Some(key));
        }
    }
}
