"""Measures full and incremental fits of a large table."""

from measuring.environments import announce
from measuring.processes import THREADS
from measuring.tables import print_table
from rebuilding.fits import HEAD, days_of, table_row
from rebuilding.workspace import PART_ROWS

# Synthetic rows with another seed have other keys, and a part's name depends on its rows. They are added
# on a separate day.
LATER_DAY = "2026-10-01"


def run(workspace):
    rows = workspace.options.rows
    table, parts, size = workspace.create_table(rows, min(PART_ROWS, rows // 4), days=days_of(rows))
    announce(f"{rows:,} rows in {parts} parts, {size / 1e6:,.0f} MB")
    more = PART_ROWS if rows >= 4 * PART_ROWS else rows // 4
    rounds = [fit_four_times(workspace, table, more) for _ in range(workspace.rounds)]
    workspace.delete_bucket(table)
    names = [
        "full (`--full`)",
        "the first, which keeps moments",
        f"incremental, {more:,} rows more, all projected",
        f"incremental, {more:,} rows more, `--project new`",
    ]
    table_rows = [
        table_row(name, list(runs)) for name, runs in zip(names, zip(*rounds, strict=True), strict=True)
    ]
    print_table([f"PCA of {rows:,} × {workspace.dimension}, {len(THREADS)} cores", *HEAD], table_rows)


def fit_four_times(workspace, table, more):
    """Fits all rows of a table, then another copy with cached moments, and adds rows to that twice."""
    cores = len(THREADS)
    bucket = workspace.create_bucket(copy_of=table)
    runs = [workspace.run_locally("pca", bucket, cores, "--full")]
    workspace.delete_bucket(bucket)
    bucket = workspace.create_bucket(copy_of=table)
    runs.append(workspace.run_locally("pca", bucket, cores))
    for seed, options in [(2, []), (3, ["--project", "new"])]:
        workspace.create_table(more, more, first_day=LATER_DAY, seed=seed, bucket=bucket)
        runs.append(workspace.run_locally("pca", bucket, cores, *options))
    workspace.delete_bucket(bucket)
    return runs
