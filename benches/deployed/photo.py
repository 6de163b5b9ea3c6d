"""Compares the CPU time of a photo in the function with that in the library, over the same S3 and batches."""

import itertools
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from deployed.functions import BATCH, PHOTOS, embed_all, embedded_s3, release_binaries, start_embed
from measuring.environments import model_file
from measuring.photos import Photos
from measuring.processes import Worker
from measuring.rounds import interleaved
from measuring.tables import print_table
from support import servers

HEAD = [
    "warm CPU time of a photo, one core, both of the release profile",
    "in the function, ms",
    "by the library, ms",
    "ratio",
]


def run(deployment):
    with release_binaries(), tempfile.TemporaryDirectory(prefix="fruitvec-benches-") as folder:
        photos = Photos(Path(folder), deployment.worker, PHOTOS)
        list_file = photos.list_file(photos.small)
        rows = [compare_with_library(deployment, model, list_file) for model in deployment.models]
    print_table(HEAD, rows)


def compare_with_library(deployment, model, list_file):
    """Returns the row of a model."""
    with ExitStack() as stack:
        s3 = stack.enter_context(embedded_s3(deployment.worker))
        variables = servers.environment(s3, **s3.credentials)
        client = servers.client("s3", s3, **s3.credentials)
        os.environ["FRUITVEC_MODELS_DIR"] = str(model_file(model).parent)
        # This worker also uploads the photos, under their paths as keys.
        command = [deployment.worker, "ingest", model, list_file, s3.folder, s3.endpoint]
        library = stack.enter_context(Worker(command, 1))
        keys = [f"photos{path}" for path in Path(list_file).read_text().splitlines()]
        numbers = itertools.count()

        def run_function():
            # A photo that already has a row would not be embedded again.
            results = f"function-{next(numbers)}"
            client.create_bucket(Bucket=results)
            with start_embed(model, variables, results) as function:
                embed_all(function, "photos", keys[:BATCH])
                before, start = function.cpu_seconds, time.perf_counter_ns()
                embed_all(function, "photos", keys[BATCH:])
                return time.perf_counter_ns() - start, (function.cpu_seconds - before) * 1e9

        def run_library():
            return library.ask(f"1 {BATCH}")[:2]

        function, library_figure = interleaved(deployment.rounds, run_function, run_library)
    function_ms = function.least_cpu() / (PHOTOS - BATCH) / 1e6
    library_ms = library_figure.least_cpu() / PHOTOS / 1e6
    return [f"`{model}`", f"{function_ms:.2f}", f"{library_ms:.2f}", f"{function_ms / library_ms:.2f}"]
