"""What the benchmarks share: where things are, the two sides and how they take turns, and the tables."""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("FRUITVEC_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "fruitvec")
SHARED = Path(os.environ.get("FRUITVEC_SHARED") or ROOT.parent / "shared").resolve()
MODELS = ["fruit-mobilenetv2-035-128", "mobilenetv2-keras"]
CORES = sorted(os.sched_getaffinity(0))
THREADS = [1, 2] if len(CORES) > 1 else [1]


# ── set-up


def environment(name, requirements):
    """The Python of a virtual environment of pinned packages; made anew when their list changes."""
    requirements, folder = ROOT / "benches" / requirements, CACHE / "tools" / name
    made_of = folder / "requirements.txt"
    if not made_of.exists() or made_of.read_text() != requirements.read_text():
        say(f"Python environment: {name}")
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
        subprocess.run(pip, check=True)
        shutil.copy(requirements, made_of)
    return str(folder / "bin/python")


def worker():
    """The release build of benches/worker."""
    return [programs()["worker"]]


def programs():
    """The release builds of benches/worker and, which cargo builds with every benchmark, of fruitvec: their paths by their names."""
    say("release build of the worker")
    command = ["cargo", "bench", "--quiet", "--no-run", "--bench", "worker", "--message-format=json"]
    build = subprocess.run(command, cwd=ROOT, env=build_settings(), check=True, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in build.stdout.splitlines()]
    built = [m for m in messages if m["reason"] == "compiler-artifact" and m["executable"]]
    return {message["target"]["name"]: message["executable"] for message in built}


def build_settings():
    """The environment of a build: its output lies in the cache folder."""
    return {"CARGO_TARGET_DIR": str(CACHE / "target"), "CARGO_INCREMENTAL": "0"} | os.environ


def say(what):
    print(f"── {what}", file=sys.stderr, flush=True)


class Photos:
    """Lists of photos' paths, each a file of the folder of this run."""

    def __init__(self, folder, ours, count):
        self.folder = folder
        data = SHARED / "data"
        if data.is_dir():
            self.small_kind = "Fruits-360, 100×100"
            self.root = data / "fruits360/Test"
            small = sorted(self.root.glob("*/*.jpg"))
            large = sorted((data / "grocery/train").glob("*/*.jpg"))
            self.large = large[:: max(1, len(large) // 64)]
        else:
            say(f"{data} is not there: the photos are painted")
            self.small_kind = "painted, 100×100"
            self.root = folder / "painted"
            check([*ours, "paint", self.root])
            small, self.large = sorted(self.root.glob("*/*.jpg")), []
        # Of every kind some, in no order that a cache could like.
        self.small = [small[number * 7919 % len(small)] for number in range(count)]

    def large_copy(self, theirs):
        """A photo of a phone's size."""
        phone = self.folder / "phone.jpg"
        check([*theirs, "phone", (self.large or self.small)[0], phone])
        return phone

    def listed(self, photos):
        file = self.folder / f"{abs(hash(tuple(photos)))}.txt"
        # The same photo may come twice; its key must not.
        copies = self.folder / file.stem
        copies.mkdir(exist_ok=True)
        paths = []
        for number, photo in enumerate(photos):
            paths.append(copies / photo.parent.name / f"{number}.jpg")
            paths[-1].parent.mkdir(exist_ok=True)
            shutil.copyfile(photo, paths[-1])
        file.write_text("".join(f"{path}\n" for path in paths))
        return str(file)


def check(command):
    subprocess.run(list(map(str, command)), check=True)


def model_file(model):
    """The ONNX file of a card, or nothing."""
    name = tomllib.loads((ROOT / f"models/{model}.toml").read_text())["file"]["name"]
    folders = [os.environ.get("FRUITVEC_MODELS_DIR"), ROOT / "models", SHARED / "models", CACHE / "models"]
    return next((Path(folder, name) for folder in folders if folder and Path(folder, name).is_file()), None)


def has(feature):
    """Whether the processor says so."""
    return any(line.startswith("flags") and feature in line.split() for line in open("/proc/cpuinfo"))


# ── measuring


@contextmanager
def pinned(cores):
    """What is started meanwhile runs on these cores for all its life."""
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, CORES)


class Worker:
    """A process that does what a line says and answers with a line: nanoseconds, then anything."""

    def __init__(self, command, threads):
        with pinned(CORES[:threads]):
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
        # The clock of the CPU time of another process: clock_getcpuclockid(3).
        self.clock = (~self.process.pid << 3) | 2
        self.first = self.process.stdout.readline().strip()
        assert self.first, f"{command} did not start"

    def send(self, line):
        self.cpu_before = self.cpu()
        self.process.stdin.write(f"{line}\n")

    def answer(self):
        took, *rest = self.process.stdout.readline().split()
        return int(took), round((self.cpu() - self.cpu_before) * 1e9), rest

    def ask(self, line):
        self.send(line)
        return self.answer()

    def cpu(self):
        return time.clock_gettime(self.clock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def once(command, threads):
    """A process from start to end: nanoseconds by the clock and of CPU, peak memory in MB, what it printed."""
    with pinned(CORES[:threads]):
        start = time.perf_counter_ns()
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        took = time.perf_counter_ns() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    assert process.returncode == 0, f"{command} failed"
    return took, round((used.ru_utime + used.ru_stime) * 1e9), used.ru_maxrss / 1000, printed.split()


class Figure:
    """What one kind of work took, of one side, by round; each work is `count` things."""

    def __init__(self, count=1):
        self.count, self.clock, self.cpu, self.extra = count, [], [], []

    def add(self, clock, cpu, extra=None):
        self.clock.append(clock / self.count)
        self.cpu.append(cpu / self.count)
        self.extra.append(extra)

    def least(self):
        return min(self.clock)

    def median(self):
        return statistics.median(self.clock)

    def least_cpu(self):
        return min(self.cpu)


def in_turns(rounds, ours, theirs, warm=True):
    """Both, one after the other, round after round, who begins changing. Each is called to do the work once and return
    what `Figure.add` takes. The first round warms caches and is not counted."""
    figures, sides = (Figure(), Figure()), (ours, theirs)
    for number in range(-1 if warm else 0, rounds):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            did = sides[side]()
            if number >= 0:
                figures[side].add(*did)
    return figures


# ── the table


class Table:
    def __init__(self, title, unit, scale):
        self.title, self.scale, self.unit, self.rows = title, scale, unit, []

    def row(self, name, ours, theirs, digits=0):
        say(name)
        cells = [name]
        for side in (ours, theirs):
            numbers = (side.least_cpu(), side.least(), side.median())
            cells.append(" · ".join(f"{number / self.scale:,.{digits}f}" for number in numbers))
        cells.append(f"{ours.least_cpu() / theirs.least_cpu():.2f}")
        cells.append(f"{ours.least() / theirs.least():.2f}")
        self.rows.append(cells)

    def show(self):
        head = [self.title, f"fruitvec, {self.unit}", f"other, {self.unit}", "ratio, CPU", "ratio, clock"]
        show(head, self.rows)


def show(head, rows):
    print("\n| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    sys.stdout.flush()


def machine(requirements, names):
    """The machine, and the versions of what is pinned."""
    cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    memory = int(open("/proc/meminfo").readline().split()[1]) / 1e6
    rust = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    pins = dict(line.split("==") for line in requirements.read_text().split() if "==" in line)
    versions = ", ".join(f"{name} {pins[name]}" for name in names)
    print(f"{cpu}, {len(CORES)} cores, {memory:.0f} GB, Linux {platform.release().split('-')[0]}, load {os.getloadavg()[0]:.1f}.")
    print(f"Rust {rust}; Python {platform.python_version()}, {versions}.", flush=True)
