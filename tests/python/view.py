"""Runs the SQL of Athena's view in DuckDB, over the objects of a table, and compares all that it gives.

usage: view.py RESULTS EXPECTED.jsonl

RESULTS is the folder of the results bucket; a line of EXPECTED is a row that holds, times in microseconds since 1970.
"""

import datetime
import json
import sys
from pathlib import Path

import duckdb

SQL = Path(__file__).resolve().parents[2] / "infra/current_rows.sql"
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
# As the tables of the template have them: a line is a row, times are text.
REJECTS = {
    "photo_id": "VARCHAR", "bucket": "VARCHAR", "key": "VARCHAR", "etag": "VARCHAR", "size_bytes": "BIGINT", "last_modified": "VARCHAR",
    "code": "VARCHAR", "message": "VARCHAR", "rejected_at": "VARCHAR", "made_by": "VARCHAR",
}  # fmt: skip
REMOVALS = {"bucket": "VARCHAR", "key": "VARCHAR", "up_to": "VARCHAR", "spares": "VARCHAR"}


def tables(results):
    """A connection with the three tables as views of the objects."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    parts = f"read_parquet('{results}/embeddings/*/*/*.parquet', hive_partitioning = true)"
    connection.execute(f"CREATE VIEW embeddings AS FROM {parts}")
    for name, pattern, columns in (("rejects", "*/*/*.json", REJECTS), ("removals", "*.json", REMOVALS)):
        kinds = ", ".join(f"{column}: '{kind}'" for column, kind in columns.items())
        options = f"columns = {{{kinds}}}, format = 'newline_delimited', hive_partitioning = {str(name == 'rejects').lower()}"
        connection.execute(f"CREATE VIEW {name} AS FROM read_json('{results}/{name}/{pattern}', {options})")
    return connection


def plain(row):
    """A row as JSON would have it."""
    micros = lambda time: (time - EPOCH) // datetime.timedelta(microseconds=1)
    times = {name: micros(row[name]) for name in ("last_modified", "embedded_at")}
    return row | times | {"date": row["date"].isoformat()}


def main(results, expected_file):
    expected = [json.loads(line) for line in Path(expected_file).read_text().splitlines()]
    connection = tables(results)
    found = [plain(row) for row in connection.sql(SQL.read_text()).to_arrow_table().to_pylist()]
    place = lambda row: (row["model"], row["bucket"], row["key"])
    assert len({place(row) for row in found}) == len(found), "two rows of a key hold"
    found.sort(key=place)
    expected.sort(key=place)
    assert [place(row) for row in found] == [place(row) for row in expected]
    for row, known in zip(found, expected, strict=True):
        assert row == known, f"{row}\nis not\n{known}"
    ((stored,),) = connection.sql("SELECT count(*) FROM embeddings").fetchall()
    ((refused, removed),) = connection.sql("SELECT (SELECT count(*) FROM rejects), (SELECT count(*) FROM removals)").fetchall()
    assert stored > len(found) and refused and removed
    print(f"{len(found)} rows hold of {stored} stored, beside {refused} rejects and {removed} removals: all as the library has it")


if __name__ == "__main__":
    main(*sys.argv[1:])
