//! The parsers of text: events, model cards, and the records of the table and of runs.

use std::fs;
use std::path::Path;

use fruitvec::batch::outcome::Outcome;
use fruitvec::batch::task::Task;
use fruitvec::contract::event::{Invocation, deliveries, invocation};
use fruitvec::contract::fit::FitRecord;
use fruitvec::contract::layout::PartName;
use fruitvec::contract::model_card::ModelCard;
use fruitvec::contract::photo::PhotoId;
use fruitvec::contract::run::{RunId, RunRecord};
use fruitvec::error::Error;
use fruitvec::table::reject::Reject;
use fruitvec::table::removal::Removal;

use super::target::Target;

/// The longest error about a file that is small.
const MAX_MESSAGE: usize = 20_000;

fn fuzz(name: &'static str, cases: u32, seeds: Vec<Vec<u8>>, check: impl Fn(&str)) {
    Target { name, cases, seeds, repair: |_| () }.run(|bytes| check(&String::from_utf8_lossy(bytes)));
}

/// Returns the files of a folder with this extension.
fn files(folder: &str, extension: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|it| it == extension)).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn edited_events_are_parsed_or_refused() {
    fuzz("event", 3_000, files("events", "json"), |text| {
        match invocation(text) {
            Ok(Invocation::Messages(messages)) => drop(messages),
            Ok(Invocation::Deliveries(deliveries)) => drop(deliveries),
            Err(error) => assert!(matches!(error, Error::Event(_)), "{error}"),
        }
        if let Err(error) = deliveries(text) {
            assert!(matches!(error, Error::Event(_)) && error.to_string().len() < MAX_MESSAGE, "{error}");
        }
    });
}

#[test]
fn edited_model_cards_are_valid_or_refused() {
    fuzz("model-card", 3_000, files("models", "toml"), |text| match ModelCard::parse(text) {
        Ok(card) => {
            assert!((1..=4096).contains(&card.input.side) && (1..=65_536).contains(&card.dimension));
            assert!(!card.file.name.contains('/') && !card.description.contains('\n'), "{card:?}");
        }
        Err(error) => {
            assert!(matches!(error, Error::Model { .. }), "{error}");
            assert!(error.to_string().lines().count() == 1 && error.to_string().len() < 1_000, "{error}");
        }
    });
}

#[test]
fn edited_records_are_parsed_or_refused() {
    let seeds = RECORDS.iter().map(|record| record.as_bytes().to_vec()).collect();
    fuzz("record", 3_000, seeds, |text| {
        let results = [
            Reject::parse("rejects/1", text.as_bytes()).err(),
            Removal::parse("removals/1", text.as_bytes()).err(),
        ];
        for error in results.into_iter().flatten() {
            assert!(matches!(error, Error::Schema { .. }), "{error}");
        }
        for error in [Task::parse(text).err(), Outcome::parse(text).err()].into_iter().flatten() {
            assert!(matches!(error, Error::Task(_)), "{error}");
        }
        _ = serde_json::from_str::<RunRecord>(text);
        _ = serde_json::from_str::<FitRecord>(text);
        _ = (text.parse::<RunId>(), PartName::parse(text), PhotoId::parse(text));
    });
}

/// Records of each kind, as the program writes them.
const RECORDS: [&str; 7] = [
    r#"{"photo_id":"0123456789abcdef0123456789abcdef","bucket":"photos","key":"a/b.jpg","etag":"0123456789abcdef0123456789abcdef","size_bytes":5,"last_modified":"2026-11-23T10:00:00Z","code":"corrupt","message":"x","rejected_at":"2026-11-23T10:00:00Z","made_by":"fruitvec 0.1.0"}"#,
    r#"{"bucket":"photos","key":"a/b.jpg","up_to":"2026-11-23T10:00:00.123456Z","photo_id":null}"#,
    r#"{"run":"backfill-20261123-100000-0a1b2c3d","job":"backfill","model":"m","started_at":"2026-11-23T10:00:00Z","counts":{"embedded":3}}"#,
    r#"{"task":"photos","run":"backfill-20261123-100000-0a1b2c3d","model":"m","list":"runs/x/1.json"}"#,
    r#"{"fit":"x","dimension":1280,"components":2,"rows":3,"parts":["a"],"explained":[0.5,0.25]}"#,
    "backfill-20261123-100000-0a1b2c3d",
    "0123456789abcdef0123456789abcdef",
];
