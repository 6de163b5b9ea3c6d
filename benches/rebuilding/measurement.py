"""What one run of a rebuild took, and rounds of several such runs."""

import statistics
from dataclasses import dataclass, field

from measuring.environments import announce
from measuring.rounds import rotated


@dataclass
class Measurement:
    """Times are in seconds."""

    # The whole run, by the clock and of CPU, and its peak memory.
    clock: float
    cpu: float
    memory_mb: float
    # Seconds and counts of each stage by name.
    stages: dict = field(default_factory=dict)
    counts: dict = field(default_factory=dict)
    # The share of the variance that the fit explains, if the run was one.
    explained: float | None = None
    # CPU time of the S3 server.
    server_cpu: float = 0.0
    # Until the first task starts.
    plan: float = 0.0

    @property
    def outside_stages(self):
        """The part of the run outside its stages, such as the start of programs."""
        return self.clock - sum(self.stages.values())


def measure_in_turns(rounds, sides):
    """Runs all sides in each round, with another one first each time. Returns the measurements by side."""
    measured = {name: [] for name in sides}
    for number in range(rounds):
        for name in rotated(list(sides), number):
            announce(f"round {number + 1} of {rounds}{', ' * bool(name)}{name}")
            measured[name].append(sides[name]())
    return measured


def stage_times(runs, stage):
    return [run.stages[stage] for run in runs]


def least_cpu(runs):
    return min(run.cpu for run in runs)


def least_server_cpu(runs):
    return min(run.server_cpu for run in runs)


def peak_memory(runs):
    """Formats the highest peak memory of several runs."""
    return f"{max(run.memory_mb for run in runs):,.0f}"


def least_and_median(values):
    return min(values), statistics.median(values)
