"""What stands in the results bucket, read by DuckDB, and the current rows of it: the rule of the table, written once more.

It shares nothing with the library, so that neither can be wrong alone.
"""

import json
import tempfile
from datetime import datetime, timezone
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


class Results:
    """All rows, rejects and removals of a bucket. Times are microseconds since 1970."""

    def __init__(self, s3, bucket):
        self.objects = objects(s3, bucket)
        self.rows = []
        self.rejects = []
        self.removals = []
        for name, content in self.objects.items():
            if name.startswith("rejects/"):
                self.rejects.append(self._reject(name, json.loads(content)))
            elif name.startswith("removals/"):
                removal = json.loads(content)
                self.removals.append({**removal, "up_to": microseconds(removal["up_to"])})
        self.rows = parts({name: content for name, content in self.objects.items() if name.startswith("embeddings/")})

    def current(self):
        """What holds for each key: the row or reject that is the latest of those that no removal hides."""
        latest = {}
        for claim in self.rows + self.rejects:
            key = claim["bucket"], claim["key"]
            if not self.hidden(claim) and (key not in latest or order(latest[key]) < order(claim)):
                latest[key] = claim
        return {key: claim for (_, key), claim in latest.items()}

    def hidden(self, claim):
        """Whether a removal of its key reaches so far, and does not spare it."""
        return any(
            (removal["bucket"], removal["key"]) == (claim["bucket"], claim["key"])
            and removal["up_to"] >= claim["last_modified"]
            and removal.get("spares") != claim["photo_id"]
            for removal in self.removals
        )

    def current_rows(self):
        """The current rows by key."""
        return {key: claim for key, claim in self.current().items() if "embedding" in claim}

    def current_rejects(self):
        """The current rejects' codes by key."""
        return {key: claim["code"] for key, claim in self.current().items() if "code" in claim}

    @staticmethod
    def _reject(name, reject):
        reject = {**reject, "last_modified": microseconds(reject["last_modified"])}
        reject["made_at"] = microseconds(reject["rejected_at"])
        assert f"/date={day(reject['last_modified'])}/{reject['photo_id']}.json" in name, name
        return reject


def order(claim):
    """Of the claims on a key the greatest holds."""
    return claim["last_modified"], claim["made_at"], claim["photo_id"]


def objects(s3, bucket, prefix=""):
    """The bytes of all objects by their keys."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def parts(files):
    """The rows of Parquet files, as DuckDB reads them with their partitions."""
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
                    epoch_us(last_modified) AS last_modified, epoch_us(embedded_at) AS embedded_at, date::VARCHAR AS date
                FROM read_parquet($files, hive_partitioning = true)
                """,
                {"files": f"{folder}/embeddings/*/*/*.parquet"},
            )
            names = [column[0] for column in found.description]
            rows = [dict(zip(names, row)) for row in found.fetchall()]
    for row in rows:
        assert set(COLUMNS) <= set(row), row.keys()
        assert row["date"] == day(row["last_modified"]), row["key"]
        row["made_at"] = row["embedded_at"]
        row["embedding"] = numpy.array(row["embedding"], dtype=numpy.float32)
    return rows


def cosine(one, other):
    """How alike two embeddings are: 1 is the same direction."""
    one, other = one.astype(numpy.float64), other.astype(numpy.float64)
    return float(one @ other / (numpy.linalg.norm(one) * numpy.linalg.norm(other)))


def microseconds(text):
    """RFC 3339 to microseconds since 1970, cut off there as the table does it."""
    moment = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (moment.days * 86_400 + moment.seconds) * 1_000_000 + moment.microseconds


def day(moment):
    """The day of a time, UTC."""
    return datetime.fromtimestamp(moment // 1_000_000, timezone.utc).strftime("%Y-%m-%d")
