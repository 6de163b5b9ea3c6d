"""The driver of a run on a cluster: stage by stage it plans, hands the tasks to Spark, and commits what became of them.

    spark-submit --deploy-mode client rebuild.py --job rebuild --run 20261124T030000Z-rebuild --photos BUCKET --results BUCKET --model ID

Options that it does not know go on to the plan: --full, --retry-rejects=truncated, --yes. What tasks, outcomes and stages are the worker
knows (`fruitvec plan --help`); here they are lines of text that are carried from one to the other. The Spark session is open from before
the first plan until after the last commit, because EMR ends a cluster that has none.

Python 3.9, PySpark 3.5, and nothing else: that is what EMR 7 has.
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

# Each job's first stage; which comes next a commit says.
FIRST_STAGE = {"backfill": "backfill", "compact": "compact", "pca": "moments", "rebuild": "backfill"}
# Where bootstrap.sh has put the program, the model and its card.
WORKER_FOLDER = "/opt/fruitvec"
PROGRAM = "fruitvec"
# Some 40 minutes before launch terminates the cluster for its age: when a driver begins, a cluster may be twenty minutes old.
DEADLINE_MINUTES = 660
# What is left to end by itself after the deadline, seconds.
PATIENCE = 60
# Of the environment only this goes on to the worker. Keys are not among it: on EMR the machine's role gives them.
PASSED_ON = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "PATH", "HOME")
PASSED_ON_PREFIXES = ("AWS_ENDPOINT_URL", "FRUITVEC_")
# A plan sorts on disk, 120 bytes a row: the root volume of EMR's machines is small, this one is not.
ROOMY = "/mnt/tmp"
# glibc as the function embed has it: tensors are kept, decoded pictures go back.
ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "6291456", "MALLOC_TRIM_THRESHOLD_": "16777216"}

log = logging.getLogger("fruitvec")


class Failed(Exception):
    """The run ends here; the message is for a person."""


class Deadline:
    """Once the time is over it ends what the driver waits for, be it a program or a Spark job."""

    def __init__(self, minutes):
        self.minutes = minutes
        self.over = False
        self.context = None
        self._process = None
        threading.Thread(target=self._watch, daemon=True).start()

    def check(self):
        """Fails when the time is over."""
        if self.over:
            raise Failed(
                f"the deadline of {self.minutes:g} minutes is over; what is done is kept, and the same run again does the rest: "
                "more time is given by --deadline-minutes, which must end before EmrMaxAgeSeconds does"
            )

    @contextmanager
    def ends(self, process):
        """Meanwhile this is what is waited for."""
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
        # More than once: a job or a program may just have been about to begin.
        for _ in range(PATIENCE):
            self._end()
            time.sleep(1)
        log.error("after %d seconds more something still hangs; the driver leaves it behind", PATIENCE)
        os._exit(1)

    def _end(self):
        # Whatever is wrong with one of them, the other must end, and so must the driver.
        process, context = self._process, self.context
        if process is not None:
            process.kill()
        if context is not None:
            with suppress(Exception):
                context.cancelAllJobs()


class Worker:
    """The program in its folder, which is run here to plan and to commit, and by executors to work."""

    def __init__(self, folder, deadline):
        self.folder = Path(folder)
        self._deadline = deadline

    def files(self, model):
        """What an executor needs: the program, the card, the model."""
        for name in (PROGRAM, f"{model}.toml"):
            if not (self.folder / name).is_file():
                raise Failed(f"{self.folder / name} is missing: bootstrap.sh puts it there; another folder is named with --worker")
        return sorted(path for path in self.folder.iterdir() if path.is_file())

    def ask(self, arguments, lines=()):
        """The lines that the program prints for these lines. It says itself what is wrong."""
        self._deadline.check()
        process = subprocess.Popen(
            [str(self.folder / PROGRAM), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**temporary(), **environment(self.folder)},
            encoding="utf-8",
        )
        with self._deadline.ends(process):
            printed, said = process.communicate("".join(f"{line}\n" for line in lines))
        for line in said.splitlines():
            log.info("%s: %s", arguments[0], line)
        if process.returncode:
            raise Failed(f"{arguments[0]} ended with {process.returncode}: {said.strip() or 'it said nothing'}")
        return printed.splitlines()


class Run:
    """One run, and the cluster that does it."""

    def __init__(self, context, worker, options, wishes):
        self._context = context
        self._worker = worker
        self._options = options
        self._wishes = wishes
        self._place = ["--results", f"s3://{options.results}", "--model", options.model]

    def do(self):
        """All stages, one after the other. Returns what each came to: its name, seconds, counts."""
        stage, done = FIRST_STAGE[self._options.job], []
        while stage is not None:
            begun = time.monotonic()
            committed = self._do(stage)
            done.append((stage, time.monotonic() - begun, committed["counts"]))
            stage = committed["next"]
        return done

    def _do(self, stage):
        """Plan, work, commit; what the commit says."""
        timed = Timed()
        phase = [self._options.job, "--run", self._options.run, "--stage", stage, *self._place]
        photos = ["--photos", f"s3://{self._options.photos}"]
        # A plan that fails may have printed tasks before. Then none of them is done.
        tasks = timed("plan", lambda: self._worker.ask(["plan", *phase, *photos, *self._wishes]))
        outcomes = timed("work", lambda: self._work(stage, tasks))
        (committed,) = map(json.loads, timed("commit", lambda: self._worker.ask(["commit", *phase], outcomes)))
        log.info("stage %s: %d tasks, %s: %s", stage, len(tasks), timed, listed(committed["counts"]))
        for error in committed.get("errors", ()):
            log.warning("stage %s: %s", stage, error)
        return committed

    def _work(self, stage, tasks):
        """What becomes of the tasks, each a partition."""
        if not tasks:
            return []
        context, run = self._context, self._options.run
        kinds = listed(Counter(json.loads(task)["kind"] for task in tasks))
        # A task that is cancelled is interrupted, else it would go on until it is done.
        context.setJobGroup(run, f"{run}, stage {stage}: {kinds}", interruptOnCancel=True)
        # Spark puts files where its executors run, and makes them executable.
        command = " ".join(map(shlex.quote, [f"./{PROGRAM}", "work", *self._place, "--threads", "1"]))
        last = int(context.getConf().get("spark.task.maxFailures", "4")) - 1
        planned = context.parallelize(tasks, len(tasks)).setName(f"tasks of {stage}")
        # `pipe` gives a program only what is named here. What launch sets for executors, by spark.executorEnv, the context has, too.
        executors = {name: value for name, value in context.environment.items() if name.startswith("FRUITVEC_")}
        worked = planned.pipe(command, env={**executors, **environment(".")}, checkCode=True)
        return worked.mapPartitions(insisting(last)).setName(f"outcomes of {stage}").collect()


class Timed:
    """How long each of several things took."""

    def __init__(self):
        self._seconds = {}

    def __call__(self, name, what):
        begun = time.monotonic()
        try:
            return what()
        finally:
            self._seconds[name] = time.monotonic() - begun

    def __str__(self):
        return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self._seconds.items())


def insisting(last):
    """Lets outcomes pass. One that says "failed" fails its task in Spark, which then tries it again; the `last` time it passes, too, so
    that the commit records it. An attempt that an executor took with it into its grave counts as one."""

    def insist(lines):
        attempt = TaskContext.get().attemptNumber()
        for line in lines:
            outcome = json.loads(line)
            if outcome["state"] == "failed" and attempt < last:
                raise RuntimeError(f"{outcome['task']} failed, and is tried again: {'; '.join(outcome.get('errors', ()))}")
            yield line

    return insist


def environment(models):
    """The worker's environment: what is named above, and where the model lies."""
    named = {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)}
    return {**ALLOCATOR, **named, "FRUITVEC_MODELS_DIR": str(models)}


def temporary():
    """Where the program puts temporary files on this machine."""
    folder = os.environ.get("TMPDIR") or (ROOMY if os.access(ROOMY, os.W_OK) else None)
    return {"TMPDIR": folder} if folder else {}


def listed(counts):
    """Counts, for a person."""
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "nothing to do"


def parsed(arguments):
    """The options, and those that go on to the plan."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--job", required=True, choices=sorted(FIRST_STAGE))
    parser.add_argument("--run", required=True, metavar="ID", help="a time and a name, such as 20261124T030000Z-rebuild")
    parser.add_argument("--photos", required=True, metavar="BUCKET")
    parser.add_argument("--results", required=True, metavar="BUCKET")
    parser.add_argument("--model", required=True, metavar="ID")
    parser.add_argument("--worker", default=WORKER_FOLDER, metavar="DIR", help="where the program, the model and its card lie (%(default)s)")
    parser.add_argument("--deadline-minutes", default=DEADLINE_MINUTES, type=float, metavar="N", help="%(default)s if not given")
    return parser.parse_known_args(arguments)


def driven(options, wishes, deadline):
    """Does the run on the cluster that spark-submit names."""
    worker = Worker(options.worker, deadline)
    files = worker.files(options.model)
    session = SparkSession.builder.appName(f"fruitvec {options.run}").getOrCreate()
    try:
        deadline.context = session.sparkContext
        # Once to each executor, whatever the number of tasks.
        for file in files:
            session.sparkContext.addFile(str(file))
        return Run(session.sparkContext, worker, options, wishes).do()
    except Py4JJavaError as error:
        deadline.check()
        log.error("%s", error)
        message = error.java_exception.getMessage() or str(error)
        raise Failed(f"Spark could not do the tasks, the logs of its executors say more: {message.splitlines()[0]}") from error
    finally:
        deadline.context = None
        session.stop()


def main():
    """The whole run; what happened is in the log, which is the standard error."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.WARNING)
    log.setLevel(logging.INFO)
    options, wishes = parsed(sys.argv[1:])
    begun = time.monotonic()
    try:
        done = driven(options, wishes, Deadline(options.deadline_minutes))
    except Failed as failure:
        sys.exit(f"error: run {options.run}: {failure}")
    log.info("run %s is done, in %.1f s; its record is s3://%s/runs/%s/run.json", options.run, time.monotonic() - begun, options.results, options.run)
    for stage, seconds, counts in done:
        log.info("  %-9s %7.1f s  %s", stage, seconds, listed(counts))


if __name__ == "__main__":
    main()
