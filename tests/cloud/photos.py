"""Photos, good and bad, of a seed: the same in every run."""

import io
import random
import struct
import zlib
from dataclasses import dataclass

from PIL import Image

SIDE = 64
LABELS = ["Apple Braeburn", "Pêche", "Kiwi+Gold", "100%25 Mango", "Café crème", "🍑🍒"]
NAMES = ["{n}.jpg", "a b {n}.jpg", "a+b {n}.png", "50% {n}.webp", "déjà {n}.jpeg", "🍓 {n}.png", "x=1&y={n}.jpg", "it's ({n}).jpg"]


@dataclass(frozen=True)
class Photo:
    """An object to be: its key, its bytes, and what must become of it."""

    key: str
    content: bytes
    label: str | None = None
    size: tuple = (SIDE, SIDE)
    code: str | None = None


def good(number, seed=0):
    """A photo that is like no other: a picture of few colours, smooth as a fruit is, in one of three formats."""
    label = LABELS[number % len(LABELS)]
    name = NAMES[number % len(NAMES)].format(n=number)
    width, height = SIDE + number % 7, SIDE + number % 5
    content = encoded(picture(f"{seed} {number}", width, height), ("JPEG", "PNG", "WEBP")[number % 3])
    return Photo(f"photos/{label}/{name}", content, label, (width, height))


def bad(number, seed=0):
    """A file that can't be embedded, and its code."""
    code, content = BAD[number % len(BAD)](f"{seed} {number}")
    label = LABELS[number % len(LABELS)]
    return Photo(f"photos/{label}/bad {number}.jpg", content, label, code=code)


def picture(seed, width=SIDE, height=SIDE):
    """A smooth picture: some random colours, spread over it."""
    draw = random.Random(seed)
    colours = Image.frombytes("RGB", (4, 4), draw.randbytes(4 * 4 * 3))
    return colours.resize((width, height), Image.Resampling.BICUBIC)


def encoded(image, kind):
    """The bytes of a file."""
    file = io.BytesIO()
    image.save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return file.getvalue()


def text(seed):
    """No picture at all."""
    return "not_an_image", f"Dear customer {seed}, your fruit is on its way.\n".encode()


def half(seed):
    """A picture that ends too soon."""
    whole = encoded(picture(seed), "JPEG")
    return "truncated", whole[: len(whole) // 2]


def heic(seed):
    """What a phone makes when it is not told otherwise."""
    return "unsupported_format", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x08mdat" + seed.encode()


def empty(_seed):
    """No bytes."""
    return "empty", b""


def bomb(seed):
    """A few bytes that say they are a huge picture."""
    return "too_many_pixels", PNG + ihdr(60_000, 60_000) + chunk(b"IDAT", seed.encode())


def corrupt(seed):
    """A picture one of whose bytes is another."""
    content = bytearray(encoded(picture(seed), "PNG"))
    content[len(content) // 2] ^= 0xFF
    return "corrupt", bytes(content)


BAD = [text, half, heic, empty, bomb, corrupt]

PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind, data):
    """A chunk of a PNG: length, kind, data, check sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def ihdr(width, height, depth=8, colour=2):
    """The header of a PNG. Colours: 0 grey, 2 RGB."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def deep_png(width, height, colour):
    """A PNG with 16 bits a sample, written row by row: it is never whole in memory. Every row is the same 16 steps."""
    samples = {0: 1, 2: 3}[colour]
    row = b"".join(struct.pack(">H", x * 16 // width * 4369) * samples for x in range(width))
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(b"\0" + row) for _ in range(height)) + packer.flush()
    return PNG + ihdr(width, height, 16, colour) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
