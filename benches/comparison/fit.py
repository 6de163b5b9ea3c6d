"""Compares the PCA of a large matrix."""

from comparison.sides import assert_same_result
from measuring.environments import run_checked
from measuring.processes import THREADS, measure_process
from measuring.rounds import interleaved
from measuring.tables import ComparisonTable

ROWS, DIMENSION, COMPONENTS = 100_000, 1280, 20
TOLERANCE = 1e-6


def run(comparison):
    table = ComparisonTable(f"PCA of {ROWS:,} × {DIMENSION}, {COMPONENTS} components", "s", 1e9)
    file = comparison.folder / "rows.f32"
    run_checked([*comparison.reference, "rows", file, ROWS, DIMENSION])
    ours = [comparison.worker, "fit", file, DIMENSION]
    theirs = [*comparison.reference, "fit", file, DIMENSION, COMPONENTS]
    for threads in THREADS:
        figures = interleaved(
            max(3, comparison.rounds // 2),
            lambda threads=threads: run_once(ours, threads),
            lambda threads=threads: run_once(theirs, threads),
        )
        assert_same_result(figures, TOLERANCE)
        peaks = " and ".join(f"{max(extra[0] for extra in figure.extra):,.0f} MB" for figure in figures)
        plural = "s" if threads > 1 else ""
        table.add_row(f"{threads} thread{plural} (peaks {peaks})", *figures, digits=2)
    table.print()


def run_once(command, threads):
    """Runs a fit. Returns its own times, without the reading of the rows, and peak memory with the result."""
    _, _, memory, (clock, cpu, explained) = measure_process(command, threads)
    return int(clock), int(cpu), (memory, float(explained))
