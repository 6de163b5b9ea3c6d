"""Compares full fits with those of Spark ML."""

import json

from measuring.environments import PROGRAMS
from measuring.processes import THREADS
from measuring.tables import print_table
from rebuilding.fits import HEAD, days_of, table_row
from rebuilding.measurement import measure_in_turns
from rebuilding.workspace import PART_ROWS

# Memory of a Spark worker that its executor cannot use, in MB.
WORKER_OVERHEAD = 512


def run(workspace):
    rows = []
    with workspace.spark_cluster(workspace.options.spark_memory) as spark:
        for count in workspace.options.spark_rows:
            rows += compare(workspace, spark, count)
    print_table([f"PCA of rows × {workspace.dimension}, {len(THREADS)} cores", *HEAD], rows)


def compare(workspace, spark, count):
    """Returns the table rows of both sides for a number of rows."""
    table, _, _ = workspace.create_table(count, min(PART_ROWS, count), days=days_of(count))
    sides = {
        "fruitvec": lambda: fit_locally(workspace, table),
        "Spark ML": lambda: fit_with_spark(workspace, spark, table),
    }
    measured = measure_in_turns(workspace.rounds, sides)
    workspace.delete_bucket(table)
    ours, theirs = (runs[0].explained for runs in measured.values())
    assert abs(ours - theirs) <= 1e-5 * theirs, f"our components explain {ours}, theirs {theirs}"
    return [table_row(f"{count:,} rows, {name}", runs) for name, runs in measured.items()]


def fit_locally(workspace, table):
    bucket = workspace.create_bucket(copy_of=table)
    measured = workspace.run_locally("pca", bucket, len(THREADS), "--full")
    (record,) = (workspace.data / bucket / f"pca/model={workspace.model}").glob("fit=*/fit.json")
    measured.explained = sum(json.loads(record.read_text())["explained_variance_ratio"])
    workspace.delete_bucket(bucket)
    return measured


def fit_with_spark(workspace, spark, table):
    rows, out = workspace.data / table / f"embeddings/model={workspace.model}", workspace.folder / "scores"
    memory_mb = workspace.options.spark_memory - WORKER_OVERHEAD
    program = [PROGRAMS / "spark_baseline.py", "pca", rows, out, "embedding"]
    output, _, measured = spark.submit(*program, memory_mb=memory_mb)
    result = json.loads(output.splitlines()[-1])
    measured.stages = {"moments": result["fit"], "project": result["project"]}
    measured.explained = result["explained"]
    measured.plan = measured.outside_stages
    return measured
