"""Finds the current rows of the table with SQL, fits scikit-learn's PCA to them and compares it with ours.

usage: pca.py RESULTS MODEL FIT CURRENT STORED

CURRENT and STORED are the expected numbers of current and of stored rows.
"""

import json
import sys
from pathlib import Path

import duckdb
import numpy as np
from sklearn.decomposition import PCA

# The directions of components with nearly equal variances are arbitrary within the subspace they span, so
# only the subspace is compared. This is the relative distance at which two variances count as different.
GAP = 1e-3

# The newest row or reject of a key is current, unless it is a reject or a later removal covers it.
CURRENT_ROWS = """
    WITH versions AS (
        SELECT bucket, key, last_modified, embedded_at AS made_at, photo_id, embedding FROM rows
        UNION ALL BY NAME
        SELECT bucket, key, last_modified, rejected_at AS made_at, photo_id FROM rejects
    ), newest AS (
        SELECT * FROM versions
        QUALIFY row_number() OVER (
            PARTITION BY bucket, key ORDER BY last_modified DESC, made_at DESC, photo_id DESC
        ) = 1
    )
    SELECT key, embedding FROM newest
    WHERE embedding IS NOT NULL AND NOT EXISTS (
        FROM removals
        WHERE (removals.bucket, removals.key) = (newest.bucket, newest.key) AND up_to >= last_modified
    )
    ORDER BY bucket, key
"""


def json_view(connection, name, folder, pattern, columns):
    """Creates a view of the objects that match a pattern, which is empty if no object does."""
    kinds = ", ".join(f"{column}: '{kind}'" for column, kind in columns.items())
    source = f"FROM read_json('{folder}/{pattern}', columns = {{{kinds}}})"
    if not list(folder.glob(pattern)):
        # DuckDB refuses to read a pattern without matches.
        source = (
            f"SELECT {', '.join(f'NULL::{kind} AS {column}' for column, kind in columns.items())} LIMIT 0"
        )
    connection.execute(f"CREATE VIEW {name} AS {source}")


def current_rows(results, model):
    """Returns the keys and embeddings of the current rows and the number of stored rows."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    parts = f"{results}/embeddings/model={model}/date=*/*.parquet"
    connection.execute(f"CREATE VIEW rows AS FROM read_parquet('{parts}')")
    key = {"bucket": "VARCHAR", "key": "VARCHAR"}
    reject = key | {"last_modified": "TIMESTAMPTZ", "rejected_at": "TIMESTAMPTZ", "photo_id": "VARCHAR"}
    json_view(connection, "rejects", Path(results, "rejects", f"model={model}"), "date=*/*.json", reject)
    json_view(connection, "removals", Path(results, "removals"), "*.json", key | {"up_to": "TIMESTAMPTZ"})
    found = connection.sql(CURRENT_ROWS).to_arrow_table().to_pydict()
    ((stored,),) = connection.sql("SELECT count(*) FROM rows").fetchall()
    embeddings = np.array(found["embedding"], dtype=np.float32).astype(np.float64)
    return found["key"], embeddings, stored


def indistinct_groups(variances, count):
    """Returns slices of neighbouring components with nearly equal variances that start before `count`.

    A component with a distinct variance forms its own slice.
    """
    ends = [i + 1 for i in range(len(variances) - 1) if 1 - variances[i + 1] / variances[i] > GAP]
    ends.append(len(variances))
    groups = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    return [group for group in groups if group.start < count]


def with_our_sign(component):
    """Returns a component with the sign of our convention: its largest loading is positive."""
    return component * np.sign(component[np.abs(component).argmax()])


def main(results, model, fit_id, current, stored):
    folder = Path(results, "pca", f"model={model}", f"fit={fit_id}")
    fit = json.loads((folder / "fit.json").read_text())
    k = fit["components"]
    query = f"SELECT loadings FROM '{folder}/components.parquet' ORDER BY component"
    loadings = np.array(duckdb.sql(query).to_arrow_table()["loadings"].to_pylist())

    keys, rows, stored_rows = current_rows(results, model)
    assert (len(keys), stored_rows) == (int(current), int(stored)), (len(keys), stored_rows)
    assert fit["rows"] == len(keys), fit["rows"]
    # More components than ours, because our last one may form a group with the next.
    reference = PCA(n_components=k + 20, svd_solver="covariance_eigh").fit(rows)

    errors = {
        "mean": np.abs(fit["mean"] - reference.mean_).max(),
        "ratio": np.abs(fit["explained_variance_ratio"] - reference.explained_variance_ratio_[:k]).max(),
        "variance": np.abs(fit["explained_variance"] / reference.explained_variance_[:k] - 1).max(),
        "component": 0.0,
        "subspace": 0.0,
    }
    groups = indistinct_groups(reference.explained_variance_, k)
    for group in groups:
        ours, theirs = loadings[group], reference.components_[group]
        if group.stop - group.start == 1:
            error = np.abs(ours[0] - with_our_sign(theirs[0])).max()
            errors["component"] = max(errors["component"], error)
        else:
            # The sine of the largest principal angle: the part of ours outside the span of theirs.
            error = np.linalg.norm(ours - ours @ theirs.T @ theirs, ord=2)
            errors["subspace"] = max(errors["subspace"], error)

    reduced = f"{results}/reduced/model={model}/fit={fit_id}/date=*/*.parquet"
    query = f"SELECT key, scores FROM read_parquet('{reduced}') ORDER BY bucket, key"
    scores = duckdb.sql(query).to_arrow_table().to_pydict()
    assert scores["key"] == keys, "the projected rows are not the current ones"
    signs = np.sign((loadings * reference.components_[:k]).sum(axis=1))
    single = [group.start for group in groups if group.stop - group.start == 1]
    theirs, ours = reference.transform(rows)[:, :k] * signs, np.array(scores["scores"])
    relative = np.abs(ours - theirs) / np.sqrt(reference.explained_variance_[:k])
    errors["score"] = relative.max(axis=0)[single].max()

    print(f"{len(keys)} rows, {len(single)} of {k} components distinct, largest errors:")
    print({name: f"{error:.1e}" for name, error in errors.items()})
    # The table promises 1e-5 for the ratios and 1e-4 for the components. Both fits use doubles, so they agree
    # much better.
    bounds = {
        "mean": 1e-9,
        "ratio": 1e-9,
        "variance": 1e-8,
        "component": 1e-6,
        "subspace": 1e-6,
        "score": 1e-5,
    }
    # `not <=` also finds NaN.
    too_large = {name: errors[name] for name, bound in bounds.items() if not errors[name] <= bound}
    assert not too_large, too_large
    assert len(single) > k // 2


if __name__ == "__main__":
    main(*sys.argv[1:])
