"""Markdown tables of figures, and a description of the machine."""

import os
import platform
import subprocess
import sys

from measuring.environments import announce
from measuring.processes import CORES


class ComparisonTable:
    """A table with a row for each kind of work: both sides and the ratios of their times."""

    def __init__(self, title, unit, scale):
        self.title, self.scale, self.unit, self.rows = title, scale, unit, []

    def add_row(self, name, ours, theirs, digits=0):
        announce(name)
        cells = [name]
        for side in (ours, theirs):
            times = (side.least_cpu(), side.least(), side.median())
            cells.append(" · ".join(f"{time / self.scale:,.{digits}f}" for time in times))
        cells.append(f"{ours.least_cpu() / theirs.least_cpu():.2f}")
        cells.append(f"{ours.least() / theirs.least():.2f}")
        self.rows.append(cells)

    def print(self):
        units = [f"fruitvec, {self.unit}", f"other, {self.unit}"]
        print_table([self.title, *units, "ratio, CPU", "ratio, clock"], self.rows)


def print_table(head, rows):
    """Prints a Markdown table."""
    print("\n| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    sys.stdout.flush()


def print_machine(requirements, names):
    """Prints the machine, its load, and the versions of Rust, Python and some pinned packages."""
    with open("/proc/cpuinfo") as file:
        cpu = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / 1e6
    rustc = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True)
    rust = rustc.stdout.split()[1]
    pins = dict(line.split("==") for line in requirements.read_text().split() if "==" in line)
    versions = ", ".join(f"{name} {pins[name]}" for name in names)
    linux, load = platform.release().split("-")[0], os.getloadavg()[0]
    print(f"{cpu}, {len(CORES)} cores, {memory:.0f} GB, Linux {linux}, load {load:.1f}.")
    print(f"Rust {rust}; Python {platform.python_version()}, {versions}.", flush=True)
