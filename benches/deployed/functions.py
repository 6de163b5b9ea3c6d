"""Builds the functions, starts them and sends them events."""

import json
import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote_plus

from measuring.environments import CACHE, MODELS, ROOT, announce, build_settings, environment, model_file
from measuring.processes import CORES, Worker, pinned
from support.lambda_runtime import LambdaFunction
from support.servers import REGION

FUNCTIONS = ["embed", "upload", "launch"]
# Messages per batch, as in the template, and photos per round.
BATCH, PHOTOS = 10, 250
# The least configuration with which these functions start.
SETTINGS = {
    "upload": {"FRUITVEC_PHOTOS_BUCKET": "photos"},
    "launch": {
        "FRUITVEC_PHOTOS_BUCKET": "photos",
        "FRUITVEC_RESULTS_BUCKET": "results",
        "FRUITVEC_EMR_SUBNETS": "subnet-1",
        "FRUITVEC_EMR_SERVICE_ROLE": "arn:aws:iam::123456789012:role/emr",
        "FRUITVEC_EMR_INSTANCE_PROFILE": "emr",
        "FRUITVEC_EMR_LOG_URI": "s3://results/logs/",
        "FRUITVEC_EMR_ARTIFACTS": "s3://results/emr",
    },
}


class Deployment:
    """The built functions, the worker and the models of this machine.

    `folder` has a subfolder with the file `bootstrap` for each function.
    """

    def __init__(self, rounds, folder, worker):
        self.rounds, self.folder, self.worker = rounds, folder, worker
        self.models = [model for model in MODELS if model_file(model)]

    def bootstrap(self, name):
        """Returns the binary of a function."""
        return Path(self.folder, name, "bootstrap")


def build_functions():
    """Builds the functions as they are deployed and returns their folder."""
    announce("build of the functions")
    # The environment has cargo lambda and the linker that it uses.
    python, folder, settings = Path(environment("lambda", "lambda.txt")), CACHE / "lambda", build_settings()
    settings["PATH"] = f"{python.parent}:{settings['PATH']}"
    profile = ["--profile", "lambda", "--x86-64", "--lambda-dir", folder]
    packages = [f"-pfruitvec-{name}" for name in FUNCTIONS]
    command = ["cargo", "lambda", "build", "--quiet", *profile, *packages]
    subprocess.run(command, cwd=ROOT, env=settings, check=True)
    return folder


def use_deployed_binaries(deployment):
    """Makes `LambdaFunction` start the deployed binaries."""
    binaries = Path(tempfile.mkdtemp(prefix="fruitvec-functions-"))
    for name in FUNCTIONS:
        (binaries / name).symlink_to(deployment.bootstrap(name).resolve())
    os.environ["FRUITVEC_TEST_BINARIES"] = str(binaries)


@contextmanager
def release_binaries():
    """Makes `LambdaFunction` start binaries of the release profile, with which the library is measured."""
    announce("release build of the functions")
    settings, deployed = build_settings(), os.environ["FRUITVEC_TEST_BINARIES"]
    command = ["cargo", "build", "--quiet", "--release", "--workspace", "--bins"]
    subprocess.run(command, cwd=ROOT, env=settings, check=True)
    os.environ["FRUITVEC_TEST_BINARIES"] = str(Path(settings["CARGO_TARGET_DIR"], "release"))
    try:
        yield
    finally:
        os.environ["FRUITVEC_TEST_BINARIES"] = deployed


class EmbeddedS3:
    """The endpoint, folder and keys of an embedded S3."""

    def __init__(self, endpoint, folder):
        self.endpoint, self.folder = endpoint, folder
        profile = Path(folder, ".fruitvec/credentials").read_text().splitlines()
        access_key, secret_key = (line.split("=")[1].strip() for line in profile[1:3])
        self.credentials = {"access_key": access_key, "secret_key": secret_key}


@contextmanager
def embedded_s3(worker):
    """Runs the embedded S3 in a separate process, on one core."""
    with (
        tempfile.TemporaryDirectory(prefix="fruitvec-benches-") as folder,
        Worker([worker, "s3", folder], 1) as server,
    ):
        yield EmbeddedS3(server.first_line, folder)


def start_embed(model, variables, results, threads=1):
    """Starts the function `embed` on one core."""
    settings = {
        "FRUITVEC_RESULTS_BUCKET": results,
        "FRUITVEC_MODEL": model,
        "FRUITVEC_MODELS_DIR": str(model_file(model).parent),
        "FRUITVEC_THREADS": str(threads),
        **allocator_settings(),
    }
    with pinned(CORES[:1]):
        return LambdaFunction("embed", {**variables, **settings}, timeout=120.0)


def start_small(name, variables):
    """Starts the function `upload` or `launch` on one core."""
    with pinned(CORES[:1]):
        return LambdaFunction(name, {**variables, **SETTINGS[name]})


def allocator_settings():
    """Returns the settings of glibc's allocator from the template."""
    text = (ROOT / "infra/template.yaml").read_text()
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("MALLOC_")]
    pairs = (line.split(":", 1) for line in lines)
    return {name: value.strip().strip("'\"") for name, value in pairs}


def embed_all(function, bucket, keys):
    """Sends batches of messages to `embed`, one after the other, and asserts that none fails."""
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        event = {"Records": [sqs_message(bucket, key, start + number) for number, key in enumerate(batch)]}
        response = function.invoke(event)
        assert response == {"batchItemFailures": []}, response


def sqs_message(bucket, key, number):
    """Returns a message of the photos queue about a new object."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": "2026-11-24T10:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket},
            "object": {"key": quote_plus(key, safe="/")},
        },
    }
    return {
        "messageId": str(number),
        "body": json.dumps({"Records": [record]}),
        "attributes": {"ApproximateReceiveCount": "1"},
        "eventSource": "aws:sqs",
    }
