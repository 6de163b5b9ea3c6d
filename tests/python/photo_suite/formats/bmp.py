"""BMP in all depths, with all headers."""

import numpy as np

from picture import SIZE, alpha, over_white, pixels, quantised
from writers.bmp import BITFIELDS, RLE4, RLE8, bmp, rows, run_length_4, run_length_8


def add(suite):
    def same(name, file, twin, cosine=0.9995):
        suite.embedded(f"photos/bmp/{name}.bmp", file, twin, cosine)

    palettes(same)
    true_colours(same)
    # The header of OS/2 2, which nothing writes.
    old = bmp(rows(pixels()[..., ::-1], 24), SIZE, 24, header=64)
    suite.rejected("photos/bmp/24-header-64.bmp", old, "unsupported_format", "BMP")
    masks(same)
    indices, palette = quantised(256)
    data = rows(indices, 8) + bytes(500)
    same("bytes-after-the-end", bmp(data, SIZE, 8, palette=palette), palette[indices])
    same("gap-before-the-pixels", bmp(rows(pixels()[..., ::-1], 24), SIZE, 24, gap=64), pixels())
    odd = pixels((33, 7))
    same("33x7", bmp(rows(odd[..., ::-1], 24), (33, 7), 24), odd)


def palettes(same):
    for bits in (1, 4, 8):
        indices, palette = quantised(1 << bits)
        twin = palette[indices]
        same(f"palette-{bits}", bmp(rows(indices, bits), SIZE, bits, palette=palette), twin)
        same(f"palette-{bits}-os2", bmp(rows(indices, bits), SIZE, bits, palette=palette, header=12), twin)
        top = rows(indices, bits, top_down=True)
        same(f"palette-{bits}-top-down", bmp(top, SIZE, bits, palette=palette, top_down=True), twin)
    indices, palette = quantised(100)
    same("palette-8-short", bmp(rows(indices, 8), SIZE, 8, palette=palette[:100], used=100), palette[indices])
    indices, palette = quantised(256)
    same("rle-8", bmp(run_length_8(indices), SIZE, 8, RLE8, palette), palette[indices])
    few, its_palette = quantised(16)
    same("rle-4", bmp(run_length_4(few), SIZE, 4, RLE4, its_palette), its_palette[few])
    # An escape moves right and up.
    flat = np.zeros((8, 8), np.uint8)
    flat[2:4, 3:6] = 1
    two = np.array([[0, 0, 0], [220, 230, 20]])
    stream = b"\0\2\3\4" + b"\3\1" + b"\0\0" + b"\0\2\3\0" + b"\3\1" + b"\0\1"
    same("rle-8-with-jumps", bmp(stream, (8, 8), 8, RLE8, two, used=2), two[flat].astype(np.uint8))


def true_colours(same):
    bgr = pixels()[..., ::-1]
    data = rows(bgr, 24)
    same("24", bmp(data, SIZE, 24), pixels())
    for header in (12, 108, 124):
        same(f"24-header-{header}", bmp(data, SIZE, 24, header=header), pixels())
    same("24-top-down", bmp(rows(bgr, 24, True), SIZE, 24, top_down=True), pixels())
    # Without a mask, the fourth byte has no meaning.
    for name, fourth in {"zero": 0, "full": 255}.items():
        four = np.dstack([bgr, np.full(bgr.shape[:2], fourth, np.uint8)])
        same(f"32-fourth-byte-{name}", bmp(rows(four, 32), SIZE, 32), pixels())


def masks(same):
    """Adds files whose header says which bits are which sample."""
    r, g, b = np.moveaxis(pixels().astype(int), -1, 0)
    five = np.stack([np.rint(sample / 255 * 31) for sample in (r, g, b)], axis=-1).astype(int)
    twin = np.rint(five / 31 * 255).astype(np.uint8)
    words = (five[..., 0] << 10 | five[..., 1] << 5 | five[..., 2]).astype("<u2")
    same("16", bmp(rows(as_bytes(words), 16), SIZE, 16), twin, 0.999)
    wide = (five[..., 0] << 11 | five[..., 1] << 6 | five[..., 1] >> 4 << 5 | five[..., 2]).astype("<u2")
    file = bmp(rows(as_bytes(wide), 16), SIZE, 16, BITFIELDS, masks=(0xF800, 0x7E0, 0x1F))
    same("16-565", file, twin, 0.999)
    mixed = (g << 24 | r << 12 | b).astype("<u4")
    file = bmp(rows(as_bytes(mixed), 32), SIZE, 32, BITFIELDS, masks=(0xFF000, 0xFF000000, 0xFF))
    same("32-mixed-masks", file, pixels())
    mask = alpha()
    four = np.dstack([pixels()[..., ::-1], mask])
    wanted = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    for header in (108, 124):
        file = bmp(rows(four, 32), SIZE, 32, BITFIELDS, header=header, masks=wanted)
        same(f"32-alpha-header-{header}", file, over_white(pixels(), mask))


def as_bytes(words):
    return words[..., None].view(np.uint8)
