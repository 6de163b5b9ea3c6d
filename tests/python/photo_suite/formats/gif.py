"""GIF in all layouts. The first frame counts, and transparent pixels are white."""

import numpy as np

from picture import SIZE, grey, quantised
from writers.gif import Frame, extension, gif

NETSCAPE = extension(0xFF, b"NETSCAPE2.0", b"\1\0\0")


def add(suite):
    def same(name, file, twin):
        suite.embedded(f"photos/gif/{name}.gif", file, twin)

    indices, palette = quantised(256)
    shown = palette[indices]
    whole = Frame(indices)
    same("87a", gif([whole], SIZE, palette, b"GIF87a"), shown)
    same("89a", gif([whole], SIZE, palette), shown)
    same("interlaced", gif([Frame(indices, interlaced=True)], SIZE, palette), shown)
    same("local-palette", gif([Frame(indices, palette)], SIZE), shown)
    same("local-and-global-palette", gif([Frame(indices, palette)], SIZE, palette[::-1]), shown)
    for colours in (2, 4, 16):
        few, its_palette = quantised(colours)
        same(f"{colours}-colours", gif([Frame(few)], SIZE, its_palette), its_palette[few])
    levels = np.repeat(np.arange(256)[:, None], 3, axis=1)
    same("grey", gif([Frame(grey())], SIZE, levels), grey())
    second = Frame(indices[::-1])
    same("animated", gif([whole, second], SIZE, palette, before=NETSCAPE), shown)
    comments = extension(0xFE, b"made by hand") + extension(0xFE, b"x" * 255, b"y" * 9)
    same("comments", gif([whole], SIZE, palette, before=comments), shown)
    same("without-trailer", gif([whole], SIZE, palette)[:-1], shown)
    same("bytes-after-the-end", gif([whole], SIZE, palette) + b"\0\0more", shown)
    single, one = np.zeros((1, 1), np.uint8), np.array([[10, 200, 30], [0, 0, 0]])
    same("1x1", gif([Frame(single)], (1, 1), one), one[:1, None].astype(np.uint8))
    transparent(same, indices, palette)
    smaller(same, indices, palette)


def transparent(same, indices, palette):
    """Adds files in which an entry of the palette is transparent."""
    hidden = indices.copy()
    hidden[:, 140:] = 7
    twin = palette[hidden].copy()
    twin[hidden == 7] = 255
    same("transparent", gif([Frame(hidden, transparent=7)], SIZE, palette), twin)
    frame = Frame(hidden, transparent=7, interlaced=True)
    same("transparent-interlaced", gif([frame], SIZE, palette), twin)
    over = Frame(indices[::-1], transparent=9)
    same(
        "transparent-animated",
        gif([Frame(hidden, transparent=7), over], SIZE, palette, before=NETSCAPE),
        twin,
    )


def smaller(same, indices, palette):
    """Adds a frame that covers a part of the screen. Browsers leave the rest transparent."""
    twin = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    part = indices[20:100, 30:160]
    twin[20:100, 30:160] = palette[part]
    same("smaller-than-the-screen", gif([Frame(part, left=30, top=20)], SIZE, palette), twin)
