"""Measures the whole path from the first put to the empty queue.

S3 and SQS are LocalStack's, and one instance of the function is polled from the queue.
"""

import tempfile
import time
from pathlib import Path

from deployed.functions import PHOTOS, start_embed
from measuring.photos import Photos
from measuring.processes import CORES
from measuring.tables import print_table
from support import servers
from support.queue_poller import Poller
from support.template_stack import create_stack

HEAD = [f"photos a second, {PHOTOS} photos", "put to empty queue", "the puts alone", "the queue alone"]


def run(deployment):
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="fruitvec-benches-") as folder,
        servers.localstack() as localstack,
    ):
        stack = create_stack(localstack)
        photos = Photos(Path(folder), deployment.worker, PHOTOS).small
        rows = [measure(model, photos, localstack, stack) for model in deployment.models]
    print_table(HEAD, rows)


def measure(model, photos, localstack, stack):
    """Returns the row of a model."""
    sqs, s3 = servers.client("sqs", localstack), servers.client("s3", localstack)
    variables = servers.environment(localstack)
    with start_embed(model, variables, stack.results_bucket, threads=len(CORES)) as function:
        poller = Poller(sqs, stack.queue_url, function, window=0)
        start = time.perf_counter()
        for number, photo in enumerate(photos):
            key = f"photos/{model}/{number}.jpg"
            s3.put_object(Bucket=stack.photos_bucket, Key=key, Body=photo.read_bytes())
        put = time.perf_counter() - start
        poller.drain(PHOTOS)
        whole = time.perf_counter() - start
    rates = (PHOTOS / whole, PHOTOS / put, PHOTOS / (whole - put))
    return [f"`{model}`", *(f"{rate:.0f}" for rate in rates)]
