"""What every test of the deployed system may ask for. Tools, stand-ins and binaries are those that `tests/run` makes."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import servers
from poller import Poller, is_empty
from results import Results
from runtime import Function

ROOT = Path(__file__).parents[2]


def pytest_configure(config):
    """Ends as with Ctrl-C when it is told to end: the fixtures then stop what they have started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def localstack():
    """One LocalStack for all tests."""
    with servers.localstack() as server:
        yield server


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    """What a cluster is given, in S3."""
    import account
    from spark_artifacts import Artifacts

    with account.account() as opened:
        yield Artifacts(opened, tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="session")
def worker(artifacts):
    """The folder that bootstrap.sh has made of it on the primary."""
    done, folder = artifacts.fetched("worker")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def cluster():
    """One Spark cluster for all tests: an executor that is killed it starts again."""
    import spark

    with spark.cluster() as started:
        yield started


@pytest.fixture
def moto():
    """A moto of the test's own."""
    with servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def stack(localstack):
    """The template's resources, created on LocalStack."""
    import deploy

    return deploy.deploy(localstack)


@pytest.fixture(scope="session")
def system(localstack, stack):
    """The deployed system, and what is done with it."""
    return System(localstack, stack)


@pytest.fixture
def cloud(system):
    """The deployed system with nothing in its queues."""
    for url in (system.stack.queue_url, system.stack.dead_letters_url):
        system.sqs.purge_queue(QueueUrl=url)
    return system


class System:
    """The buckets and queues of the template, and the functions beside them."""

    def __init__(self, server, stack):
        self.server = server
        self.stack = stack
        self.s3 = servers.client("s3", server)
        self.sqs = servers.client("sqs", server)
        self.photos = stack.photos_bucket

    def embed(self, *, through=None, results=None, timeout=120.0, **variables):
        """The function that embeds. `through`: what stands before S3; `results`: another bucket than the template's; a variable
        that is None is not set."""
        environment = {
            **self.variables("EmbedFunction"),
            **servers.environment(through or self.server),
            "FRUITVEC_RESULTS_BUCKET": results or self.stack.results_bucket,
            "FRUITVEC_MODELS_DIR": ROOT / "models",
            **variables,
        }
        return Function("embed", {name: value for name, value in environment.items() if value is not None}, timeout)

    def upload(self, **variables):
        """The function that gives uploads."""
        return Function(
            "upload", {**self.variables("UploadFunction"), **servers.environment(self.server), **variables}
        )

    def variables(self, function):
        """What the template sets."""
        return self.stack.values.properties(function)["Environment"]["Variables"]

    def poller(self, function, **settings):
        """A poller of the template's queue."""
        return Poller(self.sqs, self.stack.queue_url, function, **settings)

    def put(self, photos):
        """Puts photos, several at once: S3 tells of them in some order."""
        with ThreadPoolExecutor(8) as several:
            for _ in several.map(lambda it: self.s3.put_object(Bucket=self.photos, Key=it.key, Body=it.content), photos):
                pass

    def bucket(self, name):
        """A bucket of the test's own, for results."""
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": servers.REGION})
        return name

    def results(self, bucket=None):
        """All that stands in the results bucket."""
        return Results(self.s3, bucket or self.stack.results_bucket)

    def dead_letters(self):
        """The bodies of the messages that were given up; they stay."""
        answer = self.sqs.receive_message(
            QueueUrl=self.stack.dead_letters_url, MaxNumberOfMessages=10, VisibilityTimeout=0, WaitTimeSeconds=1
        )
        return [message["Body"] for message in answer.get("Messages", [])]

    def assert_nothing_is_left(self):
        """Neither in the queue nor given up."""
        for url in (self.stack.queue_url, self.stack.dead_letters_url):
            assert is_empty(self.sqs, url), url
