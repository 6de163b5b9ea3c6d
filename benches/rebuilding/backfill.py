"""Measures a backfill on one core, on two cores and on Spark."""

import json
import shutil
import statistics
from contextlib import ExitStack
from datetime import UTC, datetime

from measuring.environments import ROOT, announce, model_file
from measuring.processes import THREADS
from measuring.tables import print_table
from rebuilding.measurement import (
    least_and_median,
    least_cpu,
    least_server_cpu,
    measure_in_turns,
    peak_memory,
    stage_times,
)
from rebuilding.workspace import PICTURES

DRIVER = ROOT / "infra/emr/rebuild.py"
HEAD = [
    "photos/s, best",
    "median",
    "stage, s, least",
    "median",
    "the rest, s",
    "CPU of a photo, ms",
    "the S3 server's",
    "peak memory, MB",
]


def run(workspace):
    photos = workspace.create_pictures(workspace.options.photos)
    worker = create_worker_folder(workspace)
    sides = {
        f"{cores} thread{'s' if cores > 1 else ''}": lambda cores=cores: fill_locally(workspace, cores)
        for cores in THREADS
    }
    with ExitStack() as stack:
        if DRIVER.exists():
            spark = stack.enter_context(workspace.spark_cluster(workspace.options.worker_memory))
            name = f"Spark, {len(THREADS)} executors of one core"
            sides[name] = lambda: fill_with_spark(workspace, spark, worker)
        else:
            announce(f"Spark is left out, because {DRIVER} is missing")
        measured = measure_in_turns(workspace.rounds, sides)
    rows = [table_row(name, runs, photos) for name, runs in measured.items()]
    print_table([f"backfill of {photos:,} photos, `{workspace.model}`", *HEAD], rows)
    print_ratios(list(measured.values()))


def create_worker_folder(workspace):
    """Creates the folder with the program, the model and its card that a driver ships to its executors."""
    folder = workspace.folder / "worker"
    folder.mkdir()
    shutil.copy(workspace.program, folder / "fruitvec")
    shutil.copy(model_file(workspace.model), folder)
    shutil.copy(workspace.card, folder)
    return folder


def fill_locally(workspace, cores):
    bucket = workspace.create_bucket()
    measured = workspace.run_locally("backfill", bucket, cores)
    check_and_delete(workspace, bucket)
    return measured


def fill_with_spark(workspace, spark, worker):
    bucket = workspace.create_bucket()
    with workspace.serve(bucket, len(THREADS)) as server:
        before, run_id = server.cpu_seconds(), f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-backfill"
        options = ["--job", "backfill", "--run", run_id, "--photos", PICTURES, "--results", bucket]
        options += ["--model", workspace.model, "--worker", worker]
        _, stages, measured = spark.submit(DRIVER, *options, variables=server.variables)
        measured.server_cpu = server.cpu_seconds() - before
    # The photos are from today, so there is nothing to compact and all Spark stages belong to the backfill.
    measured.stages = {"backfill": sum(stages)}
    check_and_delete(workspace, bucket)
    return measured


def check_and_delete(workspace, bucket):
    """Asserts that every photo was embedded, without which the times mean nothing, and deletes the bucket."""
    (record,) = (workspace.data / bucket / "runs").glob("*/run.json")
    counts = json.loads(record.read_text())["stages"]["backfill"]
    embedded, photos = counts.get("embedded", 0), workspace.count_pictures()
    assert embedded == photos, f"{embedded} of {photos} photos were embedded: {counts}"
    workspace.delete_bucket(bucket)


def table_row(name, runs, photos):
    least, median = least_and_median(stage_times(runs, "backfill"))
    rest = statistics.median(run.outside_stages for run in runs)
    times = (photos / least, photos / median, least, median, rest)
    cpu = (least_cpu(runs) / photos * 1e3, least_server_cpu(runs) / photos * 1e3)
    cells = [*(f"{time:,.1f}" for time in times), *(f"{milliseconds:,.2f}" for milliseconds in cpu)]
    return [name, *cells, peak_memory(runs)]


def print_ratios(sides):
    """Prints the ratios of times in the same round, by their median, and of the least times."""
    times = [stage_times(runs, "backfill") for runs in sides]
    print()
    for first, second, title in [
        (0, 1, "1 core ÷ 2 cores (at least 1.8)"),
        (2, 1, "Spark's stage ÷ that of 2 threads (at most 1.15)"),
    ]:
        if max(first, second) < len(times):
            by_round = statistics.median(a / b for a, b in zip(times[first], times[second], strict=True))
            of_least = min(times[first]) / min(times[second])
            print(f"{title}: {by_round:.2f} by round, median; {of_least:.2f} of the least times.")
