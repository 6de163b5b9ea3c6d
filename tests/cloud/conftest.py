"""What every test of the deployed system may ask for. Tools, stand-ins and binaries are those that `tests/run` makes."""

import signal

import pytest
import servers


def pytest_configure(config):
    """Ends as with Ctrl-C when it is told to end: the fixtures then stop what they have started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def localstack():
    """One LocalStack for all tests."""
    with servers.localstack() as server:
        yield server


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
