"""Writes a table of embeddings as the README describes it, of made-up rows: for benches/rebuild.

    table.py FOLDER CARD ROWS PART_ROWS FIRST_DAY DAYS [SEED]

FOLDER is that of a results bucket, CARD a model card. Parts of PART_ROWS rows each go to DAYS days from FIRST_DAY on, in turn. Prints how
many parts and bytes it wrote.
"""

import hashlib
import sys
import tomllib
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import numpy
import pyarrow
from pyarrow import parquet

ROW_GROUP_ROWS, DIRECTIONS = 8192, 60
COLUMNS = ["photo_id", "bucket", "key", "etag", "label", "size_bytes", "last_modified", "width", "height", "embedding"]
COLUMNS += ["embedded_at", "made_by"]


def photo_id(bucket, key, etag):
    """16 bytes: see PhotoId::of in src/photo.rs."""
    digest = hashlib.sha256()
    for text in (bucket, key, etag):
        digest.update(len(text).to_bytes(8, "little") + text.encode())
    return digest.digest()[:16]


def part_name(ids, second):
    """See PartName::of in src/partition.rs."""
    digest = hashlib.sha256()
    for photo in sorted(ids):
        digest.update(photo + second.to_bytes(8, "little"))
    return digest.hexdigest()[:32]


class Rows:
    """Rows like embeddings: some directions, each less than the one before it, noise, nothing below zero. Shifted so far that they are as
    many bytes in a part as those of photos."""

    def __init__(self, dimension, seed):
        self.random = numpy.random.default_rng(seed)
        # Whatever the seed, the same directions: parts that are added later are of the same kind.
        directions = numpy.random.default_rng(1).standard_normal((DIRECTIONS, dimension))
        self.directions = (directions * (0.9 ** numpy.arange(DIRECTIONS))[:, None]).astype(numpy.float32)

    def some(self, count):
        of_directions = self.random.standard_normal((count, DIRECTIONS), numpy.float32) @ self.directions
        noise = self.random.standard_normal(of_directions.shape, numpy.float32)
        return numpy.maximum(of_directions + 0.3 * noise + 2, 0)


def part(first, embeddings, day):
    """The name and the columns of a part of these rows, all of one second of the day, numbered from `first` on."""
    count, dimension = embeddings.shape
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc)
    second = int(noon.timestamp())
    # In the order of their keys, as the rows of a part are.
    keys = [f"photos/{number // 1000:06}/{number:09}.jpg" for number in range(first, first + count)]
    etags = [f"{number:032x}" for number in range(first, first + count)]
    ids = [photo_id("photos", key, etag) for key, etag in zip(keys, etags)]
    times = pyarrow.array([second * 1_000_000] * count, pyarrow.timestamp("us", "UTC"))
    sizes = [pyarrow.array([100] * count, kind) for kind in (pyarrow.int64(), pyarrow.int32(), pyarrow.int32())]
    element = pyarrow.field("element", pyarrow.float32(), nullable=False)
    offsets = numpy.arange(count + 1, dtype=numpy.int32) * dimension
    lists = pyarrow.ListArray.from_arrays(offsets, embeddings.ravel(), type=pyarrow.list_(element))
    labels, hexes = [key.split("/")[1] for key in keys], [photo.hex() for photo in ids]
    columns = [hexes, ["photos"] * count, keys, etags, labels, sizes[0], times, *sizes[1:], lists, times, ["made up"] * count]
    return part_name(ids, second), dict(zip(COLUMNS, columns, strict=True))


def write(file, columns, metadata):
    """Nothing but the label may be null; the metadata says of which network the rows are."""
    arrays = {name: pyarrow.array(column) for name, column in columns.items()}
    schema = pyarrow.schema([pyarrow.field(name, array.type, nullable=name == "label") for name, array in arrays.items()])
    kept = {"compression": "zstd", "compression_level": 3, "use_dictionary": ["bucket", "label", "made_by"]}
    kept["write_statistics"] = [name for name in COLUMNS if name != "embedding"]
    with parquet.ParquetWriter(file, schema, store_schema=False, **kept) as writer:
        writer.write_table(pyarrow.table(arrays, schema), ROW_GROUP_ROWS)
        writer.add_key_value_metadata(metadata)


def main(folder, card, rows, part_rows, first_day, days, seed="1"):
    card, rows, part_rows = tomllib.loads(Path(card).read_text()), int(rows), int(part_rows)
    metadata = {"fruitvec.version": "1", "fruitvec.model": card["id"], "fruitvec.model_sha256": card["file"]["sha256"]}
    made, written, parts = Rows(card["dimension"], int(seed)), 0, 0
    # Tables of another seed are of other photos.
    offset = (int(seed) - 1) * 100_000_000
    for first in range(0, rows, part_rows):
        day = date.fromisoformat(first_day) + timedelta(days=parts % int(days))
        name, columns = part(offset + first, made.some(min(part_rows, rows - first)), day)
        file = Path(folder, f"embeddings/model={card['id']}/date={day}/{name}.parquet")
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, columns, metadata)
        parts, written = parts + 1, written + file.stat().st_size
    print(parts, written)


if __name__ == "__main__":
    main(*sys.argv[1:])
