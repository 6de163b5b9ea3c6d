"""Writes a table of synthetic embeddings in the format of docs/table-format.md. Run by rebuild.py.

    synthetic_table.py FOLDER CARD ROWS PART_ROWS FIRST_DAY DAYS [SEED]

FOLDER is that of a results bucket and CARD a model card. The parts have PART_ROWS rows each and go in turn to
DAYS days from FIRST_DAY on. It prints the numbers of parts and bytes.
"""

import hashlib
import sys
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy
import pyarrow
from pyarrow import parquet

ROW_GROUP_ROWS, DIRECTIONS = 8192, 60


def photo_id(bucket, key, etag):
    """Returns the 16 bytes of a photo id, as `PhotoId` of the library computes them."""
    digest = hashlib.sha256()
    for text in (bucket, key, etag):
        digest.update(len(text).to_bytes(8, "little") + text.encode())
    return digest.digest()[:16]


def part_name(ids, second):
    """Returns the name of a part, as `PartName` of the library computes it."""
    digest = hashlib.sha256()
    for photo in sorted(ids):
        digest.update(photo + second.to_bytes(8, "little"))
    return digest.hexdigest()[:32]


class RowGenerator:
    """Generates rows like embeddings: directions with falling variance, noise, and no negative values.

    The offset is chosen so that they compress to as much as the embeddings of photos.
    """

    def __init__(self, dimension, seed):
        self.rng = numpy.random.default_rng(seed)
        # The directions do not depend on the seed, so rows that are added later have the same distribution.
        directions = numpy.random.default_rng(1).standard_normal((DIRECTIONS, dimension))
        self.directions = (directions * (0.9 ** numpy.arange(DIRECTIONS))[:, None]).astype(numpy.float32)

    def generate(self, count):
        signal = self.rng.standard_normal((count, DIRECTIONS), numpy.float32) @ self.directions
        noise = self.rng.standard_normal(signal.shape, numpy.float32)
        return numpy.maximum(signal + 0.3 * noise + 2, 0)


def part(first, embeddings, day):
    """Returns the name and columns of a part. Its keys are numbered from `first` on.

    All rows are from noon of the day.
    """
    count, dimension = embeddings.shape
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    second = int(noon.timestamp())
    # The rows of a part are sorted by key. Leading zeros give the keys the order of their numbers.
    keys = [f"photos/{number // 1000:06}/{number:09}.jpg" for number in range(first, first + count)]
    etags = [f"{number:032x}" for number in range(first, first + count)]
    ids = [photo_id("photos", key, etag) for key, etag in zip(keys, etags, strict=True)]
    times = pyarrow.array([second * 1_000_000] * count, pyarrow.timestamp("us", "UTC"))
    numbers = {kind: pyarrow.array([100] * count, kind) for kind in (pyarrow.int64(), pyarrow.int32())}
    element = pyarrow.field("element", pyarrow.float32(), nullable=False)
    offsets = numpy.arange(count + 1, dtype=numpy.int32) * dimension
    columns = {
        "photo_id": [photo.hex() for photo in ids],
        "bucket": ["photos"] * count,
        "key": keys,
        "etag": etags,
        "label": [key.split("/")[1] for key in keys],
        "size_bytes": numbers[pyarrow.int64()],
        "last_modified": times,
        "width": numbers[pyarrow.int32()],
        "height": numbers[pyarrow.int32()],
        "embedding": pyarrow.ListArray.from_arrays(offsets, embeddings.ravel(), type=pyarrow.list_(element)),
        "embedded_at": times,
        "made_by": ["made up"] * count,
    }
    return part_name(ids, second), columns


def write(file, columns, metadata):
    """Writes a part. Only the label may be null, and the metadata names the model."""
    arrays = {name: pyarrow.array(column) for name, column in columns.items()}
    schema = pyarrow.schema(
        [pyarrow.field(name, array.type, nullable=name == "label") for name, array in arrays.items()]
    )
    options = {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": ["bucket", "label", "made_by"],
        "write_statistics": [name for name in columns if name != "embedding"],
    }
    with parquet.ParquetWriter(file, schema, store_schema=False, **options) as writer:
        writer.write_table(pyarrow.table(arrays, schema), ROW_GROUP_ROWS)
        writer.add_key_value_metadata(metadata)


def main(folder, card, rows, part_rows, first_day, days, seed="1"):
    card, rows, part_rows = tomllib.loads(Path(card).read_text()), int(rows), int(part_rows)
    metadata = {
        "fruitvec.version": "1",
        "fruitvec.model": card["id"],
        "fruitvec.model_sha256": card["file"]["sha256"],
    }
    generator, written, parts = RowGenerator(card["dimension"], int(seed)), 0, 0
    # Another seed gives other keys.
    offset = (int(seed) - 1) * 100_000_000
    for first in range(0, rows, part_rows):
        day = date.fromisoformat(first_day) + timedelta(days=parts % int(days))
        name, columns = part(offset + first, generator.generate(min(part_rows, rows - first)), day)
        file = Path(folder, f"embeddings/model={card['id']}/date={day}/{name}.parquet")
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, columns, metadata)
        parts, written = parts + 1, written + file.stat().st_size
    print(parts, written)


if __name__ == "__main__":
    main(*sys.argv[1:])
