//! Keys as paths: where an object lies below its bucket's folder, and back.
//!
//! A key is cut at each `/`: the last segment names a file, those before it name folders, so that a key like
//! `embeddings/model=x/date=2026-11-23/abc.parquet` is that very path. A file system holds less than S3 does, so
//!
//! * `%`, control bytes, `\ : * ? " < > |` are percent-encoded (two upper-case hex digits);
//! * a folder's name never holds a dot (it becomes `%2E`), a file's name always holds one (else `.%` is appended):
//!   so `x` and `x/y` can both exist, and no name is `.` or `..`;
//! * an empty folder segment (`a//b`) is named `%-`;
//! * a segment too long for a file name is continued in a folder: what ends in `%+` goes on in the next name.
//!
//! A `%` before anything but two hex digits is no escape, so these marks can't be mistaken for a key's own bytes. A
//! name that this module would not have written is not an object: see [`Name::parse`].
//!
//! Limits: on a file system that ignores case or normalises Unicode (macOS, Windows), two keys that differ in
//! nothing else are one object; and the path of the data folder must leave room for 3,300 bytes below it.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// What a file's name can't hold on one system or another.
const RESERVED: &str = "%\\/:*?\"<>|";

/// Ends the name of a file whose segment has no dot.
const DOTLESS: &str = ".%";
/// Ends the name of a folder whose segment goes on in the next name.
const CONTINUED: &str = "%+";
/// The name of a folder whose segment is empty.
const EMPTY: &str = "%-";

/// Bytes that a name may have on every file system in use.
const NAME_BYTES: usize = 255;
/// Bytes of a name before it is continued.
const PIECE_BYTES: usize = 250;

/// The path, below its bucket's folder, of the object with this key.
pub(crate) fn path(key: &str) -> PathBuf {
    let (folders, last) =
        key.rsplit_once('/').map_or(("", key), |(folders, last)| (&key[..=folders.len()], last));
    let mut path = folder(folders);
    let mut rest = last;
    while file_name(rest).len() > NAME_BYTES {
        rest = push_piece(&mut path, rest);
    }
    path.push(file_name(rest));
    path
}

/// The path, below its bucket's folder, of the folder that holds the keys with this prefix, which is empty or
/// ends in `/`.
pub(crate) fn folder(prefix: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for segment in prefix.split_inclusive('/') {
        let mut rest = segment.strip_suffix('/').unwrap_or(segment);
        while encode(rest, Of::Folder).len() > NAME_BYTES {
            rest = push_piece(&mut path, rest);
        }
        path.push(if rest.is_empty() { EMPTY.to_owned() } else { encode(rest, Of::Folder) });
    }
    path
}

/// Pushes the longest beginning of this segment that a name can hold; returns what is left of it.
fn push_piece<'a>(path: &mut PathBuf, segment: &'a str) -> &'a str {
    let mut piece = String::new();
    for (at, character) in segment.char_indices() {
        let encoded = encode(character.encode_utf8(&mut [0; 4]), Of::Folder);
        if piece.len() + encoded.len() > PIECE_BYTES {
            path.push(piece + CONTINUED);
            return &segment[at..];
        }
        piece.push_str(&encoded);
    }
    path.push(piece + CONTINUED);
    ""
}

fn file_name(segment: &str) -> String {
    match segment.bytes().all(|byte| byte == b'.') {
        true => encode(segment, Of::Folder) + DOTLESS,
        false if segment.contains('.') => encode(segment, Of::File),
        false => encode(segment, Of::File) + DOTLESS,
    }
}

/// What a segment is to name: it decides about dots.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Folder,
    File,
}

fn encode(segment: &str, of: Of) -> String {
    let mut name = String::with_capacity(segment.len());
    for character in segment.chars() {
        let escaped = character.is_ascii_control()
            || RESERVED.contains(character)
            || (character == '.' && of == Of::Folder);
        match escaped {
            true => name.push_str(&format!("%{:02X}", u32::from(character))),
            false => name.push(character),
        }
    }
    name
}

/// What a name in a folder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// A file: the last segment of a key.
    Object(String),
    /// A folder: a segment of keys, without its `/`.
    Folder(String),
    /// A folder: the beginning of a segment, the rest of which is in the names that it holds.
    Beginning(String),
}

impl Name {
    /// What the name of this file or folder stands for; `None` if it is not one that [`path`] writes.
    pub(crate) fn parse(name: &str, is_folder: bool) -> Option<Self> {
        if !is_folder {
            let segment = decode(name.strip_suffix(DOTLESS).unwrap_or(name))?;
            return (file_name(&segment) == name).then_some(Self::Object(segment));
        }
        if name == EMPTY {
            return Some(Self::Folder(String::new()));
        }
        let piece = name.strip_suffix(CONTINUED);
        let segment = decode(piece.unwrap_or(name))?;
        let written = !segment.is_empty() && encode(&segment, Of::Folder) == piece.unwrap_or(name);
        let name = if piece.is_some() { Self::Beginning(segment) } else { Self::Folder(segment) };
        written.then_some(name)
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

    /// The key of the object at this path: what a walk over the folders puts together.
    fn key(path: &Path) -> Option<String> {
        let names: Vec<_> = path.iter().map(|name| name.to_str().unwrap()).collect();
        let (last, folders) = names.split_last()?;
        let mut key = String::new();
        for name in folders {
            match Name::parse(name, true)? {
                Name::Folder(segment) => key.push_str(&(segment + "/")),
                Name::Beginning(piece) => key.push_str(&piece),
                Name::Object(_) => return None,
            }
        }
        match Name::parse(last, false)? {
            Name::Object(segment) => Some(key + &segment),
            _ => None,
        }
    }

    #[test]
    fn the_layout_of_the_table_is_its_path() {
        for key in
            ["embeddings/model=x-1/date=2026-11-23/abc.parquet", "photos/Pomme d'été/1 2+3.jpg", "🍎/🍐.jpg"]
        {
            assert_eq!(path(key), Path::new(key));
        }
    }

    #[test]
    fn what_a_name_cannot_hold_is_marked() {
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
            assert_eq!(path(key), Path::new(file), "{key}");
            assert_eq!(self::key(Path::new(file)).as_deref(), Some(key), "{file}");
        }
    }

    #[test]
    fn a_long_segment_goes_on_in_the_next_name() {
        let long = path(&"a".repeat(1024));
        assert_eq!(long.iter().count(), 5);
        assert_eq!(path(&format!("{}.jpg", "b".repeat(251))).iter().count(), 1);
    }

    #[test]
    fn a_name_that_is_not_ours_is_no_object() {
        for (name, is_folder) in
            [("README", false), ("v1.5", true), ("a%2eb.c", false), ("%+", true), ("a%.%", false)]
        {
            assert_eq!(Name::parse(name, is_folder), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_key_comes_back_from_its_path(key in "([./%+\\-a:]|\\PC|[\\x00-\\x1f]|[0-9A-F]{2}){0,300}") {
            prop_assume!(!key.is_empty() && key.len() <= 1024);
            prop_assert_eq!(self::key(&path(&key)), Some(key));
        }

        #[test]
        fn every_name_fits_a_file_system(key in "([./%]|\\PC){1,8}", times in 1_usize..300) {
            let key = key.repeat(times);
            prop_assume!(key.len() <= 1024);
            let path = path(&key);
            prop_assert!(path.as_os_str().len() <= 3300);
            let count = path.components().count();
            for (index, component) in path.components().enumerate() {
                let Component::Normal(name) = component else { panic!("{component:?} in {key}") };
                prop_assert!(name.len() <= NAME_BYTES);
                prop_assert_eq!(name.to_str().unwrap().contains('.'), index + 1 == count);
            }
            prop_assert_eq!(self::key(&path), Some(key));
        }
    }
}
