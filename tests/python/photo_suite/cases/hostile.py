"""Files that cost far more than their size, unless a reader counts what it does."""

import struct
import zlib

import numpy as np
from PIL import Image

from picture import SIZE, photo, pixels, quantised
from pillow import decoded, encoded
from writers import gif, jpeg, png, riff, tiff
from writers.exif import exif
from writers.lzw import packed

MEGABYTE = 1 << 20


def add(suite):
    tiffs(suite)
    jpegs(suite)
    pngs(suite)
    gifs(suite)
    webps(suite)


def tiffs(suite):
    """Adds TIFFs whose strips share a stream of nothing, or whose tiles have one pixel."""
    strips, length = 2500, 40_000
    clears = packed([(256, 9)] * (length * 8 // 9) + [(0, 9)] * 8 + [(257, 9)], True)
    streams = {
        "lzw": (tiff.LZW, clears),
        "packbits": (tiff.PACKBITS, b"\x80" * length + b"\xf9\0"),
        "deflate": (
            tiff.DEFLATE,
            b"\x78\x01" + b"\0\0\0\xff\xff" * (length // 5) + zlib.compress(bytes(8), 0)[2:],
        ),
    }
    for name, (compression, stream) in streams.items():
        tags = tiff.tags_of((8, strips), [8], tiff.BLACK_IS_ZERO, compression)
        at = 8 + 2 + 12 * 9 + 4 + 8 * strips
        more = {
            tiff.ROWS_PER_STRIP: tiff.longs(1),
            tiff.STRIP_OFFSETS: tiff.longs(*[at] * strips),
            tiff.STRIP_LENGTHS: tiff.longs(*[len(stream)] * strips),
        }
        file = tiff.tiff([({**tags, **more}, [stream])])
        suite.rejected(f"photos/hostile/overlapping-strips-{name}.tif", file, "corrupt", "TIFF")
    tags = tiff.tags_of((256, 256), [8], tiff.BLACK_IS_ZERO)
    del tags[tiff.ROWS_PER_STRIP]
    more = {tiff.TILE_WIDTH: tiff.longs(1), tiff.TILE_HEIGHT: tiff.longs(1)}
    file = tiff.tiff([({**tags, **more}, [b"\x7f"] * 65_536)])
    twin = np.full((256, 256), 0x7F, np.uint8)
    suite.embedded("photos/hostile/tiles-of-one-pixel.tif", file, twin)
    tags = tiff.tags_of(SIZE, [8] * 3, tiff.RGB)
    file = bytearray(tiff.tiff([(tags, [pixels().tobytes()])]))
    # The next directory is the first one again.
    after = 8 + 2 + 12 * struct.unpack_from("<H", file, 8)[0]
    struct.pack_into("<I", file, after, 8)
    suite.embedded("photos/hostile/directory-in-a-circle.tif", bytes(file), photo())
    file = bytearray(tiff.tiff([(tags, [pixels().tobytes()])]))
    at = file.index(struct.pack("<HH", tiff.STRIP_OFFSETS, tiff.LONG))
    struct.pack_into("<I", file, at + 4, 2**32 - 1)
    suite.rejected("photos/hostile/four-billion-strips.tif", bytes(file), "truncated", "TIFF")


def jpegs(suite):
    """Adds JPEGs with thousands of scans and segments. Each scan costs a walk through the whole picture."""
    suite.rejected("photos/hostile/thousand-scans.jpg", many_scans(1000), "unsupported_format", "scans")
    file = encoded(photo(), "JPEG", quality=90, subsampling=0)
    comments = jpeg.with_segments(file, *[jpeg.segment(jpeg.COM)] * 20_000)
    suite.embedded("photos/hostile/comments.jpg", comments, decoded(file))
    entries = [(0x9000 + number, 3, number) for number in range(5000)]
    block = jpeg.exif(exif(1, more=entries))
    suite.embedded("photos/hostile/many-exif-entries.jpg", jpeg.with_segments(file, block), decoded(file))
    itself = exif(1)[:-4] + struct.pack("<I", 8)
    suite.embedded(
        "photos/hostile/exif-in-a-circle.jpg", jpeg.with_segments(file, jpeg.exif(itself)), decoded(file)
    )


def many_scans(count, size=2048):
    """Returns a progressive JPEG in grey whose scans refine nothing."""
    blocks = (size // 8) ** 2
    # One code for a difference of 0, and one for a run of 2^14 empty blocks and as many as 14 bits say.
    dc = bytes([0x00, 1, *[0] * 15, 0])
    ac = bytes([0x10, 1, *[0] * 15, 0xE0])
    head = [
        jpeg.SOI,
        jpeg.segment(jpeg.DQT, b"\0" + bytes([1] * 64)),
        jpeg.segment(0xC2, struct.pack(">BHHB", 8, size, size, 1) + b"\1\x11\0"),
        jpeg.segment(jpeg.DHT, dc + ac),
        jpeg.segment(jpeg.SOS, b"\1\1\0\0\0\0") + bytes(blocks // 8),
    ]
    # Each of the runs takes 15 bits. The last bits are padding.
    assert blocks == 4 << 14
    scan = jpeg.segment(jpeg.SOS, b"\1\1\0\1\x3f\0") + bytes(7) + b"\x0f"
    return b"".join(head) + scan * count + jpeg.EOI


def pngs(suite):
    """Adds PNGs that unpack to far more than is needed, and empty chunks."""
    file = png.png(pixels(), png.RGB)

    def same(name, changed):
        suite.embedded(f"photos/hostile/{name}.png", changed, photo())

    same(
        "text-of-100-megabytes", png.with_chunks(file, png.compressed_text("Comment", bytes(100 * MEGABYTE)))
    )
    same("profile-of-100-megabytes", png.with_chunks(file, png.profile(bytes(100 * MEGABYTE))))
    rows = np.pad(pixels().reshape(SIZE[1], -1), ((0, 0), (1, 0))).tobytes()
    stream = zlib.compress(rows + bytes(100 * MEGABYTE))
    head = png.SIGNATURE + png.ihdr(*SIZE, 8, png.RGB)
    same("pixels-and-100-megabytes", head + png.chunk(b"IDAT", stream) + png.chunk(b"IEND"))
    same("empty-chunks", png.with_chunks(file, *[png.chunk(b"frUt")] * 20_000))
    at = file.index(b"IDAT") - 4
    flood = file[:at] + png.chunk(b"IDAT") * 20_000 + file[at:]
    suite.rejected("photos/hostile/empty-data-chunks.png", flood, "corrupt", "PNG", "bytes")


def gifs(suite):
    """Adds GIFs with codes that mean nothing, and with thousands of blocks."""
    indices, palette = quantised(256)
    few, its_palette = quantised(4)
    clears = packed([(4, 3)] * 500_000, False)
    stream = gif.Frame(few, stream=clears + gif.lzw(few.tobytes(), 2))
    file = gif.gif([stream], SIZE, its_palette)
    suite.rejected("photos/hostile/clear-codes.gif", file, "corrupt", "GIF", "bytes")
    frames = [gif.Frame(indices)] + [gif.Frame(indices[:1, :1])] * 5000
    suite.embedded("photos/hostile/many-frames.gif", gif.gif(frames, SIZE, palette), palette[indices])
    comments = gif.extension(0xFE, b"x") * 20_000
    suite.embedded(
        "photos/hostile/comments.gif", gif.gif([frames[0]], SIZE, palette, before=comments), palette[indices]
    )


def webps(suite):
    """Adds WebPs with thousands of chunks and hundreds of frames."""
    file = encoded(photo(), "WEBP", lossless=True)
    chunks = [(b"ABCD", b"")] * 20_000
    suite.embedded("photos/hostile/many-chunks.webp", riff.extended(file, SIZE, 0, after=chunks), photo())
    frames = [Image.new("RGB", SIZE, (number % 256, number // 256, 0)) for number in range(200)]
    many = encoded(photo(), "WEBP", save_all=True, append_images=frames, lossless=True, method=0, duration=1)
    suite.embedded("photos/hostile/many-frames.webp", many, photo())
