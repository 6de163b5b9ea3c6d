"""WebP in all layouts."""

import numpy as np
from PIL import Image

from picture import SIZE, alpha, grey, over_white, photo, pixels
from pillow import decoded, encoded
from writers.exif import exif, xmp_attribute
from writers.riff import ALPHA, EXIF, PROFILE, XMP, chunks, extended, webp

LOSSY = 0.999


def add(suite):
    def same(name, file, twin, cosine=0.9995):
        suite.embedded(f"photos/webp/{name}.webp", file, twin, cosine)

    colour = photo()
    for quality in (30, 80, 100):
        file = encoded(colour, "WEBP", quality=quality)
        same(f"lossy-{quality}", file, decoded(file), LOSSY)
    same("lossless", encoded(colour, "WEBP", lossless=True), colour)
    same("lossless-grey", encoded(Image.fromarray(grey()), "WEBP", lossless=True), grey())
    few = colour.quantize(12).convert("RGB")
    same("lossless-few-colours", encoded(few, "WEBP", lossless=True), few)
    mask = alpha()
    transparent = Image.fromarray(np.dstack([pixels(), mask]))
    over = over_white(pixels(), mask)
    same("lossless-alpha", encoded(transparent, "WEBP", lossless=True, exact=True), over)
    same("lossy-alpha", encoded(transparent, "WEBP", quality=95), over, 0.99)
    same("lossy-alpha-lossy", encoded(transparent, "WEBP", quality=95, alpha_quality=60), over, 0.99)
    for size in [(1, 1), (15, 3), (191, 127)]:
        same(f"{size[0]}x{size[1]}", encoded(photo(size), "WEBP", lossless=True), photo(size))
    animated(same, transparent, over)
    containers(suite, same)


def animated(same, transparent, over):
    """Adds animations, of which the first frame counts."""
    colour, second = photo(), photo().rotate(180)
    options = {"save_all": True, "lossless": True, "duration": 100}
    same("animated", encoded(colour, "WEBP", append_images=[second], **options), colour)
    file = encoded(transparent, "WEBP", append_images=[transparent.rotate(180)], exact=True, **options)
    same("animated-alpha", file, over)
    lossy = encoded(colour, "WEBP", append_images=[second], save_all=True, quality=90)
    same("animated-lossy", lossy, decoded(lossy), LOSSY)


def containers(suite, same):
    """Adds chunks around the picture, and flags that promise chunks."""
    file = encoded(photo(), "WEBP", lossless=True)
    same("extended", extended(file, SIZE, 0), photo())
    same("exif-flag-without-chunk", extended(file, SIZE, EXIF), photo())
    same("xmp-flag-without-chunk", extended(file, SIZE, XMP), photo())
    same("profile-flag-without-chunk", extended(file, SIZE, PROFILE), photo())
    same("all-flags-without-chunks", extended(file, SIZE, EXIF | XMP), photo())
    same("alpha-flag-of-an-opaque-picture", extended(file, SIZE, ALPHA), photo())
    metadata = [(b"EXIF", exif(1)), (b"XMP ", xmp_attribute(1))]
    same("chunks-without-flags", extended(file, SIZE, 0, after=metadata), photo())
    same("unknown-chunks", extended(file, SIZE, 0, [(b"ABCD", b"123")], [(b"EFGH", b"4")]), photo())
    same("bytes-after-the-end", file + b"\r\nmore", photo())
    odd = webp([*chunks(file), (b"ODD ", b"123")])
    same("without-the-last-padding", odd[:-1], photo())
    ((_, data),) = chunks(file)
    suite.rejected("photos/webp/no-picture.webp", webp([(b"ABCD", data)]), "corrupt", "WebP")
    suite.rejected("photos/webp/empty.webp", webp([]), "corrupt", "WebP")
