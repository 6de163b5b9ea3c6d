"""The deployed function launch against S3 and EMR.

moto's S3 stores the lease in the tests with one writer at a time. moto's EMR accepts any request, and its
clusters never change state. The tests therefore check requests against botocore's model, and a scripted EMR
simulates the life of a cluster.
"""

import concurrent.futures
import contextlib
import json
import time

import pytest

from support import fault_proxy, scripted_emr, servers
from support.lambda_runtime import FunctionDied, FunctionFailed, LambdaFunction
from support.paths import EVENTS
from support.scripted_emr import RecordingEmr, ScriptedEmr
from support.servers import client, environment

RESULTS = "results"
PHOTOS = "photos"
LEASE = "leases/cluster.json"
# The function takes over another launch only after that invocation must have ended, which is this time-out
# and a few seconds more. A short one keeps the tests short.
INVOCATION_TIMEOUT = 6.0
RETRY_TIMEOUT = 40.0
HOUR = 3600.0


def event(name, **fields):
    """Returns a sample event of AWS with some fields replaced."""
    return {**json.loads((EVENTS / f"launch-{name}.json").read_text()), **fields}


def variables(s3, emr, **others):
    """Returns the environment of the deployed function."""
    return {
        **environment(s3, **getattr(s3, "credentials", {})),
        "AWS_ENDPOINT_URL_EMR": emr.endpoint,
        "FRUITVEC_PHOTOS_BUCKET": PHOTOS,
        "FRUITVEC_RESULTS_BUCKET": RESULTS,
        "FRUITVEC_EMR_SUBNETS": "subnet-0a1b2c,subnet-3d4e5f",
        "FRUITVEC_EMR_SERVICE_ROLE": "arn:aws:iam::123456789012:role/emr",
        "FRUITVEC_EMR_INSTANCE_PROFILE": "fruitvec-emr",
        "FRUITVEC_EMR_LOG_URI": f"s3://{RESULTS}/logs/",
        **others,
    }


def fill_buckets(server, photos=PHOTOS, results=RESULTS):
    """Creates buckets with a photo and a part, which give every job something to do.

    Returns the S3 client.
    """
    s3 = client("s3", server, **server.credentials)
    for bucket in (photos, results):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": servers.REGION})
    s3.put_object(Bucket=photos, Key="photos/Kiwi/1.jpg", Body=b"photo")
    part = "embeddings/model=fruit-mobilenetv2-035-128/date=2026-01-02/0a1b.parquet"
    s3.put_object(Bucket=results, Key=part, Body=b"part")
    return s3


@pytest.fixture
def s3(moto):
    """moto's S3."""
    return fill_buckets(moto)


@pytest.fixture
def emr():
    """An EMR whose clusters and faults the test controls."""
    with ScriptedEmr() as emr:
        yield emr


@pytest.fixture
def launch(moto, s3, emr):
    """The function, using moto's S3 and the scripted EMR."""
    with LambdaFunction("launch", variables(moto, emr)) as function:
        yield function


def lease(s3, results=RESULTS):
    """Returns the lease."""
    return json.loads(s3.get_object(Bucket=results, Key=LEASE)["Body"].read())


def the_only_cluster(s3, emr, results=RESULTS):
    """Returns the cluster. Asserts that exactly one is alive and that the lease names it."""
    (cluster,) = emr.living()
    assert lease(s3, results)["cluster_id"] == cluster["Id"]
    assert lease(s3, results)["cluster"] == cluster["Name"]
    return cluster


def metric_sums(function):
    """Returns the sum of each metric in the log."""
    sums = {}
    for line in function.metrics:
        assert line["function"] == "launch"
        (definition,) = line["_aws"]["CloudWatchMetrics"]
        assert definition["Namespace"] == "fruitvec"
        for metric in definition["Metrics"]:
            sums[metric["Name"]] = sums.get(metric["Name"], 0) + line[metric["Name"]]
    return sums


def invoke_until_accepted(function, what, expected_outcome, **options):
    """Invokes a function until it no longer refuses, as Lambda's retries do."""
    end = time.monotonic() + RETRY_TIMEOUT
    while True:
        try:
            response = function.invoke(what, timeout=INVOCATION_TIMEOUT, **options)
            assert response["outcome"] == expected_outcome, response
            return response
        except FunctionFailed as error:
            assert error.error_type == "Refused", error
            assert time.monotonic() < end, error
            time.sleep(1)


# ── The requests to EMR, against moto


@pytest.mark.parametrize("job", ["backfill", "pca", "rebuild"])
def test_each_job_requests_a_cluster_that_emr_understands(moto, s3, job):
    with RecordingEmr(moto) as emr, LambdaFunction("launch", variables(moto, emr)) as launch:
        response = launch.invoke(event(job))
        assert metric_sums(launch) == {"launched": 1}
    (request,) = emr.starts
    assert scripted_emr.problems("RunJobFlow", request) == []
    (cluster,) = client("emr", moto).list_clusters()["Clusters"]
    assert response == {"outcome": "launched", "cluster": cluster["Name"], "cluster_id": cluster["Id"]}
    assert lease(s3)["cluster_id"] == cluster["Id"]
    (step,) = client("emr", moto).list_steps(ClusterId=cluster["Id"])["Steps"]
    assert step["Name"] == f"fruitvec-{job}"
    assert step["Config"]["Args"][0] == "spark-submit"
    run = response["cluster"].removeprefix(f"fruitvec-{job}-") + f"-{job}"
    assert step["Config"]["Args"][-10:] == [
        *("--job", job, "--run", run, "--photos", PHOTOS, "--results", RESULTS),
        *("--model", "fruit-mobilenetv2-035-128"),
    ]


def test_the_check_finds_requests_that_emr_would_not_understand():
    instances = {"InstanceFleets": [{"InstanceFleetType": "PRIMARY"}], "Fleets": []}
    request = {"Name": "x", "Instances": instances, "Steps": "no"}
    found = "\n".join(scripted_emr.problems("RunJobFlow", request))
    for expected in ('Unknown parameter in Instances: "Fleets"', "Steps", "'PRIMARY' is none of"):
        assert expected in found


def test_parameters_are_passed_on_to_the_driver(launch, emr):
    launch.invoke(event("rebuild", full=True, yes=True, retry_rejects="truncated", project=False))
    (request,) = emr.starts
    arguments = request["Steps"][0]["HadoopJarStep"]["Args"]
    assert arguments[-3:] == ["--full", "--retry-rejects=truncated", "--yes"]


# ── Never two clusters


def test_an_event_delivered_twice_starts_one_cluster(moto, s3):
    with RecordingEmr(moto) as emr, LambdaFunction("launch", variables(moto, emr)) as launch:
        assert launch.invoke(event("backfill"))["outcome"] == "launched"
        assert launch.invoke(event("backfill"))["outcome"] == "already_launched"
    assert len(emr.starts) == 1
    (cluster,) = client("emr", moto).list_clusters()["Clusters"]
    assert lease(s3)["cluster_id"] == cluster["Id"]


@pytest.fixture
def embedded():
    """The embedded S3."""
    with servers.embedded() as server:
        yield server


@pytest.mark.parametrize("server", ["embedded", "localstack"])
def test_ten_concurrent_launches_start_one_cluster(server, request, emr):
    """The lease is in the embedded S3 or LocalStack, where only one of several racing writers wins.

    In moto two of them sometimes win.
    """
    server = request.getfixturevalue(server)
    photos, results = "photos-of-launch", "results-of-launch"
    s3 = fill_buckets(server, photos, results)
    settings = variables(server, emr, FRUITVEC_PHOTOS_BUCKET=photos, FRUITVEC_RESULTS_BUCKET=results)
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(10) as pool:
        functions = [stack.enter_context(LambdaFunction("launch", settings)) for _ in range(10)]
        outcomes = list(pool.map(backfill_outcome, functions))
    assert outcomes.count("launched") == 1, outcomes
    assert set(outcomes) <= {"launched", "already_launched", "Refused"}, outcomes
    assert len(emr.starts) == 1
    the_only_cluster(s3, emr, results)


def backfill_outcome(function):
    """Launches a backfill and returns the outcome or the type of the error."""
    try:
        return function.invoke(event("backfill"))["outcome"]
    except FunctionFailed as error:
        return error.error_type


def test_no_cluster_starts_when_there_is_nothing_to_do(launch, s3, emr):
    for bucket in (PHOTOS, RESULTS):
        for listed in s3.list_objects_v2(Bucket=bucket)["Contents"]:
            s3.delete_object(Bucket=bucket, Key=listed["Key"])
    for job in ("backfill", "pca", "rebuild"):
        assert launch.invoke(event(job))["outcome"] == "nothing_to_do"
    assert emr.calls == []
    assert metric_sums(launch) == {"nothing_to_do": 3}


def test_a_job_waits_for_another_job_s_cluster_and_starts_when_it_has_ended(launch, s3, emr):
    launch.invoke(event("backfill"))
    first = the_only_cluster(s3, emr)
    for state in ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING"):
        emr.set_state(first, state)
        assert launch.invoke(event("pca")) == {"outcome": "waiting", "behind": first["Name"]}
        assert launch.invoke(event("sweep"))["launch"]["outcome"] == "waiting"
    emr.set_state(first, "TERMINATED", "ALL_STEPS_COMPLETED")
    ended = event("terminated")
    ended["detail"].update(clusterId=first["Id"], name=first["Name"])
    assert launch.invoke(ended)["launch"]["outcome"] == "launched"
    assert the_only_cluster(s3, emr)["Name"] == "fruitvec-pca-20261122T040000Z"
    # A second delivery of the event changes nothing.
    assert launch.invoke(ended) == {"noted": "ended", "clusters": [first["Id"]]}
    assert len(emr.starts) == 2


# ── Starts that fail


def test_a_throttled_start_is_retried(launch, s3, emr):
    emr.faults["RunJobFlow"].extend([scripted_emr.THROTTLED] * 2)
    assert launch.invoke(event("backfill"))["outcome"] == "launched"
    assert len(emr.starts) == 3
    the_only_cluster(s3, emr)


@pytest.mark.parametrize(
    ("fault", "times", "message"),
    [
        (scripted_emr.THROTTLED, 4, "Rate exceeded"),
        (scripted_emr.REFUSED, 1, "The subnet configuration was invalid"),
    ],
)
def test_a_start_that_emr_refuses_leaves_no_cluster_and_no_lease(launch, s3, emr, fault, times, message):
    emr.faults["RunJobFlow"].extend([fault] * times)
    with pytest.raises(FunctionFailed, match=message) as failed:
        launch.invoke(event("backfill"))
    assert failed.value.error_type == "NotLaunched"
    assert metric_sums(launch) == {"start_failed": 1}
    assert len(emr.starts) == times
    assert emr.clusters == []
    assert lease(s3)["cluster_id"] is None
    assert message in lease(s3)["released"]
    # Another job does not have to wait for it.
    assert launch.invoke(event("pca"))["outcome"] == "launched"
    the_only_cluster(s3, emr)


@pytest.mark.parametrize("fault", [scripted_emr.LOST, scripted_emr.FAILED_AFTER])
def test_a_start_whose_response_is_lost_is_found_and_not_repeated(launch, s3, emr, fault):
    emr.page_size = 2
    emr.faults["RunJobFlow"].append(fault)

    def add_others(_cluster):
        """Adds newer clusters, which move this one to the last page of the list."""
        emr.on_start = lambda _: None
        for number in range(5):
            emr.add(f"other-{number}")

    emr.on_start = add_others
    assert launch.invoke(event("backfill"))["outcome"] == "launched"
    assert len(emr.starts) == 1
    (cluster,) = [cluster for cluster in emr.clusters if cluster["Name"].startswith("fruitvec-")]
    assert lease(s3)["cluster_id"] == cluster["Id"]


@pytest.mark.parametrize("fault", [scripted_emr.DROPPED, scripted_emr.FAILED])
def test_a_start_that_left_no_cluster_is_repeated_only_once_that_is_certain(launch, s3, emr, fault):
    emr.faults["RunJobFlow"].append(fault)
    with pytest.raises(FunctionFailed, match="no cluster of that name is there yet") as failed:
        launch.invoke(event("backfill"), request_id="a")
    assert failed.value.error_type == "NotLaunched"
    assert len(emr.starts) == 1
    with pytest.raises(FunctionFailed, match="just being launched"):
        launch.invoke(event("backfill"), request_id="a")
    invoke_until_accepted(launch, event("backfill"), "launched", request_id="a")
    assert len(emr.starts) == 2
    the_only_cluster(s3, emr)


def test_lambda_s_retry_recovers_from_a_kill_between_the_start_and_its_record(launch, s3, emr):
    emr.faults["RunJobFlow"].append(scripted_emr.HELD)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        killed = pool.submit(launch.invoke, event("backfill"), request_id="a")
        emr.await_held()
        launch.kill()
        with pytest.raises(FunctionDied):
            killed.result()
    emr.release()
    assert lease(s3)["cluster_id"] is None
    (cluster,) = emr.living()
    # Lambda may deliver the same request twice at the same time, which looks exactly like a retry.
    with pytest.raises(FunctionFailed, match="just being launched"):
        launch.invoke(event("backfill"), request_id="a")
    response = invoke_until_accepted(launch, event("backfill"), "already_launched", request_id="a")
    assert response["cluster_id"] == cluster["Id"]
    assert len(emr.starts) == 1
    the_only_cluster(s3, emr)


def test_a_cluster_that_cannot_be_recorded_is_terminated(moto, s3, emr):
    """S3 refuses every write of the lease once the cluster exists."""

    def refuse_lease(call):
        return fault_proxy.REFUSED if emr.clusters and call.writes("leases/") else None

    with (
        fault_proxy.FaultProxy(moto) as proxy,
        LambdaFunction("launch", variables(proxy, emr)) as launch,
    ):
        proxy.on_call = refuse_lease
        with pytest.raises(FunctionFailed, match="could not be recorded .* it is being terminated"):
            launch.invoke(event("backfill"), request_id="a")
        assert metric_sums(launch) == {"start_failed": 1}
        (cluster,) = emr.living()
        assert cluster["Status"]["State"] == "TERMINATING"
        proxy.on_call = lambda call: None
        emr.set_state(cluster, "TERMINATED", "USER_REQUEST")
        invoke_until_accepted(launch, event("backfill"), "launched", request_id="a")
    the_only_cluster(s3, emr)


def test_a_cluster_is_terminated_when_another_launch_has_taken_its_lease(launch, s3, emr):
    other = {
        "version": 1,
        "owner": "b",
        "job": "pca",
        "scheduled_time": "2026-11-22T04:00:00Z",
        "input": event("pca"),
        "attempt": 1,
        "cluster": "fruitvec-pca-20261122T040000Z",
        "cluster_id": None,
        "taken_at": "2026-11-22T04:00:00Z",
    }
    emr.on_start = lambda cluster: s3.put_object(Bucket=RESULTS, Key=LEASE, Body=json.dumps(other))
    with pytest.raises(FunctionFailed, match="another has taken the lease"):
        launch.invoke(event("backfill"))
    (cluster,) = emr.living()
    assert cluster["Status"]["State"] == "TERMINATING"
    assert lease(s3)["owner"] == "b"


# ── Events of EMR


def fail_bootstrap(emr, cluster):
    """Fails the bootstrap of a cluster and returns the event that EMR sends."""
    emr.set_state(cluster, "TERMINATED_WITH_ERRORS", "BOOTSTRAP_FAILURE")
    failed = event("bootstrap-failed")
    failed["detail"].update(clusterId=cluster["Id"], name=cluster["Name"])
    return failed


def test_a_failed_bootstrap_is_retried_exactly_once(launch, s3, emr):
    emr.ids.append(event("bootstrap-failed")["detail"]["clusterId"])
    launch.invoke(event("backfill", retry_rejects="truncated"))
    first = the_only_cluster(s3, emr)
    failed = fail_bootstrap(emr, first)
    assert failed == event("bootstrap-failed"), "the retried cluster is the one of the sample event"
    assert launch.invoke(failed)["launch"]["outcome"] == "launched"
    second = the_only_cluster(s3, emr)
    assert second["Name"] == first["Name"] + "-2"
    assert emr.starts[0]["Steps"] == emr.starts[1]["Steps"]
    assert "failed_clusters" not in metric_sums(launch)
    assert launch.invoke(failed)["noted"] == "known"
    assert launch.invoke(fail_bootstrap(emr, second))["noted"] == "failed"
    assert launch.invoke(failed)["noted"] == "known"
    assert len(emr.starts) == 2
    assert emr.living() == []
    assert metric_sums(launch) == {"launched": 2, "failed_clusters": 1}


def test_a_cluster_that_ends_with_errors_is_counted_and_not_retried(launch, s3, emr):
    launch.invoke(event("backfill"))
    cluster = the_only_cluster(s3, emr)
    emr.set_state(cluster, "TERMINATED_WITH_ERRORS", "STEP_FAILURE")
    failed = event("bootstrap-failed")
    reason = '{"code":"STEP_FAILURE","message":"Shut down as step failed"}'
    failed["detail"].update(clusterId=cluster["Id"], stateChangeReason=reason)
    assert launch.invoke(failed)["noted"] == "failed"
    assert len(emr.starts) == 1
    assert metric_sums(launch) == {"launched": 1, "failed_clusters": 1}
    # The next night a cluster starts as usual.
    assert launch.invoke(event("backfill", scheduled_time="2026-11-25T03:00:00Z"))["outcome"] == "launched"
    the_only_cluster(s3, emr)


@pytest.mark.parametrize("name", ["step-failed", "step-cancelled"])
def test_a_failed_step_is_counted_and_logged(launch, s3, emr, name):
    emr.ids.append(event(name)["detail"]["clusterId"])
    launch.invoke(event("backfill"))
    assert launch.invoke(event(name))["noted"] == "failed_step"
    assert metric_sums(launch) == {"launched": 1, "failed_steps": 1}
    assert any('"ERROR"' in line and event(name)["detail"]["stepId"] in line for line in launch.log)
    assert len(emr.starts) == 1


def test_only_overdue_clusters_of_this_stack_are_terminated(launch, s3, emr):
    ours = [{"Key": "fruitvec-results", "Value": RESULTS}]
    emr.page_size = 2
    overdue = [emr.add(f"fruitvec-backfill-{n}", tags=ours, age=13 * HOUR) for n in range(3)]
    emr.set_state(overdue[1], "RUNNING")
    staging = [{"Key": "fruitvec-results", "Value": "staging"}]
    others = [
        emr.add("fruitvec-pca-young", tags=ours, age=11 * HOUR),
        emr.add("fruitvec-backfill-x", tags=staging, age=13 * HOUR),
        emr.add("nightly-reports", age=99 * HOUR),
    ]
    response = launch.invoke(event("sweep"))
    assert sorted(response["clusters"]) == [cluster["Id"] for cluster in overdue]
    assert {cluster["Status"]["State"] for cluster in overdue} == {"TERMINATING"}
    assert {cluster["Status"]["State"] for cluster in others} == {"STARTING"}
    assert metric_sums(launch) == {"overdue_clusters": 3}
    assert launch.invoke(event("sweep"))["clusters"] == []


def test_every_log_line_is_json_without_secrets(moto, s3, emr):
    secrets = {"AWS_SECRET_ACCESS_KEY": "very-secret", "AWS_SESSION_TOKEN": "very-token"}
    with LambdaFunction("launch", {**variables(moto, emr), **secrets}) as launch:
        emr.faults["RunJobFlow"].append(scripted_emr.REFUSED)
        for what in (event("backfill"), event("pca"), event("sweep"), {"job": "sleep"}):
            with contextlib.suppress(FunctionFailed):
                launch.invoke(what)
        assert len(launch.log) > 4
        for line in launch.log:
            json.loads(line)
            assert "very-" not in line
