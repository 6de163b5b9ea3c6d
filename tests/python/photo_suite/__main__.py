"""Writes files as they really come, and what is expected of each: see `suite.py`.

usage: python photo_suite OUT
"""

import importlib
import pkgutil
import sys
from pathlib import Path

import cases
import formats
from suite import Suite


def main(folder):
    suite = Suite(Path(folder))
    for package in (formats, cases):
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}").add(suite)
    suite.finish()
    print(f"{len(suite.lines)} files, {len(suite.twins)} twins")


if __name__ == "__main__":
    main(*sys.argv[1:])
