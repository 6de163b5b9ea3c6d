"""Wrong pictures. Each is so far from the right one that a file which shows it misses its threshold."""

import numpy as np
from PIL import Image

from cases.orientation import SHOWN
from cases.profiles import SPACES, converted, in_srgb
from picture import alpha, grey, over_white, photo, pixels
from writers import icc

# Below the lowest threshold of the suite.
FAR = 0.988


def add(suite):
    right = photo()
    for number, turn in SHOWN.items():
        suite.different(f"orientation-{number}-ignored", right, right.transpose(turn), FAR)
    for space in ("display-p3", "adobe-rgb", "prophoto", "linear-srgb"):
        suite.different(f"{space}-ignored", converted(right, SPACES[space]), right, FAR)
    inks = icc.cmyk()
    cmyk = right.convert("CMYK")
    suite.different("cmyk-profile-ignored", right, in_srgb(cmyk, inks), FAR)
    levels = Image.fromarray(np.rint((grey() / 255) ** 2.2 * 255).astype(np.uint8))
    suite.different("grey-profile-ignored", levels, grey(), FAR)
    suite.different("grey-instead-of-colour", grey(), right, FAR)
    suite.different("inverted", 255 - pixels(), right, FAR)
    suite.different("red-and-blue-exchanged", pixels()[..., ::-1], right, FAR)
    missing(suite)
    transparent(suite)


def missing(suite):
    """Adds pictures whose lower part is grey, as of files that were cut off."""
    for share in (0.5, 0.75):
        part = pixels().copy()
        part[int(len(part) * share) :] = 128
        suite.different(f"grey-after-{share:.0%}", part, photo(), FAR)


def transparent(suite):
    rgb, mask = pixels(), alpha()
    over = over_white(rgb, mask)
    share = mask[..., None] / 255
    suite.different("alpha-ignored", rgb, over, FAR)
    suite.different("alpha-over-black", np.rint(rgb * share).astype(np.uint8), over, FAR)
    applied = np.rint(rgb * share).astype(np.uint8)
    suite.different("alpha-applied-twice", over_white(applied, mask), over, FAR)
    suite.different("alpha-that-is-none", over, rgb, FAR)
