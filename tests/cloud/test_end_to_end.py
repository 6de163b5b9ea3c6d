"""From a put in S3 to rows, rejects and dead letters, with the template's queues and the real binaries."""

import hashlib
import json
import random
import tomllib
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy

from support import sample_photos
from support.paths import EVENTS, MODELS
from support.queue_poller import send, take

MODEL = "fruit-mobilenetv2-035-128"
CARD = tomllib.loads((MODELS / f"{MODEL}.toml").read_text())


def event(name):
    return json.loads((EVENTS / f"{name}.json").read_text())


def request_upload(upload, content_type, size):
    """Requests an upload as the app does and returns the response body."""
    request = event("upload-jpeg")
    request["body"] = json.dumps({"content_type": content_type, "size_bytes": size})
    response = upload.invoke(request)
    assert response["statusCode"] == 201, response
    return json.loads(response["body"])


def send_photo(granted, content):
    """Uploads a photo as a phone does, without an AWS SDK."""
    request = urllib.request.Request(granted["url"], content, granted["headers"], method=granted["method"])
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.status == 200


def assert_row(row, key, photo):
    """Asserts that a row describes a photo."""
    assert row["key"] == key
    assert row["etag"] == hashlib.md5(photo.content).hexdigest()
    assert row["size_bytes"] == len(photo.content)
    assert row["label"] == photo.label
    assert (row["width"], row["height"]) == photo.size
    assert row["model"] == MODEL
    assert row["embedding"].shape == (CARD["dimension"],)
    assert numpy.isfinite(row["embedding"]).all() and row["embedding"].any()
    assert row["made_by"].startswith("fruitvec ")
    assert row["last_modified"] % 1_000_000 == 0
    assert row["last_modified"] < row["embedded_at"] + 1_000_000


def test_a_photo_uploaded_by_the_app_becomes_a_row_without_a_label(cloud):
    photo = sample_photos.Photo("", sample_photos.encode(sample_photos.picture("app"), "JPEG"))
    with cloud.upload() as upload, cloud.embed() as embed:
        granted = request_upload(upload, "image/jpeg", len(photo.content))
        send_photo(granted, photo.content)
        cloud.poller(embed).drain(1)
    row = cloud.results().current_rows()[granted["key"]]
    assert_row(row, granted["key"], photo)
    assert row["bucket"] == cloud.photos_bucket
    cloud.assert_queues_empty()


def test_a_labelled_photo_and_the_same_photo_from_the_app_have_the_same_embedding(cloud):
    photo = sample_photos.valid(10_000)
    with cloud.upload() as upload, cloud.embed() as embed:
        granted = request_upload(upload, "image/png", len(photo.content))
        send_photo(granted, photo.content)
        cloud.put([photo])
        cloud.poller(embed).drain(2)
    rows = cloud.results().current_rows()
    assert_row(rows[photo.key], photo.key, photo)
    assert rows[granted["key"]]["label"] is None
    assert (rows[granted["key"]]["embedding"] == rows[photo.key]["embedding"]).all()


def test_each_of_300_photos_has_one_result_despite_invalid_and_repeated_ones(cloud):
    valid = [sample_photos.valid(number) for number in range(270)]
    invalid = [sample_photos.invalid(number) for number in range(30)]
    cloud.put(valid + invalid)
    bodies = take(cloud.sqs, cloud.stack.queue_url, 300)
    rng = random.Random(300)
    bodies += rng.sample(bodies, 30)
    rng.shuffle(bodies)
    send(cloud.sqs, cloud.stack.queue_url, bodies)

    # Lambda would also run several instances in parallel.
    with cloud.embed(FRUITVEC_THREADS=1) as one, cloud.embed(FRUITVEC_THREADS=1) as other:
        pollers = [cloud.poller(one), cloud.poller(other)]
        with ThreadPoolExecutor() as pool:
            for drained in [pool.submit(poller.drain) for poller in pollers]:
                drained.result()
        lines = [json.loads(line) for function in (one, other) for line in function.log]
    assert not pollers[0].errors and not pollers[1].errors
    assert len(pollers[0].received) + len(pollers[1].received) == 330

    results = cloud.results()
    rows = results.current_rows()
    for photo in valid:
        assert_row(rows[photo.key], photo.key, photo)
    embeddings = {rows[photo.key]["embedding"].tobytes() for photo in valid}
    assert len(embeddings) == len(valid), "two photos have the same embedding"
    rejects = results.current_rejects()
    assert {photo.key: photo.code for photo in invalid} == {
        photo.key: rejects.get(photo.key) for photo in invalid
    }
    assert not {photo.key for photo in invalid} & set(rows)
    cloud.assert_queues_empty()

    outcomes = Counter(line["fields"]["outcome"] for line in lines if "outcome" in line.get("fields", {}))
    assert outcomes["embedded"] + outcomes["already_there"] + outcomes["rejected"] == 330
    assert outcomes["retried"] == 0
    counted = Counter()
    for line in lines:
        if "_aws" in line:
            counted.update({name: line.get(name, 0) for name in ("embedded", "already_there", "rejected")})
    assert counted == {name: outcomes[name] for name in counted}, "the metrics differ from the log lines"


def test_a_message_that_is_not_an_event_becomes_a_dead_letter_and_costs_no_other(cloud):
    photo = sample_photos.valid(20_000)
    cloud.put([photo])
    send(cloud.sqs, cloud.stack.queue_url, ["no event", '{"an": "other"}'])
    with cloud.embed() as embed:
        poller = cloud.poller(embed)
        poller.drain(3)
    assert_row(cloud.results().current_rows()[photo.key], photo.key, photo)
    assert sorted(cloud.dead_letters()) == ["no event", '{"an": "other"}']
    queue = cloud.sqs.get_queue_attributes(QueueUrl=cloud.stack.queue_url, AttributeNames=["RedrivePolicy"])
    attempts = int(json.loads(queue["Attributes"]["RedrivePolicy"])["maxReceiveCount"])
    assert sorted(poller.received.values()) == [1, attempts, attempts]
    assert not poller.errors
