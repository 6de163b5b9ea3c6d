"""The function launch, as it is deployed, against S3 and EMR.

moto has the lease where one writes at a time, and takes the calls of EMR, but checks none of them, and in it no time passes: the requests are
checked against botocore's model here, and whatever can happen to a cluster is played by the scripted EMR.
"""

import concurrent.futures
import contextlib
import json
import time
from pathlib import Path

import proxy
import pytest
import scripted_emr
import servers
from runtime import Function, FunctionDied, FunctionFailed
from scripted_emr import Recorder, ScriptedEmr
from servers import client, environment

EVENTS = Path(__file__).parents[2] / "events"
RESULTS = "results"
PHOTOS = "photos"
LEASE = "leases/cluster.json"
# A launch that is not recorded is left alone for as long as an invocation may last, which is up to the test, and some seconds more.
TIMEOUT = 6.0
PATIENCE = 40.0
HOUR = 3600.0


def event(name, **others):
    """An event as AWS sends it, with other fields than it has there."""
    return {**json.loads((EVENTS / f"launch-{name}.json").read_text()), **others}


def variables(s3, emr, **others):
    """What the function is deployed with."""
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


def filled(server, photos=PHOTOS, results=RESULTS):
    """A client of S3, with a photo and a part in its buckets: every job has something to do."""
    s3 = client("s3", server, **server.credentials)
    for bucket in (photos, results):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    s3.put_object(Bucket=photos, Key="photos/Kiwi/1.jpg", Body=b"photo")
    part = "embeddings/model=fruit-mobilenetv2-035-128/date=2026-01-02/0a1b.parquet"
    s3.put_object(Bucket=results, Key=part, Body=b"part")
    return s3


@pytest.fixture
def s3(moto):
    """moto's S3."""
    return filled(moto)


@pytest.fixture
def emr():
    """An EMR that does what the test wants."""
    with ScriptedEmr() as emr:
        yield emr


@pytest.fixture
def launch(moto, s3, emr):
    """The function before them."""
    with Function("launch", variables(moto, emr)) as function:
        yield function


def lease(s3, results=RESULTS):
    """What the lease says."""
    return json.loads(s3.get_object(Bucket=results, Key=LEASE)["Body"].read())


def the_one_cluster(s3, emr, results=RESULTS):
    """The one living cluster: that it is one, and that the lease names it."""
    (cluster,) = emr.living()
    assert lease(s3, results)["cluster_id"] == cluster["Id"]
    assert lease(s3, results)["cluster"] == cluster["Name"]
    return cluster


def counted(function):
    """The sum of each metric."""
    sums = {}
    for line in function.metrics:
        assert line["function"] == "launch"
        (definition,) = line["_aws"]["CloudWatchMetrics"]
        assert definition["Namespace"] == "fruitvec"
        for metric in definition["Metrics"]:
            sums[metric["Name"]] = sums.get(metric["Name"], 0) + line[metric["Name"]]
    return sums


def eventually(function, what, wanted, *, within, **options):
    """Invokes as Lambda's retries do, until it is not refused any more."""
    end = time.monotonic() + within
    while True:
        try:
            answer = function.invoke(what, **options)
            assert answer["outcome"] == wanted, answer
            return answer
        except FunctionFailed as error:
            assert error.error_type == "Refused", error
            assert time.monotonic() < end, error
            time.sleep(1)


# ── moto: what EMR is asked for ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("job", ["backfill", "pca", "rebuild"])
def test_each_job_asks_for_a_cluster_that_emr_understands(moto, s3, job):
    with Recorder(moto) as recorder, Function("launch", variables(moto, recorder)) as launch:
        answer = launch.invoke(event(job))
        assert counted(launch) == {"launched": 1}
    (request,) = recorder.starts
    assert scripted_emr.problems("RunJobFlow", request) == []
    (cluster,) = client("emr", moto).list_clusters()["Clusters"]
    assert answer == {"outcome": "launched", "cluster": cluster["Name"], "cluster_id": cluster["Id"]}
    assert lease(s3)["cluster_id"] == cluster["Id"]
    (step,) = client("emr", moto).list_steps(ClusterId=cluster["Id"])["Steps"]
    assert step["Name"] == f"fruitvec-{job}"
    assert step["Config"]["Args"][0] == "spark-submit"
    run = answer["cluster"].removeprefix(f"fruitvec-{job}-") + f"-{job}"
    assert step["Config"]["Args"][-10:] == [
        *("--job", job, "--run", run, "--photos", PHOTOS, "--results", RESULTS, "--model", "fruit-mobilenetv2-035-128"),
    ]


def test_the_check_of_requests_finds_what_emr_would_not_understand():
    request = {"Name": "x", "Instances": {"InstanceFleets": [{"InstanceFleetType": "PRIMARY"}], "Fleets": []}, "Steps": "no"}
    found = "\n".join(scripted_emr.problems("RunJobFlow", request))
    for named in ('Unknown parameter in Instances: "Fleets"', "Steps", "'PRIMARY' is none of"):
        assert named in found


def test_parameters_are_passed_on_to_the_driver(launch, emr):
    launch.invoke(event("rebuild", full=True, yes=True, retry_rejects="truncated", project=False))
    (request,) = emr.starts
    assert request["Steps"][0]["HadoopJarStep"]["Args"][-3:] == ["--full", "--retry-rejects=truncated", "--yes"]


# ── Never two at once ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_delivered_twice_there_is_one_cluster(moto, s3):
    with Recorder(moto) as recorder, Function("launch", variables(moto, recorder)) as launch:
        assert launch.invoke(event("backfill"))["outcome"] == "launched"
        assert launch.invoke(event("backfill"))["outcome"] == "already_launched"
    assert len(recorder.starts) == 1
    (cluster,) = client("emr", moto).list_clusters()["Clusters"]
    assert lease(s3)["cluster_id"] == cluster["Id"]


@pytest.fixture
def embedded():
    """The embedded S3."""
    with servers.embedded() as server:
        yield server


@pytest.mark.parametrize("server", ["embedded", "localstack"])
def test_ten_at_once_start_one_cluster(server, request, emr):
    """The embedded S3 or LocalStack has the lease: of racing writers one wins in both, and in moto now and then two."""
    server = request.getfixturevalue(server)
    photos, results = "photos-of-launch", "results-of-launch"
    s3 = filled(server, photos, results)
    settings = variables(server, emr, FRUITVEC_PHOTOS_BUCKET=photos, FRUITVEC_RESULTS_BUCKET=results)
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(10) as pool:
        functions = [stack.enter_context(Function("launch", settings)) for _ in range(10)]
        outcomes = list(pool.map(_outcome, functions))
    assert outcomes.count("launched") == 1, outcomes
    assert set(outcomes) <= {"launched", "already_launched", "Refused"}, outcomes
    assert len(emr.starts) == 1
    the_one_cluster(s3, emr, results)


def _outcome(function):
    try:
        return function.invoke(event("backfill"))["outcome"]
    except FunctionFailed as error:
        return error.error_type


def test_with_nothing_to_do_there_is_no_cluster(launch, s3, emr):
    for bucket in (PHOTOS, RESULTS):
        for listed in s3.list_objects_v2(Bucket=bucket)["Contents"]:
            s3.delete_object(Bucket=bucket, Key=listed["Key"])
    for job in ("backfill", "pca", "rebuild"):
        assert launch.invoke(event(job))["outcome"] == "nothing_to_do"
    assert emr.calls == []
    assert counted(launch) == {"nothing_to_do": 3}


def test_a_job_waits_while_another_s_cluster_hangs_and_comes_when_that_has_ended(launch, s3, emr):
    launch.invoke(event("backfill"))
    first = the_one_cluster(s3, emr)
    for state in ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING"):
        emr.turn(first, state)
        assert launch.invoke(event("pca")) == {"outcome": "waiting", "behind": first["Name"]}
        assert launch.invoke(event("sweep"))["launch"]["outcome"] == "waiting"
    emr.turn(first, "TERMINATED", "ALL_STEPS_COMPLETED")
    ended = event("terminated")
    ended["detail"].update(clusterId=first["Id"], name=first["Name"])
    assert launch.invoke(ended)["launch"]["outcome"] == "launched"
    assert the_one_cluster(s3, emr)["Name"] == "fruitvec-pca-20261122T040000Z"
    # Told once more, it changes nothing.
    assert launch.invoke(ended) == {"noted": "ended", "clusters": [first["Id"]]}
    assert len(emr.starts) == 2


# ── What can happen to a start ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_throttled_start_is_tried_again(launch, s3, emr):
    emr.faults["RunJobFlow"].extend([scripted_emr.THROTTLED] * 2)
    assert launch.invoke(event("backfill"))["outcome"] == "launched"
    assert len(emr.starts) == 3
    the_one_cluster(s3, emr)


@pytest.mark.parametrize(
    ("fault", "times", "says"),
    [(scripted_emr.THROTTLED, 4, "Rate exceeded"), (scripted_emr.REFUSED, 1, "The subnet configuration was invalid")],
)
def test_a_start_that_emr_refuses_leaves_no_cluster_and_no_lease(launch, s3, emr, fault, times, says):
    emr.faults["RunJobFlow"].extend([fault] * times)
    with pytest.raises(FunctionFailed, match=says) as failed:
        launch.invoke(event("backfill"))
    assert failed.value.error_type == "NotLaunched"
    assert counted(launch) == {"start_failed": 1}
    assert len(emr.starts) == times
    assert emr.clusters == []
    assert lease(s3)["cluster_id"] is None
    assert says in lease(s3)["released"]
    # Nobody has to wait for it.
    assert launch.invoke(event("pca"))["outcome"] == "launched"
    the_one_cluster(s3, emr)


@pytest.mark.parametrize("fault", [scripted_emr.LOST, scripted_emr.FAILED_AFTER])
def test_a_start_whose_reply_is_lost_is_found_and_not_made_again(launch, s3, emr, fault):
    # It is on the last page of a list.
    emr.page = 2
    emr.faults["RunJobFlow"].append(fault)
    emr.made = lambda cluster: [setattr(emr, "made", lambda _: None), *(emr.add(f"other-{n}") for n in range(5))]
    assert launch.invoke(event("backfill"))["outcome"] == "launched"
    assert len(emr.starts) == 1
    (cluster,) = [cluster for cluster in emr.clusters if cluster["Name"].startswith("fruitvec-")]
    assert lease(s3)["cluster_id"] == cluster["Id"]


@pytest.mark.parametrize("fault", [scripted_emr.DROPPED, scripted_emr.FAILED])
def test_a_start_without_a_trace_is_made_again_only_when_it_is_certain(launch, s3, emr, fault):
    emr.faults["RunJobFlow"].append(fault)
    with pytest.raises(FunctionFailed, match="no cluster of that name is there yet") as failed:
        launch.invoke(event("backfill"), request_id="a")
    assert failed.value.error_type == "NotLaunched"
    assert len(emr.starts) == 1
    with pytest.raises(FunctionFailed, match="just being launched"):
        launch.invoke(event("backfill"), request_id="a")
    eventually(launch, event("backfill"), "launched", within=PATIENCE, timeout=TIMEOUT, request_id="a")
    assert len(emr.starts) == 2
    the_one_cluster(s3, emr)


def test_a_kill_between_start_and_record_is_put_right_by_lambda_s_retry(launch, s3, emr):
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
    # The same request may be delivered once more while it runs: a retry can't be told from that.
    with pytest.raises(FunctionFailed, match="just being launched"):
        launch.invoke(event("backfill"), request_id="a")
    answer = eventually(launch, event("backfill"), "already_launched", within=PATIENCE, timeout=TIMEOUT, request_id="a")
    assert answer["cluster_id"] == cluster["Id"]
    assert len(emr.starts) == 1
    the_one_cluster(s3, emr)


def test_a_cluster_that_can_not_be_recorded_is_terminated(moto, s3, emr):
    """S3 takes no more writes from the moment that there is a cluster."""
    with proxy.Proxy(moto) as between, Function("launch", variables(between, emr)) as launch:
        refuse = lambda call: proxy.REFUSED if emr.clusters and call.writes("leases/") else None  # noqa: E731
        between.arriving = refuse
        with pytest.raises(FunctionFailed, match="could not be recorded .* it is being terminated"):
            launch.invoke(event("backfill"), request_id="a")
        assert counted(launch) == {"start_failed": 1}
        (cluster,) = emr.living()
        assert cluster["Status"]["State"] == "TERMINATING"
        between.arriving = lambda call: None
        emr.turn(cluster, "TERMINATED", "USER_REQUEST")
        eventually(launch, event("backfill"), "launched", within=PATIENCE, timeout=TIMEOUT, request_id="a")
    the_one_cluster(s3, emr)


def test_a_cluster_whose_lease_another_has_taken_is_terminated(launch, s3, emr):
    other = {"version": 1, "owner": "b", "job": "pca", "scheduled_time": "2026-11-22T04:00:00Z", "input": event("pca")}
    other |= {"attempt": 1, "cluster": "fruitvec-pca-20261122T040000Z", "cluster_id": None, "taken_at": "2026-11-22T04:00:00Z"}
    emr.made = lambda cluster: s3.put_object(Bucket=RESULTS, Key=LEASE, Body=json.dumps(other))
    with pytest.raises(FunctionFailed, match="another has taken the lease"):
        launch.invoke(event("backfill"))
    (cluster,) = emr.living()
    assert cluster["Status"]["State"] == "TERMINATING"
    assert lease(s3)["owner"] == "b"


# ── What EMR tells ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def bootstrap_failure(emr, cluster):
    """The bootstrap of a cluster fails; returns what EMR tells of it."""
    emr.turn(cluster, "TERMINATED_WITH_ERRORS", "BOOTSTRAP_FAILURE")
    told = event("bootstrap-failed")
    told["detail"].update(clusterId=cluster["Id"], name=cluster["Name"])
    return told


def test_a_failed_bootstrap_is_tried_once_more_and_only_once(launch, s3, emr):
    emr.ids.append(event("bootstrap-failed")["detail"]["clusterId"])
    launch.invoke(event("backfill", retry_rejects="truncated"))
    first = the_one_cluster(s3, emr)
    told = bootstrap_failure(emr, first)
    # That is just the event of the file.
    assert told == event("bootstrap-failed")
    assert launch.invoke(told)["launch"]["outcome"] == "launched"
    second = the_one_cluster(s3, emr)
    assert second["Name"] == first["Name"] + "-2"
    assert [start["Steps"] for start in emr.starts][0] == [start["Steps"] for start in emr.starts][1]
    assert "failed_clusters" not in counted(launch)
    assert launch.invoke(told)["noted"] == "known"
    assert launch.invoke(bootstrap_failure(emr, second))["noted"] == "failed"
    assert launch.invoke(told)["noted"] == "known"
    assert len(emr.starts) == 2
    assert emr.living() == []
    assert counted(launch) == {"launched": 2, "failed_clusters": 1}


def test_a_cluster_that_ends_with_errors_is_counted_and_not_repeated(launch, s3, emr):
    launch.invoke(event("backfill"))
    cluster = the_one_cluster(s3, emr)
    emr.turn(cluster, "TERMINATED_WITH_ERRORS", "STEP_FAILURE")
    told = event("bootstrap-failed")
    told["detail"].update(clusterId=cluster["Id"], stateChangeReason='{"code":"STEP_FAILURE","message":"Shut down as step failed"}')
    assert launch.invoke(told)["noted"] == "failed"
    assert len(emr.starts) == 1
    assert counted(launch) == {"launched": 1, "failed_clusters": 1}
    # The next night.
    assert launch.invoke(event("backfill", scheduled_time="2026-11-25T03:00:00Z"))["outcome"] == "launched"
    the_one_cluster(s3, emr)


@pytest.mark.parametrize("name", ["step-failed", "step-cancelled"])
def test_a_failed_step_is_counted_and_logged(launch, s3, emr, name):
    emr.ids.append(event(name)["detail"]["clusterId"])
    launch.invoke(event("backfill"))
    assert launch.invoke(event(name))["noted"] == "failed_step"
    assert counted(launch) == {"launched": 1, "failed_steps": 1}
    assert any('"ERROR"' in line and event(name)["detail"]["stepId"] in line for line in launch.log)
    assert len(emr.starts) == 1


def test_a_cluster_that_is_overdue_is_terminated_and_no_other(launch, s3, emr):
    ours = [{"Key": "fruitvec-results", "Value": RESULTS}]
    emr.page = 2
    overdue = [emr.add(f"fruitvec-backfill-{n}", tags=ours, age=13 * HOUR) for n in range(3)]
    emr.turn(overdue[1], "RUNNING")
    others = [
        emr.add("fruitvec-pca-young", tags=ours, age=11 * HOUR),
        emr.add("fruitvec-backfill-x", tags=[{"Key": "fruitvec-results", "Value": "staging"}], age=13 * HOUR),
        emr.add("nightly-reports", age=99 * HOUR),
    ]
    answer = launch.invoke(event("sweep"))
    assert sorted(answer["clusters"]) == [cluster["Id"] for cluster in overdue]
    assert {cluster["Status"]["State"] for cluster in overdue} == {"TERMINATING"}
    assert {cluster["Status"]["State"] for cluster in others} == {"STARTING"}
    assert counted(launch) == {"overdue_clusters": 3}
    assert launch.invoke(event("sweep"))["clusters"] == []


def test_every_line_of_the_log_is_json_and_none_has_a_secret(moto, s3, emr):
    settings = {**variables(moto, emr), "AWS_SECRET_ACCESS_KEY": "very-secret", "AWS_SESSION_TOKEN": "very-token"}
    with Function("launch", settings) as launch:
        emr.faults["RunJobFlow"].append(scripted_emr.REFUSED)
        for what in (event("backfill"), event("pca"), event("sweep"), {"job": "sleep"}):
            with contextlib.suppress(FunctionFailed):
                launch.invoke(what)
        assert len(launch.log) > 4
        for line in launch.log:
            json.loads(line)
            assert "very-" not in line
