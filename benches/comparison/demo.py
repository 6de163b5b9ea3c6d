"""Compares whole runs of `fruitvec demo` with our kernels and with tract, over the same photos."""

import tempfile

from measuring.processes import THREADS, measure_process
from measuring.rounds import Figure, interleaved
from measuring.tables import print_table

HEAD = ["CPU, ms", "clock, ms, least", "median", "photos/s, best", "peak memory, MB"]


def run(comparison):
    rows, count = [], sum(1 for _ in comparison.photos.root.glob("*/*.jpg"))
    for model in comparison.models:
        figures = interleaved(
            max(3, comparison.rounds // 2),
            lambda model=model: run_demo(comparison, model, "native"),
            lambda model=model: run_demo(comparison, model, "tract"),
        )
        for engine, figure in zip(("our kernels", "tract"), figures, strict=True):
            times = (figure.least_cpu(), figure.least(), figure.median())
            cells = [f"{time / count / 1e6:.2f}" for time in times]
            rate, memory = f"{1e9 * count / figure.least():,.0f}", f"{max(figure.extra):.0f}"
            rows.append([f"`{model}`, {engine}", *cells, rate, memory])
        ratios = [of(figures[0]) / of(figures[1]) for of in (Figure.least_cpu, Figure.least, Figure.median)]
        rows.append(["· ours ÷ tract", *(f"{ratio:.2f}" for ratio in ratios), "", ""])
    print_table([f"`demo`, {count:,} photos, a photo's share", *HEAD], rows)


def run_demo(comparison, model, engine):
    """Runs the demo once. Returns its time, CPU time and peak memory."""
    with tempfile.TemporaryDirectory(dir=comparison.folder) as data:
        options = ["--model", model, "--engine", engine, "--data", data]
        command = [comparison.program, "demo", comparison.photos.root, *options]
        clock, cpu, memory, _ = measure_process(command, len(THREADS))
    return clock, cpu, memory
