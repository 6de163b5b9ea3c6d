"""From a put in S3 to rows, rejects and dead letters, through the buckets and queues of the template and the real binaries."""

import hashlib
import json
import random
import tomllib
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy
import photos
from conftest import ROOT
from poller import send, take

MODEL = "fruit-mobilenetv2-035-128"
CARD = tomllib.loads((ROOT / "models" / f"{MODEL}.toml").read_text())


def event(name):
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


def ask(upload, content_type, size):
    """What the app is answered."""
    asking = event("upload-jpeg")
    asking["body"] = json.dumps({"content_type": content_type, "size_bytes": size})
    answer = upload.invoke(asking)
    assert answer["statusCode"] == 201, answer
    return json.loads(answer["body"])


def send_photo(granted, content):
    """As a phone does it: it knows nothing of AWS."""
    request = urllib.request.Request(granted["url"], content, granted["headers"], method=granted["method"])
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def assert_row(row, key, photo):
    """A row is what the photo is."""
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


def test_a_photo_that_the_app_uploads_becomes_a_row_without_a_label(cloud):
    photo = photos.Photo("", photos.encoded(photos.picture("app"), "JPEG"))
    with cloud.upload() as upload, cloud.embed() as embed:
        granted = ask(upload, "image/jpeg", len(photo.content))
        send_photo(granted, photo.content)
        cloud.poller(embed).drain(1)
    row = cloud.results().current_rows()[granted["key"]]
    assert_row(row, granted["key"], photo)
    assert row["bucket"] == cloud.photos
    cloud.assert_nothing_is_left()


def test_a_labelled_photo_and_the_same_photo_of_the_app_have_one_embedding(cloud):
    photo = photos.good(10_000)
    with cloud.upload() as upload, cloud.embed() as embed:
        granted = ask(upload, "image/png", len(photo.content))
        send_photo(granted, photo.content)
        cloud.put([photo])
        cloud.poller(embed).drain(2)
    rows = cloud.results().current_rows()
    assert_row(rows[photo.key], photo.key, photo)
    assert rows[granted["key"]]["label"] is None
    assert (rows[granted["key"]]["embedding"] == rows[photo.key]["embedding"]).all()


def test_of_300_photos_bad_ones_and_repeats_among_them_each_is_there_exactly_once(cloud):
    good = [photos.good(number) for number in range(270)]
    bad = [photos.bad(number) for number in range(30)]
    cloud.put(good + bad)
    bodies = take(cloud.sqs, cloud.stack.queue_url, 300)
    draw = random.Random(300)
    bodies += draw.sample(bodies, 30)
    draw.shuffle(bodies)
    send(cloud.sqs, cloud.stack.queue_url, bodies)

    # Two instances at once, as Lambda would have them.
    with cloud.embed(FRUITVEC_THREADS=1) as one, cloud.embed(FRUITVEC_THREADS=1) as other:
        pollers = [cloud.poller(one), cloud.poller(other)]
        with ThreadPoolExecutor() as both:
            for drained in [both.submit(poller.drain) for poller in pollers]:
                drained.result()
        lines = [json.loads(line) for function in (one, other) for line in function.log]
    assert not pollers[0].errors and not pollers[1].errors
    assert len(pollers[0].received) + len(pollers[1].received) == 330

    results = cloud.results()
    rows = results.current_rows()
    for photo in good:
        assert_row(rows[photo.key], photo.key, photo)
    embeddings = {rows[photo.key]["embedding"].tobytes() for photo in good}
    assert len(embeddings) == len(good), "no photo has another's embedding"
    rejects = results.current_rejects()
    assert {photo.key: photo.code for photo in bad} == {photo.key: rejects.get(photo.key) for photo in bad}
    assert not {photo.key for photo in bad} & set(rows)
    cloud.assert_nothing_is_left()

    outcomes = Counter(line["fields"]["outcome"] for line in lines if "outcome" in line.get("fields", {}))
    assert (outcomes["embedded"] + outcomes["already_there"] + outcomes["rejected"], outcomes["retried"]) == (330, 0)
    counted = Counter()
    for line in lines:
        if "_aws" in line:
            counted.update({name: line.get(name, 0) for name in ("embedded", "already_there", "rejected")})
    assert counted == {name: outcomes[name] for name in counted}, "a line and a count for each"


def test_a_message_that_is_no_event_is_given_up_and_costs_no_other(cloud):
    photo = photos.good(20_000)
    cloud.put([photo])
    send(cloud.sqs, cloud.stack.queue_url, ["no event", '{"an": "other"}'])
    with cloud.embed() as embed:
        poller = cloud.poller(embed)
        poller.drain(3)
    assert_row(cloud.results().current_rows()[photo.key], photo.key, photo)
    assert sorted(cloud.dead_letters()) == ["no event", '{"an": "other"}']
    policy = cloud.sqs.get_queue_attributes(QueueUrl=cloud.stack.queue_url, AttributeNames=["RedrivePolicy"])
    given_up_after = int(json.loads(policy["Attributes"]["RedrivePolicy"])["maxReceiveCount"])
    assert sorted(poller.received.values()) == [1, given_up_after, given_up_after]
    assert not poller.errors
