"""A standalone Spark cluster on the loopback interface, whose jobs are measured."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from rebuilding.measurement import Measurement
from rebuilding.sessions import SessionSampler
from support.cluster.java import java_home
from support.processes import free_port

START_TIMEOUT = 60
# Lines of the log that a failure shows.
TAIL_LINES = 40


class SparkCluster:
    """A master, and a worker with one core for each core to use."""

    def __init__(self, python, folder, cores, memory_mb):
        self.folder = folder
        self.home = next(Path(python).parent.parent.glob("lib/python*/site-packages/pyspark"))
        self.environment = {
            **os.environ,
            "JAVA_HOME": java_home(),
            "SPARK_HOME": str(self.home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(folder / "spark-local"),
            "PYSPARK_PYTHON": python,
            "PYSPARK_DRIVER_PYTHON": python,
            # Keras would print how it was built.
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        self.log = open(folder / "spark.log", "ab")  # noqa: SIM115 (closed by __exit__)
        self.daemons = []
        port, page = free_port(), free_port()
        self.master = f"spark://127.0.0.1:{port}"
        self._start("master.Master", "--host", "127.0.0.1", "--port", port, "--webui-port", page)
        await_cluster(lambda: master_state(page)["status"] == "ALIVE")
        resources = ["--cores", 1, "--memory", f"{memory_mb}m", "--work-dir", folder / "spark-work"]
        for _ in range(cores):
            address = ["--host", "127.0.0.1", "--webui-port", free_port()]
            self._start("worker.Worker", *resources, *address, self.master)
        await_cluster(lambda: master_state(page)["aliveworkers"] == cores)

    def _start(self, daemon, *arguments):
        command = [self.home / "bin/spark-class", f"org.apache.spark.deploy.{daemon}", *arguments]
        process = subprocess.Popen(
            list(map(str, command)),
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.daemons.append(process)

    def submit(self, *program, variables=None, memory_mb=None):
        """Runs a program to its end.

        Returns its output, the seconds of its Spark stages, and the measurement of the whole run including
        Spark's daemons.
        """
        events = Path(tempfile.mkdtemp(dir=self.folder))
        settings = {
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": events.as_uri(),
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }
        command = [self.home / "bin/spark-submit", "--master", self.master, "--driver-memory", "2g"]
        command += ["--executor-memory", f"{memory_mb}m"] if memory_mb else []
        command += [
            argument for name, value in settings.items() for argument in ("--conf", f"{name}={value}")
        ]
        with SessionSampler({daemon.pid for daemon in self.daemons}) as sampler:
            start = time.perf_counter()
            process = subprocess.Popen(
                list(map(str, [*command, *program])),
                env=self.environment | (variables or {}),
                stdout=subprocess.PIPE,
                stderr=self.log,
                text=True,
                start_new_session=True,
            )
            sampler.sessions.add(process.pid)
            try:
                output = process.communicate()[0]
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
            clock = time.perf_counter() - start
        if process.returncode != 0:
            lines = (self.folder / "spark.log").read_text(errors="replace").splitlines()
            sys.exit(f"{' '.join(map(str, program))} failed:\n" + "\n".join(lines[-TAIL_LINES:]))
        measured = Measurement(clock=clock, cpu=sampler.cpu_seconds(), memory_mb=sampler.peak_mb)
        return output, stage_seconds(events), measured

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for daemon in self.daemons:
            os.killpg(daemon.pid, signal.SIGTERM)
        for daemon in self.daemons:
            daemon.wait(60)
        self.log.close()


def master_state(page):
    """Returns the state on the web page of the master."""
    with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as response:
        return json.load(response)


def await_cluster(is_ready):
    """Waits for a condition, which may raise OSError until the master listens."""
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end:
        try:
            if is_ready():
                return
        except OSError:
            pass
        time.sleep(0.2)
    sys.exit("Spark's cluster did not start")


def stage_seconds(folder):
    """Returns the seconds of each Spark stage with tasks, in order, from the event log.

    A stage lasts from the start of its first task to the end of its last.
    """
    stages = {}
    for file in sorted(folder.rglob("*")):
        if not file.is_file():
            continue
        for event in map(json.loads, file.read_text().splitlines()):
            if event["Event"] == "SparkListenerTaskEnd":
                info, stage = event["Task Info"], event["Stage ID"]
                first, last = stages.get(stage, (float("inf"), 0))
                stages[stage] = min(first, info["Launch Time"]), max(last, info["Finish Time"])
    return [(last - first) / 1000 for _, (first, last) in sorted(stages.items())]
