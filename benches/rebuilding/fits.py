"""Table rows of PCA fits."""

from rebuilding.measurement import least_and_median, least_cpu, least_server_cpu, peak_memory
from rebuilding.workspace import PART_ROWS

HEAD = [
    "before the first task, s, least · median",
    "moments and fit, s",
    "projection, s",
    "all of it, s",
    "CPU, s, least",
    "the S3 server's",
    "peak memory, MB",
]


def table_row(name, runs):
    """Returns the row of some fits that did the same work."""
    times = [
        [run.plan for run in runs],
        *([run.stages.get(stage, 0) for run in runs] for stage in ("moments", "project")),
        [run.clock for run in runs],
    ]
    cells = ["{:.1f} · {:.1f}".format(*least_and_median(seconds)) for seconds in times]
    server = least_server_cpu(runs)
    server_cell = f"{server:.1f}" if server else "none"
    return [name, *cells, f"{least_cpu(runs):.1f}", server_cell, peak_memory(runs)]


def days_of(rows):
    """Returns a number of days for a table, so that no day has more than ten parts."""
    return max(1, rows // PART_ROWS // 10)
