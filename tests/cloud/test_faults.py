"""Failures of S3, kills, expired credentials and oversized photos lose nothing and do not change the table.

Every test sends the same messages through the queue and writes to a new results bucket. The expected table is
the one that the same binary writes in a run without failures.
"""

import json
import random
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from support import sample_photos
from support.fault_proxy import DROPPED, EXPIRED, FAULTS, FaultProxy, fail_a_third
from support.http_server import LocalHttpServer, QuietHandler
from support.queue_poller import send, take
from support.results_bucket import cosine

VALID = 54
INVALID = 6
KILLS = 20
COMPARED_COLUMNS = ("photo_id", "bucket", "etag", "label", "size_bytes", "last_modified", "width", "height")
# After ten attempts the queue would give up a message, so the killer stops well before.
MAX_KILLED_ATTEMPTS = 6


class Batch:
    """Messages about photos in S3, and the rows and rejects of a run without failures."""

    def __init__(self, system):
        self.photos = [sample_photos.valid(number, "faults") for number in range(VALID)]
        self.photos += [sample_photos.invalid(number, "faults") for number in range(INVALID)]
        system.put(self.photos)
        self.bodies = take(system.sqs, system.stack.queue_url, len(self.photos))
        bucket = system.create_results_bucket("fruitvec-quiet")
        send(system.sqs, system.stack.queue_url, self.bodies)
        with system.embed(results=bucket) as embed:
            system.poller(embed).drain(len(self.photos))
        self.rows, self.rejects = current(system.results(bucket))
        assert (len(self.rows), len(self.rejects)) == (VALID, INVALID)

    def assert_same(self, results):
        """Asserts that the current rows and rejects are those of the run without failures."""
        rows, rejects = current(results)
        assert rejects == self.rejects
        assert set(rows) == set(self.rows)
        for key, row in rows.items():
            expected = self.rows[key]
            for column in COMPARED_COLUMNS:
                assert row[column] == expected[column], (key, column)
            assert cosine(row["embedding"], expected["embedding"]) >= 0.9995, key


def current(results):
    return results.current_rows(), results.current_rejects()


@pytest.fixture(scope="module")
def batch(system):
    system.sqs.purge_queue(QueueUrl=system.stack.queue_url)
    return Batch(system)


def test_an_s3_that_fails_every_third_call_costs_nothing(cloud, batch):
    bucket = cloud.create_results_bucket("fruitvec-a-third")
    send(cloud.sqs, cloud.stack.queue_url, batch.bodies)
    with FaultProxy(cloud.server) as proxy, cloud.embed(through=proxy, results=bucket) as embed:
        proxy.on_call = fail_a_third(3)
        cloud.poller(embed).drain(len(batch.bodies))
        assert set(proxy.faults) == set(FAULTS)
        assert proxy.faults.total() > len(proxy.calls) / 4
    batch.assert_same(cloud.results(bucket))
    cloud.assert_queues_empty()


class Killer:
    """Kills a function at a random moment of each invocation.

    After `KILLS` kills, and for messages that have been received too often, it lets the invocation finish.
    """

    MOMENTS = ("fetched", "about to write", "written")

    def __init__(self, function, proxy, seed):
        self.kills = Counter()
        self._function = function
        self._proxy = proxy
        self._rng = random.Random(seed)
        self._moment = None
        self._countdown = 0
        self._has_killed = False
        self._deciding = threading.Lock()
        proxy.on_call = self._on_call
        proxy.on_response = self._on_response

    def choose_moment(self, messages):
        """Chooses the moment for the invocation that starts next."""
        # Requests of the killed process must not be taken for those of its successor.
        if self._has_killed:
            self._proxy.await_no_connections()
        attempts = max(int(message["Attributes"]["ApproximateReceiveCount"]) for message in messages)
        spared = self.kills.total() == KILLS or attempts > MAX_KILLED_ATTEMPTS
        self._moment = None if spared else self._rng.choice(self.MOMENTS)
        self._has_killed = False
        self._countdown = self._rng.randint(1, 9) if self._moment == "fetched" else 1

    def _on_call(self, call):
        return DROPPED if call.writes("embeddings/") and self._kill_at("about to write") else None

    def _on_response(self, call, _status):
        if call.reads("photos/"):
            self._kill_at("fetched")
        elif call.writes("embeddings/"):
            self._kill_at("written")

    def _kill_at(self, moment):
        """Kills the function if this is the chosen moment, and returns whether it did."""
        with self._deciding:
            self._countdown -= moment == self._moment
            if moment != self._moment or self._countdown:
                return False
            self._moment, self._has_killed = None, True
            self._function.kill()
            self.kills[moment] += 1
            return True


def test_a_function_killed_twenty_times_before_and_after_its_writes_loses_nothing(cloud, batch):
    bucket = cloud.create_results_bucket("fruitvec-killed")
    send(cloud.sqs, cloud.stack.queue_url, batch.bodies)
    with FaultProxy(cloud.server) as proxy, cloud.embed(through=proxy, results=bucket) as embed:
        killer = Killer(embed, proxy, seed=20)
        poller = cloud.poller(embed)
        poller.before_invoke = killer.choose_moment
        poller.drain(len(batch.bodies))
        assert len(poller.errors) == KILLS, "every kill fails one invocation, and nothing else does"
    assert killer.kills.total() == KILLS
    assert all(killer.kills[moment] >= 3 for moment in Killer.MOMENTS), killer.kills
    batch.assert_same(cloud.results(bucket))
    cloud.assert_queues_empty()


class CredentialsEndpoint(LocalHttpServer):
    """The endpoint from which a function in a container gets its credentials. Every response has new ones.

    The SDK renews credentials ten seconds before they expire, so it uses each of these for one second.
    """

    LIFETIME = timedelta(seconds=11)

    def __init__(self):
        # The ids of all access keys so far.
        self.issued = []
        super().__init__(self._handler())

    @property
    def variables(self):
        """The variables that point the SDK at this endpoint, without any keys."""
        return {
            "AWS_ACCESS_KEY_ID": None,
            "AWS_SECRET_ACCESS_KEY": None,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.endpoint}/credentials",
        }

    def issue(self):
        """Returns new credentials."""
        self.issued.append(f"FRUITVEC{len(self.issued):012}")
        return {
            "AccessKeyId": self.issued[-1],
            "SecretAccessKey": "test",
            "Token": f"a token {len(self.issued)}",
            "Expiration": (datetime.now(UTC) + self.LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _handler(self):
        endpoint = self

        class CredentialsHandler(QuietHandler):
            def do_GET(self):
                self.reply(200, json.dumps(endpoint.issue()).encode())

        return CredentialsHandler


def test_credentials_that_expire_in_the_middle_of_a_batch_cost_nothing(cloud, batch):
    """LocalStack accepts any credentials, so the proxy refuses those that have expired, as S3 does."""
    bucket = cloud.create_results_bucket("fruitvec-expired")
    expired = set()
    # All credentials issued so far expire with the second read of a photo and with the first and third
    # write of a part.
    moments = {("GET", 2), ("PUT", 1), ("PUT", 3)}
    calls = Counter()
    with FaultProxy(cloud.server) as proxy, CredentialsEndpoint() as credentials:

        def on_call(call):
            if call.reads("photos/") or call.writes("embeddings/"):
                calls[call.method] += 1
                if (call.method, calls[call.method]) in moments:
                    moments.remove((call.method, calls[call.method]))
                    expired.update(credentials.issued)
            return EXPIRED if call.access_key in expired else None

        proxy.on_call = on_call
        with cloud.embed(through=proxy, results=bucket, **credentials.variables) as embed:
            send(cloud.sqs, cloud.stack.queue_url, batch.bodies)
            poller = cloud.poller(embed, retry_after=1)
            poller.drain(len(batch.bodies))
            log = "\n".join(embed.log)
        assert "ExpiredToken" in log, "the log gives the cause"
        assert not [secret for secret in (*credentials.issued, "a token") if secret in log]
        assert not moments and proxy.faults[EXPIRED] >= 3, (moments, proxy.faults)
        assert {call.access_key for call in proxy.calls} == set(credentials.issued)
        assert not poller.errors
    batch.assert_same(cloud.results(bucket))
    cloud.assert_queues_empty()


def test_a_decoder_panic_costs_one_photo_and_a_fixed_decoder_embeds_it(cloud):
    poison = "and it panicked"
    poisoned = sample_photos.valid(30_000)
    poisoned = sample_photos.Photo(poisoned.key, poisoned.content + poison.encode(), poisoned.label)
    others = [sample_photos.valid(number) for number in (30_001, 30_002)]
    cloud.put([others[0], poisoned, others[1]])
    bodies = take(cloud.sqs, cloud.stack.queue_url, 3)
    keys = {photo.key for photo in others}

    send(cloud.sqs, cloud.stack.queue_url, bodies)
    with cloud.embed(FRUITVEC_TEST_POISON=poison) as embed:
        poller = cloud.poller(embed)
        poller.drain(3)
        assert not poller.errors, "the process survives"
    rows, rejects = current(cloud.results())
    assert rejects[poisoned.key] == "panicked"
    assert keys <= set(rows)

    send(cloud.sqs, cloud.stack.queue_url, bodies)
    with cloud.embed() as embed:
        cloud.poller(embed).drain(3)
    rows, rejects = current(cloud.results())
    assert keys | {poisoned.key} <= set(rows)
    assert poisoned.key not in rejects
    cloud.assert_queues_empty()


def memory_bytes(template):
    """Returns the memory that the template gives the function by default."""
    size = template["Resources"]["EmbedFunction"]["Properties"]["MemorySize"]
    if isinstance(size, dict):
        size = template["Parameters"][size["Ref"]]["Default"]
    return int(size) << 20


def test_a_64_megapixel_photo_with_16_bits_per_sample_fits_into_the_template_s_memory(cloud):
    grey_png, colour_png = (sample_photos.deep_png(8000, 8000, colour) for colour in (0, 2))
    grey = sample_photos.Photo("photos/Kiwi/deep grey.png", grey_png, "Kiwi", (8000, 8000))
    colour = sample_photos.Photo("photos/Kiwi/deep colour.png", colour_png, "Kiwi", (8000, 8000))
    others = [sample_photos.valid(number) for number in range(40_000, 40_008)]
    cloud.put([others[0], grey, colour, *others[1:]])
    with cloud.embed() as embed:
        poller = cloud.poller(embed, window=5)
        poller.drain(10)
        assert not poller.errors
        assert embed.peak_bytes < memory_bytes(cloud.stack.template), f"{embed.peak_bytes >> 20} MiB"
    rows, rejects = current(cloud.results())
    assert {photo.key for photo in others} <= set(rows)
    for photo in (grey, colour):
        assert (rows[photo.key]["width"], rows[photo.key]["height"]) == photo.size
        assert photo.key not in rejects
    cloud.assert_queues_empty()
