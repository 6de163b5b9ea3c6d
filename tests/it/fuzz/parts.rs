//! The reader of parts: a damaged part is an error, and takes no more memory than a good one.

use fruitvec::contract::model_card::{DEFAULT_MODEL, ModelCard};
use fruitvec::contract::photo::Photo;
use fruitvec::error::{Error, Result};
use fruitvec::table::{PartReader, Row, encode};
use time::OffsetDateTime;

use super::target::Target;

const DIMENSION: usize = 24;

fn row(number: u32) -> Row {
    let moment = OffsetDateTime::from_unix_timestamp(1_790_000_000 + i64::from(number)).unwrap();
    Row {
        photo: Photo {
            bucket: "photos".into(),
            key: format!("photos/Kiwi/{number}.jpg"),
            etag: format!("{number:032x}"),
            size_bytes: 1_000,
            last_modified: moment,
        },
        width: 100,
        height: 50,
        embedding: (0..DIMENSION).map(|at| at as f32 * number as f32).collect(),
        embedded_at: moment,
        made_by: "fruitvec test".into(),
    }
}

fn part(rows: u32) -> Vec<u8> {
    let card = ModelCard { dimension: DIMENSION, ..ModelCard::find(DEFAULT_MODEL, None).unwrap() };
    encode(&mut (0..rows).map(row).collect::<Vec<_>>(), &card).unwrap()
}

/// Reads everything that the program reads from a part.
fn read(bytes: &[u8]) -> Vec<Error> {
    let part = PartReader::new("part", bytes.to_vec().into());
    let keys = || -> Result<usize> {
        let mut bytes = 0;
        for batch in part.keys()? {
            bytes += batch?.iter().map(|row| row.key.len() + row.photo_id.len()).sum::<usize>();
        }
        Ok(bytes)
    };
    let embeddings = || -> Result<usize> {
        let mut numbers = 0;
        for batch in part.embeddings(DIMENSION)? {
            numbers += batch?.len();
        }
        Ok(numbers)
    };
    let errors = [part.rows().err(), keys().err(), embeddings().err(), part.replaces().err()];
    errors.into_iter().flatten().collect()
}

#[test]
fn edited_parts_are_read_or_refused() {
    let seeds = vec![part(1), part(40)];
    seeds.iter().for_each(|seed| assert!(read(seed).is_empty()));
    Target { name: "part", cases: 3_000, seeds, repair: |_| () }.run(|bytes| {
        for error in read(bytes) {
            assert!(matches!(error, Error::Schema { .. }), "{error}");
        }
    });
}
