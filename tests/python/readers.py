"""Reads the table, its projection and its components with four libraries and compares every value.

usage: readers.py RESULTS MODEL FIT EXPECTED.jsonl

The libraries are pyarrow, pandas, polars and DuckDB. RESULTS is the folder of the results bucket. A line of
EXPECTED has the values of one row, except those that only its writer knows.
"""

import datetime
import hashlib
import json
import re
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

FLOATS = pa.list_(pa.field("element", pa.float32(), nullable=False))
UTC = pa.timestamp("us", "UTC")


def build_schema(**columns):
    """Returns a schema. A type in a tuple is that of an optional column, the others are required."""
    fields = []
    for name, kind in columns.items():
        optional = isinstance(kind, tuple)
        fields.append(pa.field(name, kind[0] if optional else kind, nullable=optional))
    return pa.schema(fields)


EMBEDDINGS = build_schema(
    photo_id=pa.string(),
    bucket=pa.string(),
    key=pa.string(),
    etag=pa.string(),
    label=(pa.string(),),
    size_bytes=pa.int64(),
    last_modified=UTC,
    width=pa.int32(),
    height=pa.int32(),
    embedding=FLOATS,
    embedded_at=UTC,
    made_by=pa.string(),
)
REDUCED = build_schema(
    photo_id=pa.string(),
    bucket=pa.string(),
    key=pa.string(),
    label=(pa.string(),),
    last_modified=UTC,
    scores=FLOATS,
)
PANDAS_TYPES = {
    pa.int32(): "int32",
    pa.int64(): "int64",
    UTC: "datetime64[us, UTC]",
    pa.string(): "str",
    FLOATS: "object",
}
POLARS_TYPES = {
    pa.int32(): pl.Int32,
    pa.int64(): pl.Int64,
    UTC: pl.Datetime("us", "UTC"),
    pa.string(): pl.String,
    FLOATS: pl.List(pl.Float32),
}
DUCKDB_TYPES = {
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    UTC: "TIMESTAMP WITH TIME ZONE",
    pa.string(): "VARCHAR",
    FLOATS: "FLOAT[]",
}


def by_pyarrow(folder, schema):
    partitioned = ds.dataset(folder, format="parquet", partitioning="hive")
    found = pa.schema([partitioned.schema.field(name) for name in schema.names])
    assert found.equals(schema), f"{found}\nis not\n{schema}"
    # pyarrow reads the partition as a string, which is part of the contract.
    assert partitioned.schema.field("date").type == pa.string()
    rows = partitioned.to_table().to_pylist()
    return [row | {"date": datetime.date.fromisoformat(row["date"])} for row in rows]


def by_pandas(folder, schema):
    frame = pd.read_parquet(folder)
    for field in schema:
        kind = str(frame.dtypes[field.name])
        assert kind == PANDAS_TYPES[field.type], (field, kind)
    assert frame.drop(columns="label").notna().all(axis=None)
    rows = frame.astype({"label": object}).to_dict("records")
    for row in rows:
        row["date"] = datetime.date.fromisoformat(row["date"])
        # pandas reads a missing label as NaN.
        row["label"] = None if pd.isna(row["label"]) else row["label"]
    return rows


def by_polars(folder, schema):
    frame = pl.read_parquet(f"{folder}/date=*/*.parquet", hive_partitioning=True)
    expected = {field.name: POLARS_TYPES[field.type] for field in schema}
    expected["date"] = pl.Date
    found = {name: kind for name, kind in frame.schema.items() if name in expected}
    assert found == expected, f"{found}\nis not\n{expected}"
    return frame.to_dicts()


def by_duckdb(folder, schema):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    files = f"read_parquet('{folder}/date=*/*.parquet', hive_partitioning = true)"
    relation = connection.sql(f"SELECT * FROM {files}")
    expected = {field.name: DUCKDB_TYPES[field.type] for field in schema} | {"date": "DATE"}
    types = zip(relation.columns, map(str, relation.types), strict=True)
    found = {name: kind for name, kind in types if name in expected}
    assert found == expected, f"{found}\nis not\n{expected}"
    return relation.to_arrow_table().to_pylist()


READERS = [by_pyarrow, by_pandas, by_polars, by_duckdb]


def assert_value(reader, row, name, expected):
    assert row[name] == expected, f"{reader}: {row['key']}: {name} is {row[name]!r}, not {expected!r}"


def photo_id(row):
    digest = hashlib.sha256()
    for part in (row["bucket"], row["key"], row["etag"]):
        digest.update(len(part.encode()).to_bytes(8, "little") + part.encode())
    return digest.hexdigest()[:32]


def check_embeddings(reader, rows, expected):
    assert len(rows) == len(expected), f"{reader}: {len(rows)} rows, not {len(expected)}"
    earliest = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=10)
    for row in rows:
        known = expected[row["key"]]
        for name in ("label", "etag", "size_bytes", "width", "height"):
            assert_value(reader, row, name, known[name])
        assert_value(reader, row, "bucket", "photos")
        assert_value(reader, row, "photo_id", photo_id(row))
        modified = datetime.datetime.fromtimestamp(known["last_modified"], datetime.UTC)
        assert_value(reader, row, "last_modified", modified)
        assert_value(reader, row, "date", modified.date())
        assert earliest < row["embedded_at"] < datetime.datetime.now(datetime.UTC), row["embedded_at"]
        assert re.fullmatch(r"fruitvec \d+\.\d+\.\d+ native [a-z\d]+ icc", row["made_by"]), row["made_by"]
        found = np.asarray(row["embedding"], dtype=np.float32)
        assert np.array_equal(found, known["embedding"]), f"{reader}: {row['key']}: the embedding has changed"
    assert {row["key"] for row in rows} == set(expected)


def check_reduced(reader, rows, expected, fit, loadings):
    """Asserts that the scores are projections with the published fit."""
    assert {row["key"] for row in rows} == set(expected), reader
    assert len(rows) == len(expected), reader
    embeddings = np.array([expected[row["key"]]["embedding"] for row in rows])
    scores = (embeddings - np.array(fit["mean"])) @ loadings.T
    found = np.array([row["scores"] for row in rows], dtype=np.float32)
    assert found.shape == (len(rows), fit["components"]), found.shape
    np.testing.assert_allclose(found, scores, rtol=1e-6, atol=1e-6, err_msg=reader)
    for row in rows:
        known = expected[row["key"]]
        assert_value(reader, row, "label", known["label"])
        assert_value(reader, row, "bucket", "photos")
        assert_value(reader, row, "photo_id", photo_id(known | {"bucket": "photos"}))
        modified = datetime.datetime.fromtimestamp(known["last_modified"], datetime.UTC)
        assert_value(reader, row, "last_modified", modified)
        assert_value(reader, row, "date", modified.date())


def check_components(file, fit):
    """Asserts that all readers see the same components, those of the fit, and returns the loadings."""
    table = pq.ParquetFile(file).read()
    assert table.schema.field("component").type == pa.int32()
    assert table.schema.field("loadings").type.value_type == pa.float64()
    expected = table.to_pydict()
    assert expected["component"] == list(range(1, fit["components"] + 1))
    for name in ("explained_variance", "explained_variance_ratio"):
        assert expected[name] == fit[name], name
    loadings = np.array(expected["loadings"])
    assert loadings.shape == (fit["components"], fit["dimension"])
    np.testing.assert_allclose(loadings @ loadings.T, np.eye(len(loadings)), atol=1e-9)
    largest = loadings[np.arange(len(loadings)), np.abs(loadings).argmax(axis=1)]
    assert (largest > 0).all(), f"the largest loading of a component is negative: {largest}"
    others = [
        pd.read_parquet(file).to_dict("list"),
        pl.read_parquet(file).to_dict(as_series=False),
        duckdb.sql(f"SELECT * FROM '{file}'").to_arrow_table().to_pydict(),
    ]
    for other in others:
        for name, values in expected.items():
            assert np.array_equal(np.array(list(map(np.asarray, other[name]))), values), name
    return loadings


def check_file(file, model):
    """Asserts properties of a Parquet file that readers do not show.

    Spark 3.5, the memory of a reader and its speed depend on them.
    """
    metadata = pq.read_metadata(file)
    entries = metadata.metadata
    assert entries[b"fruitvec.version"] == b"1" and entries[b"fruitvec.model"] == model.encode(), entries
    assert re.fullmatch(rb"[0-9a-f]{64}", entries[b"fruitvec.model_sha256"]), entries
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        assert group.num_rows <= 8192
        columns = {column.path_in_schema: column for column in map(group.column, range(group.num_columns))}
        for path, column in columns.items():
            assert column.compression == "ZSTD", (path, column.compression)
            assert set(column.encodings) <= {"PLAIN", "RLE", "RLE_DICTIONARY"}, (path, column.encodings)
        if "embedding.list.element" in columns:
            embedding = columns["embedding.list.element"]
            assert not embedding.has_dictionary_page and not embedding.is_stats_set, embedding
            assert columns["label"].has_dictionary_page and columns["made_by"].has_dictionary_page
            assert columns["key"].is_stats_set
    keys = pq.read_table(file, columns=["key"], partitioning=None)["key"].to_pylist()
    # Python compares code points, which gives the same order as the bytes of UTF-8.
    assert keys == sorted(keys), f"{file}: the rows are not in the order of their keys"


def main(results, model, fit_id, expected_file):
    expected = {row["key"]: row for row in map(json.loads, Path(expected_file).read_text().splitlines())}
    for row in expected.values():
        row["embedding"] = np.array(row["embedding"], dtype=np.float32)
    embeddings = Path(results, "embeddings", f"model={model}")
    reduced = Path(results, "reduced", f"model={model}", f"fit={fit_id}")
    pca = Path(results, "pca", f"model={model}", f"fit={fit_id}")
    fit = json.loads((pca / "fit.json").read_text())
    assert fit["rows"] == len(expected) and fit["model"] == model

    parts = sorted(embeddings.glob("date=*/*.parquet"))
    assert len({part.parent for part in parts}) >= 5, "the table has a partition for each day of the photos"
    projected = sorted(file.relative_to(reduced) for file in reduced.rglob("*.parquet"))
    assert [part.relative_to(embeddings) for part in parts] == projected
    for part in parts:
        check_file(part, model)
        check_file(reduced / part.relative_to(embeddings), model)
    loadings = check_components(pca / "components.parquet", fit)
    for reader in READERS:
        check_embeddings(reader.__name__, reader(embeddings, EMBEDDINGS), expected)
        check_reduced(reader.__name__, reader(reduced, REDUCED), expected, fit, loadings)
    print(f"{len(READERS)} readers agree on {len(expected)} rows in {len(parts)} parts")


if __name__ == "__main__":
    main(*sys.argv[1:])
