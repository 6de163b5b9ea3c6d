#!/usr/bin/env python3
"""Compares fruitvec with Pillow, onnxruntime, pyarrow and scikit-learn: the same work, in turns, in one run.

It builds the worker, creates a virtual environment from benches/requirements.txt in the cache folder and
prints Markdown tables. The photos are those of ../shared/data (or $FRUITVEC_SHARED/data), otherwise painted
ones. A model whose file is missing is left out.

    benches/side_by_side.py [--rounds N] [--only NAME ...]

NAME is one of stages, engines, demo, ingest, start and fit.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

from comparison import demo, engines, fit, ingest, stages, start
from comparison.sides import PART_PHOTOS, Comparison
from measuring.environments import BENCHES, PROGRAMS, environment, release_builds
from measuring.photos import Photos
from measuring.tables import print_machine

EXPERIMENTS = {
    "stages": stages,
    "engines": engines,
    "demo": demo,
    "ingest": ingest,
    "start": start,
    "fit": fit,
}
# Two parts, so that ingest overlaps the writing of one with the embedding of the next, as in `demo`.
PHOTOS = 2 * PART_PHOTOS
REQUIREMENTS = BENCHES / "requirements.txt"
PACKAGES = ["pillow", "onnxruntime", "openvino", "pyarrow", "scikit-learn", "numpy"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9, help="of each stage; long ones take half as many")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    chosen = parser.parse_args()
    built = release_builds()
    reference = [environment("benches", REQUIREMENTS.name), str(PROGRAMS / "reference_worker.py")]
    with tempfile.TemporaryDirectory(prefix="fruitvec-benches-") as folder:
        photos = Photos(Path(folder), built["worker"], PHOTOS)
        photos.create_phone_photo(reference)
        comparison = Comparison(chosen.rounds, built, reference, photos, Path(folder))
        print_machine(REQUIREMENTS, PACKAGES)
        print_libjpeg(built["worker"])
        print("Numbers in a cell: least CPU time · least time by the clock · median by the clock.")
        for name in chosen.only:
            EXPERIMENTS[name].run(comparison)


def print_libjpeg(worker):
    """Prints whether our libjpeg was built with its assembler, which needs nasm."""
    # grep reads the file, not this process: a child starts with the peak memory of its parent, so a large
    # parent would falsify the peaks that are measured here.
    grep = subprocess.run(["grep", "--quiet", "jsimd_idct_2x2_sse2", worker], check=False)
    kind = "with its assembler" if grep.returncode == 0 else "C alone, because nasm was missing"
    print(f"libjpeg: {kind}.")


if __name__ == "__main__":
    main()
