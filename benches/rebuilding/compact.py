"""Measures the compaction of past days with parts of several sizes."""

import sys

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

# Each day is a task, and this number spreads evenly over two cores.
DAYS = 4
MB = 1e6
HEAD = [
    "compaction of past days",
    "MB/s read · written, best",
    "median",
    "stage, s, least",
    "median",
    "CPU, s, least",
    "the S3 server's",
    "peak memory, MB",
]


def run(workspace):
    part_rows = workspace.options.part_rows
    print_table(HEAD, [measure(workspace, workspace.options.compact_rows, rows) for rows in part_rows])


def measure(workspace, rows, part_rows):
    """Returns the table row for parts of a size."""
    # A day with a single part has nothing to compact.
    days = min(DAYS, rows // part_rows // 2)
    if days == 0:
        sys.exit(
            f"--compact-rows {rows} is less than two parts of --part-rows {part_rows}, which compaction "
            "would leave alone: choose more rows or smaller parts"
        )
    table, parts, read = workspace.create_table(rows, part_rows, days)
    runs = measure_in_turns(workspace.rounds, {"": lambda: compact(workspace, table, rows)})[""]
    workspace.delete_bucket(table)
    written = runs[0].counts["compact"]["bytes_written"]
    seconds = least_and_median(stage_times(runs, "compact"))
    return [
        f"{rows:,} rows in {parts:,} parts of {part_rows:,}: {read / MB:,.0f} → {written / MB:,.0f} MB",
        *(f"{read / MB / time:,.0f} · {written / MB / time:,.0f}" for time in seconds),
        *(f"{time:.2f}" for time in seconds),
        f"{least_cpu(runs):.2f}",
        f"{least_server_cpu(runs):.2f}",
        peak_memory(runs),
    ]


def compact(workspace, table, rows):
    """Compacts a copy of a table."""
    bucket = workspace.create_bucket(copy_of=table)
    measured = workspace.run_locally("compact", bucket, len(THREADS))
    counts = measured.counts["compact"]
    assert counts.get("rows") == rows, counts
    workspace.delete_bucket(bucket)
    return measured
