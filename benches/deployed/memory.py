"""Measures the peak memory of the functions."""

import io
import json
from contextlib import ExitStack

import numpy
from PIL import Image

from deployed.functions import BATCH, embed_all, embedded_s3, start_embed, start_small
from measuring.environments import ROOT
from measuring.tables import print_table
from support import servers

PHONE = (4000, 3000)
# Photos of a batch are embedded concurrently, so a batch of large ones needs the most memory.
HEAD = ["peak memory", f"{BATCH} photos of {PHONE[0]}×{PHONE[1]} in one batch", "MB"]
FORMATS = {
    "JPEG": ("JPEG", {"quality": 90}),
    "JPEG progressive": ("JPEG", {"quality": 90, "progressive": True}),
    "PNG": ("PNG", {"compress_level": 1}),
    "WEBP": ("WEBP", {"quality": 80, "method": 0}),
}


def run(deployment):
    with embedded_s3(deployment.worker) as s3:
        variables = servers.environment(s3, **s3.credentials)
        client = servers.client("s3", s3, **s3.credentials)
        for bucket in ("photos", "results"):
            client.create_bucket(Bucket=bucket)
        rows = embed_rows(deployment.models, variables, client)
        rows.append(upload_row(variables))
    rows.append(launch_row())
    print_table(HEAD, rows)


def embed_rows(models, variables, client):
    """Measures `embed` with a batch of large photos in each format."""
    contents = phone_photos()
    for kind, content in contents.items():
        for number in range(BATCH):
            client.put_object(Bucket="photos", Key=f"photos/{kind}/{number}", Body=content)
    rows = []
    for model in models:
        for kind, content in contents.items():
            with start_embed(model, variables, "results") as function:
                embed_all(function, "photos", [f"photos/{kind}/{number}" for number in range(BATCH)])
                peak = function.peak_bytes / 1e6
            rows.append([f"`embed`, `{model}`", f"{kind}, {len(content) / 1e6:.1f} MB", f"{peak:.0f}"])
    return rows


def upload_row(variables):
    event = json.loads((ROOT / "events/upload-jpeg.json").read_text())
    with start_small("upload", variables) as function:
        for _ in range(100):
            function.invoke(event)
        return ["`upload`", "100 uploads", f"{function.peak_bytes / 1e6:.0f}"]


def launch_row():
    event = json.loads((ROOT / "events/launch-sweep.json").read_text())
    with ExitStack() as stack:
        moto = stack.enter_context(servers.moto())
        client = servers.client("s3", moto)
        for bucket in ("photos", "results"):
            location = {"LocationConstraint": servers.REGION}
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
        function = stack.enter_context(start_small("launch", servers.environment(moto)))
        function.invoke(event)
        return ["`launch`", "a sweep, with moto as EMR", f"{function.peak_bytes / 1e6:.0f}"]


def phone_photos():
    """Returns photos with the resolution of a phone's, by format, with the noise that a sensor has."""
    rng = numpy.random.default_rng(7)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=numpy.uint8))
    smooth = numpy.asarray(coarse.resize(PHONE, Image.Resampling.BICUBIC)).astype(numpy.int16)
    noisy = smooth + rng.integers(-6, 7, (*PHONE[::-1], 1), dtype=numpy.int16)
    image = Image.fromarray(noisy.clip(0, 255).astype(numpy.uint8))
    contents = {}
    for kind, (file_format, options) in FORMATS.items():
        file = io.BytesIO()
        image.save(file, file_format, **options)
        contents[kind] = file.getvalue()
    return contents
