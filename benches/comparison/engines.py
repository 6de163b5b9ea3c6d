"""Compares our inference engines with onnxruntime and OpenVINO, photo by photo, on one core."""

import statistics
from contextlib import ExitStack

from comparison.sides import is_bundled
from measuring.environments import announce
from measuring.processes import THREADS, Worker, has_cpu_feature
from measuring.rounds import interleaved, rotated
from measuring.tables import print_table

# The values of FRUITVEC_ENGINE. By default the first one that the machine supports runs the network.
ENGINES = ["native-avx512", "native-avx2", "native-portable", "tract"]
# Each contender embeds 200 photos, which are timed one by one.
TURNS, PHOTOS_PER_TURN = 20, 10
WARM_UP_PHOTOS = 2
LOADS = 10
HEAD = [
    "least, ms",
    "median, ms",
    "least ÷ onnxruntime",
    "median ÷ onnxruntime",
    "photos by two threads ÷ by one",
    "file to first embedding, ms",
    "of it read and verified",
]


def run(comparison):
    for model in comparison.models:
        with ExitStack() as stack:
            photos = comparison.photos.list_file(comparison.photos.small[:PHOTOS_PER_TURN])
            ours, theirs = comparison.commands("stages", model, photos)
            contenders = start_contenders(stack, ours, theirs)
            times = time_photos(contenders)
            loads = {
                name: time_requests(worker, "load")
                for name, (stage, worker) in contenders.items()
                if stage == "embed"
            }
            engines = [name for name in contenders if name in ENGINES]
            reads = {engine: time_requests(contenders[engine][1], "read") for engine in engines}
            speedups = {engine: two_thread_speedup(comparison, ours, engine, model) for engine in engines}
        least, median = (of(times["onnxruntime"]) for of in (min, statistics.median))
        rows = []
        for name, of_photos in times.items():
            this_least, this_median = min(of_photos), statistics.median(of_photos)
            rows.append(
                [
                    name,
                    milliseconds(this_least, 2),
                    milliseconds(this_median, 2),
                    f"{this_least / least:.2f}",
                    f"{this_median / median:.2f}",
                    f"{speedups[name]:.2f}" if name in speedups else "",
                    milliseconds(min(loads[name]), 1) if name in loads else "",
                    milliseconds(min(reads[name]), 1) if name in reads else "",
                ]
            )
        print_table([f"embed, `{model}`, one thread", *HEAD], rows)


def start_contenders(stack, ours, theirs):
    """Starts the workers. Returns the stage and worker of each contender by name.

    The reference worker runs both onnxruntime and OpenVINO.
    """
    reference = stack.enter_context(Worker(theirs, 1))
    contenders = {"onnxruntime": ("embed", reference), "OpenVINO, f32": ("openvino", reference)}
    for engine in filter(is_supported, ENGINES):
        worker = stack.enter_context(Worker(with_engine(engine, ours), 1))
        contenders[engine] = ("embed", worker)
    return contenders


def with_engine(engine, command):
    return ["env", f"FRUITVEC_ENGINE={engine}", *command]


def is_supported(engine):
    """Returns whether the processor can run an engine."""
    supported = not engine.endswith("avx512") or has_cpu_feature("avx512f")
    if not supported:
        announce(f"{engine} is left out, because this machine has no AVX-512")
    return supported


def time_photos(contenders):
    """Returns the nanoseconds of each photo by contender.

    The contenders take turns. The first photos of a turn warm the caches and are not counted.
    """
    times = {name: [] for name in contenders}
    for turn in range(TURNS):
        for name in rotated(list(contenders), turn):
            stage, worker = contenders[name]
            asked = [worker.ask(f"{stage} 1")[0] for _ in range(WARM_UP_PHOTOS + PHOTOS_PER_TURN)]
            times[name] += asked[WARM_UP_PHOTOS:]
    return times


def time_requests(worker, stage):
    return [worker.ask(f"{stage} 1")[0] for _ in range(LOADS)]


def two_thread_speedup(comparison, ours, engine, model):
    """Returns the throughput of two threads relative to one. On a single core it is about one."""
    # Enough photos that the scheduler has long since spread the threads over the cores.
    count = 256 if is_bundled(model) else 32
    with Worker(with_engine(engine, ours), len(THREADS)) as worker:
        one, two = interleaved(
            comparison.rounds,
            lambda: worker.ask(f"embed {count}"),
            lambda: worker.ask(f"embed-twice {count}"),
        )
    return 2 * one.least() / two.least()


def milliseconds(nanoseconds, digits):
    return f"{nanoseconds / 1e6:.{digits}f}"
