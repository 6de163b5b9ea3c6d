"""PNG's own ways to say what its colours mean, and which of them counts."""

import struct

import numpy as np

from cases.profiles import MANAGED, SPACES, converted
from picture import grey, photo, pixels
from writers import icc, png

# Code points of ITU-T H.273, and that samples have the full range.
CICP_SRGB, CICP_DISPLAY_P3 = bytes([1, 13, 0, 1]), bytes([12, 13, 0, 1])
# White, red, green and blue of Adobe RGB and sRGB.
CHRM_ADOBE = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
CHRM_SRGB = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


def add(suite):
    def same(name, samples, chunks, twin=None, colour=png.RGB):
        file = png.png(np.asarray(samples), colour, before=chunks)
        suite.embedded(f"photos/png-colours/{name}.png", file, photo() if twin is None else twin, MANAGED)

    p3, adobe = converted(photo(), SPACES["display-p3"]), converted(photo(), SPACES["adobe-rgb"])
    linear = converted(photo(), SPACES["linear-srgb"])
    profile = {name: png.profile(data) for name, data in SPACES.items()}
    cicp_p3, cicp_srgb = png.chunk(b"cICP", CICP_DISPLAY_P3), png.chunk(b"cICP", CICP_SRGB)
    srgb = png.chunk(b"sRGB", b"\0")

    same("cicp-display-p3", p3, [cicp_p3])
    same("cicp-srgb", pixels(), [cicp_srgb])
    same("gamma-1", linear, [gamma(1.0)])
    same("gamma-2.2", pixels(), [gamma(2.2)])
    same("gamma-2.2-srgb-primaries", pixels(), [gamma(2.2), chromaticities(CHRM_SRGB)])
    same("gamma-2.2-adobe-primaries", adobe, [gamma(2.19921875), chromaticities(CHRM_ADOBE)])
    same("srgb", pixels(), [srgb])
    same("srgb-and-its-gamma", pixels(), [srgb, gamma(2.2), chromaticities(CHRM_SRGB)])
    levels = np.rint((grey() / 255) ** 2.2 * 255).astype(np.uint8)
    same("grey-gamma-1", levels, [gamma(1.0)], grey(), png.GREY)

    # Each is stronger than those below it: cICP, iCCP, sRGB, gAMA with cHRM.
    same("cicp-over-profile", p3, [cicp_p3, profile["prophoto"]])
    same("cicp-srgb-over-profile", pixels(), [cicp_srgb, profile["prophoto"]])
    same("cicp-over-srgb", p3, [cicp_p3, srgb])
    same("cicp-over-gamma", p3, [cicp_p3, gamma(1.0)])
    same("profile-over-srgb", adobe, [profile["adobe-rgb"], srgb])
    same("profile-over-gamma", adobe, [profile["adobe-rgb"], gamma(1.0), chromaticities(CHRM_SRGB)])
    same("srgb-over-gamma", pixels(), [srgb, gamma(1.0), chromaticities(CHRM_ADOBE)])

    # A broken one doesn't count.
    same("gamma-0", pixels(), [png.chunk(b"gAMA", bytes(4))])
    same("chromaticities-0", pixels(), [gamma(2.2), png.chunk(b"cHRM", bytes(32))])
    same("cicp-unknown", pixels(), [png.chunk(b"cICP", bytes([200, 200, 0, 1]))])
    same("cicp-short", pixels(), [png.chunk(b"cICP", b"\1")])
    same("grey-profile-of-a-colour-picture", pixels(), [png.profile(icc.grey(icc.gamma(1.0)))])


def gamma(exponent):
    return png.chunk(b"gAMA", struct.pack(">I", round(100_000 / exponent)))


def chromaticities(values):
    return png.chunk(b"cHRM", b"".join(struct.pack(">I", round(value * 100_000)) for value in values))
