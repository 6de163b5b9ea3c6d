"""TIFF in all kinds of samples, uncompressed."""

import numpy as np
from PIL import ImageCms

from picture import SIZE, alpha, grey, over_white, photo, pixels, quantised
from writers.bits import packed_rows
from writers.jpeg_encoder import ycc
from writers.tiff import (
    BLACK_IS_ZERO,
    CMYK,
    COLOUR_MAP,
    EXTRA_SAMPLES,
    LAB,
    PALETTE,
    RGB,
    SAMPLE_FORMAT,
    WHITE_IS_ZERO,
    YCC,
    YCC_SUBSAMPLING,
    shorts,
    tags_of,
    tiff,
)

UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2


def add(suite):
    def same(name, bits, photometric, data, twin, more=None, order="<", cosine=0.9995):
        file = tiff([(tags_of(SIZE, bits, photometric, more=more), [data])], order)
        suite.embedded(f"photos/tiff-pixels/{name}.tif", file, twin, cosine)

    for order, name in {"<": "little", ">": "big"}.items():
        same(f"rgb-8-{name}-endian", [8] * 3, RGB, pixels().tobytes(), pixels(), order=order)
        words = (pixels().astype(int) * 257).astype(order + "u2").tobytes()
        same(f"rgb-16-{name}-endian", [16] * 3, RGB, words, pixels(), order=order)
        words = (grey().astype(int) * 257).astype(order + "u2").tobytes()
        same(f"grey-16-{name}-endian", [16], BLACK_IS_ZERO, words, grey(), order=order)
    for bits in (1, 2, 4, 8):
        levels = (1 << bits) - 1
        samples = np.rint(grey() / 255 * levels).astype(np.uint8)
        twin = (samples * (255 // levels)).astype(np.uint8)
        rows = packed_rows(samples, bits).tobytes()
        same(f"grey-{bits}", [bits], BLACK_IS_ZERO, rows, twin)
        inverted = packed_rows(levels - samples, bits).tobytes()
        same(f"white-is-zero-{bits}", [bits], WHITE_IS_ZERO, inverted, twin)
    floating(same)
    palettes(same)
    alphas(same)
    spaces(same)


def floating(same):
    form = {SAMPLE_FORMAT: shorts(3)}
    same("grey-float", [32], BLACK_IS_ZERO, (grey() / 255).astype("<f4").tobytes(), grey(), form)
    form = {SAMPLE_FORMAT: shorts(3, 3, 3)}
    same("rgb-float", [32] * 3, RGB, (pixels() / 255).astype("<f4").tobytes(), pixels(), form)


def palettes(same):
    for bits in (1, 2, 4, 8):
        indices, palette = quantised(1 << bits)
        full = np.pad(palette, ((0, (1 << bits) - len(palette)), (0, 0))).astype(int) * 257
        more = {COLOUR_MAP: shorts(*full.T.ravel().tolist())}
        rows = packed_rows(indices, bits).tobytes()
        same(f"palette-{bits}", [bits], PALETTE, rows, palette[indices], more)


def alphas(same):
    """Adds further samples that are alpha, applied or not, or something else."""
    mask, rgb = alpha(), pixels()
    over = over_white(rgb, mask)
    plain = np.dstack([rgb, mask])
    applied = np.dstack([np.rint(rgb * (mask[..., None] / 255)), mask]).astype(np.uint8)
    for bits in (8, 16):
        factor, kind = (1, "u1") if bits == 8 else (257, "<u2")

        def stored(samples, factor=factor, kind=kind):
            return (samples.astype(int) * factor).astype(kind).tobytes()

        def four(name, samples, twin, extra, bits=bits, stored=stored):
            more = {EXTRA_SAMPLES: shorts(extra)}
            same(f"{name}-{bits}", [bits] * samples.shape[2], RGB, stored(samples), twin, more)

        four("alpha-unassociated", plain, over, UNASSOCIATED)
        four("alpha-associated", applied, over, ASSOCIATED)
        # Not alpha: a fourth channel of a scanner, which is ignored.
        four("extra-unspecified", plain, rgb, UNSPECIFIED)
    grey_mask = np.dstack([grey(), mask]).tobytes()
    more = {EXTRA_SAMPLES: shorts(UNASSOCIATED)}
    same("grey-alpha-unassociated", [8, 8], BLACK_IS_ZERO, grey_mask, over_white(grey(), mask), more)
    more = {EXTRA_SAMPLES: shorts(UNSPECIFIED)}
    same("grey-extra-unspecified", [8, 8], BLACK_IS_ZERO, grey_mask, grey(), more)
    five = np.dstack([rgb, mask, mask[::-1]]).tobytes()
    more = {EXTRA_SAMPLES: shorts(UNSPECIFIED, UNSPECIFIED)}
    same("two-extra-unspecified", [8] * 5, RGB, five, rgb, more)


def spaces(same):
    cmyk = np.asarray(photo().convert("CMYK"))
    same("cmyk-8", [8] * 4, CMYK, cmyk.tobytes(), photo())
    words = (cmyk.astype(int) * 257).astype("<u2").tobytes()
    same("cmyk-16", [16] * 4, CMYK, words, photo())
    full = np.rint(np.dstack(ycc(pixels()))).astype(np.uint8)
    more = {YCC_SUBSAMPLING: shorts(1, 1)}
    same("ycc", [8] * 3, YCC, full.tobytes(), pixels(), more, cosine=0.999)
    lab = ImageCms.profileToProfile(
        photo(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    # Pillow's bytes are the ones of TIFF: a and b have a sign.
    same("lab", [8] * 3, LAB, lab.tobytes(), photo(), cosine=0.995)
