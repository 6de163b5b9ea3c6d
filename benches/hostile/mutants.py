"""Honest photos, and copies of them that are damaged at random."""

import io
import random

from PIL import Image, ImageDraw

from hostile.sizes import NOISE_SEED

MUTANTS_EACH = 12
OPTIONS = {
    "bmp": [{}],
    "gif": [{}, {"interlace": 1}],
    "jpeg": [{}, {"progressive": True}],
    "png": [{}],
    "tiff": [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}],
    "webp": [{}, {"lossless": True}],
}


def scene(width, height):
    """Returns a picture of gradients and shapes, which every format compresses to some degree."""
    image = Image.merge("RGB", [Image.linear_gradient("L").rotate(turn) for turn in (0, 90, 180)])
    image = image.resize((width, height))
    draw, chance = ImageDraw.Draw(image), random.Random(NOISE_SEED)
    for _ in range(200):
        left, top = chance.randrange(width), chance.randrange(height)
        colour = tuple(chance.randrange(256) for _ in range(3))
        draw.ellipse((left, top, left + width // 9, top + height // 9), fill=colour)
    return image


def encoded(image, name, options):
    data = io.BytesIO()
    image.save(data, name, **options)
    return data.getvalue()


def mutants(data, chance):
    """Yields copies of a file with a few bytes changed, most of them at its start, where headers are."""
    for _ in range(MUTANTS_EACH):
        copy = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            end = chance.choice([64, 1024, len(copy)])
            copy[chance.randrange(min(end, len(copy)))] = chance.choice(
                [0, 1, 0x7F, 0xFF, chance.randrange(256)]
            )
        yield bytes(copy)


def files(name):
    """Yields the name and the bytes of each file of a format."""
    chance = random.Random(NOISE_SEED)
    for side, size in [(300, "small"), (1600, "medium")]:
        picture = scene(side, side * 3 // 4)
        for index, options in enumerate(OPTIONS[name]):
            data = encoded(picture, name, options)
            for number, mutant in enumerate(mutants(data, chance)):
                yield f"mutant-{size}-{index}-{number}", mutant
    # The largest photo within the limits.
    for index, options in enumerate(OPTIONS[name]):
        data = encoded(scene(8000, 8000), name, options)
        if len(data) <= 25 << 20:
            yield f"honest-64-megapixels-{index}", data
