"""An S3 that fails, a function that is killed, credentials that end, photos that are too much: nothing is lost, and the table says
what it says without any of it.

Every test gets the same messages, each as the queue's own, and writes to a bucket of its own; what it must hold is what a quiet run
of the same binary made of them.
"""

import json
import random
import threading
from collections import Counter
from datetime import datetime, timedelta, timezone

import photos
import pytest
from listening import Handler, Listening
from poller import send, take
from proxy import DROPPED, EXPIRED, FAULTS, Proxy, a_third
from results import cosine

GOOD = 54
BAD = 6
KILLS = 20
# A message that was handed out so often is left alone: the queue gives it up after ten times.
SPARED_AFTER = 6


class Batch:
    """Messages about photos that are in S3, and what a quiet run made of them."""

    def __init__(self, system):
        self.photos = [photos.good(number, "faults") for number in range(GOOD)]
        self.photos += [photos.bad(number, "faults") for number in range(BAD)]
        system.put(self.photos)
        self.bodies = take(system.sqs, system.stack.queue_url, len(self.photos))
        bucket = system.bucket("fruitvec-quiet")
        send(system.sqs, system.stack.queue_url, self.bodies)
        with system.embed(results=bucket) as embed:
            system.poller(embed).drain(len(self.photos))
        self.rows, self.rejects = told(system.results(bucket))
        assert (len(self.rows), len(self.rejects)) == (GOOD, BAD)

    def assert_same(self, results):
        """The current rows and rejects are those of the quiet run."""
        rows, rejects = told(results)
        assert rejects == self.rejects
        assert set(rows) == set(self.rows)
        for key, row in rows.items():
            quiet = self.rows[key]
            for column in ("photo_id", "bucket", "etag", "label", "size_bytes", "last_modified", "width", "height"):
                assert row[column] == quiet[column], (key, column)
            assert cosine(row["embedding"], quiet["embedding"]) >= 0.9995, key


def told(results):
    return results.current_rows(), results.current_rejects()


@pytest.fixture(scope="module")
def batch(system):
    system.sqs.purge_queue(QueueUrl=system.stack.queue_url)
    return Batch(system)


def test_an_s3_that_fails_every_third_call_costs_nothing(cloud, batch):
    bucket = cloud.bucket("fruitvec-a-third")
    send(cloud.sqs, cloud.stack.queue_url, batch.bodies)
    with Proxy(cloud.server) as proxy, cloud.embed(through=proxy, results=bucket) as embed:
        proxy.arriving = a_third(3)
        cloud.poller(embed).drain(len(batch.bodies))
        assert set(proxy.faults) == set(FAULTS)
        assert proxy.faults.total() > len(proxy.calls) / 4
    batch.assert_same(cloud.results(bucket))
    cloud.assert_nothing_is_left()


class Killer:
    """Kills a function at a moment of an invocation: each time it is told to aim, at one that chance chooses."""

    MOMENTS = ("fetched", "about to write", "written")

    def __init__(self, function, proxy, seed):
        self.kills = Counter()
        self._function = function
        self._proxy = proxy
        self._draw = random.Random(seed)
        self._moment = None
        self._countdown = 0
        self._struck = False
        self._striking = threading.Lock()
        proxy.arriving = self._arriving
        proxy.answered = self._answered

    def aim(self, messages):
        """Chooses a moment of the invocation that is about to begin."""
        if self._struck:
            self._proxy.await_silence()
        often = max(int(message["Attributes"]["ApproximateReceiveCount"]) for message in messages)
        spared = self.kills.total() == KILLS or often > SPARED_AFTER
        self._moment = None if spared else self._draw.choice(self.MOMENTS)
        self._struck = False
        self._countdown = self._draw.randint(1, 9) if self._moment == "fetched" else 1

    def _arriving(self, call):
        return DROPPED if call.writes("embeddings/") and self._strikes("about to write") else None

    def _answered(self, call, _status):
        if call.reads("photos/"):
            self._strikes("fetched")
        elif call.writes("embeddings/"):
            self._strikes("written")

    def _strikes(self, moment):
        with self._striking:
            self._countdown -= moment == self._moment
            if moment != self._moment or self._countdown:
                return False
            self._moment, self._struck = None, True
            self._function.kill()
            self.kills[moment] += 1
            return True


def test_a_function_killed_twenty_times_before_and_after_its_writes_loses_nothing(cloud, batch):
    bucket = cloud.bucket("fruitvec-killed")
    send(cloud.sqs, cloud.stack.queue_url, batch.bodies)
    with Proxy(cloud.server) as proxy, cloud.embed(through=proxy, results=bucket) as embed:
        killer = Killer(embed, proxy, seed=20)
        poller = cloud.poller(embed)
        poller.about_to_invoke = killer.aim
        poller.drain(len(batch.bodies))
        assert len(poller.errors) == KILLS, "every kill ended an invocation, and nothing else did"
    assert killer.kills.total() == KILLS
    assert all(killer.kills[moment] >= 3 for moment in Killer.MOMENTS), killer.kills
    batch.assert_same(cloud.results(bucket))
    cloud.assert_nothing_is_left()


class Credentials(Listening):
    """The endpoint from which a function in a container has its credentials. Each time it is asked it gives others, which the SDK
    takes for good for a second: it renews them ten seconds before they end."""

    GOOD_FOR = timedelta(seconds=11)

    def __init__(self):
        self.given = []
        super().__init__(self._handler())

    @property
    def variables(self):
        """What names it to the SDK, in the place of keys."""
        return {
            "AWS_ACCESS_KEY_ID": None,
            "AWS_SECRET_ACCESS_KEY": None,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.endpoint}/credentials",
        }

    def others(self):
        """New ones."""
        self.given.append(f"FRUITVEC{len(self.given):012}")
        return {
            "AccessKeyId": self.given[-1],
            "SecretAccessKey": "test",
            "Token": f"a token {len(self.given)}",
            "Expiration": (datetime.now(timezone.utc) + self.GOOD_FOR).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _handler(self):
        credentials = self

        class CredentialsHandler(Handler):
            def do_GET(self):
                self.reply(200, json.dumps(credentials.others()).encode())

        return CredentialsHandler


def test_credentials_that_end_in_the_middle_of_a_batch_cost_nothing(cloud, batch):
    """LocalStack takes any credentials: that they have ended is said by the proxy, in S3's words, to whoever still uses them."""
    bucket = cloud.bucket("fruitvec-expired")
    ended = set()
    # The second of the photos, and the first and the third of the parts, are when all credentials end that were given so far.
    moments = {("GET", 2), ("PUT", 1), ("PUT", 3)}
    seen = Counter()
    with Proxy(cloud.server) as proxy, Credentials() as credentials:

        def arriving(call):
            if call.reads("photos/") or call.writes("embeddings/"):
                seen[call.method] += 1
                if (call.method, seen[call.method]) in moments:
                    moments.remove((call.method, seen[call.method]))
                    ended.update(credentials.given)
            return EXPIRED if call.access_key in ended else None

        proxy.arriving = arriving
        with cloud.embed(through=proxy, results=bucket, **credentials.variables) as embed:
            send(cloud.sqs, cloud.stack.queue_url, batch.bodies)
            poller = cloud.poller(embed, retry_after=1)
            poller.drain(len(batch.bodies))
            log = "\n".join(embed.log)
        assert "ExpiredToken" in log, "why it failed is told"
        assert not [secret for secret in (*credentials.given, "a token") if secret in log]
        assert not moments and proxy.faults[EXPIRED] >= 3, (moments, proxy.faults)
        assert {call.access_key for call in proxy.calls} == set(credentials.given)
        assert not poller.errors
    batch.assert_same(cloud.results(bucket))
    cloud.assert_nothing_is_left()


def test_a_decoder_that_panics_costs_one_photo_and_a_decoder_that_is_mended_gives_it_back(cloud):
    poison = "and it panicked"
    poisoned = photos.good(30_000)
    poisoned = photos.Photo(poisoned.key, poisoned.content + poison.encode(), poisoned.label)
    others = [photos.good(number) for number in (30_001, 30_002)]
    cloud.put([others[0], poisoned, others[1]])
    bodies = take(cloud.sqs, cloud.stack.queue_url, 3)
    keys = {photo.key for photo in others}

    send(cloud.sqs, cloud.stack.queue_url, bodies)
    with cloud.embed(FRUITVEC_TEST_POISON=poison) as embed:
        poller = cloud.poller(embed)
        poller.drain(3)
        assert not poller.errors, "the process lives"
    rows, rejects = told(cloud.results())
    assert rejects[poisoned.key] == "panicked"
    assert keys <= set(rows)

    send(cloud.sqs, cloud.stack.queue_url, bodies)
    with cloud.embed() as embed:
        cloud.poller(embed).drain(3)
    rows, rejects = told(cloud.results())
    assert keys | {poisoned.key} <= set(rows)
    assert poisoned.key not in rejects
    cloud.assert_nothing_is_left()


def memory(template):
    """The memory that the template gives the function by default, bytes."""
    size = template["Resources"]["EmbedFunction"]["Properties"]["MemorySize"]
    if isinstance(size, dict):
        size = template["Parameters"][size["Ref"]]["Default"]
    return int(size) << 20


def test_a_photo_of_64_megapixels_with_16_bits_a_sample_fits_into_the_memory_of_the_template(cloud):
    grey = photos.Photo("photos/Kiwi/deep grey.png", photos.deep_png(8000, 8000, 0), "Kiwi", (8000, 8000))
    colour = photos.Photo("photos/Kiwi/deep colour.png", photos.deep_png(8000, 8000, 2), "Kiwi")
    others = [photos.good(number) for number in range(40_000, 40_008)]
    cloud.put([others[0], grey, colour, *others[1:]])
    with cloud.embed() as embed:
        poller = cloud.poller(embed, window=5)
        poller.drain(10)
        assert not poller.errors
        assert embed.peak_bytes < memory(cloud.stack.template), f"{embed.peak_bytes >> 20} MiB"
    rows, rejects = told(cloud.results())
    assert {photo.key for photo in others} <= set(rows)
    assert (rows[grey.key]["width"], rows[grey.key]["height"]) == grey.size
    # 384 MB of pixels are more than is decoded at all: it is refused by its header.
    assert rejects[colour.key] == "decoded_too_large"
    cloud.assert_nothing_is_left()
