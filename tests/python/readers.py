"""Reads the table, its projection and its components with pyarrow, pandas, polars and DuckDB, and compares every value.

usage: readers.py RESULTS MODEL FIT EXPECTED.jsonl

RESULTS is the folder of the results bucket; a line of EXPECTED is what one row must hold, but for what only its writer knows.
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


def schema(**columns):
    """Required columns; a type in a tuple makes it an optional one."""
    optional = lambda kind: isinstance(kind, tuple)
    return pa.schema([pa.field(n, t[0] if optional(t) else t, nullable=optional(t)) for n, t in columns.items()])


EMBEDDINGS = schema(
    photo_id=pa.string(), bucket=pa.string(), key=pa.string(), etag=pa.string(), label=(pa.string(),), size_bytes=pa.int64(),
    last_modified=UTC, width=pa.int32(), height=pa.int32(), embedding=FLOATS, embedded_at=UTC, made_by=pa.string(),
)  # fmt: skip
REDUCED = schema(
    photo_id=pa.string(), bucket=pa.string(), key=pa.string(), label=(pa.string(),), last_modified=UTC, scores=FLOATS,
)  # fmt: skip


def by_pyarrow(folder, wanted):
    partitioned = ds.dataset(folder, format="parquet", partitioning="hive")
    found = pa.schema([partitioned.schema.field(name) for name in wanted.names])
    assert found.equals(wanted), f"{found}\nis not\n{wanted}"
    # The contract: pyarrow reads the partition as a string.
    assert partitioned.schema.field("date").type == pa.string()
    rows = partitioned.to_table().to_pylist()
    return [row | {"date": datetime.date.fromisoformat(row["date"])} for row in rows]


def by_pandas(folder, wanted):
    frame = pd.read_parquet(folder)
    for field in wanted:
        kind = str(frame.dtypes[field.name])
        plain = {pa.int32(): "int32", pa.int64(): "int64", UTC: "datetime64[us, UTC]", pa.string(): "str", FLOATS: "object"}
        assert kind == plain[field.type], (field, kind)
    assert frame.drop(columns="label").notna().all(axis=None)
    rows = frame.astype({"label": object}).to_dict("records")
    known = lambda label: None if pd.isna(label) else label
    return [row | {"date": datetime.date.fromisoformat(row["date"]), "label": known(row["label"])} for row in rows]


def by_polars(folder, wanted):
    frame = pl.read_parquet(f"{folder}/date=*/*.parquet", hive_partitioning=True)
    kinds = {pa.int32(): pl.Int32, pa.int64(): pl.Int64, UTC: pl.Datetime("us", "UTC"), pa.string(): pl.String}
    expected = {field.name: kinds.get(field.type, pl.List(pl.Float32)) for field in wanted}
    expected["date"] = pl.Date
    found = {name: kind for name, kind in frame.schema.items() if name in expected}
    assert found == expected, f"{found}\nis not\n{expected}"
    return frame.to_dicts()


def by_duckdb(folder, wanted):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    answer = connection.sql(f"SELECT * FROM read_parquet('{folder}/date=*/*.parquet', hive_partitioning = true)")
    kinds = {pa.int32(): "INTEGER", pa.int64(): "BIGINT", UTC: "TIMESTAMP WITH TIME ZONE", pa.string(): "VARCHAR", FLOATS: "FLOAT[]"}
    expected = {field.name: kinds[field.type] for field in wanted} | {"date": "DATE"}
    found = {name: str(kind) for name, kind in zip(answer.columns, answer.types) if name in expected}
    assert found == expected, f"{found}\nis not\n{expected}"
    return answer.to_arrow_table().to_pylist()


READERS = [by_pyarrow, by_pandas, by_polars, by_duckdb]


def same(reader, row, name, expected):
    assert row[name] == expected, f"{reader}: {row['key']}: {name} is {row[name]!r}, not {expected!r}"


def photo_id(row):
    digest = hashlib.sha256()
    for part in (row["bucket"], row["key"], row["etag"]):
        digest.update(len(part.encode()).to_bytes(8, "little") + part.encode())
    return digest.hexdigest()[:32]


def check_embeddings(reader, rows, expected):
    assert len(rows) == len(expected), f"{reader}: {len(rows)} rows, not {len(expected)}"
    begun = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=10)
    for row in rows:
        known = expected[row["key"]]
        for name in ("label", "etag", "size_bytes", "width", "height"):
            same(reader, row, name, known[name])
        same(reader, row, "bucket", "photos")
        same(reader, row, "photo_id", photo_id(row))
        modified = datetime.datetime.fromtimestamp(known["last_modified"], datetime.UTC)
        same(reader, row, "last_modified", modified)
        same(reader, row, "date", modified.date())
        assert begun < row["embedded_at"] < datetime.datetime.now(datetime.UTC), row["embedded_at"]
        assert re.fullmatch(r"fruitvec \d+\.\d+\.\d+ native [a-z\d]+", row["made_by"]), row["made_by"]
        found = np.asarray(row["embedding"], dtype=np.float32)
        assert np.array_equal(found, known["embedding"]), f"{reader}: {row['key']}: the embedding is not the one that was written"
    assert {row["key"] for row in rows} == set(expected)


def check_reduced(reader, rows, expected, fit, loadings):
    """The scores are those of the fit that is published beside them."""
    assert {row["key"] for row in rows} == set(expected) and len(rows) == len(expected), reader
    embeddings = np.array([expected[row["key"]]["embedding"] for row in rows])
    scores = (embeddings - np.array(fit["mean"])) @ loadings.T
    found = np.array([row["scores"] for row in rows], dtype=np.float32)
    assert found.shape == (len(rows), fit["components"]), found.shape
    np.testing.assert_allclose(found, scores, rtol=1e-6, atol=1e-6, err_msg=reader)
    for row in rows:
        known = expected[row["key"]]
        same(reader, row, "label", known["label"])
        same(reader, row, "bucket", "photos")
        same(reader, row, "photo_id", photo_id(known | {"bucket": "photos"}))
        modified = datetime.datetime.fromtimestamp(known["last_modified"], datetime.UTC)
        same(reader, row, "last_modified", modified)
        same(reader, row, "date", modified.date())


def check_components(file, fit):
    """All readers find the components that pyarrow finds: those of the fit. Returns the loadings."""
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
    """What a reader does not see, but Spark 3.5, its memory and its speed depend on."""
    metadata = pq.read_metadata(file)
    said = metadata.metadata
    assert said[b"fruitvec.version"] == b"1" and said[b"fruitvec.model"] == model.encode(), said
    assert re.fullmatch(rb"[0-9a-f]{64}", said[b"fruitvec.model_sha256"]), said
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
    # Python compares code points, which is the order of the bytes of UTF-8.
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
    assert len({part.parent for part in parts}) >= 5, "the days of the photos are days of the table"
    assert [part.relative_to(embeddings) for part in parts] == sorted(file.relative_to(reduced) for file in reduced.rglob("*.parquet"))
    for part in parts:
        check_file(part, model)
        check_file(reduced / part.relative_to(embeddings), model)
    loadings = check_components(pca / "components.parquet", fit)
    for reader in READERS:
        check_embeddings(reader.__name__, reader(embeddings, EMBEDDINGS), expected)
        check_reduced(reader.__name__, reader(reduced, REDUCED), expected, fit, loadings)
    print(f"{len(expected)} rows in {len(parts)} parts: all that was written, by {len(READERS)} readers")


if __name__ == "__main__":
    main(*sys.argv[1:])
