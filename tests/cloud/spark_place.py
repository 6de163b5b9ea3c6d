"""Photos in the embedded S3, runs over them by the driver on a cluster and by `fruitvec rebuild` on one machine, and what both leave."""

import io
import json
import os
import subprocess
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy
import pyarrow
import servers
import spark
from pyarrow import parquet
from results import Results, objects
from spark_artifacts import MODEL, PROGRAM

DAY = 86_400
RUN = "20261124T030000Z-test"
PATIENCE = 300.0


class Place:
    """An S3 server with buckets of photos, and the folder of the worker."""

    def __init__(self, server, worker):
        self.server = server
        self.s3 = servers.client("s3", server, **server.credentials)
        self._data = Path(server.folder.name, "data")
        self._credentials = self._data / ".fruitvec/credentials"
        self._worker = worker
        self._now = int(time.time())

    def photos(self, bucket, photos, days=1):
        """A bucket of these photos, of so many days, the last of them yesterday: what is of today is not compacted."""
        self.s3.create_bucket(Bucket=bucket)
        self.put(bucket, photos)
        self.date(bucket, days)

    def date(self, bucket, days):
        """Gives each photo its last-modified, which hangs on nothing but its name."""
        for file in (self._data / bucket).rglob("*"):
            if file.is_file():
                moment = self._now - DAY * (1 + zlib.crc32(file.name.encode()) % days)
                os.utime(file, (moment, moment))

    def put(self, bucket, photos):
        """Puts photos, several at once."""
        with ThreadPoolExecutor(8) as several:
            for _ in several.map(lambda it: self.s3.put_object(Bucket=bucket, Key=it.key, Body=it.content), photos):
                pass

    def delete(self, bucket, photos):
        """Deletes photos."""
        for photo in photos:
            self.s3.delete_object(Bucket=bucket, Key=photo.key)

    def bucket(self, name):
        """A bucket for results."""
        self.s3.create_bucket(Bucket=name)
        return name

    def drive(self, cluster, job, *arguments, photos, results, run=RUN, through=None, executors=None, **settings):
        """The driver, begun. `through`: what stands before S3. `executors`: their environment. `settings`: of Spark, with _ in place of dots."""
        told = {f"spark.executorEnv.{name}": value for name, value in (executors or {}).items()}
        return spark.Submitted(
            cluster,
            spark.DRIVER,
            *("--job", job, "--run", run, "--photos", photos, "--results", results, "--model", MODEL),
            *("--worker", str(self._worker), *arguments),
            settings={**told, **{name.replace("_", "."): value for name, value in settings.items()}},
            **self._reached(through),
            # What is in the environment goes before files. It must not reach the worker: nobody has these keys.
            AWS_ACCESS_KEY_ID="of-nobody",
            AWS_SECRET_ACCESS_KEY="of-nobody",
        )

    def one_machine(self, job, *arguments, photos, results, through=None):
        """`fruitvec rebuild`, done."""
        command = [self._worker / PROGRAM, "rebuild", "--job", job, "--photos", f"s3://{photos}", "--results", f"s3://{results}"]
        variables = {**self._reached(through), "HOME": self.server.folder.name, "FRUITVEC_MODELS_DIR": str(self._worker)}
        done = subprocess.run([*command, "--model", MODEL, *arguments], env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr

    def objects(self, results, prefix=""):
        """The bytes of objects by their keys."""
        return objects(self.s3, results, prefix)

    def paper(self, results, name, run=RUN):
        """What a run has left in its folder."""
        return json.loads(self.s3.get_object(Bucket=results, Key=f"runs/{run}/{name}")["Body"].read())

    def rows(self, results):
        """All rows that are stored."""
        return Results(self.s3, results).rows

    def table(self, results):
        """What all readers see in a bucket."""
        return Table(Results(self.s3, results))

    def _reached(self, through):
        return {
            "AWS_ENDPOINT_URL": (through or self.server).endpoint,
            "AWS_REGION": servers.REGION,
            "AWS_SHARED_CREDENTIALS_FILE": str(self._credentials),
        }


COLUMNS = ("photo_id", "bucket", "etag", "label", "size_bytes", "last_modified", "width", "height", "date")


@dataclass
class Table:
    """The current rows and rejects of a results bucket, its newest fit, and whom that has projected."""

    results: Results = field(repr=False)

    def __post_init__(self):
        self.rows = self.results.current_rows()
        self.rejects = self.results.current_rejects()
        below = f"pca/model={MODEL}"
        newest = json.loads(self.results.objects[f"{below}/latest.json"])["fit"]
        self.fit = json.loads(self.results.objects[f"{below}/fit={newest}/fit.json"])
        self.components = numpy.array(read(self.results.objects, f"{below}/fit={newest}/components.parquet", "loadings", "component"))
        self.projected = read(self.results.objects, f"reduced/model={MODEL}/fit={newest}/", "key", "key")

    def assert_same(self, other):
        """The same set of current rows, each once, and the same fit."""
        assert self.rejects == other.rejects
        assert set(self.rows) == set(other.rows)
        for key, row in self.rows.items():
            assert [row[column] for column in COLUMNS] == [other.rows[key][column] for column in COLUMNS], key
            assert (row["embedding"] == other.rows[key]["embedding"]).all(), key
        # The library's own view of the current rows: those that it summed up and projected.
        assert self.fit["rows"] == other.fit["rows"] == len(self.rows)
        assert self.projected == sorted(self.rows, key=str.encode)
        for name in ("explained_variance", "explained_variance_ratio"):
            assert numpy.allclose(self.fit[name], other.fit[name], rtol=1e-9, atol=0), name
        assert numpy.allclose(self.fit["mean"], other.fit["mean"], rtol=0, atol=1e-9)
        assert numpy.abs(self.components - other.components).max() <= 1e-9


def read(files, prefix, column, order):
    """A column of the Parquet files below a prefix, in the order of another."""
    found = [
        parquet.read_table(io.BytesIO(content), columns=list({column, order}))
        for name, content in files.items()
        if name.startswith(prefix) and name.endswith(".parquet")
    ]
    return pyarrow.concat_tables(found).sort_by(order)[column].to_pylist()
