"""bootstrap.sh with the real `aws` command line, under the role that the template gives a cluster's machines."""

import os

from spark_artifacts import MODEL, PROGRAM


def test_the_primary_fetches_worker_card_and_model_and_tries_them(artifacts):
    done, folder = artifacts.fetched("primary")
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == artifacts.files
    assert os.access(folder / PROGRAM, os.X_OK)
    assert done.stdout.splitlines()[0].startswith("fruitvec ")
    assert f"{MODEL}: the file is the card's" in done.stdout


def test_other_machines_fetch_nothing(artifacts):
    done, folder = artifacts.fetched("other", primary=False)
    assert (done.returncode, folder.exists()) == (0, False), done.stderr


def test_what_is_not_there_or_not_for_the_role_is_named(artifacts):
    artifacts.put("old/emr", artifacts.files)
    for prefix, settings, named in [
        ("emr", {"model": "no-such-model"}, "/emr/no-such-model.toml: put it there"),
        # The role may read what the template says, and nothing beside it.
        ("old/emr", {}, "/old/emr/fruitvec: put it there as infra/README.md says, and let the cluster's role read it"),
        ("emr", {"model": "../embed"}, "../embed is no model's id"),
    ]:
        done, _ = artifacts.fetched("missing", prefix, **settings)
        assert done.returncode == 1 and named in done.stderr, done.stderr


def test_a_model_that_is_not_the_card_s_ends_it(artifacts):
    # As by an upload that was broken off.
    name = f"{MODEL}.onnx"
    assert_ends(artifacts, "truncated", {name: artifacts.files[name][:-1]}, f"{name} is not the model that {MODEL}.toml describes")


def test_a_program_for_another_system_ends_it(artifacts):
    program = b"#!/lib64/ld-linux-of-another-system.so\n"
    assert_ends(artifacts, "foreign", {PROGRAM: program}, "build it for Amazon Linux 2023 as infra/README.md says")


def test_a_card_that_names_no_file_ends_it(artifacts):
    card = artifacts.files[f"{MODEL}.toml"].replace(b"[file]", b"[files]")
    assert_ends(artifacts, "nameless", {PROGRAM: b"", f"{MODEL}.toml": card}, "is no model card: it names no file")


def assert_ends(artifacts, name, changed, named):
    """With these files in place of the good ones it fails, and says so."""
    artifacts.put(f"emr/{name}", {**artifacts.files, **changed})
    done, _ = artifacts.fetched(name, f"emr/{name}")
    assert done.returncode == 1 and named in done.stderr, done.stderr
