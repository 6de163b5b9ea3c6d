#!/usr/bin/env python3
"""Measures the functions as they are deployed: size, start, memory, and the cost of a photo.

It builds them with `cargo lambda build` and runs the binaries under the Runtime API of tests/cloud. The cost
of a photo is compared with that in the library alone and with the throughput of the whole path. S3 is the
embedded one, in a separate process, except for the whole path, which goes through LocalStack. It prints
Markdown tables and needs the Python environments `cloud` and `localstack`, which `tests/run` installs.

    benches/functions.py [--rounds N] [--built FOLDER] [--only NAME ...]

NAME is one of sizes, start, memory, photo and path.
"""

import argparse
import importlib
import os
import sys
from pathlib import Path

from measuring.environments import CACHE, ROOT, announce, release_builds
from measuring.tables import print_machine

CLOUD_PYTHON = Path(os.environ.get("FRUITVEC_TEST_TOOLS") or CACHE / "tools") / "cloud/bin/python"
EXPERIMENTS = ["sizes", "start", "memory", "photo", "path"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--built", help="a folder of cargo lambda with built functions; default: build them")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=EXPERIMENTS)
    chosen = parser.parse_args()
    use_cloud_python()

    from deployed.functions import Deployment, build_functions, use_deployed_binaries

    folder = Path(chosen.built) if chosen.built else build_functions()
    deployment = Deployment(chosen.rounds, folder, release_builds()["worker"])
    use_deployed_binaries(deployment)
    print_machine(ROOT / "tests/python/cloud.txt", ["boto3", "pytest"])
    for name in chosen.only:
        announce(name)
        importlib.import_module(f"deployed.{name}").run(deployment)


def use_cloud_python():
    """Continues in the environment of tests/cloud, whose packages the experiments import."""
    if Path(sys.executable) != CLOUD_PYTHON:
        if not CLOUD_PYTHON.exists():
            sys.exit(f"{CLOUD_PYTHON} is missing: run tests/run, which installs it")
        os.execv(CLOUD_PYTHON, [str(CLOUD_PYTHON), *sys.argv])
    sys.path.insert(0, str(ROOT / "tests/cloud"))


if __name__ == "__main__":
    main()
