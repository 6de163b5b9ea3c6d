"""PNG in all colour types, depths and layouts."""

import zlib

import numpy as np

from picture import alpha, grey, over_white, photo, pixels, quantised
from pillow import encoded
from writers.png import (
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGBA,
    SIGNATURE,
    chunk,
    compressed_text,
    ihdr,
    png,
    text,
    with_chunks,
)


def add(suite):
    for interlaced in (False, True):
        for name, (samples, colour, depth, before, twin) in kinds().items():
            file = png(samples, colour, depth, interlaced, before=before)
            suite.embedded(f"photos/png/{name}{'-interlaced' * interlaced}.png", file, twin)
    for kind, name in enumerate(["none", "sub", "up", "average", "paeth"]):
        suite.embedded(f"photos/png/filter-{name}.png", png(pixels(), RGB, filter_type=kind), pixels())
    for size in [(1, 1), (3, 1), (1, 9), (191, 127)]:
        file = png(pixels(size), RGB, interlaced=True)
        suite.embedded(f"photos/png/{size[0]}x{size[1]}-interlaced.png", file, pixels(size))
    chunks(suite)


def kinds():
    """Returns the samples, colour type, depth, chunks before the pixels and twin of each kind."""
    found = {}
    for depth in (1, 2, 4, 8, 16):
        samples, twin = reduced(grey(), depth)
        found[f"grey-{depth}"] = samples, GREY, depth, [], twin
    for depth in (1, 2, 4, 8):
        indices, palette = quantised(1 << depth)
        found[f"palette-{depth}"] = indices, PALETTE, depth, [palette_chunk(palette)], palette[indices]
    rgb, mask = pixels(), alpha()
    found["rgb-8"] = rgb, RGB, 8, [], rgb
    found["rgb-16"] = rgb.astype(int) * 257, RGB, 16, [], rgb
    both = np.dstack([grey(), mask])
    found["grey-alpha-8"] = both, GREY_ALPHA, 8, [], over_white(grey(), mask)
    found["grey-alpha-16"] = both.astype(int) * 257, GREY_ALPHA, 16, [], over_white(grey(), mask)
    all_four = np.dstack([rgb, mask])
    found["rgba-8"] = all_four, RGBA, 8, [], over_white(rgb, mask)
    found["rgba-16"] = all_four.astype(int) * 257, RGBA, 16, [], over_white(rgb, mask)
    return {**found, **transparent_colours()}


def transparent_colours():
    """Returns kinds with one transparent colour, and a palette with an alpha per entry."""
    found = {}
    for depth in (4, 8, 16):
        samples, twin = reduced(grey(), depth)
        value = int(np.median(samples))
        mask = np.where(samples == value, 0, 255)
        colour = chunk(b"tRNS", value.to_bytes(2, "big"))
        found[f"grey-{depth}-transparent"] = samples, GREY, depth, [colour], over_white(twin, mask)
    rgb = pixels().copy()
    rgb[:, 150:] = (1, 2, 3)
    mask = np.where((rgb == (1, 2, 3)).all(axis=2), 0, 255)
    for depth, factor in ((8, 1), (16, 257)):
        value = b"".join((factor * sample).to_bytes(2, "big") for sample in (1, 2, 3))
        samples = rgb.astype(int) * factor
        found[f"rgb-{depth}-transparent"] = (
            samples,
            RGB,
            depth,
            [chunk(b"tRNS", value)],
            over_white(rgb, mask),
        )
    indices, palette = quantised(16)
    alphas = np.linspace(0, 255, 12).astype(np.uint8)
    # Entries that the chunk doesn't mention are opaque.
    mask = np.append(alphas, [255] * 4)[indices]
    before = [palette_chunk(palette), chunk(b"tRNS", alphas.tobytes())]
    found["palette-4-transparent"] = indices, PALETTE, 4, before, over_white(palette[indices], mask)
    return found


def reduced(samples, depth):
    """Returns 8-bit samples in another depth, and what they then show."""
    if depth == 16:
        return samples.astype(int) * 257, samples
    levels = (1 << depth) - 1
    found = np.rint(samples / 255 * levels).astype(np.uint8)
    return found, (found * (255 // levels)).astype(np.uint8)


def palette_chunk(palette):
    return chunk(b"PLTE", palette.tobytes())


def chunks(suite):
    """Adds chunks of all kinds around the pixels."""
    rgb, plain = pixels(), png(pixels(), RGB)

    def same(name, file, twin=rgb):
        suite.embedded(f"photos/png-chunks/{name}.png", file, twin)

    same("many-data-chunks", png(rgb, RGB, idats=200))
    same("empty-data-chunks", with_chunks(plain, chunk(b"IDAT"), chunk(b"IDAT")))
    same("palette-suggested", with_chunks(plain, palette_chunk(rgb[0, :40])))
    same("texts", with_chunks(plain, text("Title", b"Fruit"), compressed_text("Comment", b"a " * 500)))
    same("unknown-chunk", with_chunks(plain, chunk(b"frUt", b"any content")))
    same(
        "time-and-density",
        with_chunks(plain, chunk(b"pHYs", bytes(9)), chunk(b"tIME", b"\x07\xea\1\1\0\0\0")),
    )
    same("bytes-after-the-end", plain + b"\r\n" + bytes(100))
    same("without-end", plain[:-12])
    same("without-end-many-data-chunks", png(rgb, RGB, idats=9)[:-12])
    second = photo().rotate(180)
    animated = encoded(photo(), "PNG", save_all=True, append_images=[second])
    same("animated", animated)
    suite.rejected(
        "photos/png-chunks/apple-optimised.png", apple_optimised(), "unsupported_format", "Apple", "PNG"
    )


def apple_optimised():
    """Returns what Xcode makes of a PNG: blue first, alpha applied, and no header around the stream."""
    samples = np.dstack([pixels()[..., ::-1], np.full_like(pixels()[..., 0], 255)])
    stream = png_stream(samples)[2:-4]
    first = chunk(b"CgBI", b"\x50\0\x20\2")
    header = ihdr(samples.shape[1], samples.shape[0], 8, RGBA)
    return b"".join([SIGNATURE, first, header, chunk(b"IDAT", stream), chunk(b"IEND")])


def png_stream(samples):
    """Returns the compressed rows of an array with a byte per sample."""
    rows = samples.reshape(samples.shape[0], -1)
    return zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())
