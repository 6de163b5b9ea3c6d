"""Measures how long the functions take to start, and their memory afterwards."""

import statistics

from deployed.functions import embedded_s3, start_embed, start_small
from measuring.tables import print_table
from support import servers

HEAD = [
    "process start to first request for an event, one core",
    "least, ms",
    "median, ms",
    "memory then, MB",
]


def run(deployment):
    rows, starts = [], max(10, 2 * deployment.rounds)
    with embedded_s3(deployment.worker) as s3:
        variables = servers.environment(s3, **s3.credentials)
        for model in deployment.models:
            cells = measure(starts, lambda model=model: start_embed(model, variables, "results"))
            rows.append([f"`embed`, `{model}`", *cells])
        for name in ["upload", "launch"]:
            rows.append([f"`{name}`", *measure(starts, lambda name=name: start_small(name, variables))])
    print_table(HEAD, rows)


def measure(count, start):
    """Starts a function several times. Returns the least and median time and the peak memory."""
    milliseconds, megabytes = [], []
    for _ in range(count):
        with start() as function:
            milliseconds.append(function.init_seconds * 1e3)
            megabytes.append(function.peak_bytes / 1e6)
    times = (min(milliseconds), statistics.median(milliseconds))
    return [*(f"{time:.0f}" for time in times), f"{max(megabytes):.0f}"]
