"""The reference side of side_by_side.py: the same work with Pillow, onnxruntime, pyarrow and scikit-learn.

    stages CARD ONNX LIST           answers lines `STAGE COUNT`
    ingest CARD ONNX LIST FOLDER    for any line, reads and embeds all photos of LIST and writes Parquet
    fit FILE DIMENSION COMPONENTS   fits one PCA, on the cores it may use
    first CARD ONNX PHOTO           embeds one photo
    phone PHOTO OUT                 writes a photo of 4032 x 3024 pixels, for the stages
    rows FILE COUNT DIMENSION       writes rows for the PCA

The modes and answers are those of benches/worker. `first` is timed from the start of the process, so each
mode imports only what it needs.
"""

import io
import sys
import time
import tomllib
from pathlib import Path

PART_ROWS = 128


class Model:
    """A model card and an inference session on one thread."""

    def __init__(self, card, onnx):
        import numpy
        import onnxruntime
        from PIL import Image

        self.numpy, self.Image, self.onnx = numpy, Image, onnx
        card = tomllib.loads(Path(card).read_text())["input"]
        assert (card["layout"], card["filter"], card["fit"]) == ("nchw", "bicubic", "stretch")
        self.side = card["side"]
        self.mean, self.std = (
            numpy.array(card[name], numpy.float32).reshape(3, 1, 1) for name in ("mean", "std")
        )
        self.onnxruntime, self.compiled = onnxruntime, None
        self.session = self.create_session()
        self.input = self.session.get_inputs()[0].name

    def create_session(self):
        options = self.onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return self.onnxruntime.InferenceSession(self.onnx, options, providers=["CPUExecutionProvider"])

    def decode(self, photo):
        image = self.Image.open(io.BytesIO(photo))
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")

    def square(self, photo):
        return self.decode(photo).resize((self.side, self.side), self.Image.Resampling.BICUBIC)

    def draft(self, photo):
        """Decodes and resizes a photo with libjpeg's scaled decoding, to at least twice the final size."""
        image = self.Image.open(io.BytesIO(photo))
        image.draft("RGB", (2 * self.side, 2 * self.side))
        image.load()
        return image.resize((self.side, self.side), self.Image.Resampling.BICUBIC)

    def planes(self, square):
        planes = self.numpy.asarray(square).transpose(2, 0, 1).astype(self.numpy.float32, order="C")
        planes -= self.mean
        planes /= self.std
        return planes[None]

    def embed(self, square):
        return self.session.run(None, {self.input: self.planes(square)})[0][0]

    def openvino(self, square):
        """Embeds with OpenVINO on one thread.

        The precision is fixed, because by default OpenVINO uses 16 bits if the processor supports them.
        """
        if self.compiled is None:
            import openvino

            settings = {
                "INFERENCE_NUM_THREADS": 1,
                "INFERENCE_PRECISION_HINT": "f32",
                "PERFORMANCE_HINT": "LATENCY",
            }
            self.compiled = openvino.Core().compile_model(self.onnx, "CPU", settings)
        return self.compiled([self.planes(square)])[0][0]

    def load(self, square):
        """Loads the model and embeds once."""
        self.session = self.create_session()
        return self.embed(square)

    def photo(self, photo):
        return self.embed(self.square(photo))


def encode(keys, photos, embeddings):
    """Returns a part with these rows, with the same columns, encodings and compression as fruitvec's."""
    import hashlib

    import numpy
    import pyarrow
    from pyarrow import parquet

    count, timestamp = len(keys), 1_790_000_000_000_000
    timestamps = pyarrow.array([timestamp] * count, pyarrow.timestamp("us", "UTC"))
    etags = [f"{len(photo):032x}" for photo in photos]
    element = pyarrow.field("element", pyarrow.float32(), nullable=False)
    table = pyarrow.table(
        {
            "photo_id": [
                hashlib.sha256(f"photos{key}{etag}".encode()).hexdigest()[:32]
                for key, etag in zip(keys, etags, strict=True)
            ],
            "bucket": ["photos"] * count,
            "key": keys,
            "etag": etags,
            "label": [key.split("/")[-2] for key in keys],
            "size_bytes": [len(photo) for photo in photos],
            "last_modified": timestamps,
            "width": pyarrow.array([100] * count, pyarrow.int32()),
            "height": pyarrow.array([100] * count, pyarrow.int32()),
            "embedding": pyarrow.ListArray.from_arrays(
                numpy.arange(count + 1, dtype=numpy.int32) * len(embeddings[0]),
                numpy.concatenate(embeddings),
                type=pyarrow.list_(element),
            ),
            "embedded_at": timestamps,
            "made_by": ["pyarrow"] * count,
        }
    )
    out = io.BytesIO()
    repeated = ["bucket", "label", "made_by"]
    statistics = [name for name in table.column_names if name != "embedding"]
    parquet.write_table(
        table,
        out,
        compression="zstd",
        compression_level=3,
        use_dictionary=repeated,
        write_statistics=statistics,
    )
    return out.getvalue()


def answer_lines(answer):
    """Answers each line of standard input, after a first line that says the worker is ready."""
    print("ready", flush=True)
    for line in sys.stdin:
        print(answer(line.strip()), flush=True)


def stages(card, onnx, paths):
    model = Model(card, onnx)
    photos = [Path(path).read_bytes() for path in paths]
    squares = [model.square(photo) for photo in photos]
    embeddings = [model.embed(square) for square in squares]

    def answer(line):
        stage, count = line.split()
        size = 0
        start = time.perf_counter_ns()
        if stage == "encode":
            for _ in range(int(count)):
                size = len(encode(paths, photos, embeddings))
        else:
            work, inputs = (
                getattr(model, stage),
                squares if stage in ("embed", "openvino", "load") else photos,
            )
            for number in range(int(count)):
                work(inputs[number % len(inputs)])
        return f"{time.perf_counter_ns() - start} {size}"

    answer_lines(answer)


def ingest(card, onnx, paths, folder):
    import pyarrow.parquet  # noqa: F401 (imported before the clock starts)

    model, parts = Model(card, onnx), 0

    def answer(_):
        nonlocal parts
        start = time.perf_counter_ns()
        for first in range(0, len(paths), PART_ROWS):
            keys = paths[first : first + PART_ROWS]
            photos = [Path(key).read_bytes() for key in keys]
            part = encode(keys, photos, [model.photo(photo) for photo in photos])
            parts += 1
            Path(folder, f"{parts}.parquet").write_bytes(part)
        return time.perf_counter_ns() - start

    answer_lines(answer)


def fit(file, dimension, components):
    import os

    import numpy
    import threadpoolctl
    from sklearn.decomposition import PCA

    rows = numpy.fromfile(file, "<f4").reshape(-1, dimension).astype(numpy.float64)
    with threadpoolctl.threadpool_limits(len(os.sched_getaffinity(0))):
        start, cpu = time.perf_counter_ns(), time.process_time_ns()
        found = PCA(components, svd_solver="covariance_eigh").fit(rows)
        print(
            time.perf_counter_ns() - start,
            time.process_time_ns() - cpu,
            found.explained_variance_ratio_.sum(),
        )


def first(card, onnx, photo):
    model = Model(card, onnx)
    print(model.photo(Path(photo).read_bytes()).sum())


def phone(photo, out):
    import numpy
    from PIL import Image

    image = Image.open(photo).convert("RGB").resize((4032, 3024), Image.Resampling.BICUBIC)
    # Without the noise of a sensor the file would be far smaller than a phone's.
    grain = numpy.random.default_rng(1).normal(0, 4, (3024, 4032, 3))
    noisy = numpy.clip(numpy.asarray(image) + grain, 0, 255).astype(numpy.uint8)
    Image.fromarray(noisy).save(out, quality=90)


def rows(file, count, dimension):
    """Writes rows like embeddings: sixty directions with falling variance, noise, and no negative values."""
    import numpy

    rng = numpy.random.default_rng(1)
    directions = rng.standard_normal((60, dimension)) * (0.9 ** numpy.arange(60))[:, None]
    with open(file, "wb") as out:
        for first in range(0, count, 10_000):
            size = min(10_000, count - first)
            signal = rng.standard_normal((size, 60)) @ directions
            noise = 0.3 * rng.standard_normal((size, dimension))
            numpy.maximum(signal + noise + 0.5, 0).astype("<f4").tofile(out)


def main(mode, *arguments):
    match mode, *arguments:
        case "stages", card, onnx, listed:
            stages(card, onnx, Path(listed).read_text().splitlines())
        case "ingest", card, onnx, listed, folder:
            ingest(card, onnx, Path(listed).read_text().splitlines(), folder)
        case "fit", file, dimension, components:
            fit(file, int(dimension), int(components))
        case "first", *rest:
            first(*rest)
        case "phone", *rest:
            phone(*rest)
        case "rows", file, count, dimension:
            rows(file, int(count), int(dimension))


if __name__ == "__main__":
    main(*sys.argv[1:])
