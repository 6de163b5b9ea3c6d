"""Samples the CPU time and memory of all processes in some sessions."""

import os
import threading
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
INTERVAL_SECONDS = 0.25
MB = 1e6


class SessionSampler:
    """Samples the processes of some sessions for as long as its `with` block lasts.

    `peak_mb` is the highest memory that they had together.
    """

    def __init__(self, sessions):
        self.sessions, self.peak_mb = set(sessions), 0.0
        self._seconds, self._seconds_before = {}, {}
        self._ended = threading.Event()

    def cpu_seconds(self):
        """Returns the CPU time inside the block, including that of processes that have ended."""
        return sum(
            seconds - self._seconds_before.get(process, 0) for process, seconds in self._seconds.items()
        )

    def _sample(self):
        resident = 0
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) in self.sessions:
                # Ids are reused, so the start time (field 19 here) is part of the key.
                process = folder.name, fields[19]
                self._seconds[process] = (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
                resident += int(fields[21]) * PAGE_BYTES
        self.peak_mb = max(self.peak_mb, resident / MB)

    def _run(self):
        while not self._ended.wait(INTERVAL_SECONDS):
            self._sample()

    def __enter__(self):
        self._sample()
        self._seconds_before = dict(self._seconds)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
