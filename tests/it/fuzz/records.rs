//! The parsers of text: events, model cards, and the records of the table and of runs.

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use fruitvec::batch::outcome::{Outcome, Report};
use fruitvec::batch::task::{Task, TaskKind};
use fruitvec::contract::event::{Invocation, deliveries, invocation};
use fruitvec::contract::fit::FitRecord;
use fruitvec::contract::layout::PartName;
use fruitvec::contract::model_card::ModelCard;
use fruitvec::contract::photo::{Photo, PhotoId};
use fruitvec::contract::run::{RunId, RunRecord};
use fruitvec::error::Error;
use fruitvec::rejection::{RejectCode, Rejection};
use fruitvec::table::reject::Reject;
use fruitvec::table::removal::Removal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

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
    let seeds = seeds();
    seeds.iter().for_each(|seed| assert!(is_a_record(seed), "{seed}"));
    let seeds = seeds.into_iter().map(String::into_bytes).collect();
    fuzz("record", 3_000, seeds, |text| {
        is_a_record(text);
        let errors = [
            Reject::parse("rejects/1", text.as_bytes()).err(),
            Removal::parse("removals/1", text.as_bytes()).err(),
        ];
        for error in errors.into_iter().flatten() {
            assert!(matches!(error, Error::Schema { .. }), "{error}");
        }
        for error in [Task::parse(text).err(), Outcome::parse(text).err()].into_iter().flatten() {
            assert!(matches!(error, Error::Task(_)) && error.to_string().len() < MAX_MESSAGE, "{error}");
        }
        _ = (text.parse::<RunId>(), PartName::parse(text), PhotoId::parse(text));
    });
}

/// Returns whether a text is a record of any kind. Such a record can be written and read back.
fn is_a_record(text: &str) -> bool {
    [
        is_read_back::<Reject>(text),
        is_read_back::<Removal>(text),
        is_read_back::<Task>(text),
        is_read_back::<Outcome>(text),
        is_read_back::<RunRecord>(text),
        is_read_back::<FitRecord>(text),
    ]
    .contains(&true)
}

fn is_read_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(text: &str) -> bool {
    let Ok(record) = serde_json::from_str::<T>(text) else { return false };
    let written = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<T>(&written).unwrap(), record, "{written}");
    true
}

/// Returns records of each kind.
fn seeds() -> Vec<String> {
    let photo = Photo {
        bucket: "photos".into(),
        key: "fruit/Kiwi/a.jpg".into(),
        etag: "0123456789abcdef0123456789abcdef".into(),
        size_bytes: 1_000,
        last_modified: OffsetDateTime::UNIX_EPOCH,
    };
    let reject = Reject::new(photo, Rejection::new(RejectCode::Corrupt, "export it again"), "fruitvec 0.1.0");
    let kind = TaskKind::Embed { photos: 2, bytes: 2_000 };
    let [run, task, model, list] =
        ["20261124T030000Z-rebuild", "embed-000001", "m", "runs/r/embed-000001.json"].map(str::to_owned);
    let task = Task { version: 1, run, task, model, list, kind };
    let report = Report { object: Some("runs/r/o".into()), ..Report::default() };
    let failed = Outcome::failed(&task, 0.5, &Error::Config("c".into()));
    let (done, task) = (Outcome::done(&task, 1.0, report).line().unwrap(), task.line().unwrap());
    let mut seeds = vec![serde_json::to_string(&reject).unwrap(), task, done, failed.line().unwrap()];
    seeds.extend(RECORDS.map(str::to_owned));
    seeds
}

/// Records of the kinds that no function here can make.
const RECORDS: [&str; 4] = [
    r#"{"bucket":"photos","key":"a.jpg","up_to":"2026-11-23T10:00:00Z"}"#,
    r#"{"version":1,"run":"20261124T030000Z-rebuild","job":"rebuild","model":"m",
        "started_at":"2026-11-24T03:00:00Z","finished_at":"2026-11-24T03:10:00Z","photos_listed":2,
        "stages":{"backfill":{"photos":2}}}"#,
    r#"{"fit":"20261124T030000Z-01234567","model":"m","model_sha256":"00","dimension":3,"rows":5,
        "parts":1,"first_date":"2026-11-23","last_date":null,"components":2,"rank":1,
        "explained_variance":[0.5,1e-300],"explained_variance_ratio":[0.25],"total_variance":2.0,
        "mean":[0.0,-1.5,3e38],"inputs":"01","taken_at":"2026-11-24T03:00:00Z","seconds":0.1,
        "made_by":"fruitvec 0.1.0"}"#,
    r#"{"bucket":"photos","key":"\u00e9/\ud83c\udf4e","up_to":"2026-11-23T10:00:00.123456789+05:30"}"#,
];
