"""Servers of others that stand in for AWS: LocalStack and moto, each started for one test or one session and killed with it.

What each is right for, and where it differs from AWS, is said at the tests that lean on it.
"""

import configparser
import contextlib
import glob
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config
from runtime import binary

REGION = "eu-west-3"
START_PATIENCE = 120.0


class Server:
    """A server in a process group of its own, on a free port of 127.0.0.1."""

    def __init__(self, command, health, variables, healthy=200):
        self.port = free_port()
        # What its requests are to be signed with, where it is not all the same to it.
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
            self._await(health)
        except BaseException:
            self.stop()
            raise

    @property
    def endpoint(self):
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self):
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    def stop(self):
        """Kills the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        # What was just killed may have been writing there.
        with contextlib.suppress(OSError):
            self.folder.cleanup()

    def _filled(self, text):
        return text.format(port=self.port, folder=self.folder.name)

    def _await(self, health):
        deadline = time.monotonic() + START_PATIENCE
        while not self._answers(health):
            ended = self._process.poll()
            if ended is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._process.args} did not start ({ended}): {self.log}")
            time.sleep(0.1)
        # Two servers can share a port silently, and the wrong one would answer.
        if not self._owns_its_port():
            raise RuntimeError(f"another process answers at port {self.port}")

    def _answers(self, health):
        try:
            with urllib.request.urlopen(self.endpoint + health, timeout=10) as answer:
                return answer.status == self._healthy
        except urllib.error.HTTPError as answer:
            return answer.code == self._healthy
        except OSError:
            return False

    def _owns_its_port(self):
        group = [process for process in processes() if group_of(process) == self._process.pid]
        own = {inode for process in group for inode in sockets(process)}
        listening = listeners(self.port)
        return bool(listening) and listening <= own


@contextlib.contextmanager
def localstack(**variables):
    """LocalStack: S3 with notifications, SQS, CloudFormation, IAM … It checks signatures. `variables`: its settings."""
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
    command = [python("localstack"), "-m", "localstack.runtime.main"]
    server = Server(command, "/_localstack/health", {**settings, **variables})
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def moto(**variables):
    """moto: EMR, IAM enforcement, S3 and SQS without signatures. `variables`: its settings."""
    command = [python("moto"), "-m", "moto.server", "-H", "127.0.0.1", "-p", "{port}"]
    server = Server(command, "/moto-api/data.json", variables)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def embedded():
    """The S3 that is built into the command line, with its buckets `photos` and `results`. It checks all signatures.
    The server's `credentials` are what requests to it are signed with."""
    # What is not signed is refused: then it answers.
    server = Server([binary("fruitvec"), "serve", "--data", "{folder}/data", "--port", "{port}"], "/", {}, healthy=403)
    try:
        profile = configparser.ConfigParser()
        profile.read(Path(server.folder.name, "data/.fruitvec/credentials"))
        keys = profile["default"]
        server.credentials = {"access_key": keys["aws_access_key_id"], "secret_key": keys["aws_secret_access_key"]}
        yield server
    finally:
        server.stop()


def client(service, server, *, access_key="test", secret_key="test", token=None, retries=3):
    """boto3's client of a service of this server, or of anything else with an `endpoint`."""
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
    """The variables by which a function reaches this server instead of AWS."""
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


def python(tool):
    """The Python of a virtual environment that `tests/run` makes."""
    tools = Path(os.environ.get("FRUITVEC_TEST_TOOLS") or Path.home() / ".cache/fruitvec/tools")
    found = tools / tool / "bin/python"
    if not found.exists():
        raise RuntimeError(f"{found} is missing: `tests/run` makes it of tests/python/{tool}.txt")
    return str(found)


def free_port():
    """A port of 127.0.0.1 that nobody listens at just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def processes():
    """The ids of all processes."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def group_of(process):
    """The process group: the fifth field of `stat`, the third behind the name, which may hold anything."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[2])


def sockets(process):
    """The inodes of a process's sockets."""
    for file in glob.glob(f"/proc/{process}/fd/*"):
        with contextlib.suppress(OSError):
            target = os.readlink(file)
            if target.startswith("socket:["):
                yield target[len("socket:[") : -1]


def listeners(port):
    """The inodes of the sockets that listen at a port: local address, state 0A, and the tenth field."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
                    found.add(fields[9])
    return found
