//! The binary format of moments in S3.

use ring::digest::{SHA256, digest};

use super::Moments;
use crate::error::{Error, Result};

const MAGIC: [u8; 8] = *b"fruitmom";
const VERSION: u32 = 1;
/// Magic, version, dimension, count.
const HEADER_BYTES: usize = 8 + 4 + 4 + 8;
/// The checksum is a prefix of the SHA-256 of this length.
const CHECKSUM_BYTES: usize = 8;

impl Moments {
    /// Serialises the moments for S3.
    ///
    /// The fields follow each other without gaps, and all numbers are little-endian:
    ///
    /// | field | type |
    /// |---|---|
    /// | `fruitmom` | 8 bytes |
    /// | version | u32 |
    /// | dimension D | u32 |
    /// | count | u64 |
    /// | mean | D × f64 |
    /// | lower triangle of the scatter with its diagonal, row by row | D(D+1)/2 × f64 |
    /// | the first 8 bytes of the SHA-256 of all fields above | 8 bytes |
    ///
    /// At dimension 1280 this takes 6.6 MB.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let dimension = self.dimension();
        let mut bytes = Vec::with_capacity(serialised_len(dimension));
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((dimension as u32).to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.mean.iter().flat_map(|number| number.to_le_bytes()));
        for row in 0..dimension {
            let start = row * dimension;
            bytes.extend(self.scatter[start..=start + row].iter().flat_map(|number| number.to_le_bytes()));
        }
        let checksum = checksum(&bytes);
        bytes.extend(checksum);
        bytes
    }

    /// Deserialises moments of rows of `dimension` numbers. `object` is the name for error
    /// messages.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the bytes are not such moments.
    pub fn from_bytes(object: &str, dimension: usize, bytes: &[u8]) -> Result<Self> {
        check(dimension, bytes)
            .map_err(|reason| Error::Damaged { object: object.to_owned(), reason: reason.to_string() })?;
        let mut count = [0; 8];
        count.copy_from_slice(&bytes[HEADER_BYTES - 8..HEADER_BYTES]);
        let mut numbers = bytes[HEADER_BYTES..bytes.len() - CHECKSUM_BYTES].as_chunks().0.iter();
        let mut fill = |to: &mut [f64]| {
            to.iter_mut().zip(&mut numbers).for_each(|(to, number)| *to = f64::from_le_bytes(*number));
        };
        let mut moments = Self::empty(dimension);
        moments.count = u64::from_le_bytes(count);
        fill(&mut moments.mean);
        for (row, numbers) in moments.scatter.chunks_mut(dimension).enumerate() {
            fill(&mut numbers[..=row]);
        }
        Ok(moments)
    }
}

/// Returns the serialised size of moments, in bytes.
fn serialised_len(dimension: usize) -> usize {
    HEADER_BYTES + 8 * (dimension + dimension * (dimension + 1) / 2) + CHECKSUM_BYTES
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&digest(&SHA256, bytes).as_ref()[..CHECKSUM_BYTES]);
    checksum
}

/// Checks that these bytes are moments of rows of `dimension` numbers. The error names the problem.
fn check(dimension: usize, bytes: &[u8]) -> Result<(), String> {
    let Some((header, _)) =
        bytes.split_at_checked(HEADER_BYTES).filter(|(header, _)| header.starts_with(&MAGIC))
    else {
        return Err("not moments: the object does not start with `fruitmom` and a header".to_owned());
    };
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (version, found) = (number(8), number(12));
    if version != VERSION {
        return Err(format!("moments of version {version}; this program reads version {VERSION}"));
    }
    if found as usize != dimension {
        return Err(format!("moments of rows of {found} numbers; expected {dimension}"));
    }
    if dimension == 0 {
        return Err("moments with dimension 0".to_owned());
    }
    if bytes.len() != serialised_len(dimension) {
        return Err(format!("found {} bytes, expected {}", bytes.len(), serialised_len(dimension)));
    }
    let (content, stored) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
    if stored != checksum(content) {
        return Err("the checksum does not match: the moments are damaged".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::{part, random_numbers, rows_in_parts};

    #[test]
    fn damage_is_detected_at_every_byte() {
        let bytes = Moments::of_rows(&random_numbers(3 * 4, 0.0), 3).to_bytes();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(matches!(Moments::from_bytes("m", 3, &damaged), Err(Error::Damaged { .. })), "byte {at}");
            assert!(
                matches!(Moments::from_bytes("m", 3, &bytes[..at]), Err(Error::Damaged { .. })),
                "cut at {at}"
            );
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Moments::from_bytes("m", 3, &longer).is_err());
    }

    #[test]
    fn an_error_names_the_object_and_the_problem() {
        let bytes = Moments::of_rows(&random_numbers(3 * 4, 0.0), 3).to_bytes();
        let error = |dimension, bytes: &[u8]| {
            Moments::from_bytes("moments/a", dimension, bytes).unwrap_err().to_string()
        };
        assert_eq!(error(4, &bytes), "moments/a: moments of rows of 3 numbers; expected 4");
        assert_eq!(
            error(3, &bytes[1..]),
            "moments/a: not moments: the object does not start with `fruitmom` and a header"
        );
        assert_eq!(error(3, &bytes[..99]), "moments/a: found 99 bytes, expected 104");
        let newer = [&bytes[..8], &[2], &bytes[9..]].concat();
        assert_eq!(error(3, &newer), "moments/a: moments of version 2; this program reads version 1");
        let damaged = [&bytes[..40], &[!bytes[40]], &bytes[41..]].concat();
        assert_eq!(error(3, &damaged), "moments/a: the checksum does not match: the moments are damaged");
    }

    #[test]
    fn the_bytes_have_the_documented_format() {
        let bytes = Moments::of_rows(&[1.0, 2.0, 3.0, 6.0], 2).to_bytes();
        assert_eq!(&bytes[..24], b"fruitmom\x01\0\0\0\x02\0\0\0\x02\0\0\0\0\0\0\0");
        let numbers: Vec<f64> =
            bytes[24..64].as_chunks().0.iter().map(|number| f64::from_le_bytes(*number)).collect();
        assert_eq!(numbers, [2.0, 4.0, 2.0, 4.0, 8.0]);
        assert_eq!(bytes.len(), 72);
    }

    proptest! {
        #[test]
        fn deserialising_restores_every_bit((dimension, rows) in rows_in_parts()) {
            let moments = Moments::of_rows(&part(&rows, 0), dimension);
            prop_assert_eq!(Moments::from_bytes("m", dimension, &moments.to_bytes()).unwrap(), moments);
        }
    }
}
