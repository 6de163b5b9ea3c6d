"""Files at and beyond the limits of size."""

import struct
import zlib

import numpy as np
from PIL import Image

from picture import photo, pixels
from pillow import encoded
from writers import bmp, gif, jpeg, png, tiff
from writers.huffman import HuffmanScan
from writers.jpeg_encoder import ycc

# The most pixels of a side.
LONGEST = 65_500


def add(suite):
    nothing(suite)
    too_large(suite)
    too_long(suite)
    too_much_memory(suite)
    large(suite)


def nothing(suite):
    """Adds files that declare no pixels."""
    file = encoded(photo(), "JPEG")

    def none(name, data):
        suite.rejected(f"photos/limits/zero-{name}", data, "corrupt", "0")

    for width, height in ((0, 7), (7, 0)):
        kind = "width" if width == 0 else "height"
        none(f"{kind}.jpg", jpeg.with_size(file, width, height))
        none(f"{kind}.png", png.SIGNATURE + png.ihdr(width, height, 8, png.RGB) + png.chunk(b"IEND"))
        none(f"{kind}.gif", blank_gif(width, height))
        none(f"{kind}.bmp", bmp.bmp(bytes(100), (width, height), 24))
        # A TIFF of no rows has no strip either.
        tags = tiff.tags_of((width, height), [8] * 3, tiff.RGB)
        empty = tiff.tiff([(tags, [bytes(100)])])
        suite.rejected(f"photos/limits/zero-{kind}.tif", empty, "corrupt", "TIFF")


def too_large(suite):
    """Adds small files that declare more pixels than the limit."""

    def rejected(name, data, *words):
        suite.rejected(f"photos/limits/{name}", data, "too_many_pixels", *words)

    file = encoded(photo(), "JPEG")
    rejected("260-megapixels.jpg", jpeg.with_size(file, 20_000, 13_000), "260000000", "250000000")
    progressive = encoded(photo(), "JPEG", progressive=True)
    rejected(
        "70-megapixels-progressive.jpg", jpeg.with_size(progressive, 10_000, 7000), "70000000", "64000000"
    )
    rejected("100-megapixels.png", blank_png(10_000, 10_000, png.GREY, 1), "100000000", "64000000")
    rejected("100-megapixels.gif", blank_gif(10_000, 10_000), "100000000")
    rejected("100-megapixels.bmp", bmp.bmp(bytes(100), (10_000, 10_000), 24), "100000000")
    tags = tiff.tags_of((10_000, 10_000), [8] * 3, tiff.RGB)
    rejected("100-megapixels.tif", tiff.tiff([(tags, [bytes(100)])]), "100000000")
    lossy = encoded(photo(), "WEBP")
    # The frame's header ends with the size.
    size = struct.pack("<HH", 10_000, 10_000)
    rejected("100-megapixels.webp", lossy[:26] + size + lossy[30:], "100000000")


def too_long(suite):
    """Adds files with a side at the limit, and beyond it."""

    def rejected(name, data):
        suite.rejected(f"photos/limits/{name}", data, "too_many_pixels", str(LONGEST))

    rejected("65501-wide.png", blank_png(LONGEST + 1, 1, png.GREY, 8))
    rejected("65501-high.png", blank_png(1, LONGEST + 1, png.GREY, 8))
    rejected("65535-wide.jpg", jpeg.with_size(encoded(photo(), "JPEG"), 65_535, 10))
    rejected("65535-wide.gif", blank_gif(65_535, 10))
    rejected("70000-wide.bmp", bmp.bmp(bytes(210_000), (70_000, 1), 24))
    tags = tiff.tags_of((70_000, 1), [8], tiff.BLACK_IS_ZERO)
    rejected("70000-wide.tif", tiff.tiff([(tags, [bytes(70_000)])]))
    white = Image.new("L", (LONGEST, 1), 255)
    suite.embedded("photos/limits/65500-wide.png", encoded(white, "PNG"), white)
    suite.embedded(
        "photos/limits/65500-high.png",
        encoded(white.rotate(90, expand=True), "PNG"),
        white.rotate(90, expand=True),
    )


def too_much_memory(suite):
    """Adds a file within the limit of pixels, but not within the limit of memory."""
    file = large_jpeg(8000, 7900, progressive=True)
    name = "photos/limits/63-megapixels-progressive.jpg"
    suite.rejected(name, file, "decoded_too_large", "7900", "baseline")


def blank_png(width, height, colour, depth):
    """Returns a PNG that declares a size, and whose stream is far too short."""
    rows = zlib.compress(bytes(1000))
    return (
        png.SIGNATURE + png.ihdr(width, height, depth, colour) + png.chunk(b"IDAT", rows) + png.chunk(b"IEND")
    )


def blank_gif(width, height):
    """Returns a GIF that declares a size, and whose stream is far too short."""
    indices = np.broadcast_to(np.uint8(0), (height, width))
    return gif.gif([gif.Frame(indices, stream=gif.lzw(bytes(100), 2))], (width, height), pixels()[0, :4])


def large(suite):
    """Adds large pictures within the limits, as phones and scanners make them."""
    twin = columns((120, 90))
    suite.embedded("photos/limits/108-megapixels.jpg", large_jpeg(12_000, 9000), twin, 0.999, (12_000, 9000))
    progressive = large_jpeg(8000, 6000, 2, progressive=True)
    suite.embedded("photos/limits/48-megapixels-progressive.jpg", progressive, twin, 0.999, (8000, 6000))
    bits = np.repeat((np.arange(8000) * 12 // 8000 % 3 == 0).astype(np.uint8)[None], 7900, axis=0)
    twin = np.asarray(Image.fromarray(bits * 255).resize((800, 790), Image.Resampling.NEAREST))
    suite.embedded(
        "photos/limits/63-megapixels-1-bit.png", png.png(bits, png.GREY, 1), twin, 0.999, (8000, 7900)
    )


COLOURS = np.array(
    [[200, 40, 30], [40, 160, 60], [30, 60, 200], [230, 210, 50], [240, 240, 240], [20, 20, 20]]
)


def columns(size):
    """Returns columns of few colours."""
    width, height = size
    row = COLOURS[np.arange(width) * len(COLOURS) // width].astype(np.uint8)
    return np.repeat(row[None], height, axis=0)


def large_jpeg(width, height, sampling=1, progressive=False):
    """Returns a JPEG of `columns`, with a restart interval for each row of MCUs, which are all the same.

    `sampling` is the number of luma blocks for each chroma block, across and down. The progressive JPEG has
    no scan of the other coefficients, which are 0.
    """
    step, length = 2, 1 if progressive else 64
    across, down = -(-width // (8 * sampling)), -(-height // (8 * sampling))
    scan = HuffmanScan(3)
    planes = [blocks_of(plane, step, length) for plane in ycc(block_colours(across * sampling, width))]
    for at in range(across):
        luma = planes[0][at * sampling : (at + 1) * sampling]
        for block in [*luma] * sampling:
            scan.encode(0, block)
        scan.encode(1, planes[1][at * sampling])
        scan.encode(2, planes[2][at * sampling])
    row = scan.finish()
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes([1, sampling * 0x11, 0]) + b"\2\x11\0\3\x11\0"
    head = [
        jpeg.SOI,
        jpeg.segment(jpeg.DQT, b"\0" + bytes([step] * 64)),
        jpeg.segment(0xC2 if progressive else 0xC0, frame),
        jpeg.segment(jpeg.DHT, HuffmanScan.TABLES),
        jpeg.segment(jpeg.DRI, struct.pack(">H", across)),
        jpeg.segment(jpeg.SOS, b"\3\1\0\2\0\3\0\0" + (b"\0" if progressive else b"\x3f") + b"\0"),
    ]
    rows = [row + bytes([0xFF, 0xD0 + number % 8]) for number in range(down)]
    return b"".join(head + rows)[:-2] + jpeg.EOI


def block_colours(count, width):
    """Returns the colours of a row of blocks, as an array of 1 × blocks × 3 bytes."""
    centres = np.minimum(np.arange(count) * 8 + 4, width - 1)
    return COLOURS[centres * len(COLOURS) // width][None].astype(np.uint8)


def blocks_of(plane, step, length):
    """Returns blocks of one colour each."""
    blocks = np.zeros((plane.shape[1], length), int)
    blocks[:, 0] = np.rint((plane[0] - 128) * 8 / step)
    return blocks
