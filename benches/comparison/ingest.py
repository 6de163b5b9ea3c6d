"""Compares ingestion: photos are read, embedded and written as Parquet.

Our side does it through S3, the other with files.
"""

import tempfile
import time
from contextlib import ExitStack

from measuring.processes import THREADS, Worker
from measuring.rounds import interleaved
from measuring.tables import ComparisonTable, print_table

OVERHEAD_HEAD = ["CPU time of a photo, ms", "ingest", "of it embed", "around it", "the S3 server's"]


def run(comparison):
    table, overheads = ComparisonTable("ingest, of a photo", "µs", 1000), []
    photos = comparison.photos.list_file(comparison.photos.small)
    for model in comparison.models:
        for threads in THREADS:
            figures = compare_ingest(comparison, model, photos, threads)
            rates = " / ".join(f"{1e9 / figure.least():,.0f}" for figure in figures)
            plural = "s" if threads > 1 else ""
            table.add_row(f"`{model}`, {threads} thread{plural}: {rates} photos/s", *figures)
        overheads.append(measure_overhead(comparison, model, photos))
    table.print()
    print_table(OVERHEAD_HEAD, overheads)


def compare_ingest(comparison, model, photos, threads):
    """Ingests all photos with both sides.

    Our side is one process with an S3 server in it. The other side has a process for each of our threads.
    """
    small = comparison.photos.small
    with ExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory(dir=comparison.folder))
        command = [comparison.worker, "ingest", model, photos, data]
        ours = stack.enter_context(Worker(command, threads))
        lists = [comparison.photos.list_file(small[first::threads]) for first in range(threads)]
        theirs = []
        for list_file in lists:
            out = stack.enter_context(tempfile.TemporaryDirectory(dir=comparison.folder))
            _, command = comparison.commands("ingest", model, list_file, out)
            theirs.append(stack.enter_context(Worker(command, threads)))

        def run_theirs():
            start = time.perf_counter_ns()
            for worker in theirs:
                worker.send("all")
            cpu = sum(worker.receive()[1] for worker in theirs)
            return time.perf_counter_ns() - start, cpu

        figures = interleaved(max(3, comparison.rounds // 2), lambda: ours.ask(threads), run_theirs)
    for figure in figures:
        figure.divide(len(small))
    return figures


def measure_overhead(comparison, model, photos):
    """Returns a row with the CPU time of ingest, with S3 in another process, and of embedding alone."""
    count, served = len(comparison.photos.small), []
    with ExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory(dir=comparison.folder))
        server = stack.enter_context(Worker([comparison.worker, "s3", data], 1))
        command = [comparison.worker, "ingest", model, photos, data, server.first_line]
        ingest = stack.enter_context(Worker(command, 1))
        embed = stack.enter_context(Worker([comparison.worker, "stages", model, photos], 1))

        def run_ingest():
            before = server.cpu_seconds()
            measured = ingest.ask(1)
            served.append((server.cpu_seconds() - before) * 1e9)
            return measured

        rounds = max(3, comparison.rounds // 2)
        whole, alone = interleaved(rounds, run_ingest, lambda: embed.ask(f"embed {count}"))
    cpu = (whole.least_cpu(), alone.least_cpu(), min(served))
    ingest_ms, embed_ms, server_ms = (nanoseconds / count / 1e6 for nanoseconds in cpu)
    return [
        f"`{model}`",
        f"{ingest_ms:.2f}",
        f"{embed_ms:.2f}",
        f"{ingest_ms - embed_ms:.2f} = {100 * (ingest_ms / embed_ms - 1):.1f} %",
        f"{server_ms:.2f} = {100 * server_ms / embed_ms:.1f} %",
    ]
