"""The buckets, tables and programs of the rebuilds."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

from measuring.environments import MODELS, PROGRAMS, ROOT, environment, model_card, model_file
from measuring.photos import Photos
from measuring.processes import CORES, THREADS, pinned
from rebuilding.measurement import Measurement
from rebuilding.server import S3Server
from rebuilding.spark import SparkCluster

# The bucket of the photos is not `photos`, because `fruitvec serve` embeds everything in that one itself.
PICTURES = "pictures"
PAST_DAY = "2026-01-01"
# Rows per part of about 128 MB, the size that compaction aims at.
PART_ROWS = 25_000


class Workspace:
    """A folder of buckets, and the programs that run on them."""

    def __init__(self, options, program, worker, folder):
        self.options, self.rounds = options, options.rounds
        self.program, self.worker, self.folder = program, worker, folder
        self.model = next(model for model in reversed(MODELS) if model_file(model))
        self.card = ROOT / f"models/{self.model}.toml"
        self.dimension = model_card(self.model)["dimension"]
        os.environ["FRUITVEC_MODELS_DIR"] = str(model_file(self.model).parent)
        self.data, self._buckets = folder / "data", 0
        self.pictures = self.data / PICTURES
        self.pictures.mkdir(parents=True)

    def create_bucket(self, copy_of=None):
        """Creates a results bucket, either empty or with the objects of another one.

        Copied objects are hard links and need no disk space.
        """
        self._buckets += 1
        name = f"results-{self._buckets}"
        if copy_of:
            shutil.copytree(self.data / copy_of, self.data / name, copy_function=os.link)
        else:
            (self.data / name).mkdir()
        return name

    def delete_bucket(self, bucket):
        shutil.rmtree(self.data / bucket)

    def create_pictures(self, count):
        """Copies photos into their bucket, each with its own key, and returns their number."""
        photos = Photos(self.folder, self.worker, count).small
        for number, photo in enumerate(photos):
            file = self.pictures / "photos" / photo.parent.name / f"{number:06}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo, file)
        return len(photos)

    def count_pictures(self):
        return sum(1 for _ in self.pictures.rglob("*.jpg"))

    def create_table(self, rows, part_rows, days=1, first_day=PAST_DAY, seed=1, bucket=None):
        """Writes a table of synthetic rows. Returns its bucket and its numbers of parts and bytes."""
        bucket = bucket or self.create_bucket()
        command = [
            *(environment("rebuild", "spark.txt"), PROGRAMS / "synthetic_table.py"),
            *(self.data / bucket, self.card, rows, part_rows, first_day, days, seed),
        ]
        table = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True)
        parts, size = map(int, table.stdout.split())
        return bucket, parts, size

    @contextmanager
    def serve(self, bucket, cores):
        """Runs an S3 server on some cores that already knows the objects of a bucket.

        It hashes each file that it did not write itself, once. `status` triggers that before the measurement.
        """
        with S3Server(self.program, self.data, cores) as server:
            options = ["--photos", PICTURES, "--results", bucket, "--model", self.model]
            subprocess.run(
                [self.program, "status", *options],
                env=os.environ | server.variables,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            yield server

    def run_locally(self, job, bucket, cores, *options):
        """Measures `fruitvec rebuild` on some cores, with a thread for each.

        The S3 server shares these cores.
        """
        command = [self.program, "rebuild", "--job", job, "--photos", PICTURES, "--results", bucket]
        command += ["--model", self.model, "--threads", str(cores), *options]
        with self.serve(bucket, cores) as server:
            server_before, start = server.cpu_seconds(), time.perf_counter()
            with pinned(CORES[:cores]):
                process = subprocess.Popen(
                    command,
                    env=os.environ | server.variables,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            lines = [(time.perf_counter(), line) for line in process.stderr]
            # Unlike Popen.wait, this returns the resource usage.
            _, status, usage = os.wait4(process.pid, 0)
            clock = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            process.stderr.close()
            if process.returncode != 0:
                sys.exit(f"{' '.join(command)} failed:\n{''.join(line for _, line in lines)}")
            starts, stages, counts = parse_progress(lines)
            return Measurement(
                clock=clock,
                cpu=usage.ru_utime + usage.ru_stime,
                memory_mb=usage.ru_maxrss * 1024 / 1e6,
                stages=stages,
                counts=counts,
                server_cpu=server.cpu_seconds() - server_before,
                plan=min(starts.values()) - start,
            )

    def spark_cluster(self, memory_mb, name="rebuild", requirements="spark.txt"):
        """Starts a Spark cluster with the packages of a requirements file."""
        return SparkCluster(environment(name, requirements), self.folder, len(THREADS), memory_mb)


def parse_progress(lines):
    """Parses the progress of `fruitvec rebuild`, whose lines come with the time of their arrival.

    Returns the starts, seconds and counts of the stages. A stage starts with `backfill  5 tasks  …` and ends
    with `backfill  done  embedded 10000, …`.
    """
    starts, seconds, counts = {}, {}, {}
    for time_of_line, line in lines:
        words = line.split(maxsplit=2)
        if len(words) > 1 and words[1] == "done":
            seconds[words[0]] = time_of_line - starts[words[0]]
            pairs = (pair.rsplit(" ", 1) for pair in words[2].strip().split(", ")) if len(words) > 2 else ()
            counts[words[0]] = {name: int(count) for name, count in pairs}
        elif len(words) > 2 and words[2].startswith("tasks"):
            starts[words[0]] = time_of_line
    return starts, seconds, counts
