"""Runs a rebuild on a cluster: plans each stage, lets Spark do the tasks and commits their outcomes.

    spark-submit --deploy-mode client rebuild.py --job rebuild --run 20261124T030000Z-rebuild \\
        --photos BUCKET --results BUCKET --model ID

Options that it does not know are passed on to the plan: --full, --retry-rejects=truncated, --yes. The worker
defines tasks, outcomes and stages (`fruitvec plan --help`). Here they are lines of text from one program for
another. The Spark session is open from before the first plan until after the last commit, because EMR
terminates a cluster without one.

It needs Python 3.9 and PySpark 3.5 and nothing else, because EMR 7 has nothing else.
"""

import argparse
import json
import logging
import os
import shlex
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark import TaskContext
from pyspark.sql import SparkSession

# The first stage of each job. Each commit names the next one.
FIRST_STAGE = {"backfill": "backfill", "compact": "compact", "pca": "moments", "rebuild": "backfill"}
# The folder into which bootstrap.sh puts the program, the model and its card.
WORKER_FOLDER = "/opt/fruitvec"
PROGRAM = "fruitvec"
# About 40 minutes before launch terminates the cluster for its age, because a cluster may be twenty minutes
# old when its driver starts.
DEADLINE_MINUTES = 660
# Seconds that programs and jobs have to end after the deadline.
GRACE_SECONDS = 60
# The variables that the worker inherits. Keys are not among them: on EMR they come from the machine's role.
PASSED_ON = (
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "PATH",
    "HOME",
)
PASSED_ON_PREFIXES = ("AWS_ENDPOINT_URL", "FRUITVEC_")
# A plan sorts on disk with 120 bytes per row. The root volume of EMR's machines is too small for that.
LARGE_VOLUME = "/mnt/tmp"
# The same settings of glibc as in the function embed: it keeps tensors and returns decoded pictures.
ALLOCATOR = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "6291456",
    "MALLOC_TRIM_THRESHOLD_": "16777216",
}

log = logging.getLogger("fruitvec")


class Failed(Exception):
    """The run cannot go on. The message is for the operator."""


class Deadline:
    """Ends the program or Spark job that the driver waits for, once the time is over."""

    def __init__(self, minutes):
        self.minutes = minutes
        self.over = False
        self.context = None
        self._process = None
        threading.Thread(target=self._watch, daemon=True).start()

    def check(self):
        """Raises if the time is over."""
        if self.over:
            raise Failed(
                f"the deadline of {self.minutes:g} minutes is over; what is done is kept, and running this "
                "run again does the rest: --deadline-minutes gives it more time, which must end before "
                "EmrMaxAgeSeconds does"
            )

    @contextmanager
    def ends(self, process):
        """Kills a process at the deadline, for as long as the block lasts."""
        self._process = process
        try:
            yield
        finally:
            self._process = None
        self.check()

    def _watch(self):
        time.sleep(self.minutes * 60)
        self.over = True
        log.error("the deadline of %g minutes is over", self.minutes)
        # Repeatedly, because another program or job may start just after it was checked.
        for _ in range(GRACE_SECONDS):
            self._end()
            time.sleep(1)
        log.error("something still hangs after %d more seconds; the driver exits without it", GRACE_SECONDS)
        os._exit(1)

    def _end(self):
        process, context = self._process, self.context
        if process is not None:
            process.kill()
        if context is not None:
            # An error here must not end this thread, which still has to end the driver.
            with suppress(Exception):
                context.cancelAllJobs()


class Worker:
    """The program in its folder. The driver runs it to plan and commit, and executors run it to work."""

    def __init__(self, folder, deadline):
        self.folder = Path(folder)
        self._deadline = deadline

    def files(self, model):
        """Returns the files that an executor needs: the program, the card and the model."""
        for name in (PROGRAM, f"{model}.toml"):
            if not (self.folder / name).is_file():
                raise Failed(
                    f"{self.folder / name} is missing: bootstrap.sh puts it there; "
                    "--worker names another folder"
                )
        return sorted(path for path in self.folder.iterdir() if path.is_file())

    def run(self, arguments, lines=()):
        """Runs the program with lines as its input and returns the lines it prints.

        Its standard error goes to the log.
        """
        self._deadline.check()
        process = subprocess.Popen(
            [str(self.folder / PROGRAM), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**temporary_folder(), **worker_environment(self.folder)},
            encoding="utf-8",
        )
        with self._deadline.ends(process):
            output, errors = process.communicate("".join(f"{line}\n" for line in lines))
        for line in errors.splitlines():
            log.info("%s: %s", arguments[0], line)
        if process.returncode:
            message = errors.strip() or "it printed nothing"
            raise Failed(f"{arguments[0]} ended with {process.returncode}: {message}")
        return output.splitlines()


class Run:
    """One run on one cluster."""

    def __init__(self, context, worker, options, plan_options):
        self._context = context
        self._worker = worker
        self._options = options
        self._plan_options = plan_options
        self._table = ["--results", f"s3://{options.results}", "--model", options.model]

    def run_stages(self):
        """Runs all stages in order. Returns the name, seconds and counts of each."""
        stage, done = FIRST_STAGE[self._options.job], []
        while stage is not None:
            start = time.monotonic()
            committed = self._run_stage(stage)
            done.append((stage, time.monotonic() - start, committed["counts"]))
            stage = committed["next"]
        return done

    def _run_stage(self, stage):
        """Plans, works and commits. Returns the JSON that the commit prints."""
        timings = Timings()
        phase = [self._options.job, "--run", self._options.run, "--stage", stage, *self._table]
        plan = ["plan", *phase, "--photos", f"s3://{self._options.photos}", *self._plan_options]
        # A plan that fails may have printed some tasks before. They are not done, because `run` raises.
        tasks = timings.measure("plan", lambda: self._worker.run(plan))
        outcomes = timings.measure("work", lambda: self._do_tasks(stage, tasks))
        printed = timings.measure("commit", lambda: self._worker.run(["commit", *phase], outcomes))
        (committed,) = map(json.loads, printed)
        log.info("stage %s: %d tasks, %s: %s", stage, len(tasks), timings, listed(committed["counts"]))
        for error in committed.get("errors", ()):
            log.warning("stage %s: %s", stage, error)
        return committed

    def _do_tasks(self, stage, tasks):
        """Does each task as a partition and returns the outcomes."""
        if not tasks:
            return []
        context, run = self._context, self._options.run
        kinds = listed(Counter(json.loads(task)["kind"] for task in tasks))
        # Without the interrupt a cancelled task would run to its end.
        context.setJobGroup(run, f"{run}, stage {stage}: {kinds}", interruptOnCancel=True)
        # Spark puts added files into the working folder of its executors and makes them executable.
        command = " ".join(map(shlex.quote, [f"./{PROGRAM}", "work", *self._table, "--threads", "1"]))
        last_attempt = int(context.getConf().get("spark.task.maxFailures", "4")) - 1
        planned = context.parallelize(tasks, len(tasks)).setName(f"tasks of {stage}")
        # `pipe` gives the program only this environment. The context knows the variables that launch sets
        # for executors with spark.executorEnv.
        limits = {name: value for name, value in context.environment.items() if name.startswith("FRUITVEC_")}
        worked = planned.pipe(command, env={**limits, **worker_environment(".")}, checkCode=True)
        outcomes = worked.mapPartitions(fail_until(last_attempt))
        return outcomes.setName(f"outcomes of {stage}").collect()


class Timings:
    """The seconds of each of several steps."""

    def __init__(self):
        self._seconds = {}

    def measure(self, name, step):
        """Runs a step and records how long it takes."""
        start = time.monotonic()
        try:
            return step()
        finally:
            self._seconds[name] = time.monotonic() - start

    def __str__(self):
        return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self._seconds.items())


def fail_until(last_attempt):
    """Returns a function that passes on the outcomes of a partition.

    An outcome "failed" fails the task in Spark, which retries it. In the last attempt the outcome passes, so
    that the commit records it. An attempt that was lost with its executor counts as one.
    """

    def pass_on(lines):
        attempt = TaskContext.get().attemptNumber()
        for line in lines:
            outcome = json.loads(line)
            if outcome["state"] == "failed" and attempt < last_attempt:
                errors = "; ".join(outcome.get("errors", ()))
                raise RuntimeError(f"{outcome['task']} failed and is retried: {errors}")
            yield line

    return pass_on


def worker_environment(models):
    """Returns the environment of the worker with a folder of models."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
    }
    return {**ALLOCATOR, **inherited, "FRUITVEC_MODELS_DIR": str(models)}


def temporary_folder():
    """Returns the variable that names the folder for temporary files, if it is not the default."""
    folder = os.environ.get("TMPDIR") or (LARGE_VOLUME if os.access(LARGE_VOLUME, os.W_OK) else None)
    return {"TMPDIR": folder} if folder else {}


def listed(counts):
    """Formats counts for the log."""
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "nothing to do"


def parse(arguments):
    """Returns the options, and the arguments for the plan."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--job", required=True, choices=sorted(FIRST_STAGE))
    parser.add_argument(
        "--run", required=True, metavar="ID", help="a time and a name, such as 20261124T030000Z-rebuild"
    )
    parser.add_argument("--photos", required=True, metavar="BUCKET")
    parser.add_argument("--results", required=True, metavar="BUCKET")
    parser.add_argument("--model", required=True, metavar="ID")
    parser.add_argument(
        "--worker",
        default=WORKER_FOLDER,
        metavar="DIR",
        help="the folder with the program, the model and its card (default: %(default)s)",
    )
    parser.add_argument(
        "--deadline-minutes",
        default=DEADLINE_MINUTES,
        type=float,
        metavar="N",
        help="the time after which the run gives up (default: %(default)s)",
    )
    return parser.parse_known_args(arguments)


def run_on_cluster(options, plan_options, deadline):
    """Runs all stages on the cluster that spark-submit names."""
    worker = Worker(options.worker, deadline)
    files = worker.files(options.model)
    session = SparkSession.builder.appName(f"fruitvec {options.run}").getOrCreate()
    try:
        deadline.context = session.sparkContext
        # Each executor fetches these once, however many tasks it does.
        for file in files:
            session.sparkContext.addFile(str(file))
        return Run(session.sparkContext, worker, options, plan_options).run_stages()
    except Py4JJavaError as error:
        # A job that the deadline has cancelled also ends with this error.
        deadline.check()
        log.error("%s", error)
        message = error.java_exception.getMessage() or str(error)
        raise Failed(
            f"Spark could not do the tasks; see the logs of its executors: {message.splitlines()[0]}"
        ) from error
    finally:
        deadline.context = None
        session.stop()


def main():
    """Runs the job and logs to standard error."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.WARNING)
    log.setLevel(logging.INFO)
    options, plan_options = parse(sys.argv[1:])
    start = time.monotonic()
    try:
        done = run_on_cluster(options, plan_options, Deadline(options.deadline_minutes))
    except Failed as failure:
        sys.exit(f"error: run {options.run}: {failure}")
    record = f"s3://{options.results}/runs/{options.run}/run.json"
    log.info("run %s is done, in %.1f s; its record is %s", options.run, time.monotonic() - start, record)
    for stage, seconds, counts in done:
        log.info("  %-9s %7.1f s  %s", stage, seconds, listed(counts))


if __name__ == "__main__":
    main()
