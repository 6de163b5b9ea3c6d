"""The driver on a Spark cluster: master and two workers on the loopback, worker and model from bootstrap.sh, photos in the embedded S3.

What a run must leave, whatever happens to it, is what `fruitvec rebuild` on one machine leaves of the same photos.
"""

import ast
import json
import re
import threading
import time
from collections import Counter

import numpy
import photos
import pytest
import servers
import spark
from proxy import REFUSED, Proxy
from results import Results
from spark_artifacts import MODEL
from spark_place import RUN, Place

# Four tasks, the last of them small.
GOOD, BAD, DAYS = 1500, 24, 3
ALL = [photos.good(number, "spark") for number in range(GOOD)] + [photos.bad(number, "spark") for number in range(BAD)]
FEW = [photos.good(number, "few") for number in range(40)]
REJECTED = photos.bad(0, "few")
PATIENCE = 240.0


@pytest.fixture(scope="module")
def place(worker):
    with servers.embedded() as server:
        place = Place(server, worker)
        place.photos("fruits", ALL, DAYS)
        yield place


@pytest.fixture(scope="module")
def expected(place):
    """What one machine makes of the photos."""
    place.one_machine("rebuild", photos="fruits", results=place.bucket("one-machine"))
    table = place.table("one-machine")
    assert (len(table.rows), len(table.rejects)) == (GOOD, BAD)
    return table


@pytest.fixture(scope="module")
def quiet(place, cluster):
    """A run on the cluster that nothing happens to."""
    with place.drive(cluster, "rebuild", photos="fruits", results=place.bucket("quiet")) as driver:
        assert driver.wait() == 0, driver.tail
        yield driver


def test_the_driver_is_python_of_emr():
    ast.parse(spark.DRIVER.read_text(), feature_version=(3, 9))


def test_a_cluster_makes_of_photos_what_one_machine_makes_of_them(place, quiet, expected):
    place.table("quiet").assert_same(expected)


def test_the_log_and_the_record_say_what_was_done(place, quiet):
    record = place.paper("quiet", "run.json")
    assert list(record["stages"]) == ["backfill", "compact", "moments", "project"]
    assert record["stages"]["backfill"]["embedded"] == GOOD
    for stage, counts in record["stages"].items():
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        assert quiet.said(rf"INFO stage {stage}: {counts['tasks']} tasks, plan [\d.]+ s, work [\d.]+ s, commit [\d.]+ s: {listed}$"), quiet.tail
        assert quiet.said(rf"INFO +{stage} +[\d.]+ s +{listed}$"), quiet.tail
    assert quiet.said(r"INFO run \S+ is done, in [\d.]+ s; its record is s3://quiet/runs/\S+/run.json$")


def test_a_person_can_read_in_spark_s_pages_what_goes_on(place, quiet):
    counts = place.paper("quiet", "run.json")["stages"]
    jobs = {event["Properties"]["spark.job.description"]: event for event in quiet.events("JobStart")}
    assert len(jobs) == 4
    for (description, job), (stage, counted) in zip(jobs.items(), counts.items(), strict=True):
        assert description.startswith(f"{RUN}, stage {stage}: "), description
        # One partition a task.
        assert [it["Number of Tasks"] for it in job["Stage Infos"]] == [counted["tasks"]]
        names = {rdd["Name"] for it in job["Stage Infos"] for rdd in it["RDD Info"]}
        assert {f"tasks of {stage}", f"outcomes of {stage}"} <= names
    assert next(iter(jobs)).endswith(f"embed {counts['backfill']['tasks']}")


def test_each_executor_is_given_the_model_once(cluster, quiet):
    (start,) = quiet.events("ApplicationStart")
    for log in cluster.executor_logs(start["App ID"]):
        assert Counter(re.findall(r"Utils: Fetching spark://\S+/files/(\S+)", log)) == {"fruitvec": 1, f"{MODEL}.toml": 1, f"{MODEL}.onnx": 1}


def test_spark_ml_finds_the_same_components(place, cluster, quiet, tmp_path):
    table = place.table("quiet")
    for name, content in table.results.objects.items():
        if name.startswith("embeddings/"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
    k, found = len(table.components), tmp_path / "found.json"
    script = spark.DRIVER.parents[2] / "tests/cloud/spark_pca.py"
    # Its arithmetic is Java's, on the driver: that is worth compiling well.
    with spark.Submitted(cluster, script, str(tmp_path / "embeddings"), str(k), str(found), JAVA_TOOL_OPTIONS="") as ml:
        assert ml.wait() == 0, ml.tail
    theirs = json.loads(found.read_text())
    assert theirs["rows"] == len(table.rows)
    assert numpy.allclose(table.fit["explained_variance_ratio"], theirs["ratios"], rtol=1e-5, atol=0)
    for number, (one, other) in enumerate(zip(table.components, theirs["components"], strict=True)):
        assert numpy.abs(one - oriented(numpy.array(other))).max() <= 1e-5, number


def oriented(component):
    """Our rule: of a component's numbers the largest is positive."""
    return component * numpy.sign(component[numpy.abs(component).argmax()])


def test_an_executor_that_is_killed_in_mid_task_costs_nothing(place, cluster, expected):
    fetched, killed = Counter(), []

    def arriving(call):
        fetched[call.bucket] += call.reads("photos/")
        # Whoever asks now is in mid-task.
        if fetched["fruits"] >= 200 and not killed:
            killed.append(cluster.kill_executor())

    results = place.bucket("executor-killed")
    with Proxy(place.server) as proxy:
        proxy.arriving = serialised(arriving)
        with place.drive(cluster, "rebuild", photos="fruits", results=results, through=proxy) as driver:
            assert driver.wait() == 0, driver.tail
            assert killed[0]
            assert len(driver.events("ExecutorRemoved")) == 1
            lost = [end for end in driver.events("TaskEnd") if end["Task End Reason"]["Reason"] == "ExecutorLostFailure"]
            assert lost, driver.tail
        proxy.await_silence()
    place.table(results).assert_same(expected)


def test_a_driver_that_is_killed_and_a_task_that_runs_twice_at_once_cost_nothing(place, cluster, expected):
    results = place.bucket("driver-killed")
    with Proxy(place.server) as proxy:
        with place.drive(cluster, "rebuild", photos="fruits", results=results, through=proxy) as driver:
            written, killed = threading.Event(), threading.Event()

            def arriving(call):
                if written.is_set() and call.reads("photos/") and not killed.is_set():
                    killed.set()
                    driver.kill()

            proxy.arriving = serialised(arriving)
            proxy.answered = lambda call, _status: call.writes("embeddings/") and written.set()
            assert driver.wait() < 0
            assert killed.is_set()
        await_nobody(cluster)
        proxy.await_silence()
        stored = len({row["photo_id"] for row in place.rows(results)})
        assert 0 < stored < GOOD

        # The same once more, and Spark thinks that the first task hangs, and begins it once more.
        twice = Twice()
        proxy.arriving, proxy.answered = twice.arriving, lambda call, status: None
        proxy.calls.clear()
        speculation = {
            "spark_speculation": "true",
            "spark_speculation_quantile": "0.1",
            "spark_speculation_multiplier": "1.1",
            # It knows nothing of how far a task is.
            "spark_speculation_efficiency_enabled": "false",
        }
        with place.drive(cluster, "rebuild", photos="fruits", results=results, through=proxy, **speculation) as driver:
            assert driver.wait() == 0, driver.tail
            assert any(start["Task Info"]["Speculative"] for start in driver.events("TaskStart"))
        await_nobody(cluster)
        proxy.await_silence()
        assert len(twice.attempts) == 2
        asked = {(call.key, invocation(call)) for call in proxy.calls if call.reads("photos/")}
        several = [key for key, times in Counter(key for key, _ in asked).items() if times > 1]
        assert len(several) > 100, several
    # What was written before the kill was not embedded again.
    assert place.paper(results, "run.json")["stages"]["backfill"]["embedded"] == GOOD - stored
    place.table(results).assert_same(expected)


class Twice:
    """Holds the first task of the plan until it is begun once more: it is not the small one, which may be begun before it."""

    def __init__(self):
        self.attempts = set()
        self._changed = threading.Condition()

    def arriving(self, call):
        """A task is begun when its list is read; the SDK's own attempts are of one invocation."""
        if not (call.reads("runs/") and call.key.endswith("/embed/embed-000001.json")):
            return
        with self._changed:
            self.attempts.add(invocation(call))
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self.attempts) > 1, PATIENCE)


def test_a_task_that_fails_is_tried_again_by_spark_and_then_recorded(place, cluster):
    changed(place, "few", "failing")
    refused = Counter()

    def arriving(call):
        if call.reads("runs/") and call.key.endswith(("/settle/settle-000001.json", "/embed/embed-000001.json")):
            refused[call.key] += 1
            # The SDK asks three times each time.
            if "/settle/" in call.key or refused[call.key] <= 3:
                return REFUSED

    with Proxy(place.server) as proxy:
        proxy.arriving = serialised(arriving)
        # What the driver does not know itself goes on to the plan.
        retry = "--retry-rejects=" + REJECTED.code
        with place.drive(cluster, "backfill", retry, photos="few", results="failing", through=proxy) as driver:
            assert driver.wait() == 1, driver.tail
            assert driver.said(r"^error: run \S+: commit ended with 1: error: something is left undone; .*settle-000001"), driver.tail
            ends = driver.events("TaskEnd")
    # By partition: embed is planned first.
    tries = Counter((end["Task Info"]["Index"], end["Task Info"]["Failed"]) for end in ends if end["Stage ID"] == 0)
    assert tries == {(0, True): 1, (0, False): 1, (1, True): 3, (1, False): 1}
    undone = place.paper("failing", "incomplete.json")["stages"]["backfill"]
    assert (undone["embedded"], undone["retried"], undone["tasks"], undone["tasks_failed"]) == (1, 1, 2, 1)


def changed(place, bucket, results):
    """A bucket of some photos that one machine has embedded; then one is deleted, another put."""
    place.photos(bucket, [*FEW[1:], REJECTED])
    place.one_machine("backfill", photos=bucket, results=place.bucket(results))
    place.delete(bucket, FEW[-1:])
    place.put(bucket, FEW[:1])


def test_a_plan_that_refuses_is_not_begun(place, cluster):
    place.photos("emptied", FEW)
    place.one_machine("backfill", photos="emptied", results=place.bucket("refused"))
    place.delete("emptied", FEW[:10])
    before = place.objects("refused")
    with place.drive(cluster, "backfill", photos="emptied", results="refused") as driver:
        assert driver.wait() == 1, driver.tail
        (said,) = driver.said(r"^error: run (\S+): plan ended with 1: (.*)")
        assert "10 of 40 photos in the table are not in s3://emptied" in said[1] and "--yes" in said[1]
        assert not driver.events("JobStart")
    after = {key: content for key, content in place.objects("refused").items() if not key.startswith(f"runs/{RUN}/")}
    assert after == before


def test_a_photo_may_cost_on_a_cluster_what_launch_says(place, cluster):
    place.photos("limited", FEW[:5])
    # As launch sets it for executors.
    executors = {"FRUITVEC_MAX_PHOTO_PIXELS": "100"}
    with place.drive(cluster, "backfill", photos="limited", results=place.bucket("too-large"), executors=executors) as driver:
        assert driver.wait() == 0, driver.tail
    left = Results(place.s3, "too-large")
    assert (left.rows, list(left.current_rejects().values())) == ([], 5 * ["too_many_pixels"])


def test_the_deadline_ends_a_plan_and_a_job(place, cluster):
    place.photos("late", FEW[:5])
    place.bucket("too-late")
    # On a busy machine a driver may not have begun when its deadline comes.
    assert any(both_hang_until(minutes, place, cluster) for minutes in (0.2, 0.4, 0.8, 1.6, 3.2))


def both_hang_until(minutes, place, cluster):
    """Lets S3 hang, for a driver in its plan and for another in its job, until their deadline. Whether they were so far by then."""
    begun, released = Counter(), threading.Event()

    def hanging(call):
        if call.bucket == "late" or call.reads("photos/"):
            begun[call.bucket] += 1
            released.wait(PATIENCE)

    with Proxy(place.server) as proxy:
        proxy.arriving = hanging
        settings = {"results": "too-late", "through": proxy, "spark_cores_max": "1"}
        arguments = ["backfill", f"--deadline-minutes={minutes}"]
        try:
            with (
                place.drive(cluster, *arguments, photos="late", run="20261124T040000Z-plan", **settings) as plan,
                place.drive(cluster, *arguments, photos="fruits", run="20261124T040000Z-work", **settings) as work,
            ):
                for driver in plan, work:
                    assert driver.wait() == 1, driver.tail
                    assert driver.said(rf"^error: run \S+: the deadline of {minutes} minutes is over; what is done is kept"), driver.tail
                if not (begun["late"] and begun["fruits"]):
                    return False
                assert not plan.events("JobStart")
                (end,) = work.events("JobEnd")
                assert "cancelled" in end["Job Result"]["Exception"]["Message"]
            # What they wait for still hangs, and has ended all the same.
            await_nobody(cluster)
            return True
        finally:
            released.set()


def serialised(rule):
    """A rule of a proxy that looks at one call after the other."""
    one_at_a_time = threading.Lock()

    def each(call):
        with one_at_a_time:
            return rule(call)

    return each


def invocation(call):
    """What the SDK calls a call, and all its attempts."""
    return call.headers["amz-sdk-invocation-id"]


def await_nobody(cluster):
    """Returns when no worker of ours works any more."""
    deadline = time.monotonic() + PATIENCE
    while left := cluster.working():
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
