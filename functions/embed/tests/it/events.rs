//! Tests that each file of `events/` parses as expected and is documented.

use std::collections::BTreeSet;

use fruitvec::contract::event::{Change, Delivery, Invocation, invocation};

use crate::world::{PHOTOS, event, repository};

/// A key with a space, a plus, a per cent sign and an accent.
const APPLE: &str = "photos/Pomme Golden+Rouge/100% mûre.jpg";
const KIWI: &str = "photos/Kiwi/panorama #1.png";
const MANGO: &str = "photos/Mangue/côté gauche.jpg";
const UPLOAD: &str = "uploads/2026-11-24/01KAVX3Y2ZJ8Q0R5T7W9ABCDEF.jpg";

const CREATED: Change = Change::Created;
const REMOVED: Change = Change::Removed;

/// An event file and its deliveries.
type File = (&'static str, &'static [(&'static str, Change)]);

const EVENTS: &[File] = &[
    ("s3-put", &[(APPLE, CREATED)]),
    ("s3-multipart", &[(KIWI, CREATED)]),
    ("s3-copy", &[(MANGO, CREATED)]),
    ("s3-upload", &[(UPLOAD, CREATED)]),
    ("s3-folder", &[("photos/Figue de Barbarie/", CREATED)]),
    ("s3-delete", &[(APPLE, REMOVED)]),
    ("s3-delete-marker", &[(APPLE, REMOVED)]),
    ("s3-expiration", &[(KIWI, REMOVED)]),
    ("s3-expiration-marker", &[(UPLOAD, REMOVED)]),
    ("s3-tagging", &[]),
    ("s3-test", &[]),
    ("eventbridge-created", &[(APPLE, CREATED)]),
    ("eventbridge-encoded", &[("photos/Pomme+Golden%2BRouge/100%25+mûre.jpg", CREATED)]),
    ("eventbridge-deleted", &[(APPLE, REMOVED)]),
    ("eventbridge-tagging", &[]),
];

/// A batch, with the receive count and the deliveries of each message. An invalid message has none.
type Batch = (&'static str, &'static [(u32, Option<&'static [(&'static str, Change)]>)]);

const BATCHES: &[Batch] = &[
    (
        "sqs-batch",
        &[(1, Some(&[(APPLE, CREATED)])), (3, Some(&[(MANGO, CREATED)])), (1, Some(&[(KIWI, REMOVED)]))],
    ),
    ("sqs-mixed", &[(1, Some(&[(APPLE, CREATED)])), (9, None), (2, None)]),
    ("sqs-test", &[(1, Some(&[]))]),
    ("sqs-eventbridge", &[(1, Some(&[(APPLE, CREATED)]))]),
];

fn changes(deliveries: &[Delivery]) -> Vec<(&str, Change)> {
    assert!(deliveries.iter().all(|delivery| delivery.bucket == PHOTOS));
    deliveries.iter().map(|delivery| (delivery.key.as_str(), delivery.change)).collect()
}

fn names(filter: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let files = std::fs::read_dir(repository("events")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .filter(|name| filter(name))
        .collect()
}

#[test]
fn every_event_file_parses_as_expected() {
    for (name, expected) in EVENTS {
        let Invocation::Deliveries(deliveries) = invocation(&event(name)).unwrap() else {
            panic!("{name} is not an S3 event")
        };
        assert_eq!(changes(&deliveries), *expected, "{name}");
    }
    for (name, expected) in BATCHES {
        let Invocation::Messages(messages) = invocation(&event(name)).unwrap() else {
            panic!("{name} is not a batch")
        };
        let found: Vec<_> = messages
            .iter()
            .map(|message| {
                (message.receive_count, message.deliveries.as_ref().ok().map(|found| changes(found)))
            })
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(count, found)| (*count, found.map(<[_]>::to_vec))).collect();
        assert_eq!(found, expected, "{name}");
    }
    let known = EVENTS.iter().map(|(name, _)| *name).chain(BATCHES.iter().map(|(name, _)| *name));
    let is_for_embed = |name: &str| !name.starts_with("upload-") && !name.starts_with("launch-");
    assert_eq!(
        known.map(str::to_owned).collect::<BTreeSet<_>>(),
        names(is_for_embed),
        "a file without a test"
    );
}

#[test]
fn the_readme_lists_every_event_file_with_its_command() {
    let readme = std::fs::read_to_string(repository("events/README.md")).unwrap();
    for name in names(|_| true) {
        let function =
            ["upload", "launch"].into_iter().find(|function| name.starts_with(function)).unwrap_or("embed");
        assert!(
            readme.contains(&format!("| `{name}.json` |")),
            "{name} is not in the tables of events/README.md"
        );
        let line = format!("cargo lambda invoke {function} --data-file events/{name}.json");
        assert!(readme.contains(&line), "events/README.md does not say: {line}");
    }
}

/// A listed file that does not exist misleads as much as an unlisted file.
#[test]
fn the_readme_lists_only_existing_files() {
    let readme = std::fs::read_to_string(repository("events/README.md")).unwrap();
    let known = names(|_| true);
    let named = readme.split("--data-file events/").skip(1).map(|rest| rest.split(".json").next().unwrap());
    for name in named {
        assert!(known.contains(name), "events/README.md names {name}.json, which does not exist");
    }
}
