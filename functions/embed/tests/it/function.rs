//! The whole program: events in, objects in S3, answers and log lines out.

use std::process::Stdio;
use std::time::Duration;

use fruitvec::config::RESULTS_BUCKET;
use fruitvec::photo::PhotoId;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::runtime::{Function, command};
use crate::world::{PHOTOS, POISON, RESULTS, World, event, photo};

/// The keys that the event files name.
const APPLE: &str = "photos/Pomme Golden+Rouge/100% mûre.jpg";
const KIWI: &str = "photos/Kiwi/panorama #1.png";
const MANGO: &str = "photos/Mangue/côté gauche.jpg";
const UPLOAD: &str = "uploads/2026-11-24/01KAVX3Y2ZJ8Q0R5T7W9ABCDEF.jpg";

/// What the queue is told when it may delete everything.
fn all_done() -> Value {
    json!({ "batchItemFailures": [] })
}

/// An event of an event file that happens now: removals hide what is older than they are.
fn event_now(name: &str) -> String {
    let mut event: Value = serde_json::from_str(&event(name)).unwrap();
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
    let time =
        if event["time"].is_string() { &mut event["time"] } else { &mut event["Records"][0]["eventTime"] };
    *time = now.into();
    event.to_string()
}

/// A message of a queue about a put.
fn message(id: &str, key: &str, receive_count: u32) -> Value {
    let key = key.replace('%', "%25").replace('+', "%2B").replace(' ', "+");
    let body = json!({ "Records": [{
        "eventName": "ObjectCreated:Put", "eventTime": "2026-11-24T09:14:09.412Z",
        "s3": { "bucket": { "name": PHOTOS }, "object": { "key": key } },
    }] });
    json!({
        "messageId": id, "body": body.to_string(), "eventSource": "aws:sqs",
        "attributes": { "ApproximateReceiveCount": receive_count.to_string() },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_becomes_a_row_a_log_line_and_metrics() {
    let world = World::start().await;
    world.put(APPLE, photo("progressive.jpg")).await;
    let function = world.function();
    assert_eq!(function.invoke(&event("s3-put")), Ok(json!({ "embedded": 1 })));

    let current = world.current().await;
    let row = &current[APPLE];
    assert_eq!((row.width, row.height, row.photo.label()), (32, 32, Some("Pomme Golden+Rouge")));
    assert_eq!(row.embedding.len(), 1280);

    let (metrics, lines) = function.told();
    assert_eq!((&metrics["function"], &metrics["embedded"]), (&json!("embed"), &json!(1.0)));
    for name in ["init_ms", "fetch_ms", "decode_ms", "embed_ms", "write_ms"] {
        assert!(metrics[name].as_f64().is_some_and(|time| time > 0.0), "{name}: {metrics}");
    }
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    let id = PhotoId::of(PHOTOS, APPLE, &row.photo.etag).to_string();
    assert_eq!(
        (&line["photo_id"], &line["key"], &line["outcome"]),
        (&json!(id), &json!(APPLE), &json!("embedded"))
    );
    for name in ["fetch_ms", "decode_ms", "embed_ms", "write_ms"] {
        assert_eq!(line[name], metrics[name], "{name}");
    }
    let part = world.results("embeddings/").await;
    assert_eq!(line["part"], json!(part[0]));

    // The same again, over EventBridge: nothing is written, and starting is told of once.
    assert_eq!(function.invoke(&event("eventbridge-created")), Ok(json!({ "already_there": 1 })));
    let (metrics, _) = function.told();
    assert_eq!((&metrics["already_there"], &metrics["init_ms"]), (&json!(1.0), &Value::Null));
    assert_eq!(world.results("embeddings/").await, part);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_way_a_photo_came_it_is_embedded() {
    let world = World::start().await;
    let ways = [
        ("s3-multipart", KIWI, "palette.png", Some("Kiwi")),
        ("s3-copy", MANGO, "cmyk.jpg", Some("Mangue")),
        ("s3-upload", UPLOAD, "lossy.webp", None),
        ("eventbridge-created", APPLE, "one_bit.tif", Some("Pomme Golden+Rouge")),
    ];
    let function = world.function();
    for (name, key, picture, _) in ways {
        world.put(key, photo(picture)).await;
        assert_eq!(function.invoke(&event(name)), Ok(json!({ "embedded": 1 })), "{name}");
    }
    assert_eq!(function.invoke(&event("sqs-eventbridge")), Ok(all_done()));
    let current = world.current().await;
    assert_eq!(current.len(), ways.len());
    for (_, key, _, label) in ways {
        assert_eq!(current[key].photo.label(), label, "{key}");
    }
}

/// There is a photo whose key one gets by decoding what EventBridge did not encode.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_eventbridge_is_taken_as_it_is() {
    let world = World::start().await;
    world.put(APPLE, photo("progressive.jpg")).await;
    let function = world.function();
    assert_eq!(function.invoke(&event("eventbridge-encoded")), Ok(json!({ "gone": 1 })));
    assert!(world.current().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_no_work_is_acknowledged() {
    let world = World::start().await;
    world.put("photos/Figue de Barbarie/", Vec::new()).await;
    let function = world.function();
    for name in ["s3-test", "s3-tagging", "eventbridge-tagging"] {
        assert_eq!(function.invoke(&event(name)), Ok(json!({})), "{name}");
    }
    assert_eq!(function.invoke(&event("sqs-test")), Ok(all_done()));
    assert_eq!(function.invoke(&event("s3-folder")), Ok(json!({ "ignored": 1 })));
    assert!(world.results("").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_really_gone_is_hidden() {
    let world = World::start().await;
    let function = world.function();
    for (name, key) in [("s3-put", APPLE), ("s3-multipart", KIWI), ("s3-upload", UPLOAD)] {
        world.put(key, photo("progressive.jpg")).await;
        function.invoke(&event(name)).unwrap();
    }
    // An old version went, or a delete marker was undone: the photo is there.
    for name in ["s3-delete", "s3-delete-marker", "eventbridge-deleted"] {
        assert_eq!(function.invoke(&event_now(name)), Ok(json!({ "still_there": 1 })), "{name}");
    }
    assert_eq!(world.current().await.len(), 3);

    for (name, key) in [
        ("s3-delete-marker", APPLE),
        ("s3-expiration", KIWI),
        ("s3-expiration-marker", UPLOAD),
        ("eventbridge-deleted", APPLE),
        ("s3-delete", APPLE),
    ] {
        world.delete(key).await;
        assert_eq!(function.invoke(&event_now(name)), Ok(json!({ "removed": 1 })), "{name}");
        assert!(!world.current().await.contains_key(key), "{name}");
    }
    assert!(world.current().await.is_empty());

    // An event that is older than the photo hides nothing of it. S3 dates objects in whole seconds: what is put in the very second of
    // a removal is told from what was removed by the next backfill only.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    world.put(APPLE, photo("progressive.jpg")).await;
    assert_eq!(function.invoke(&event("s3-put")), Ok(json!({ "embedded": 1 })));
    assert_eq!(function.invoke(&event("s3-delete-marker")), Ok(json!({ "still_there": 1 })));
    assert_eq!(world.current().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_only_the_bad_messages_fail() {
    let world = World::start().await;
    world.put(APPLE, photo("progressive.jpg")).await;
    let function = world.function();
    let failures = json!({ "batchItemFailures": [
        { "itemIdentifier": "c0a80a4e-3f55-4a0b-9d2c-7e6f5a4b3c2d" },
        { "itemIdentifier": "d94f1b7a-2c3d-4e5f-8a9b-0c1d2e3f4a5b" },
    ] });
    assert_eq!(function.invoke(&event("sqs-mixed")), Ok(failures));
    assert!(world.current().await.contains_key(APPLE));
    let (metrics, _) = function.told();
    assert_eq!((&metrics["embedded"], &metrics["retried"]), (&json!(1.0), &json!(2.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_part_a_removal_and_the_oldest_message_first() {
    let world = World::start().await;
    world.put(APPLE, photo("progressive.jpg")).await;
    world.put(MANGO, photo("palette.png")).await;
    let function = world.function();
    assert_eq!(function.invoke(&event("sqs-batch")), Ok(all_done()));
    assert_eq!(world.current().await.len(), 2);
    assert_eq!((world.results("embeddings/").await.len(), world.results("removals/").await.len()), (1, 1));
    let (_, lines) = function.told();
    let told: Vec<_> = lines.iter().map(|line| (line["key"].as_str().unwrap(), &line["outcome"])).collect();
    let [embedded, removed] = [json!("embedded"), json!("removed")];
    assert_eq!(told, [(MANGO, &embedded), (APPLE, &embedded), (KIWI, &removed)]);
    assert_eq!(lines[0]["message_id"], json!("2e1424d4-f796-459a-8184-9c92662be6da"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_photos_become_rejects_and_the_batch_is_done() {
    let world = World::start().await;
    let jpeg = photo("progressive.jpg");
    world.put("photos/Kiwi/good.jpg", jpeg.clone()).await;
    world.put("photos/Kiwi/half.jpg", jpeg[..jpeg.len() / 2].to_vec()).await;
    world.put("photos/Kiwi/text.jpg", b"no photo".to_vec()).await;
    let function = world.function();
    let keys = ["good", "half", "text"].map(|name| format!("photos/Kiwi/{name}.jpg"));
    let batch = json!({ "Records": keys.each_ref().map(|key| message(key, key, 1)) });
    assert_eq!(function.invoke(&batch.to_string()), Ok(all_done()));
    assert_eq!((world.current().await.len(), world.results("rejects/").await.len()), (1, 2));
    let (metrics, lines) = function.told();
    assert_eq!((&metrics["rejected"], &metrics["rejected_truncated"]), (&json!(2.0), &json!(1.0)));
    let codes: Vec<_> = lines.iter().filter_map(|line| line["code"].as_str()).collect();
    assert_eq!(codes, ["truncated", "not_an_image"]);
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_decoder_that_panics_costs_its_photo_only() {
    let world = World::start().await;
    let jpeg = photo("progressive.jpg");
    let poisoned = [&jpeg, POISON.as_bytes()].concat();
    let keys = ["a", "poisoned", "z"].map(|name| format!("photos/Kiwi/{name}.jpg"));
    for (key, bytes) in keys.iter().zip([jpeg.clone(), poisoned, jpeg]) {
        world.put(key, bytes).await;
    }
    let function = world.function();
    let batch = json!({ "Records": keys.each_ref().map(|key| message(key, key, 1)) }).to_string();
    assert_eq!(function.invoke(&batch), Ok(all_done()));
    let (metrics, _) = function.told();
    assert_eq!((&metrics["embedded"], &metrics["rejected_panicked"]), (&json!(2.0), &json!(1.0)));
    assert_eq!((world.current().await.len(), world.results("rejects/").await.len()), (2, 1));
    // The process lives.
    assert_eq!(function.invoke(&batch), Ok(all_done()));
    assert_eq!(function.told().0["already_there"], json!(2.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_none_fails_the_invocation_and_the_next_one_works() {
    let world = World::start().await;
    let function = world.function();
    for nonsense in [r#"{"hello":"world"}"#, "[]", "null", r#"{"Records":[{"body":"x"}]}"#] {
        let error = function.invoke(nonsense).unwrap_err();
        assert_eq!(error["errorType"], json!("Event"), "{error}");
    }
    assert_eq!(function.invoke(&event("sqs-test")), Ok(all_done()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_results_bucket_that_is_missing_fails_the_invocation_loudly() {
    let world = World::start().await;
    world.put(APPLE, photo("progressive.jpg")).await;
    world.server.client().delete_bucket().bucket(RESULTS).send().await.unwrap();
    let function = world.function();
    for name in ["sqs-batch", "s3-put"] {
        let error = function.invoke(&event(name)).unwrap_err();
        assert_eq!(error["errorType"], json!("Fatal"), "{error}");
        assert!(error["errorMessage"].as_str().unwrap().contains(&format!("s3://{RESULTS}/")), "{error}");
    }
    function.log_with(|line| line["level"] == "ERROR" && line["fields"]["outcome"] == "fatal");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_s3_refuses_is_tried_again_and_no_secret_is_told() {
    const SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";
    const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLETOKEN";
    let world = World::start().await;
    world.put(APPLE, photo("progressive.jpg")).await;
    let mut environment = world.environment();
    environment.retain(|(name, _)| name != "AWS_SECRET_ACCESS_KEY");
    let wrong =
        [("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", TOKEN), ("AWS_LAMBDA_LOG_LEVEL", "DEBUG")];
    environment.extend(wrong.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let function = Function::start(&environment);

    let id = "059f36b4-87a3-44ab-83d2-661975830a7d";
    let batch = json!({ "Records": [message(id, APPLE, 1)] });
    let failures = json!({ "batchItemFailures": [{ "itemIdentifier": id }] });
    assert_eq!(function.invoke(&batch.to_string()), Ok(failures));
    let error = function.invoke(&event("s3-put")).unwrap_err();
    assert_eq!(error["errorType"], json!("Retry"), "{error}");
    assert!(error["errorMessage"].as_str().unwrap().contains("1 to be tried again"), "{error}");
    assert!(world.results("").await.is_empty());

    let log = function.log_with(|line| line["fields"]["outcome"] == "retried");
    for line in log.iter().chain([&error]) {
        let line = line.to_string();
        assert!(!line.contains(SECRET) && !line.contains(TOKEN), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_time_the_rest_is_handed_back_and_done_later() {
    const COUNT: usize = 800;
    const TIME: Duration = Duration::from_secs(2);
    let world = World::start().await;
    let keys: Vec<_> = (0..COUNT).map(|number| format!("photos/Kiwi/{number}.jpg")).collect();
    for key in &keys {
        world.put(key, photo("progressive.jpg")).await;
    }
    // One thread: it takes several seconds.
    let mut environment = world.environment();
    environment.push(("FRUITVEC_THREADS".into(), "1".into()));
    let function = Function::start(&environment);
    let (mut left, mut rounds) = (keys, 0);
    while !left.is_empty() {
        rounds += 1;
        let messages: Vec<_> = left.iter().map(|key| message(key, key, rounds)).collect();
        let start = std::time::Instant::now();
        let answer = function.invoke_for(&json!({ "Records": messages }).to_string(), TIME).unwrap();
        assert!(start.elapsed() < TIME, "round {rounds} took {:?}", start.elapsed());
        let failures = answer["batchItemFailures"].as_array().unwrap();
        left =
            failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect();
        assert_eq!(world.current().await.len(), COUNT - left.len(), "what is not handed back is done");
        assert!(rounds < 100, "{} are left", left.len());
    }
    assert!(rounds > 1, "there was time for all: nothing is proven");
    let log = function.log_with(|line| line["fields"]["outcome"] == "retried");
    let late = log.iter().find(|line| line["fields"]["outcome"] == "retried").unwrap();
    assert!(late["fields"]["error"].as_str().unwrap().contains("out of time"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_can_not_start_says_what_is_missing() {
    let world = World::start().await;
    for (name, value, says) in [
        (RESULTS_BUCKET, "", "FRUITVEC_RESULTS_BUCKET is not set"),
        ("FRUITVEC_MODEL", "vgg", "there is no card of that id"),
        ("FRUITVEC_THREADS", "many", "FRUITVEC_THREADS=many"),
        ("FRUITVEC_MODELS_DIR", "/nowhere", "/nowhere"),
    ] {
        let mut environment = world.environment();
        environment.push((name.to_owned(), value.to_owned()));
        let ended = command(&environment).stderr(Stdio::null()).output().unwrap();
        assert!(!ended.status.success());
        let said = String::from_utf8(ended.stdout).unwrap();
        assert!(said.contains(says) && said.contains("embed can't start"), "{name}: {said}");
    }
}
