"""Servers that stand in for AWS: LocalStack, moto and the embedded S3.

Each is started for one test or one session and killed with it. What a server is good for, and where it
differs from AWS, is documented at the tests that depend on it.
"""

import configparser
import contextlib
import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

from support.environments import python_of
from support.lambda_runtime import binary
from support.processes import all_processes, free_port, group_of, listening_inodes, socket_inodes

REGION = "eu-west-3"
START_TIMEOUT = 120.0


class Server:
    """A server in its own process group, on a free port of 127.0.0.1.

    `{port}` and `{folder}` in the command and in the variables stand for its port and its temporary folder.
    """

    def __init__(self, command, health, variables, healthy=200):
        self.port = free_port()
        # The keys that sign its requests, for a server that accepts only certain ones.
        self.credentials = {}
        self.folder = tempfile.TemporaryDirectory(prefix="fruitvec-server-")
        self._log = Path(self.folder.name, "log")
        self._healthy = healthy
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._filled(part) for part in command],
                cwd=self.folder.name,
                env={**os.environ, **{name: self._filled(value) for name, value in variables.items()}},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_healthy(health)
        except BaseException:
            self.stop()
            raise

    @property
    def endpoint(self):
        """The URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self):
        """Everything that it has printed."""
        return self._log.read_text(errors="replace")

    def stop(self):
        """Kills the whole process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        # A child process that was killed a moment ago may still be writing to the folder.
        with contextlib.suppress(OSError):
            self.folder.cleanup()

    def _filled(self, text):
        return text.format(port=self.port, folder=self.folder.name)

    def _wait_until_healthy(self, health):
        deadline = time.monotonic() + START_TIMEOUT
        while not self._is_healthy(health):
            exit_status = self._process.poll()
            if exit_status is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._process.args} did not start ({exit_status}): {self.log}")
            time.sleep(0.1)
        # Two servers can share a port without an error, and then the wrong one might answer.
        if not self._owns_its_port():
            raise RuntimeError(f"another process answers on port {self.port}")

    def _is_healthy(self, health):
        try:
            with urllib.request.urlopen(self.endpoint + health, timeout=10) as response:
                return response.status == self._healthy
        except urllib.error.HTTPError as response:
            return response.code == self._healthy
        except OSError:
            return False

    def _owns_its_port(self):
        group = [process for process in all_processes() if group_of(process) == self._process.pid]
        own = {inode for process in group for inode in socket_inodes(process)}
        listening = listening_inodes(self.port)
        return bool(listening) and listening <= own


@contextlib.contextmanager
def localstack(**variables):
    """Runs LocalStack, which has S3 with notifications, SQS, CloudFormation and IAM and checks signatures.

    `variables` are added to its settings.
    """
    settings = {
        "GATEWAY_LISTEN": "127.0.0.1:{port}",
        "FILESYSTEM_ROOT": "{folder}",
        "S3_SKIP_SIGNATURE_VALIDATION": "0",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_CORS_HEADERS": "1",
        "USE_SSL": "0",
        "DNS_ADDRESS": "0",
    }
    command = [python_of("localstack"), "-m", "localstack.runtime.main"]
    server = Server(command, "/_localstack/health", {**settings, **variables})
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def moto(**variables):
    """Runs moto, which has EMR, S3 and SQS. By default it checks neither signatures nor policies.

    `variables` are its settings.
    """
    command = [python_of("moto"), "-m", "moto.server", "-H", "127.0.0.1", "-p", "{port}"]
    server = Server(command, "/moto-api/data.json", variables)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def embedded():
    """Runs the S3 that is built into the command line, with its buckets `photos` and `results`.

    It checks all signatures. `credentials` of the server has the keys to sign with.
    """
    # A request without a signature is refused with 403, which shows that the server is up.
    command = [binary("fruitvec"), "serve", "--data", "{folder}/data", "--port", "{port}"]
    server = Server(command, "/", {}, healthy=403)
    try:
        profile = configparser.ConfigParser()
        profile.read(Path(server.folder.name, "data/.fruitvec/credentials"))
        keys = profile["default"]
        server.credentials = {
            "access_key": keys["aws_access_key_id"],
            "secret_key": keys["aws_secret_access_key"],
        }
        yield server
    finally:
        server.stop()


def client(service, server, *, access_key="test", secret_key="test", token=None, retries=3):
    """Returns boto3's client of a service, for anything that has an `endpoint`."""
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        aws_session_token=token,
        config=Config(
            retries={"total_max_attempts": retries, "mode": "standard"},
            s3={"addressing_style": "path"},
            signature_version="s3v4" if service == "s3" else None,
            connect_timeout=30,
            read_timeout=60,
            max_pool_connections=32,
        ),
    )


def environment(server, *, access_key="test", secret_key="test", token=None):
    """Returns the variables that point a function at this server instead of AWS."""
    variables = {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if token is not None:
        variables["AWS_SESSION_TOKEN"] = token
    return variables
