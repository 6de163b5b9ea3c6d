"""Measures the binaries and the packages of the functions."""

import io
import zipfile

from deployed.functions import FUNCTIONS
from measuring.environments import MODELS, model_file
from measuring.tables import print_table


def run(deployment):
    rows = []
    for name in FUNCTIONS:
        binary, files, title = deployment.bootstrap(name), [deployment.bootstrap(name)], f"`{name}`"
        if name == "embed":
            files.append(model_file(MODELS[0]))
            title += ", with the bundled model"
        rows.append([title, f"{binary.stat().st_size / 1e6:.1f}", f"{zipped_bytes(files) / 1e6:.1f}"])
    print_table(["function", "binary, MB", "zipped, MB"], rows)


def zipped_bytes(files):
    """Returns the size of a package with these files."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in files:
            archive.write(file, file.name)
    return len(package.getvalue())
