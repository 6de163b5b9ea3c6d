"""Compares the time from the start of a process to its first embedding."""

from comparison.sides import assert_same_result
from measuring.processes import measure_process
from measuring.rounds import interleaved
from measuring.tables import ComparisonTable

# JPEG decoders round differently, so the embeddings differ a little.
TOLERANCE = 1e-2


def run(comparison):
    table = ComparisonTable("process start to first embedding", "ms", 1e6)
    photo = comparison.photos.small[0]
    for model in comparison.models:
        ours, theirs = comparison.commands("first", model, photo)
        figures = interleaved(
            max(5, comparison.rounds),
            lambda ours=ours: run_once(ours),
            lambda theirs=theirs: run_once(theirs),
        )
        assert_same_result(figures, TOLERANCE)
        peaks = " and ".join(f"{min(extra[0] for extra in figure.extra):.0f} MB" for figure in figures)
        table.add_row(f"`{model}`", *figures)
        table.rows[-1][0] += f" (peaks {peaks})"
    table.print()


def run_once(command):
    """Runs a process. Returns its time and CPU time, and its peak memory with the sum of the embedding."""
    clock, cpu, memory, printed = measure_process(command, 1)
    return clock, cpu, (memory, float(printed[-1]))
