//! Tests the whole program: its responses, its log, and the objects that it writes to S3.

use std::process::Stdio;
use std::time::Duration;

use fruitvec::config::{MAX_PHOTO_SECONDS, RESULTS_BUCKET, THREADS};
use fruitvec::contract::photo::PhotoId;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::runtime::{Function, command};
use crate::world::{HANG, PHOTOS, POISON, RESULTS, World, event, photo};

/// The keys that the event files name.
const APPLE: &str = "photos/Pomme Golden+Rouge/100% mûre.jpg";
const KIWI: &str = "photos/Kiwi/panorama #1.png";
const MANGO: &str = "photos/Mangue/côté gauche.jpg";
const UPLOAD: &str = "uploads/2026-11-24/01KAVX3Y2ZJ8Q0R5T7W9ABCDEF.jpg";

/// Returns the response after which SQS deletes all messages.
fn all_done() -> Value {
    json!({ "batchItemFailures": [] })
}

/// Returns an event file with the current time.
// A removal only hides photos that are older than it.
fn event_now(name: &str) -> String {
    let mut event: Value = serde_json::from_str(&event(name)).unwrap();
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
    let time =
        if event["time"].is_string() { &mut event["time"] } else { &mut event["Records"][0]["eventTime"] };
    *time = now.into();
    event.to_string()
}

/// Returns an SQS message with a put notification.
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

    let (metrics, lines) = function.reported();
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

    // A redelivery through EventBridge writes nothing, and the start is reported only once.
    assert_eq!(function.invoke(&event("eventbridge-created")), Ok(json!({ "already_there": 1 })));
    let (metrics, _) = function.reported();
    assert_eq!((&metrics["already_there"], &metrics["init_ms"]), (&json!(1.0), &Value::Null));
    assert_eq!(world.results("embeddings/").await, part);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_embedded_for_every_kind_of_event() {
    let world = World::start().await;
    let cases = [
        ("s3-multipart", KIWI, "palette.png", Some("Kiwi")),
        ("s3-copy", MANGO, "cmyk.jpg", Some("Mangue")),
        ("s3-upload", UPLOAD, "lossy.webp", None),
        ("eventbridge-created", APPLE, "one_bit.tif", Some("Pomme Golden+Rouge")),
    ];
    let function = world.function();
    for (name, key, picture, _) in cases {
        world.put(key, photo(picture)).await;
        assert_eq!(function.invoke(&event(name)), Ok(json!({ "embedded": 1 })), "{name}");
    }
    assert_eq!(function.invoke(&event("sqs-eventbridge")), Ok(all_done()));
    let current = world.current().await;
    assert_eq!(current.len(), cases.len());
    for (_, key, _, label) in cases {
        assert_eq!(current[key].photo.label(), label, "{key}");
    }
}

/// Decoding this event's key, which EventBridge does not encode, gives the key of an existing
/// photo.
#[tokio::test(flavor = "multi_thread")]
async fn an_eventbridge_key_is_not_decoded() {
    let world = World::start().await;
    world.put(APPLE, photo("progressive.jpg")).await;
    let function = world.function();
    assert_eq!(function.invoke(&event("eventbridge-encoded")), Ok(json!({ "gone": 1 })));
    assert!(world.current().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_without_work_are_acknowledged() {
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
async fn a_removal_hides_a_photo_only_if_its_key_is_gone() {
    let world = World::start().await;
    let function = world.function();
    for (name, key) in [("s3-put", APPLE), ("s3-multipart", KIWI), ("s3-upload", UPLOAD)] {
        world.put(key, photo("progressive.jpg")).await;
        function.invoke(&event(name)).unwrap();
    }
    // An old version or a delete marker was deleted, so the photo still exists.
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

    // An event that is older than the photo does not hide it. S3 dates objects in whole seconds. If
    // a photo is put in the same second as a removal, only the next backfill can distinguish them.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    world.put(APPLE, photo("progressive.jpg")).await;
    assert_eq!(function.invoke(&event("s3-put")), Ok(json!({ "embedded": 1 })));
    assert_eq!(function.invoke(&event("s3-delete-marker")), Ok(json!({ "still_there": 1 })));
    assert_eq!(world.current().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_bad_messages_of_a_batch_fail() {
    let world = World::start().await;
    world.put(APPLE, photo("progressive.jpg")).await;
    let function = world.function();
    let failures = json!({ "batchItemFailures": [
        { "itemIdentifier": "c0a80a4e-3f55-4a0b-9d2c-7e6f5a4b3c2d" },
        { "itemIdentifier": "d94f1b7a-2c3d-4e5f-8a9b-0c1d2e3f4a5b" },
    ] });
    assert_eq!(function.invoke(&event("sqs-mixed")), Ok(failures));
    assert!(world.current().await.contains_key(APPLE));
    let (metrics, _) = function.reported();
    assert_eq!((&metrics["embedded"], &metrics["retried"]), (&json!(1.0), &json!(2.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_writes_one_part_and_starts_with_the_oldest_message() {
    let world = World::start().await;
    world.put(APPLE, photo("progressive.jpg")).await;
    world.put(MANGO, photo("palette.png")).await;
    let function = world.function();
    assert_eq!(function.invoke(&event("sqs-batch")), Ok(all_done()));
    assert_eq!(world.current().await.len(), 2);
    assert_eq!((world.results("embeddings/").await.len(), world.results("removals/").await.len()), (1, 1));
    let (_, lines) = function.reported();
    let logged: Vec<_> = lines.iter().map(|line| (line["key"].as_str().unwrap(), &line["outcome"])).collect();
    let [embedded, removed] = [json!("embedded"), json!("removed")];
    assert_eq!(logged, [(MANGO, &embedded), (APPLE, &embedded), (KIWI, &removed)]);
    assert_eq!(lines[0]["message_id"], json!("2e1424d4-f796-459a-8184-9c92662be6da"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_photos_become_rejects_and_the_batch_succeeds() {
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
    let (metrics, lines) = function.reported();
    assert_eq!((&metrics["rejected"], &metrics["rejected_truncated"]), (&json!(2.0), &json!(1.0)));
    let codes: Vec<_> = lines.iter().filter_map(|line| line["code"].as_str()).collect();
    assert_eq!(codes, ["truncated", "not_an_image"]);
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_decoder_affects_only_its_photo() {
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
    let (metrics, _) = function.reported();
    assert_eq!((&metrics["embedded"], &metrics["rejected_panicked"]), (&json!(2.0), &json!(1.0)));
    assert_eq!((world.current().await.len(), world.results("rejects/").await.len()), (2, 1));
    // The process is still running.
    assert_eq!(function.invoke(&batch), Ok(all_done()));
    assert_eq!(function.reported().0["already_there"], json!(2.0));
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_photo_that_hangs_costs_only_itself_even_with_one_thread() {
    let world = World::start().await;
    let jpeg = photo("progressive.jpg");
    let keys = ["a", "hang", "z"].map(|name| format!("photos/Kiwi/{name}.jpg"));
    for (key, bytes) in keys.iter().zip([jpeg.clone(), [&jpeg, HANG.as_bytes()].concat(), jpeg]) {
        world.put(key, bytes).await;
    }
    // Far more than the other photos take, even on a busy machine.
    let limits = [(THREADS, "1"), (MAX_PHOTO_SECONDS, "3")].map(|(name, value)| (name.into(), value.into()));
    let environment = [world.environment(), limits.into()].concat();
    // The first attempt fails, and may have met a busy machine. The second is final.
    for (attempt, response) in
        [(1, json!({ "batchItemFailures": [{ "itemIdentifier": keys[1] }] })), (2, all_done())]
    {
        let mut function = Function::start(&environment);
        let batch = json!({ "Records": keys.each_ref().map(|key| message(key, key, attempt)) });
        assert_eq!(function.invoke(&batch.to_string()), Ok(response));
        // The response arrived, so no other photo is lost. The thread still hangs, so Lambda has to
        // start a new instance.
        assert_eq!(function.exit_code(), Some(1));
        function.log_with(|line| line["fields"]["message"].as_str().is_some_and(|m| m.contains("instance")));
    }
    assert_eq!(world.current().await.len(), 2);
    let rejects = world.results("rejects/").await;
    assert_eq!(rejects.len(), 1);
    let reject: Value =
        serde_json::from_slice(&world.store.get(RESULTS, &rejects[0]).await.unwrap()).unwrap();
    assert_eq!((&reject["code"], &reject["key"]), (&json!("too_slow"), &json!(keys[1])));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_event_fails_its_invocation_and_the_next_one_works() {
    let world = World::start().await;
    let function = world.function();
    for nonsense in [r#"{"hello":"world"}"#, "[]", "null", r#"{"Records":[{"body":"x"}]}"#] {
        let error = function.invoke(nonsense).unwrap_err();
        assert_eq!(error["errorType"], json!("Event"), "{error}");
    }
    assert_eq!(function.invoke(&event("sqs-test")), Ok(all_done()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_results_bucket_is_a_fatal_failure() {
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
async fn a_photo_that_s3_refuses_is_retried_and_no_secret_is_reported() {
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
    assert!(error["errorMessage"].as_str().unwrap().contains("1 to be retried"), "{error}");
    assert!(world.results("").await.is_empty());

    let log = function.log_with(|line| line["fields"]["outcome"] == "retried");
    for line in log.iter().chain([&error]) {
        let line = line.to_string();
        assert!(!line.contains(SECRET) && !line.contains(TOKEN), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn photos_without_time_left_are_handed_back_and_embedded_later() {
    const COUNT: usize = 2400;
    const TIME: Duration = Duration::from_secs(2);
    let world = World::start().await;
    let keys: Vec<_> = (0..COUNT).map(|number| format!("photos/Kiwi/{number}.jpg")).collect();
    for key in &keys {
        world.put(key, photo("progressive.jpg")).await;
    }
    // With one thread, the photos take several seconds.
    let mut environment = world.environment();
    environment.push(("FRUITVEC_THREADS".into(), "1".into()));
    let function = Function::start(&environment);
    let (mut left, mut rounds) = (keys, 0);
    while !left.is_empty() {
        rounds += 1;
        let messages: Vec<_> = left.iter().map(|key| message(key, key, rounds)).collect();
        let start = std::time::Instant::now();
        let response = function.invoke_for(&json!({ "Records": messages }).to_string(), TIME).unwrap();
        assert!(start.elapsed() < TIME, "round {rounds} took {:?}", start.elapsed());
        let failures = response["batchItemFailures"].as_array().unwrap();
        left =
            failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect();
        assert_eq!(world.current().await.len(), COUNT - left.len(), "all other photos are embedded");
        assert!(rounds < 100, "{} are left", left.len());
    }
    assert!(rounds > 1, "one round sufficed, so nothing was tested");
    let log = function.log_with(|line| line["fields"]["outcome"] == "retried");
    let late = log.iter().find(|line| line["fields"]["outcome"] == "retried").unwrap();
    assert!(late["fields"]["error"].as_str().unwrap().contains("out of time"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_can_not_start_reports_the_reason() {
    let world = World::start().await;
    for (name, value, reason) in [
        (RESULTS_BUCKET, "", "FRUITVEC_RESULTS_BUCKET is not set"),
        ("FRUITVEC_MODEL", "vgg", "there is no card of that id"),
        ("FRUITVEC_THREADS", "many", "FRUITVEC_THREADS=many"),
        ("FRUITVEC_MODELS_DIR", "/nowhere", "/nowhere"),
    ] {
        let mut environment = world.environment();
        environment.push((name.to_owned(), value.to_owned()));
        let ended = command(&environment).stderr(Stdio::null()).output().unwrap();
        assert!(!ended.status.success());
        let printed = String::from_utf8(ended.stdout).unwrap();
        assert!(printed.contains(reason) && printed.contains("embed can't start"), "{name}: {printed}");
    }
}
