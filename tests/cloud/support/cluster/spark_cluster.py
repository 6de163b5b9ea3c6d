"""A standalone Spark cluster on the loopback interface, and programs that spark-submit runs on it.

The master, each worker and each driver have their own session. Spark puts the Python processes of its
executors into other process groups, but they stay in the session, so killing the session ends them all.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from support.cluster.java import java_home
from support.environments import python_of
from support.paths import ROOT
from support.processes import ancestors_of, command_of, free_port, kill_session, session_members
from support.servers import Server

DRIVER = ROOT / "infra/emr/rebuild.py"
# Two names of this machine, which Spark takes for two machines. It does not start a second attempt of a
# task on the machine that runs the first.
WORKER_HOSTS = ("127.0.0.1", "localhost")
# The programs run for some seconds only. Without the optimising compiler they need half the CPU time.
SHORT_LIVED_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
TIMEOUT = 300.0
# Lines of a log that a failure shows.
TAIL_LINES = 60


class SparkDaemon(Server):
    """A master or a worker of Spark. Its port is that of its web page."""

    def __init__(self, kind, host, *arguments):
        command = [
            *(spark_program("spark-class"), f"org.apache.spark.deploy.{kind}"),
            *("--host", host, "--webui-port", "{port}", *arguments),
        ]
        super().__init__(command, "/json/", {**spark_environment("{folder}"), "SPARK_DAEMON_MEMORY": "256m"})

    @property
    def processes(self):
        """The ids of the daemon and of all processes it has started."""
        return session_members(self._process.pid)

    def stop(self):
        """Kills the whole session."""
        kill_session(self._process.pid)
        super().stop()

    @property
    def state(self):
        """The state that its web page reports as JSON."""
        with urllib.request.urlopen(f"{self.endpoint}/json/", timeout=10) as response:
            return json.load(response)


class SparkCluster:
    """A master and its workers, with one core and 1 GB each."""

    def __init__(self, master, workers):
        self.master = master
        self._workers = workers

    @property
    def processes(self):
        """The ids of all processes that its workers have started."""
        return [process for worker in self._workers for process in worker.processes]

    def running_tasks(self):
        """Returns the processes that run `fruitvec work`."""
        return [process for process in self.processes if command_of(process)[:2] == ["./fruitvec", "work"]]

    def kill_executor(self):
        """Kills an executor in the middle of a task. Returns its id, or nothing if no task is running."""
        for process in self.running_tasks():
            for ancestor in ancestors_of(process):
                if "org.apache.spark.executor.CoarseGrainedExecutorBackend" in command_of(ancestor):
                    os.kill(ancestor, signal.SIGKILL)
                    return ancestor
        return None

    def await_no_running_tasks(self, timeout=TIMEOUT):
        """Waits until no process runs `fruitvec work`."""
        deadline = time.monotonic() + timeout
        while left := self.running_tasks():
            assert time.monotonic() < deadline, left
            time.sleep(0.1)

    def executor_logs(self, application):
        """Returns the standard error of each executor of an application."""
        pattern = f"work/{application}/*/stderr"
        return [log.read_text() for worker in self._workers for log in Path(worker.folder.name).glob(pattern)]


@contextlib.contextmanager
def spark_cluster():
    """Runs a cluster that is ready for drivers."""
    port = free_port()
    url = f"spark://127.0.0.1:{port}"
    with contextlib.ExitStack() as started:
        master = SparkDaemon("master.Master", "127.0.0.1", "--port", str(port))
        started.callback(master.stop)
        workers = []
        for host in WORKER_HOSTS:
            arguments = ["--cores", "1", "--memory", "1g", "--work-dir", "{folder}/work", url]
            workers.append(SparkDaemon("worker.Worker", host, *arguments))
            started.callback(workers[-1].stop)
        deadline = time.monotonic() + TIMEOUT
        while (alive := master.state["aliveworkers"]) < len(WORKER_HOSTS):
            assert time.monotonic() < deadline, f"{alive} workers of {len(WORKER_HOSTS)}: {workers[-1].log}"
            time.sleep(0.1)
        yield SparkCluster(url, workers)


class SparkSubmit:
    """A program started by spark-submit in its own session, which ends with its `with` block.

    `settings` are Spark's. `variables` are added to the environment that Spark needs. Nothing is inherited.
    """

    def __init__(self, cluster, script, *arguments, settings=None, **variables):
        self._folder = tempfile.TemporaryDirectory(prefix="fruitvec-driver-")
        folder = Path(self._folder.name)
        self._log, self._events = folder / "log", folder / "events"
        self._events.mkdir()
        settings = {
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": self._events.as_uri(),
            "spark.eventLog.rolling.enabled": "false",
            "spark.ui.port": "0",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.memory": "512m",
            **(settings or {}),
        }
        conf = [argument for name, value in settings.items() for argument in ("--conf", f"{name}={value}")]
        command = [
            spark_program("spark-submit"),
            "--deploy-mode",
            "client",
            "--master",
            cluster.master,
            *conf,
        ]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, str(script), *arguments],
                cwd=folder,
                env={**spark_environment(folder), **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self._folder.cleanup()

    def wait(self, timeout=TIMEOUT):
        """Waits for the end of the program and returns its exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it takes more than {timeout} s: {self.tail}") from None

    def kill(self):
        """Kills the whole session: the driver, its JVM and their children."""
        kill_session(self.process.pid)
        self.process.wait()

    @property
    def log(self):
        """Everything that it has printed so far."""
        return self._log.read_text(errors="replace")

    @property
    def tail(self):
        """The last lines of the log, for the message of a failed assertion."""
        return "\n".join(self.log.splitlines()[-TAIL_LINES:])

    def driver_lines(self, pattern):
        """Returns the groups of each match of a pattern in the lines that the driver itself has logged."""
        own = re.compile(r" fruitvec (INFO|WARNING|ERROR) |^error: ")
        matches = (re.search(pattern, line) for line in self.log.splitlines() if own.search(line))
        return [found.groups() for found in matches if found]

    def events(self, kind):
        """Returns the events of a kind. Spark's event log is complete once the driver has ended."""
        (file,) = self._events.iterdir()
        events = map(json.loads, file.read_text().splitlines())
        return [event for event in events if event["Event"] == f"SparkListener{kind}"]


def spark_program(name):
    """Returns the path of one of Spark's programs."""
    return str(Path(python_of("spark")).parent / name)


def spark_environment(folder):
    """Returns the environment that Spark's programs need. They write to `folder`."""
    java = java_home()
    return {
        "HOME": str(folder),
        "JAVA_HOME": java,
        "JAVA_TOOL_OPTIONS": SHORT_LIVED_JVM,
        "LANG": "C.UTF-8",
        "PATH": f"{java}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYSPARK_DRIVER_PYTHON": python_of("spark"),
        "PYSPARK_PYTHON": python_of("spark"),
        "SPARK_LOCAL_DIRS": f"{folder}/local",
        "SPARK_LOCAL_HOSTNAME": "127.0.0.1",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
