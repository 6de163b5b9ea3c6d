"""Generates valid and invalid photos from a seed, the same ones in every run."""

import io
import random
import struct
import zlib
from dataclasses import dataclass

from PIL import Image

SIDE = 64
LABELS = ["Apple Braeburn", "Pêche", "Kiwi+Gold", "100%25 Mango", "Café crème", "🍑🍒"]
NAMES = [
    "{n}.jpg",
    "a b {n}.jpg",
    "a+b {n}.png",
    "50% {n}.webp",
    "déjà {n}.jpeg",
    "🍓 {n}.png",
    "x=1&y={n}.jpg",
    "it's ({n}).jpg",
]


@dataclass(frozen=True)
class Photo:
    """An object to upload, and the expected result.

    `code` is the code of the expected reject. A valid photo has none.
    """

    key: str
    content: bytes
    label: str | None = None
    size: tuple = (SIDE, SIDE)
    code: str | None = None


def valid(number, seed=0):
    """Returns a unique photo in one of three formats, with a smooth picture in a few colours."""
    label = LABELS[number % len(LABELS)]
    name = NAMES[number % len(NAMES)].format(n=number)
    width, height = SIDE + number % 7, SIDE + number % 5
    content = encode(picture(f"{seed} {number}", width, height), ("JPEG", "PNG", "WEBP")[number % 3])
    return Photo(f"photos/{label}/{name}", content, label, (width, height))


def invalid(number, seed=0):
    """Returns a file that cannot be embedded, with its reject code."""
    code, content = INVALID[number % len(INVALID)](f"{seed} {number}")
    label = LABELS[number % len(LABELS)]
    return Photo(f"photos/{label}/bad {number}.jpg", content, label, code=code)


def picture(seed, width=SIDE, height=SIDE):
    """Returns a smooth picture of 16 random colours."""
    rng = random.Random(seed)
    colours = Image.frombytes("RGB", (4, 4), rng.randbytes(4 * 4 * 3))
    return colours.resize((width, height), Image.Resampling.BICUBIC)


def encode(image, file_format):
    """Returns the bytes of a file. WebP is lossless."""
    file = io.BytesIO()
    image.save(file, file_format, **({"lossless": True} if file_format == "WEBP" else {}))
    return file.getvalue()


def text(seed):
    """Returns a text file."""
    return "not_an_image", f"Dear customer {seed}, your fruit is on its way.\n".encode()


def truncated(seed):
    """Returns the first half of a picture."""
    whole = encode(picture(seed), "JPEG")
    return "truncated", whole[: len(whole) // 2]


def avif(seed):
    """Returns the header of an image format without a decoder."""
    return "unsupported_format", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif\0\0\0\x08mdat" + seed.encode()


def empty(_seed):
    """Returns an empty file."""
    return "empty", b""


def bomb(seed):
    """Returns a small file whose header announces a huge picture."""
    return "too_many_pixels", PNG_SIGNATURE + ihdr(60_000, 60_000) + chunk(b"IDAT", seed.encode())


def corrupt(seed):
    """Returns a picture with one changed byte."""
    content = bytearray(encode(picture(seed), "PNG"))
    content[len(content) // 2] ^= 0xFF
    return "corrupt", bytes(content)


INVALID = [text, truncated, avif, empty, bomb, corrupt]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, data):
    """Returns a chunk of a PNG: length, kind, data and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def ihdr(width, height, depth=8, colour=2):
    """Returns the header chunk of a PNG. Colour type 0 is grey, 2 is RGB."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def deep_png(width, height, colour):
    """Returns a PNG with 16 bits per sample. Every row has the same 16 steps.

    The rows are compressed one by one, because all of them would take a lot of memory.
    """
    samples = {0: 1, 2: 3}[colour]
    row = b"".join(struct.pack(">H", x * 16 // width * 4369) * samples for x in range(width))
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(b"\0" + row) for _ in range(height)) + packer.flush()
    return PNG_SIGNATURE + ihdr(width, height, 16, colour) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
