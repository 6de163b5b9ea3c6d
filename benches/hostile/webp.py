"""WebP files that cost more than their size."""

import io
import struct

import numpy
from PIL import Image

from hostile import vp8, vp8l
from hostile.sizes import LARGE, NOISE_SEED, SMALL

SIDE = 8000
ALPHA, ANIMATION = 0x10, 0x02


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def riff(*chunks):
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def three_bytes(*numbers):
    return b"".join(struct.pack("<I", number)[:3] for number in numbers)


def extended(flags, width, height):
    return chunk(b"VP8X", bytes([flags, 0, 0, 0]) + three_bytes(width - 1, height - 1))


def frame(width, height, *chunks):
    return chunk(b"ANMF", three_bytes(0, 0, width - 1, height - 1, 100) + b"\0" + b"".join(chunks))


def alpha_chunk(width, height, method, filtering):
    """Returns an alpha channel: raw for method 0, and otherwise lossless."""
    if method == 0:
        return chunk(b"ALPH", bytes([filtering << 2]) + bytes(width * height))
    stream = vp8l.transforms(vp8l.BitWriter(), (vp8l.PREDICTOR, vp8l.CROSS_COLOUR))
    stream.write(0, 1).write(0, 1)
    vp8l.group(stream, green=9)
    return chunk(b"ALPH", bytes([1 | filtering << 2]) + stream.bytes())


def encoded(image, **options):
    data = io.BytesIO()
    image.save(data, "WEBP", **options)
    return data.getvalue()


def containers(length):
    """Yields files of one pixel among chunks of about `length` bytes."""
    pixel = chunk(b"VP8L", vp8l.solid(9, 9))
    yield (
        "frames",
        riff(extended(ANIMATION, 9, 9), chunk(b"ANIM", bytes(6)), frame(9, 9, pixel) * (length // 60)),
    )
    flood = {
        "empty-chunks": chunk(b"EMPT", b"") * (length // 8),
        "empty-metadata": chunk(b"EXIF", b"") * (length // 8),
        "metadata": chunk(b"EXIF", bytes(length)),
    }
    for name, chunks in flood.items():
        yield name, riff(extended(8 if b"EXIF" in chunks else 0, 9, 9), chunks, pixel)


def files():
    """Yields the name and the bytes of each file."""
    for name, stream in vp8l.files():
        yield f"lossless-{name}", riff(chunk(b"VP8L", stream))
    whole = chunk(b"VP8L", vp8l.solid(alpha=True))
    animation = extended(ANIMATION | ALPHA, SIDE, SIDE), chunk(b"ANIM", bytes(6))
    yield "animated-lossless", riff(*animation, frame(SIDE, SIDE, whole))
    yield "animated-small-frame", riff(*animation, frame(9, 9, chunk(b"VP8L", vp8l.solid(9, 9))))
    for name, stream in vp8.files():
        yield f"lossy-{name}", riff(chunk(b"VP8 ", stream))
    busy = chunk(b"VP8 ", vp8.predicted(SIDE, SIDE))
    yield "animated-lossy", riff(*animation, frame(SIDE, SIDE, busy))
    for filtering in range(4):
        alpha = alpha_chunk(SIDE, SIDE, 1, filtering)
        yield f"lossy-alpha-{filtering}", riff(extended(ALPHA, SIDE, SIDE), alpha, busy)
    raw = alpha_chunk(5000, 5000, 0, 3)
    yield "lossy-raw-alpha", riff(extended(ALPHA, 5000, 5000), raw, chunk(b"VP8 ", vp8.predicted(5000, 5000)))
    for length, size in [(SMALL, "small"), (LARGE, "large")]:
        for name, data in containers(length):
            yield f"{name}-{size}", data
    random = numpy.random.default_rng(NOISE_SEED)
    for side, quality in [(2000, 100), (SIDE, 1)]:
        pixels = random.integers(0, 256, (side, side, 3), dtype=numpy.uint8)
        yield f"lossy-noise-{quality}", encoded(Image.fromarray(pixels), quality=quality, method=0)
