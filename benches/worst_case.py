#!/usr/bin/env python3
"""Measures the CPU time and memory of the costliest photos: bombs, floods and mutants of every format.

It generates the files with benches/hostile, decodes each in a process of its own with the default limits,
and prints a Markdown table. The build is `cargo build --example cost`, whose profile optimises the decoders.
To compare, build the example of another revision and name its path.

    benches/worst_case.py [--folder FOLDER] [--formats NAME ...] [--programs NAME=PATH ...] [--files]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring.environments import BENCHES, ROOT, announce, environment, run_checked
from measuring.tables import print_table

FORMATS = ["bmp", "gif", "jpeg", "png", "tiff", "webp"]
# A file that takes longer is as bad as any.
MAX_SECONDS = 30
SMALL = 1_000_000


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--folder", type=Path, help="keeps the files there, and generates none that exist")
    add("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    add("--programs", nargs="+", default=[], help="builds of the example, by their column's name")
    add("--files", action="store_true", help="prints each file to standard error")
    chosen = parser.parse_args()
    programs = dict(program.split("=", 1) for program in chosen.programs) or {"now": build()}
    with tempfile.TemporaryDirectory(prefix="fruitvec-worst-case-") as temporary:
        folder = chosen.folder or Path(temporary)
        missing = [name for name in chosen.formats if not (folder / name).is_dir()]
        if missing:
            announce("generating files, which takes minutes")
            python = environment("benches", "requirements.txt")
            run_checked([python, "-B", BENCHES / "hostile/generate.py", folder, *missing])
        rows = [row for name in chosen.formats for row in compare(folder / name, programs, chosen.files)]
    heads = [f"{side}: {figure}" for side in programs for figure in ("CPU, s", "peak, MB")]
    print_table(["format", "files", *heads], rows)


def build():
    """Builds the example and returns its path."""
    command = ["cargo", "build", "--package", "fruitvec-image", "--example", "cost"]
    built = subprocess.run(
        [*command, "--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    messages = map(json.loads, built.stdout.splitlines())
    return next(m["executable"] for m in messages if m.get("target", {}).get("name") == "cost")


def compare(folder, programs, verbose):
    """Returns the rows of a format: the files below 1 MB, and all. Each figure names its worst file."""
    announce(folder.name)
    files = sorted(folder.iterdir())
    results = {side: {file: cost(program, file) for file in files} for side, program in programs.items()}
    if verbose:
        for file in files:
            for side, costs in results.items():
                seconds, peak, outcome = costs[file]
                line = f"{folder.name}/{file.name} {file.stat().st_size:,} bytes, {side}: {seconds:.2f} s"
                print(f"{line}, {peak / 1e6:.0f} MB: {outcome}", file=sys.stderr)
    rows = []
    for size, limit in [("below 1 MB", SMALL), ("all", float("inf"))]:
        row = [folder.name.upper(), size]
        chosen = [file for file in files if file.stat().st_size < limit]
        for costs in results.values():
            slowest = max(chosen, key=lambda file: costs[file][0])
            largest = max(chosen, key=lambda file: costs[file][1])
            seconds, peak = costs[slowest][0], costs[largest][1]
            figure = f"> {MAX_SECONDS}" if seconds >= MAX_SECONDS else f"{seconds:.2f}"
            row += [f"{figure} ({slowest.name})", f"{peak / 1e6:.0f} ({largest.name})"]
        rows.append(row)
    return rows


def cost(program, file):
    """Returns the CPU seconds, the peak memory in bytes and the outcome."""

    def limit_cpu():
        resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))

    run = subprocess.run(
        [program, file], capture_output=True, text=True, check=False, preexec_fn=limit_cpu, env=os.environ
    )
    if run.returncode != 0:
        return MAX_SECONDS, 0, f"ended with {run.returncode}: {run.stderr[-200:]}"
    seconds, peak, outcome = run.stdout.split(" ", 2)
    return float(seconds), int(peak), outcome.strip()


if __name__ == "__main__":
    main()
