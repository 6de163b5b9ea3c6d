"""Compares the stages of one photo on one thread."""

from contextlib import ExitStack

from comparison.sides import PART_PHOTOS, is_bundled
from measuring.environments import model_card
from measuring.rounds import Figure
from measuring.tables import ComparisonTable


def run(comparison):
    table = ComparisonTable("one photo, one thread", "µs", 1000)
    small = comparison.photos.list_file(comparison.photos.small[:PART_PHOTOS])
    for model in comparison.models:
        with ExitStack() as stack:
            workers = comparison.start_workers(stack, "stages", model, small)
            # These two do not depend on the model, so the first one measures them.
            if is_bundled(model):
                decoded = comparison.measure_stage(workers, "decode", 1024)
                table.add_row(f"decode ({comparison.photos.small_kind})", *decoded)
                encoded = comparison.measure_stage(workers, "encode", 10, items=10 * PART_PHOTOS)
            add_model(comparison, table, model, workers, decoded)
        if is_bundled(model):
            table.add_row(f"Parquet, {PART_PHOTOS} rows a part", *encoded)
    add_large_photos(comparison, table)
    table.print()
    ours, theirs = (int(figure.extra[0][0]) for figure in encoded)
    print(f"\nA part of {PART_PHOTOS} rows has {ours:,} bytes with fruitvec and {theirs:,} with pyarrow.")


def add_model(comparison, table, model, workers, decoded):
    """Adds the stages that depend on the model."""
    # The large model takes much longer, so fewer photos make a round.
    photos = 256 if is_bundled(model) else 32
    side = model_card(model)["input"]["side"]
    squared = comparison.measure_stage(workers, "square", 1024)
    table.add_row(f"decode and resize to {side}", *squared)
    resized = [difference(whole, part) for whole, part in zip(squared, decoded, strict=True)]
    table.add_row(f"· of it resize to {side}", *resized)
    embedded = comparison.measure_stage(workers, "embed", photos)
    table.add_row(f"embed, `{model}`", *embedded)
    whole = comparison.measure_stage(workers, "photo", photos)
    table.add_row(f"bytes to embedding, `{model}`", *whole)


def add_large_photos(comparison, table):
    """Adds decoding and resizing of large photos for the last model."""
    model, photos = next(reversed(comparison.models)), comparison.photos
    side = model_card(model)["input"]["side"]
    phone = f"4032×3024, {photos.phone.stat().st_size / 1e6:.1f} MB"
    for group, kind, count, their_stage in [
        (photos.large, "Grocery Store, mostly 348×348", 32, "square"),
        ([photos.phone], f"{phone}, Pillow whole", 2, "square"),
        ([photos.phone], f"{phone}, Pillow in draft mode", 4, "draft"),
    ]:
        if group:
            with ExitStack() as stack:
                workers = comparison.start_workers(stack, "stages", model, photos.list_file(group))
                squared = comparison.measure_stage(workers, "square", count, their_stage=their_stage)
                table.add_row(f"decode and resize to {side} ({kind})", *squared)


def difference(whole, part):
    """Returns the figure of the rest of some work, from the figures of the whole and of a part.

    The rounds of the two were not the same ones, so only the least times and the medians are subtracted.
    """
    rest = Figure()
    rest.clock = [whole.least() - part.least(), whole.median() - part.median()]
    rest.cpu = [whole.least_cpu() - part.least_cpu()]
    rest.least = lambda: rest.clock[0]
    rest.median = lambda: rest.clock[1]
    return rest
