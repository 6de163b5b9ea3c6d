"""The tools that `tests/run` installs: a virtual environment for each requirements file."""

import os
from pathlib import Path


def tools_folder():
    """Returns the folder of the virtual environments."""
    return Path(os.environ.get("FRUITVEC_TEST_TOOLS") or Path.home() / ".cache/fruitvec/tools")


def python_of(environment):
    """Returns the Python of a virtual environment."""
    found = tools_folder() / environment / "bin/python"
    if not found.exists():
        raise RuntimeError(
            f"{found} is missing: run `tests/run`, which installs tests/python/{environment}.txt"
        )
    return str(found)
