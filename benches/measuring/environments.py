"""Folders, release builds and Python environments of the benchmarks."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCHES = ROOT / "benches"
PROGRAMS = BENCHES / "programs"
CACHE = Path(
    os.environ.get("FRUITVEC_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "fruitvec"
)
SHARED = Path(os.environ.get("FRUITVEC_SHARED") or ROOT.parent / "shared").resolve()
MODELS = ["fruit-mobilenetv2-035-128", "mobilenetv2-keras"]


def announce(step):
    """Prints the current step to standard error, because the tables go to standard output."""
    print(f"── {step}", file=sys.stderr, flush=True)


def run_checked(command):
    """Runs a command and raises if it fails."""
    subprocess.run(list(map(str, command)), check=True)


def environment(name, requirements):
    """Returns the Python of a virtual environment, and recreates it when its requirements file changes."""
    requirements, folder = BENCHES / requirements, CACHE / "tools" / name
    installed = folder / "requirements.txt"
    if not installed.exists() or installed.read_text() != requirements.read_text():
        announce(f"Python environment: {name}")
        shutil.rmtree(folder, ignore_errors=True)
        run_checked([sys.executable, "-m", "venv", folder])
        run_checked(
            [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
        )
        # The copy comes last, so that an interrupted installation is repeated.
        shutil.copy(requirements, installed)
    return str(folder / "bin/python")


def release_builds():
    """Builds benches/worker and fruitvec for release. Returns their paths by name.

    cargo builds fruitvec with every benchmark, so one command builds both.
    """
    announce("release build of the worker")
    command = ["cargo", "bench", "--quiet", "--no-run", "--bench", "worker", "--message-format=json"]
    build = subprocess.run(
        command, cwd=ROOT, env=build_settings(), check=True, stdout=subprocess.PIPE, text=True
    )
    messages = [json.loads(line) for line in build.stdout.splitlines()]
    built = [m for m in messages if m["reason"] == "compiler-artifact" and m["executable"]]
    return {message["target"]["name"]: message["executable"] for message in built}


def build_settings():
    """Returns the environment of a build, whose output goes into the cache folder."""
    return {"CARGO_TARGET_DIR": str(CACHE / "target"), "CARGO_INCREMENTAL": "0"} | os.environ


def model_file(model):
    """Returns the ONNX file of a model card, or nothing if it is not on this machine."""
    name = model_card(model)["file"]["name"]
    folders = [os.environ.get("FRUITVEC_MODELS_DIR"), ROOT / "models", SHARED / "models", CACHE / "models"]
    return next((Path(folder, name) for folder in folders if folder and Path(folder, name).is_file()), None)


def model_card(model):
    """Returns a parsed model card."""
    return tomllib.loads((ROOT / f"models/{model}.toml").read_text())
