"""Reads a results bucket with DuckDB and finds the current rows.

This is a second implementation of the table's rule. It shares no code with the library, so a mistake in one
of them shows up as a difference.
"""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy

COLUMNS = [
    "photo_id",
    "bucket",
    "key",
    "etag",
    "label",
    "size_bytes",
    "last_modified",
    "width",
    "height",
    "embedding",
    "embedded_at",
    "made_by",
]


class ResultsBucket:
    """All rows, rejects and removals of a bucket. Times are microseconds since 1970."""

    def __init__(self, s3, bucket):
        self.objects = read_objects(s3, bucket)
        self.rows = []
        self.rejects = []
        self.removals = []
        for name, content in self.objects.items():
            if name.startswith("rejects/"):
                self.rejects.append(self._reject(name, json.loads(content)))
            elif name.startswith("removals/"):
                removal = json.loads(content)
                self.removals.append({**removal, "up_to": microseconds(removal["up_to"])})
        self.rows = read_rows(
            {name: content for name, content in self.objects.items() if name.startswith("embeddings/")}
        )

    def current(self):
        """Returns, for each key, the newest row or reject that no removal hides."""
        latest = {}
        for version in self.rows + self.rejects:
            key = version["bucket"], version["key"]
            if not self.is_hidden(version) and (key not in latest or order(latest[key]) < order(version)):
                latest[key] = version
        return {key: version for (_, key), version in latest.items()}

    def is_hidden(self, version):
        """Returns whether a removal of the key covers a row or reject and does not except it."""
        return any(
            (removal["bucket"], removal["key"]) == (version["bucket"], version["key"])
            and removal["up_to"] >= version["last_modified"]
            and removal.get("spares") != version["photo_id"]
            for removal in self.removals
        )

    def current_rows(self):
        """Returns the current rows by key."""
        return {key: version for key, version in self.current().items() if "embedding" in version}

    def current_rejects(self):
        """Returns the codes of the current rejects by key."""
        return {key: version["code"] for key, version in self.current().items() if "code" in version}

    @staticmethod
    def _reject(name, reject):
        reject = {**reject, "last_modified": microseconds(reject["last_modified"])}
        reject["made_at"] = microseconds(reject["rejected_at"])
        assert f"/date={day(reject['last_modified'])}/{reject['photo_id']}.json" in name, name
        return reject


def order(version):
    """Returns the sort key of a row or reject. The greatest one of a key is current."""
    return version["last_modified"], version["made_at"], version["photo_id"]


def read_objects(s3, bucket, prefix=""):
    """Returns the content of all objects by key."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def read_rows(files):
    """Returns the rows of Parquet files and their partition columns, as DuckDB reads them."""
    if not files:
        return []
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        with duckdb.connect() as database:
            found = database.execute(
                """
                SELECT * EXCLUDE (last_modified, embedded_at, date),
                    epoch_us(last_modified) AS last_modified,
                    epoch_us(embedded_at) AS embedded_at,
                    date::VARCHAR AS date
                FROM read_parquet($files, hive_partitioning = true)
                """,
                {"files": f"{folder}/embeddings/*/*/*.parquet"},
            )
            names = [column[0] for column in found.description]
            rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    for row in rows:
        assert set(COLUMNS) <= set(row), row.keys()
        assert row["date"] == day(row["last_modified"]), row["key"]
        row["made_at"] = row["embedded_at"]
        row["embedding"] = numpy.array(row["embedding"], dtype=numpy.float32)
    return rows


def cosine(one, other):
    """Returns the cosine similarity of two embeddings."""
    one, other = one.astype(numpy.float64), other.astype(numpy.float64)
    return float(one @ other / (numpy.linalg.norm(one) * numpy.linalg.norm(other)))


def microseconds(text):
    """Converts an RFC 3339 time to microseconds since 1970, rounded down as in the table."""
    since_epoch = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * 1_000_000 + since_epoch.microseconds


def day(timestamp):
    """Returns the UTC date of a time."""
    return datetime.fromtimestamp(timestamp // 1_000_000, UTC).strftime("%Y-%m-%d")
