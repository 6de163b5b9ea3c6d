"""The driver on a Spark cluster with a master and two workers on the loopback interface.

The photos are in the embedded S3. The worker and the model come from bootstrap.sh. Whatever happens to a run,
it must leave the same table as `fruitvec rebuild` on one machine.
"""

import ast
import json
import re
import threading
from collections import Counter

import numpy
import pytest

from support import sample_photos, servers
from support.cluster.artifacts import MODEL
from support.cluster.rebuild_fixture import RUN, RebuildFixture
from support.cluster.spark_cluster import DRIVER, SparkSubmit
from support.fault_proxy import REFUSED, FaultProxy
from support.paths import ROOT
from support.results_bucket import ResultsBucket

# Enough photos for four tasks, of which the last is small.
VALID, INVALID, DAYS = 1500, 24, 3
PHOTOS = [
    *(sample_photos.valid(number, "spark") for number in range(VALID)),
    *(sample_photos.invalid(number, "spark") for number in range(INVALID)),
]
FEW_PHOTOS = [sample_photos.valid(number, "few") for number in range(40)]
REJECTED_PHOTO = sample_photos.invalid(0, "few")
TIMEOUT = 240.0


@pytest.fixture(scope="module")
def rebuilds(worker):
    with servers.embedded() as server:
        fixture = RebuildFixture(server, worker)
        fixture.create_photos_bucket("fruits", PHOTOS, DAYS)
        yield fixture


@pytest.fixture(scope="module")
def expected(rebuilds):
    """The table that a rebuild on one machine leaves."""
    rebuilds.run_locally("rebuild", photos="fruits", results=rebuilds.create_results_bucket("one-machine"))
    table = rebuilds.read_table("one-machine")
    assert (len(table.rows), len(table.rejects)) == (VALID, INVALID)
    return table


@pytest.fixture(scope="module")
def quiet(rebuilds, cluster):
    """A driver that has finished a rebuild without any failure."""
    results = rebuilds.create_results_bucket("quiet")
    with rebuilds.submit(cluster, "rebuild", photos="fruits", results=results) as driver:
        assert driver.wait() == 0, driver.tail
        yield driver


def test_the_driver_parses_with_the_python_of_emr():
    ast.parse(DRIVER.read_text(), feature_version=(3, 9))


def test_a_cluster_leaves_the_same_table_as_one_machine(rebuilds, quiet, expected):
    rebuilds.read_table("quiet").assert_same(expected)


def test_the_log_and_the_run_file_report_the_same_counts(rebuilds, quiet):
    run = rebuilds.run_file("quiet", "run.json")
    assert list(run["stages"]) == ["backfill", "compact", "moments", "project"]
    assert run["stages"]["backfill"]["embedded"] == VALID
    for stage, counts in run["stages"].items():
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        timing = r"plan [\d.]+ s, work [\d.]+ s, commit [\d.]+ s"
        line = rf"INFO stage {stage}: {counts['tasks']} tasks, {timing}: {listed}$"
        assert quiet.driver_lines(line), quiet.tail
        assert quiet.driver_lines(rf"INFO +{stage} +[\d.]+ s +{listed}$"), quiet.tail
    assert quiet.driver_lines(
        r"INFO run \S+ is done, in [\d.]+ s; its record is s3://quiet/runs/\S+/run.json$"
    )


def test_spark_s_web_pages_name_the_stages_and_their_tasks(rebuilds, quiet):
    counts = rebuilds.run_file("quiet", "run.json")["stages"]
    jobs = {event["Properties"]["spark.job.description"]: event for event in quiet.events("JobStart")}
    assert len(jobs) == 4
    for (description, job), (stage, stage_counts) in zip(jobs.items(), counts.items(), strict=True):
        assert description.startswith(f"{RUN}, stage {stage}: "), description
        stages = job["Stage Infos"]
        assert [info["Number of Tasks"] for info in stages] == [stage_counts["tasks"]], "a partition per task"
        names = {rdd["Name"] for info in stages for rdd in info["RDD Info"]}
        assert {f"tasks of {stage}", f"outcomes of {stage}"} <= names
    assert next(iter(jobs)).endswith(f"embed {counts['backfill']['tasks']}")


def test_each_executor_fetches_the_model_once(cluster, quiet):
    (start,) = quiet.events("ApplicationStart")
    for log in cluster.executor_logs(start["App ID"]):
        fetched = re.findall(r"Utils: Fetching spark://\S+/files/(\S+)", log)
        assert Counter(fetched) == {"fruitvec": 1, f"{MODEL}.toml": 1, f"{MODEL}.onnx": 1}


def test_spark_ml_finds_the_same_components(rebuilds, cluster, quiet, tmp_path):
    table = rebuilds.read_table("quiet")
    for name, content in table.results.objects.items():
        if name.startswith("embeddings/"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
    script, result = ROOT / "tests/cloud/support/cluster/spark_ml_pca.py", tmp_path / "result.json"
    arguments = [str(tmp_path / "embeddings"), str(len(table.components)), str(result)]
    # The driver computes this fit in Java, so the optimising compiler pays off here.
    with SparkSubmit(cluster, script, *arguments, JAVA_TOOL_OPTIONS="") as spark_ml:
        assert spark_ml.wait() == 0, spark_ml.tail
    theirs = json.loads(result.read_text())
    assert theirs["rows"] == len(table.rows)
    assert numpy.allclose(table.fit["explained_variance_ratio"], theirs["ratios"], rtol=1e-5, atol=0)
    for number, (ours, other) in enumerate(zip(table.components, theirs["components"], strict=True)):
        assert numpy.abs(ours - with_our_sign(numpy.array(other))).max() <= 1e-5, number


def with_our_sign(component):
    """Returns a component with the sign of our convention: its largest loading is positive."""
    return component * numpy.sign(component[numpy.abs(component).argmax()])


def test_an_executor_killed_in_the_middle_of_a_task_costs_nothing(rebuilds, cluster, expected):
    fetched, killed = Counter(), []

    def on_call(call):
        fetched[call.bucket] += call.reads("photos/")
        # After 200 photos an executor that reads another is in the middle of its task.
        if fetched["fruits"] >= 200 and not killed:
            killed.append(cluster.kill_executor())

    results = rebuilds.create_results_bucket("executor-killed")
    with FaultProxy(rebuilds.server) as proxy:
        proxy.on_call = one_at_a_time(on_call)
        with rebuilds.submit(cluster, "rebuild", photos="fruits", results=results, through=proxy) as driver:
            assert driver.wait() == 0, driver.tail
            assert killed[0]
            assert len(driver.events("ExecutorRemoved")) == 1
            reasons = [end["Task End Reason"]["Reason"] for end in driver.events("TaskEnd")]
            assert "ExecutorLostFailure" in reasons, driver.tail
        proxy.await_no_connections()
    rebuilds.read_table(results).assert_same(expected)


def test_a_killed_driver_and_a_task_with_two_concurrent_attempts_cost_nothing(rebuilds, cluster, expected):
    results = rebuilds.create_results_bucket("driver-killed")
    with FaultProxy(rebuilds.server) as proxy:
        with rebuilds.submit(cluster, "rebuild", photos="fruits", results=results, through=proxy) as driver:
            written, killed = threading.Event(), threading.Event()

            def on_call(call):
                if written.is_set() and call.reads("photos/") and not killed.is_set():
                    killed.set()
                    driver.kill()

            proxy.on_call = one_at_a_time(on_call)
            proxy.on_response = lambda call, _status: call.writes("embeddings/") and written.set()
            assert driver.wait() < 0
            assert killed.is_set()
        cluster.await_no_running_tasks()
        proxy.await_no_connections()
        stored = len({row["photo_id"] for row in rebuilds.stored_rows(results)})
        assert 0 < stored < VALID

        # The same run again. The first task hangs, so Spark starts a second attempt of it.
        hang = HangUntilSecondAttempt()
        proxy.on_call, proxy.on_response = hang.on_call, lambda call, status: None
        proxy.calls.clear()
        speculation = {
            "spark_speculation": "true",
            "spark_speculation_quantile": "0.1",
            "spark_speculation_multiplier": "1.1",
            # This would need the progress of a task, which Spark does not know here.
            "spark_speculation_efficiency_enabled": "false",
        }
        with rebuilds.submit(
            cluster, "rebuild", photos="fruits", results=results, through=proxy, **speculation
        ) as driver:
            assert driver.wait() == 0, driver.tail
            assert any(start["Task Info"]["Speculative"] for start in driver.events("TaskStart"))
        cluster.await_no_running_tasks()
        proxy.await_no_connections()
        assert len(hang.attempts) == 2
        reads = {(call.key, invocation_id(call)) for call in proxy.calls if call.reads("photos/")}
        times_read = Counter(key for key, _ in reads)
        read_twice = [key for key, times in times_read.items() if times > 1]
        assert len(read_twice) > 100, read_twice
    # The second run did not embed again what the first had written.
    assert rebuilds.run_file(results, "run.json")["stages"]["backfill"]["embedded"] == VALID - stored
    rebuilds.read_table(results).assert_same(expected)


class HangUntilSecondAttempt:
    """Holds the first task of a plan until Spark starts its second attempt.

    It chooses the first task because the small last one might finish before Spark looks.
    """

    def __init__(self):
        self.attempts = set()
        self._changed = threading.Condition()

    def on_call(self, call):
        """Holds the read of the task's photo list, with which an attempt starts.

        Retries of the SDK have the same invocation id, so they count as one attempt.
        """
        if not (call.reads("runs/") and call.key.endswith("/embed/embed-000001.json")):
            return
        with self._changed:
            self.attempts.add(invocation_id(call))
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self.attempts) > 1, TIMEOUT)


def test_a_failing_task_is_retried_by_spark_and_then_recorded(rebuilds, cluster):
    create_changed_bucket(rebuilds, "few", "failing")
    refused = Counter()
    task_lists = ("/settle/settle-000001.json", "/embed/embed-000001.json")

    def on_call(call):
        if call.reads("runs/") and call.key.endswith(task_lists):
            refused[call.key] += 1
            # The SDK sends a request up to three times, so three refusals fail one attempt of the task.
            if "/settle/" in call.key or refused[call.key] <= 3:
                return REFUSED
        return None

    with FaultProxy(rebuilds.server) as proxy:
        proxy.on_call = one_at_a_time(on_call)
        # The driver does not know this option and passes it on to the plan.
        retry = "--retry-rejects=" + REJECTED_PHOTO.code
        with rebuilds.submit(
            cluster, "backfill", retry, photos="few", results="failing", through=proxy
        ) as driver:
            assert driver.wait() == 1, driver.tail
            pattern = (
                r"^error: run \S+: commit ended with 1: error: something is left undone; .*settle-000001"
            )
            assert driver.driver_lines(pattern), driver.tail
            ends = driver.events("TaskEnd")
    # The index of a task is that of its partition, and the embed task is planned first.
    attempts = Counter(
        (end["Task Info"]["Index"], end["Task Info"]["Failed"]) for end in ends if end["Stage ID"] == 0
    )
    assert attempts == {(0, True): 1, (0, False): 1, (1, True): 3, (1, False): 1}
    counts = rebuilds.run_file("failing", "incomplete.json")["stages"]["backfill"]
    assert (counts["embedded"], counts["retried"], counts["tasks"], counts["tasks_failed"]) == (1, 1, 2, 1)


def create_changed_bucket(rebuilds, bucket, results):
    """Embeds a bucket of photos on one machine, then deletes one of them and adds another."""
    rebuilds.create_photos_bucket(bucket, [*FEW_PHOTOS[1:], REJECTED_PHOTO])
    rebuilds.run_locally("backfill", photos=bucket, results=rebuilds.create_results_bucket(results))
    rebuilds.delete(bucket, FEW_PHOTOS[-1:])
    rebuilds.put(bucket, FEW_PHOTOS[:1])


def test_a_refused_plan_starts_no_tasks(rebuilds, cluster):
    rebuilds.create_photos_bucket("emptied", FEW_PHOTOS)
    rebuilds.run_locally("backfill", photos="emptied", results=rebuilds.create_results_bucket("refused"))
    rebuilds.delete("emptied", FEW_PHOTOS[:10])
    before = rebuilds.objects("refused")
    with rebuilds.submit(cluster, "backfill", photos="emptied", results="refused") as driver:
        assert driver.wait() == 1, driver.tail
        ((_run, error),) = driver.driver_lines(r"^error: run (\S+): plan ended with 1: (.*)")
        assert "10 of 40 photos in the table are not in s3://emptied" in error and "--yes" in error
        assert not driver.events("JobStart")
    objects = rebuilds.objects("refused").items()
    assert {key: content for key, content in objects if not key.startswith(f"runs/{RUN}/")} == before


def test_executors_use_the_photo_limits_that_launch_sets(rebuilds, cluster):
    rebuilds.create_photos_bucket("limited", FEW_PHOTOS[:5])
    results = rebuilds.create_results_bucket("too-large")
    limits = {"FRUITVEC_MAX_PHOTO_PIXELS": "100"}
    with rebuilds.submit(
        cluster, "backfill", photos="limited", results=results, executor_environment=limits
    ) as driver:
        assert driver.wait() == 0, driver.tail
    bucket = ResultsBucket(rebuilds.s3, results)
    assert (bucket.rows, list(bucket.current_rejects().values())) == ([], 5 * ["too_many_pixels"])


def test_the_deadline_ends_a_plan_and_a_job(rebuilds, cluster):
    rebuilds.create_photos_bucket("late", FEW_PHOTOS[:5])
    rebuilds.create_results_bucket("too-late")
    # On a busy machine a short deadline may pass before a driver has started.
    assert any(deadline_ends_both(minutes, rebuilds, cluster) for minutes in (0.2, 0.4, 0.8, 1.6, 3.2))


def deadline_ends_both(minutes, rebuilds, cluster):
    """Blocks one driver in its plan and another in its job until their deadline.

    Returns whether both had got that far before the deadline.
    """
    blocked_calls, released = Counter(), threading.Event()

    def block(call):
        if call.bucket == "late" or call.reads("photos/"):
            blocked_calls[call.bucket] += 1
            released.wait(TIMEOUT)

    with FaultProxy(rebuilds.server) as proxy:
        proxy.on_call = block
        settings = {"results": "too-late", "through": proxy, "spark_cores_max": "1"}
        arguments = ["backfill", f"--deadline-minutes={minutes}"]
        error = rf"^error: run \S+: the deadline of {minutes} minutes is over; what is done is kept"
        try:
            with (
                rebuilds.submit(
                    cluster, *arguments, photos="late", run="20261124T040000Z-plan", **settings
                ) as plan,
                rebuilds.submit(
                    cluster, *arguments, photos="fruits", run="20261124T040000Z-work", **settings
                ) as work,
            ):
                for driver in plan, work:
                    assert driver.wait() == 1, driver.tail
                    assert driver.driver_lines(error), driver.tail
                if not (blocked_calls["late"] and blocked_calls["fruits"]):
                    return False
                assert not plan.events("JobStart")
                (end,) = work.events("JobEnd")
                assert "cancelled" in end["Job Result"]["Exception"]["Message"]
            # The tasks end although the calls they wait for still hang.
            cluster.await_no_running_tasks()
            return True
        finally:
            released.set()


def one_at_a_time(rule):
    """Returns a proxy rule that runs for one call after the other."""
    running = threading.Lock()

    def locked_rule(call):
        with running:
            return rule(call)

    return locked_rule


def invocation_id(call):
    """Returns the id that the SDK gives to a call and all its retries."""
    return call.headers["amz-sdk-invocation-id"]
