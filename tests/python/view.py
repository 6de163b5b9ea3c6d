"""Runs the SQL of Athena's view in DuckDB over the objects of a table and compares every row.

usage: view.py RESULTS EXPECTED.jsonl

RESULTS is the folder of the results bucket. A line of EXPECTED is a current row. Times are microseconds since
1970.
"""

import datetime
import json
import sys
from pathlib import Path

import duckdb

SQL = Path(__file__).resolve().parents[2] / "infra/current_rows.sql"
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
# The columns of the template's tables over JSON objects, in which times are text.
REJECTS = {
    "photo_id": "VARCHAR",
    "bucket": "VARCHAR",
    "key": "VARCHAR",
    "etag": "VARCHAR",
    "size_bytes": "BIGINT",
    "last_modified": "VARCHAR",
    "code": "VARCHAR",
    "message": "VARCHAR",
    "rejected_at": "VARCHAR",
    "made_by": "VARCHAR",
}
REMOVALS = {"bucket": "VARCHAR", "key": "VARCHAR", "up_to": "VARCHAR", "spares": "VARCHAR"}


def tables(results):
    """Returns a connection with the three tables as views of the objects."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    parts = f"read_parquet('{results}/embeddings/*/*/*.parquet', hive_partitioning = true)"
    connection.execute(f"CREATE VIEW embeddings AS FROM {parts}")
    for name, pattern, columns in (("rejects", "*/*/*.json", REJECTS), ("removals", "*.json", REMOVALS)):
        kinds = ", ".join(f"{column}: '{kind}'" for column, kind in columns.items())
        partitioned = str(name == "rejects").lower()
        options = f"columns = {{{kinds}}}, format = 'newline_delimited', hive_partitioning = {partitioned}"
        connection.execute(f"CREATE VIEW {name} AS FROM read_json('{results}/{name}/{pattern}', {options})")
    return connection


def as_json(row):
    """Returns a row with the types that JSON has."""
    microsecond = datetime.timedelta(microseconds=1)
    times = {name: (row[name] - EPOCH) // microsecond for name in ("last_modified", "embedded_at")}
    return row | times | {"date": row["date"].isoformat()}


def row_key(row):
    return row["model"], row["bucket"], row["key"]


def main(results, expected_file):
    expected = [json.loads(line) for line in Path(expected_file).read_text().splitlines()]
    connection = tables(results)
    found = [as_json(row) for row in connection.sql(SQL.read_text()).to_arrow_table().to_pylist()]
    assert len({row_key(row) for row in found}) == len(found), "a key has two current rows"
    found.sort(key=row_key)
    expected.sort(key=row_key)
    assert [row_key(row) for row in found] == [row_key(row) for row in expected]
    for row, known in zip(found, expected, strict=True):
        assert row == known, f"{row}\nis not\n{known}"
    ((stored,),) = connection.sql("SELECT count(*) FROM embeddings").fetchall()
    ((rejects,),) = connection.sql("SELECT count(*) FROM rejects").fetchall()
    ((removals,),) = connection.sql("SELECT count(*) FROM removals").fetchall()
    assert stored > len(found) and rejects and removals, "the table is too simple to test the view"
    print(f"{len(found)} of {stored} rows are current, with {rejects} rejects and {removals} removals")


if __name__ == "__main__":
    main(*sys.argv[1:])
