"""A standalone Spark cluster on the loopback, and runs of the driver on it by spark-submit.

Master, workers and drivers are each in a session of their own: Spark gives the Python of its executors process groups of their own,
but all that a session has started can be found by it, and ends with it.
"""

import contextlib
import glob
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import servers

ROOT = Path(__file__).resolve().parents[2]
DRIVER = ROOT / "infra/emr/rebuild.py"
# Two names of one machine, which Spark takes for two: it does not begin a task once more on the machine where it runs already.
WORKERS = ("127.0.0.1", "localhost")
# Spark 3.5 runs on these.
JAVA_VERSIONS = ("17", "11")
# Programs that run for some seconds are done before they are compiled well; this halves what they cost.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
PATIENCE = 300.0
# Lines of a log that a failure shows.
TAIL = 60


class Daemon(servers.Server):
    """A master or a worker of Spark. Its port is that of its web page."""

    def __init__(self, kind, host, *arguments):
        command = [program("spark-class"), f"org.apache.spark.deploy.{kind}", "--host", host, "--webui-port", "{port}", *arguments]
        super().__init__(command, "/json/", {**environment("{folder}"), "SPARK_DAEMON_MEMORY": "256m"})

    @property
    def processes(self):
        """The ids of all that it has started, and its own."""
        return of_session(self._process.pid)

    def stop(self):
        """Kills the whole session."""
        end_session(self._process.pid)
        super().stop()

    @property
    def state(self):
        """What its web page says, as JSON."""
        with urllib.request.urlopen(f"{self.endpoint}/json/", timeout=10) as answer:
            return json.load(answer)


class Cluster:
    """A master and its workers, with one core and 1 GB each."""

    def __init__(self, master, workers):
        self.master = master
        self._workers = workers

    @property
    def processes(self):
        """The ids of all that its workers have started."""
        return [process for worker in self._workers for process in worker.processes]

    def working(self):
        """The processes that are `fruitvec work`."""
        return [process for process in self.processes if command_of(process)[:2] == ["./fruitvec", "work"]]

    def kill_executor(self):
        """SIGKILL to an executor that is in mid-task; its id, or nothing if none is."""
        for process in self.working():
            for ancestor in ancestors(process):
                if "org.apache.spark.executor.CoarseGrainedExecutorBackend" in command_of(ancestor):
                    os.kill(ancestor, signal.SIGKILL)
                    return ancestor
        return None

    def executor_logs(self, application):
        """What its executors have printed."""
        pattern = f"work/{application}/*/stderr"
        return [log.read_text() for worker in self._workers for log in Path(worker.folder.name).glob(pattern)]


@contextlib.contextmanager
def cluster():
    """The cluster, ready for drivers."""
    port = servers.free_port()
    master = f"spark://127.0.0.1:{port}"
    with contextlib.ExitStack() as started:
        head = Daemon("master.Master", "127.0.0.1", "--port", str(port))
        started.callback(head.stop)
        workers = []
        for host in WORKERS:
            arguments = ["--cores", "1", "--memory", "1g", "--work-dir", "{folder}/work", master]
            workers.append(Daemon("worker.Worker", host, *arguments))
            started.callback(workers[-1].stop)
        deadline = time.monotonic() + PATIENCE
        while (alive := head.state["aliveworkers"]) < len(WORKERS):
            assert time.monotonic() < deadline, f"{alive} workers of {len(WORKERS)}: {workers[-1].log}"
            time.sleep(0.1)
        yield Cluster(master, workers)


class Submitted:
    """A program that spark-submit has started, in a session of its own; a context manager, that ends it.

    `settings`: of Spark. `variables`: its environment, beyond what Spark needs; nothing is inherited.
    """

    def __init__(self, cluster, script, *arguments, settings=None, **variables):
        self._folder = tempfile.TemporaryDirectory(prefix="fruitvec-driver-")
        folder = Path(self._folder.name)
        self._log, self._events = folder / "log", folder / "events"
        self._events.mkdir()
        told = {
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": self._events.as_uri(),
            "spark.eventLog.rolling.enabled": "false",
            "spark.ui.port": "0",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.memory": "512m",
            **(settings or {}),
        }
        conf = [word for name, value in told.items() for word in ("--conf", f"{name}={value}")]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [program("spark-submit"), "--deploy-mode", "client", "--master", cluster.master, *conf, str(script), *arguments],
                cwd=folder,
                env={**environment(folder), **variables},
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

    def wait(self, seconds=PATIENCE):
        """Its exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it takes more than {seconds} s: {self.tail}") from None

    def kill(self):
        """SIGKILL to the whole session: the driver, its JVM, and what it has started."""
        end_session(self.process.pid)
        self.process.wait()

    @property
    def log(self):
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    @property
    def tail(self):
        """The end of that, for whoever looks for what went wrong."""
        return "\n".join(self.log.splitlines()[-TAIL:])

    def said(self, pattern):
        """The groups of each line of the driver's own that is so."""
        own = [line for line in self.log.splitlines() if re.search(r" fruitvec (INFO|WARNING|ERROR) |^error: ", line)]
        return [found.groups() for found in (re.search(pattern, line) for line in own) if found]

    def events(self, kind):
        """What Spark itself has recorded of that kind, once the driver has ended."""
        (file,) = self._events.iterdir()
        return [event for event in map(json.loads, file.read_text().splitlines()) if event["Event"] == f"SparkListener{kind}"]


def program(name):
    """A program of Spark's."""
    return str(Path(servers.python("spark")).parent / name)


def environment(folder):
    """What programs of Spark's need, and nothing else. They write below `folder`."""
    java = java_home()
    return {
        "HOME": str(folder),
        "JAVA_HOME": java,
        "JAVA_TOOL_OPTIONS": SHORT_LIVED,
        "LANG": "C.UTF-8",
        "PATH": f"{java}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYSPARK_DRIVER_PYTHON": servers.python("spark"),
        "PYSPARK_PYTHON": servers.python("spark"),
        "SPARK_LOCAL_DIRS": f"{folder}/local",
        "SPARK_LOCAL_HOSTNAME": "127.0.0.1",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def java_home():
    """The folder of a Java that Spark 3.5 runs on."""
    tried = [os.environ.get("JAVA_HOME"), *(folder for version in JAVA_VERSIONS for folder in sorted(glob.glob(f"/usr/lib/jvm/*{version}*")))]
    for folder in filter(None, tried):
        with contextlib.suppress(OSError):
            said = subprocess.run([f"{folder}/bin/java", "-version"], capture_output=True, text=True, timeout=60).stderr
            if re.search(rf'version "({"|".join(JAVA_VERSIONS)})\.', said):
                return folder
    raise RuntimeError(f"Spark 3.5 needs Java 17, and there is none in JAVA_HOME or /usr/lib/jvm; tried {tried}")


def of_session(session):
    """The ids of a session's processes: the session is the fourth field behind the name in `stat`."""
    found = []
    for process in servers.processes():
        with contextlib.suppress(OSError):
            if int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[3]) == session:
                found.append(process)
    return found


def end_session(session):
    """Kills all of a session, and what it may start meanwhile."""
    while alive := [process for process in of_session(session) if state_of(process) != "Z"]:
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)


def state_of(process):
    """Z of one that has ended and is not waited for."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return "Z"


def ancestors(process):
    """The parent of a process, its parent, and so on."""
    while process > 1:
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return
        yield process


def command_of(process):
    """The command line of a process."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return []
