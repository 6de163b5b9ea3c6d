"""bootstrap.sh with the real `aws` command line, with the template's role of a cluster's machines."""

import os

from support.cluster.artifacts import MODEL, PROGRAM


def test_the_primary_fetches_the_worker_card_and_model_and_checks_them(artifacts):
    done, folder = artifacts.bootstrap("primary")
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == artifacts.files
    assert os.access(folder / PROGRAM, os.X_OK)
    assert done.stdout.splitlines()[0].startswith("fruitvec ")
    assert f"{MODEL}: the file matches its card" in done.stdout


def test_other_machines_fetch_nothing(artifacts):
    done, folder = artifacts.bootstrap("other", primary=False)
    assert (done.returncode, folder.exists()) == (0, False), done.stderr


def test_a_missing_or_unreadable_artifact_is_named(artifacts):
    artifacts.put("old/emr", artifacts.files)
    for prefix, settings, expected in [
        ("emr", {"model": "no-such-model"}, "/emr/no-such-model.toml: put it there"),
        # The role may not read outside the prefix that the template names.
        (
            "old/emr",
            {},
            "/old/emr/fruitvec: put it there as infra/README.md says, and let the cluster's role read it",
        ),
        ("emr", {"model": "../embed"}, "../embed is no model's id"),
    ]:
        done, _ = artifacts.bootstrap("missing", prefix, **settings)
        assert done.returncode == 1 and expected in done.stderr, done.stderr


def test_a_model_that_does_not_match_its_card_fails_the_bootstrap(artifacts):
    # An interrupted upload would leave such a file.
    name = f"{MODEL}.onnx"
    assert_fails(
        artifacts,
        "truncated",
        {name: artifacts.files[name][:-1]},
        f"{name} is not the model that {MODEL}.toml describes",
    )


def test_a_program_for_another_system_fails_the_bootstrap(artifacts):
    program = b"#!/lib64/ld-linux-of-another-system.so\n"
    expected = "build it for Amazon Linux 2023 as infra/README.md says"
    assert_fails(artifacts, "foreign", {PROGRAM: program}, expected)


def test_a_card_that_names_no_file_fails_the_bootstrap(artifacts):
    card = artifacts.files[f"{MODEL}.toml"].replace(b"[file]", b"[files]")
    expected = "is no model card: it names no file"
    assert_fails(artifacts, "nameless", {PROGRAM: b"", f"{MODEL}.toml": card}, expected)


def assert_fails(artifacts, name, changed, expected):
    """Asserts that bootstrap.sh fails with a message when some files are replaced."""
    artifacts.put(f"emr/{name}", {**artifacts.files, **changed})
    done, _ = artifacts.bootstrap(name, f"emr/{name}")
    assert done.returncode == 1 and expected in done.stderr, done.stderr
