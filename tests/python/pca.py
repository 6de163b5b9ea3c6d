"""Finds the current rows of the table with SQL, fits scikit-learn's PCA to them, and compares with our fit.

usage: pca.py RESULTS MODEL FIT CURRENT STORED

CURRENT and STORED say how many rows must hold, and how many there must be.
"""

import json
import sys
from pathlib import Path

import duckdb
import numpy as np
from sklearn.decomposition import PCA

# Components whose relative distance to a neighbour is less can't be told from it: they are compared as a subspace.
GAP = 1e-3

# A key's newest row or reject holds, unless it is a reject, or the key was removed since.
CURRENT_ROWS = """
    WITH claims AS (
        SELECT bucket, key, last_modified, embedded_at AS made_at, photo_id, embedding FROM rows
        UNION ALL BY NAME
        SELECT bucket, key, last_modified, rejected_at AS made_at, photo_id FROM rejects
    ), newest AS (
        SELECT * FROM claims
        QUALIFY row_number() OVER (PARTITION BY bucket, key ORDER BY last_modified DESC, made_at DESC, photo_id DESC) = 1
    )
    SELECT key, embedding FROM newest
    WHERE embedding IS NOT NULL AND NOT EXISTS (
        FROM removals WHERE (removals.bucket, removals.key) = (newest.bucket, newest.key) AND up_to >= last_modified
    )
    ORDER BY bucket, key
"""


def json_view(connection, name, folder, pattern, columns):
    """The objects of that pattern as a view; an empty one where there are none."""
    kinds = ", ".join(f"{column}: '{kind}'" for column, kind in columns.items())
    source = f"FROM read_json('{folder}/{pattern}', columns = {{{kinds}}})"
    if not list(folder.glob(pattern)):
        source = "SELECT " + ", ".join(f"NULL::{kind} AS {column}" for column, kind in columns.items()) + " LIMIT 0"
    connection.execute(f"CREATE VIEW {name} AS {source}")


def current_rows(results, model):
    """Keys, embeddings as float64, and how many rows are stored."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE VIEW rows AS FROM read_parquet('{results}/embeddings/model={model}/date=*/*.parquet')")
    where = {"bucket": "VARCHAR", "key": "VARCHAR"}
    reject = where | {"last_modified": "TIMESTAMPTZ", "rejected_at": "TIMESTAMPTZ", "photo_id": "VARCHAR"}
    json_view(connection, "rejects", Path(results, "rejects", f"model={model}"), "date=*/*.json", reject)
    json_view(connection, "removals", Path(results, "removals"), "*.json", where | {"up_to": "TIMESTAMPTZ"})
    found = connection.sql(CURRENT_ROWS).to_arrow_table().to_pydict()
    ((stored,),) = connection.sql("SELECT count(*) FROM rows").fetchall()
    return found["key"], np.array(found["embedding"], dtype=np.float32).astype(np.float64), stored


def groups(variances, count):
    """Runs of components, as slices, that are too close to be told apart; those that begin below `count`."""
    ends = [i + 1 for i in range(len(variances) - 1) if 1 - variances[i + 1] / variances[i] > GAP] + [len(variances)]
    runs = [slice(start, end) for start, end in zip([0, *ends], ends)]
    return [run for run in runs if run.start < count]


def oriented(component):
    return component * np.sign(component[np.abs(component).argmax()])


def main(results, model, fit_id, current, stored):
    folder = Path(results, "pca", f"model={model}", f"fit={fit_id}")
    fit = json.loads((folder / "fit.json").read_text())
    k = fit["components"]
    loadings = duckdb.sql(f"SELECT loadings FROM '{folder}/components.parquet' ORDER BY component").to_arrow_table()
    loadings = np.array(loadings["loadings"].to_pylist())

    keys, rows, found = current_rows(results, model)
    assert (len(keys), found) == (int(current), int(stored)), (len(keys), found)
    assert fit["rows"] == len(keys), fit["rows"]
    # More than we keep: to see how close the first that we don't keep is.
    reference = PCA(n_components=k + 20, svd_solver="covariance_eigh").fit(rows)

    apart = {
        "mean": np.abs(fit["mean"] - reference.mean_).max(),
        "ratio": np.abs(fit["explained_variance_ratio"] - reference.explained_variance_ratio_[:k]).max(),
        "variance": np.abs(fit["explained_variance"] / reference.explained_variance_[:k] - 1).max(),
        "component": 0.0,
        "subspace": 0.0,
    }
    runs = groups(reference.explained_variance_, k)
    for run in runs:
        ours, theirs = loadings[run], reference.components_[run]
        if run.stop - run.start == 1:
            apart["component"] = max(apart["component"], np.abs(ours[0] - oriented(theirs[0])).max())
        else:
            # The sine of the largest principal angle: what of ours lies outside the span of theirs.
            apart["subspace"] = max(apart["subspace"], np.linalg.norm(ours - ours @ theirs.T @ theirs, ord=2))

    reduced = f"{results}/reduced/model={model}/fit={fit_id}/date=*/*.parquet"
    scores = duckdb.sql(f"SELECT key, scores FROM read_parquet('{reduced}') ORDER BY bucket, key").to_arrow_table().to_pydict()
    assert scores["key"] == keys, "the projected rows are not the current ones"
    signs = np.sign((loadings * reference.components_[:k]).sum(axis=1))
    single = [run.start for run in runs if run.stop - run.start == 1]
    theirs, ours = reference.transform(rows)[:, :k] * signs, np.array(scores["scores"])
    apart["score"] = (np.abs(ours - theirs) / np.sqrt(reference.explained_variance_[:k])).max(axis=0)[single].max()

    print(f"{len(keys)} rows, {len(single)} of {k} components alone; furthest apart:", {name: f"{far:.1e}" for name, far in apart.items()})
    # The table asks for 1e-5 of the ratios and 1e-4 of the components; both are doubles, and nearer.
    bounds = {"mean": 1e-9, "ratio": 1e-9, "variance": 1e-8, "component": 1e-6, "subspace": 1e-6, "score": 1e-5}
    far = {name: apart[name] for name, bound in bounds.items() if not apart[name] <= bound}
    assert not far, far
    assert len(single) > k // 2


if __name__ == "__main__":
    main(*sys.argv[1:])
