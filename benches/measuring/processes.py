"""Processes whose time, CPU time and memory are measured."""

import os
import subprocess
import time
from contextlib import contextmanager

CORES = sorted(os.sched_getaffinity(0))
# The numbers of threads to measure with.
THREADS = [1, 2] if len(CORES) > 1 else [1]


@contextmanager
def pinned(cores):
    """Restricts processes that start inside the block to some cores, for all their life."""
    # A child inherits the affinity of its parent.
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, CORES)


def cpu_clock(process):
    """Returns the clock of the CPU time of another process: clock_getcpuclockid(3)."""
    return (~process.pid << 3) | 2


class Worker:
    """A process that reads requests line by line and answers each with nanoseconds and other values."""

    def __init__(self, command, threads):
        with pinned(CORES[:threads]):
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
        self.clock = cpu_clock(self.process)
        # A worker prints its first line when it is ready.
        self.first_line = self.process.stdout.readline().strip()
        assert self.first_line, f"{command} did not start"

    def send(self, line):
        self.cpu_before = self.cpu_seconds()
        self.process.stdin.write(f"{line}\n")

    def receive(self):
        """Returns the nanoseconds of the request by the clock and of CPU, and the other values."""
        clock, *values = self.process.stdout.readline().split()
        return int(clock), round((self.cpu_seconds() - self.cpu_before) * 1e9), values

    def ask(self, line):
        self.send(line)
        return self.receive()

    def cpu_seconds(self):
        return time.clock_gettime(self.clock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def measure_process(command, threads):
    """Runs a process from start to end.

    Returns its nanoseconds by the clock and of CPU, its peak memory in MB and the words that it printed.
    """
    with pinned(CORES[:threads]):
        start = time.perf_counter_ns()
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        printed = process.stdout.read()
        # Unlike Popen.wait, this returns the resource usage.
        _, status, usage = os.wait4(process.pid, 0)
        clock = time.perf_counter_ns() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    assert process.returncode == 0, f"{command} failed"
    cpu = round((usage.ru_utime + usage.ru_stime) * 1e9)
    return clock, cpu, usage.ru_maxrss / 1000, printed.split()


def has_cpu_feature(feature):
    """Returns whether the processor reports a feature."""
    with open("/proc/cpuinfo") as file:
        return any(line.startswith("flags") and feature in line.split() for line in file)
