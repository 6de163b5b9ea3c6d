"""Runs rebuilds over photos in the embedded S3 and compares what they leave.

A run is either the driver on a Spark cluster or `fruitvec rebuild` on this machine.
"""

import io
import json
import os
import subprocess
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy
import pyarrow
from pyarrow import parquet

from support import servers
from support.cluster.artifacts import MODEL, PROGRAM
from support.cluster.spark_cluster import DRIVER, SparkSubmit
from support.results_bucket import ResultsBucket, read_objects

DAY_SECONDS = 86_400
RUN = "20261124T030000Z-test"
TIMEOUT = 300.0


class RebuildFixture:
    """An S3 server with buckets of photos, and the folder with the worker."""

    def __init__(self, server, worker):
        self.server = server
        self.s3 = servers.client("s3", server, **server.credentials)
        self._data = Path(server.folder.name, "data")
        self._credentials = self._data / ".fruitvec/credentials"
        self._worker = worker
        self._now = int(time.time())

    def create_photos_bucket(self, bucket, photos, days=1):
        """Creates a bucket with photos from this number of days. The last day is yesterday.

        Compaction leaves the current day alone.
        """
        self.s3.create_bucket(Bucket=bucket)
        self.put(bucket, photos)
        self.set_dates(bucket, days)

    def set_dates(self, bucket, days):
        """Sets the last-modified time of each photo. The day depends on nothing but the file name."""
        for file in (self._data / bucket).rglob("*"):
            if file.is_file():
                modified = self._now - DAY_SECONDS * (1 + zlib.crc32(file.name.encode()) % days)
                os.utime(file, (modified, modified))

    def put(self, bucket, photos):
        """Uploads photos in parallel."""

        def put_one(photo):
            self.s3.put_object(Bucket=bucket, Key=photo.key, Body=photo.content)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put_one, photos))

    def delete(self, bucket, photos):
        """Deletes photos."""
        for photo in photos:
            self.s3.delete_object(Bucket=bucket, Key=photo.key)

    def create_results_bucket(self, name):
        """Creates a bucket for results and returns its name."""
        self.s3.create_bucket(Bucket=name)
        return name

    def submit(
        self,
        cluster,
        job,
        *arguments,
        photos,
        results,
        run=RUN,
        through=None,
        executor_environment=None,
        **settings,
    ):
        """Starts the driver on a cluster.

        `through` is a proxy in front of S3. `executor_environment` are variables of the executors.
        `settings` are Spark's, with underscores in place of dots.
        """
        variables = executor_environment or {}
        return SparkSubmit(
            cluster,
            DRIVER,
            *("--job", job, "--run", run, "--photos", photos, "--results", results, "--model", MODEL),
            *("--worker", str(self._worker), *arguments),
            settings={
                **{f"spark.executorEnv.{name}": value for name, value in variables.items()},
                **{name.replace("_", "."): value for name, value in settings.items()},
            },
            **self._s3_variables(through),
            # The AWS SDK prefers keys in the environment to those in a file. If the driver passed these on,
            # every call of the worker would be refused.
            AWS_ACCESS_KEY_ID="must-not-be-used",
            AWS_SECRET_ACCESS_KEY="must-not-be-used",
        )

    def run_locally(self, job, *arguments, photos, results, through=None):
        """Runs `fruitvec rebuild` to its end."""
        done = subprocess.run(
            [
                *(self._worker / PROGRAM, "rebuild", "--job", job),
                *("--photos", f"s3://{photos}", "--results", f"s3://{results}", "--model", MODEL, *arguments),
            ],
            env={
                **self._s3_variables(through),
                "HOME": self.server.folder.name,
                "FRUITVEC_MODELS_DIR": str(self._worker),
            },
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def objects(self, results, prefix=""):
        """Returns the content of objects by key."""
        return read_objects(self.s3, results, prefix)

    def run_file(self, results, name, run=RUN):
        """Returns a JSON file from the folder of a run, parsed."""
        return json.loads(self.s3.get_object(Bucket=results, Key=f"runs/{run}/{name}")["Body"].read())

    def stored_rows(self, results):
        """Returns all stored rows, including those that are not current."""
        return ResultsBucket(self.s3, results).rows

    def read_table(self, results):
        """Returns the table as readers see it."""
        return Table(ResultsBucket(self.s3, results))

    def _s3_variables(self, through):
        return {
            "AWS_ENDPOINT_URL": (through or self.server).endpoint,
            "AWS_REGION": servers.REGION,
            "AWS_SHARED_CREDENTIALS_FILE": str(self._credentials),
        }


COMPARED_COLUMNS = (
    *("photo_id", "bucket", "etag", "label", "size_bytes"),
    *("last_modified", "width", "height", "date"),
)


@dataclass
class Table:
    """The current rows and rejects of a results bucket, its newest fit and the keys of the projected rows."""

    results: ResultsBucket = field(repr=False)

    def __post_init__(self):
        self.rows = self.results.current_rows()
        self.rejects = self.results.current_rejects()
        objects, fits = self.results.objects, f"pca/model={MODEL}"
        newest = json.loads(objects[f"{fits}/latest.json"])["fit"]
        self.fit = json.loads(objects[f"{fits}/fit={newest}/fit.json"])
        components = read_column(objects, f"{fits}/fit={newest}/components.parquet", "loadings", "component")
        self.components = numpy.array(components)
        self.projected = read_column(objects, f"reduced/model={MODEL}/fit={newest}/", "key", "key")

    def assert_same(self, other):
        """Asserts that two tables have the same current rows, each exactly once, and the same fit."""
        assert self.rejects == other.rejects
        assert set(self.rows) == set(other.rows)
        for key, row in self.rows.items():
            other_row = other.rows[key]
            for column in COMPARED_COLUMNS:
                assert row[column] == other_row[column], (key, column)
            assert (row["embedding"] == other_row["embedding"]).all(), key
        # The library has its own notion of the current rows: those that it fitted and projected.
        assert self.fit["rows"] == other.fit["rows"] == len(self.rows)
        assert self.projected == sorted(self.rows, key=str.encode)
        for name in ("explained_variance", "explained_variance_ratio"):
            assert numpy.allclose(self.fit[name], other.fit[name], rtol=1e-9, atol=0), name
        assert numpy.allclose(self.fit["mean"], other.fit["mean"], rtol=0, atol=1e-9)
        assert numpy.abs(self.components - other.components).max() <= 1e-9


def read_column(objects, prefix, column, order_by):
    """Returns a column of the Parquet files under a prefix, ordered by another column."""
    found = [
        parquet.read_table(io.BytesIO(content), columns=list({column, order_by}))
        for key, content in objects.items()
        if key.startswith(prefix) and key.endswith(".parquet")
    ]
    return pyarrow.concat_tables(found).sort_by(order_by)[column].to_pylist()
