//! The binary format in which the external sort stores versions in its temporary files.

use std::io::{Read, Write};

use super::row_version::{Origin, RowVersion};

/// Writes one version: numbers in little-endian order, strings after their length.
pub(super) fn write_version(file: &mut impl Write, version: &RowVersion) -> std::io::Result<()> {
    let (kind, part, row) = match version.origin {
        Origin::Row { part, row } => (0, part, row),
        Origin::Reject => (1, 0, 0),
        Origin::Removal => (2, 0, 0),
    };
    file.write_all(&[kind])?;
    for text in [&version.bucket, &version.key] {
        file.write_all(&(text.len() as u64).to_le_bytes())?;
        file.write_all(text.as_bytes())?;
    }
    file.write_all(&version.last_modified.to_le_bytes())?;
    file.write_all(&version.made_at.to_le_bytes())?;
    file.write_all(&version.photo_id)?;
    file.write_all(&part.to_le_bytes())?;
    file.write_all(&row.to_le_bytes())
}

/// Reads the next version; `None` at the end of the file.
pub(super) fn read_version(file: &mut impl Read) -> std::io::Result<Option<RowVersion>> {
    let mut kind = [0];
    if file.read(&mut kind)? == 0 {
        return Ok(None);
    }
    let (bucket, key) = (read_text(file)?, read_text(file)?);
    let last_modified = i64::from_le_bytes(read_array(file)?);
    let made_at = i64::from_le_bytes(read_array(file)?);
    let photo_id = read_array(file)?;
    let (part, row) = (u32::from_le_bytes(read_array(file)?), u32::from_le_bytes(read_array(file)?));
    let origin = match kind {
        [0] => Origin::Row { part, row },
        [1] => Origin::Reject,
        _ => Origin::Removal,
    };
    Ok(Some(RowVersion { bucket, key, last_modified, made_at, photo_id, origin }))
}

fn read_array<const N: usize>(file: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_text(file: &mut impl Read) -> std::io::Result<String> {
    let length = u64::from_le_bytes(read_array(file)?);
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_version() -> impl Strategy<Value = RowVersion> {
        let origin = prop_oneof![
            any::<(u32, u32)>().prop_map(|(part, row)| Origin::Row { part, row }),
            Just(Origin::Reject),
            Just(Origin::Removal),
        ];
        (any::<(String, String, i64, i64, [u8; 16])>(), origin).prop_map(|(fields, origin)| {
            let (bucket, key, last_modified, made_at, photo_id) = fields;
            RowVersion { bucket, key, last_modified, made_at, photo_id, origin }
        })
    }

    proptest! {
        #[test]
        fn versions_are_read_back_as_written(versions in prop::collection::vec(any_version(), 0..5)) {
            let mut bytes = Vec::new();
            versions.iter().for_each(|version| write_version(&mut bytes, version).unwrap());
            let mut file = bytes.as_slice();
            let read: Vec<_> = std::iter::from_fn(|| read_version(&mut file).unwrap()).collect();
            prop_assert_eq!(read, versions);
        }
    }

    #[test]
    fn a_truncated_file_is_an_error() {
        let version = RowVersion {
            bucket: "photos".into(),
            key: "a.jpg".into(),
            last_modified: 1,
            made_at: 2,
            photo_id: [3; 16],
            origin: Origin::Reject,
        };
        let mut bytes = Vec::new();
        write_version(&mut bytes, &version).unwrap();
        assert!(read_version(&mut &bytes[..bytes.len() - 1]).is_err());
    }
}
