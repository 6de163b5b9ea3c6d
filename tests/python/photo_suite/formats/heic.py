"""HEIC, the format of iPhones: its chroma, sizes, turns, profiles and pictures."""

import pillow_heif
from PIL import Image

from cases.not_images import box
from cases.orientation import shown
from cases.profiles import MANAGED, SPACES, converted, in_srgb
from picture import alpha, grey, photo
from pillow import decoded, encoded
from writers.exif import exif

pillow_heif.register_heif_opener()

# Chroma can be scaled up in more than one way.
SUBSAMPLED = 0.995


def add(suite):
    def same(name, file, twin, cosine=SUBSAMPLED):
        suite.embedded(f"photos/heic/{name}.heic", file, twin, cosine)

    for chroma in (420, 422, 444):
        for quality in (40, 90):
            file = heic(photo(), chroma=chroma, quality=quality)
            same(f"chroma-{chroma}-quality-{quality}", file, decoded(file))
    for size in [(64, 64), (191, 127), (130, 66), (1000, 700)]:
        file = heic(photo(size))
        same(f"{size[0]}x{size[1]}", file, decoded(file))
    file = heic(Image.fromarray(grey()))
    same("grey", file, decoded(file))
    turned(suite)
    managed(same)
    several(same)
    refused(suite, heic(photo()))


def refused(suite, file):
    """Adds kinds that are not decoded, and damaged files."""
    transparent = photo().copy()
    transparent.putalpha(Image.fromarray(alpha()))
    suite.rejected("photos/heic/alpha.heic", heic(transparent), "unsupported_format", "transparency")
    for share in (0.05, 0.3, 0.6, 0.95):
        part = file[: int(len(file) * share)]
        suite.rejected(f"photos/heic/cut-off-{share:.0%}.heic", part, "truncated", "upload it again")
    burst = box(b"ftyp", b"msf1\0\0\0\0hevcmsf1") + box(b"moov", bytes(500))
    suite.rejected("photos/heic/burst.heic", burst, "unsupported_format", "HEIC", "still image")
    zeros = box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(b"meta", bytes(500))
    suite.rejected("photos/heic/metadata-of-zeros.heic", zeros, "unsupported_format", "HEIC")


def heic(image, **options):
    return encoded(image, "HEIF", **{"quality": 90, "chroma": 420, **options})


def turned(suite):
    """Adds turns, which HEIC stores as properties. The orientation in EXIF only repeats them."""
    for number in range(1, 9):
        file = heic(photo(), chroma=444, exif=b"Exif\0\0" + exif(number))
        suite.embedded(f"photos/heic/turned-{number}.heic", file, shown(photo(), number), 0.99)


def managed(same):
    """Adds colour profiles, as a profile and as code points."""
    for space in ("display-p3", "adobe-rgb"):
        image = converted(photo(), SPACES[space])
        file = heic(image, chroma=444, icc_profile=SPACES[space])
        same(space, file, in_srgb(decoded(file), SPACES[space]), MANAGED)


def several(same):
    """Adds a file of two pictures, of which the main one counts."""
    other = photo().rotate(180)
    file = heic(photo(), save_all=True, append_images=[other], primary_index=0)
    same("two-pictures", file, decoded(file))
    file = heic(other, save_all=True, append_images=[photo()], primary_index=1)
    same("the-second-picture-is-the-main-one", file, photo(), 0.99)
