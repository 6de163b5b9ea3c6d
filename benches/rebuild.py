#!/usr/bin/env python3
"""Measures rebuilds: backfill on one core, on two cores and on Spark, compaction, and the PCA.

It builds the release program, creates virtual environments from benches/spark.txt and benches/before.txt in
the cache folder and prints Markdown tables. S3 is `fruitvec serve` in a separate process. The photos are
those of ../shared/data (or $FRUITVEC_SHARED/data), otherwise painted ones. The model is mobilenetv2-keras if
its file is on this machine, otherwise the bundled one. Spark needs Java 17 or 21. The table of a million rows
needs about 6 GB in $TMPDIR for as long as its experiment runs.

    benches/rebuild.py [--rounds N] [--only NAME ...]

NAME is one of backfill, compact, pca, spark and before.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

# The experiments share some code with the tests of the deployed system.
sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "tests/cloud"))

from measuring.environments import BENCHES, announce, release_builds  # noqa: E402
from measuring.tables import print_machine  # noqa: E402
from rebuilding import backfill, before, compact, pca, spark_ml  # noqa: E402
from rebuilding.workspace import Workspace  # noqa: E402

EXPERIMENTS = {
    "backfill": backfill,
    "compact": compact,
    "pca": pca,
    "spark": spark_ml,
    "before": before,
}
PACKAGES = ["pyspark", "pyarrow", "tensorflow-cpu", "numpy"]


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    add("--rounds", type=int, default=3)
    add("--photos", type=int, default=10_000, help="of backfill and before")
    add("--compact-rows", type=int, default=40_000)
    add("--part-rows", type=int, nargs="+", default=[10, 128, 2500], help="of the parts to compact")
    add("--rows", type=int, default=1_000_000, help="of pca")
    add(
        "--spark-rows", type=int, nargs="+", default=[20_000, 100_000], help="of the comparison with Spark ML"
    )
    add("--worker-memory", type=int, default=2560, help="MB of a Spark worker that backfills")
    add("--spark-memory", type=int, default=4608, help="MB of a Spark worker with Spark ML or Keras")
    add("--built", type=Path, help="a folder with built programs, for a trial; default: build them")
    return parser.parse_args()


def main():
    options = parse_options()
    # Like Ctrl-C: processes are stopped and temporary files deleted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if options.built:
        built = {name: options.built / name for name in ("fruitvec", "worker")}
    else:
        built = release_builds()
    # Spark may still write into its folders when they are deleted.
    with tempfile.TemporaryDirectory(prefix="fruitvec-benches-", ignore_cleanup_errors=True) as folder:
        workspace = Workspace(options, str(built["fruitvec"]), str(built["worker"]), Path(folder))
        print_machine(BENCHES / "before.txt", PACKAGES)
        for name in options.only:
            announce(name)
            EXPERIMENTS[name].run(workspace)


if __name__ == "__main__":
    main()
