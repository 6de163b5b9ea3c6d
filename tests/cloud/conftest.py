"""Fixtures of the tests of the deployed system.

The tools, the servers and the binaries are those that `tests/run` installs and builds. Modules that only some
tests need are imported by their fixtures.
"""

import signal

import pytest

from support import servers


def pytest_configure(config):
    """Handles SIGTERM like Ctrl-C, so that fixtures stop the processes they have started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def localstack():
    """One LocalStack for all tests."""
    with servers.localstack() as server:
        yield server


@pytest.fixture
def moto():
    """A moto for one test."""
    with servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    """The artifacts of a cluster, uploaded to S3."""
    from support import moto_account
    from support.cluster.artifacts import ClusterArtifacts

    with moto_account.account() as account:
        yield ClusterArtifacts(account, tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="session")
def worker(artifacts):
    """The folder that bootstrap.sh fills on the primary."""
    done, folder = artifacts.bootstrap("worker")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def cluster():
    """One Spark cluster for all tests. It restarts executors that a test kills."""
    from support.cluster.spark_cluster import spark_cluster

    with spark_cluster() as started:
        yield started


@pytest.fixture(scope="session")
def stack(localstack):
    """The template's resources on LocalStack."""
    from support.template_stack import create_stack

    return create_stack(localstack)


@pytest.fixture(scope="session")
def system(localstack, stack):
    """The deployed system, whose queues may have messages of other tests."""
    from support.deployed_system import DeployedSystem

    return DeployedSystem(localstack, stack)


@pytest.fixture
def cloud(system):
    """The deployed system with empty queues."""
    system.purge_queues()
    return system
