"""JPEG in all modes that Pillow writes."""

from PIL import Image

from picture import SIZE, grey, photo
from pillow import decoded, encoded
from writers.jpeg import APP0, APP14, COM, scan_start, segment, with_segments, without

# Chroma can be scaled up in more than one way.
SUBSAMPLED = 0.999


def add(suite):
    def same(name, file, cosine=0.9995):
        suite.embedded(f"photos/jpeg/{name}.jpg", file, decoded(file), cosine)

    colour = photo()
    for quality in (20, 75, 100):
        same(f"quality-{quality}", encoded(colour, "JPEG", quality=quality, subsampling=0))
    for name, subsampling in {"444": 0, "422": 1, "420": 2}.items():
        for progressive in (False, True):
            kind = "progressive" if progressive else "baseline"
            file = encoded(colour, "JPEG", quality=90, subsampling=subsampling, progressive=progressive)
            same(f"{kind}-{name}", file, SUBSAMPLED)
    same("optimised", encoded(colour, "JPEG", optimize=True), SUBSAMPLED)
    same("restart-every-3-blocks", encoded(colour, "JPEG", restart_marker_blocks=3), SUBSAMPLED)
    same("restart-every-row", encoded(colour, "JPEG", restart_marker_rows=1), SUBSAMPLED)
    same("progressive-restart", encoded(colour, "JPEG", progressive=True, restart_marker_rows=2), SUBSAMPLED)
    same("rgb", encoded(colour, "JPEG", quality=90, keep_rgb=True))
    same("grey", encoded(Image.fromarray(grey()), "JPEG", quality=90))
    same("grey-progressive", encoded(Image.fromarray(grey()), "JPEG", quality=90, progressive=True))
    sizes(suite)
    inks(suite)
    around_the_pixels(suite)


def sizes(suite):
    """Adds sizes that are no multiple of a block, and sizes that are decoded at a smaller scale."""
    for size in [(1, 1), (7, 5), (191, 127), (17, 1), (1, 33)]:
        file = encoded(photo(size), "JPEG", quality=95, subsampling=2)
        suite.embedded(f"photos/jpeg/{size[0]}x{size[1]}.jpg", file, decoded(file), 0.999)
    for size in [(1151, 767), (1800, 1200)]:
        for progressive in (False, True):
            name = f"{size[0]}x{size[1]}{'-progressive' * progressive}"
            file = encoded(photo(size), "JPEG", quality=90, progressive=progressive)
            suite.embedded(f"photos/jpeg/{name}.jpg", file, decoded(file), 0.9995)


def inks(suite):
    """Adds CMYK without a profile, which is converted by the simple formula."""
    cmyk = photo().convert("CMYK")
    file = encoded(cmyk, "JPEG", quality=95, subsampling=0)
    # Adobe's programs store inverted inks and say so. Pillow and browsers expect them without a word, too.
    suite.embedded("photos/jpeg/cmyk-adobe.jpg", file, photo(), 0.999)
    suite.embedded("photos/jpeg/cmyk-without-adobe.jpg", without(file, APP14), photo(), 0.999)


def around_the_pixels(suite):
    """Adds segments and bytes that programs put around the pixels."""
    file = encoded(photo(), "JPEG", quality=90, subsampling=0)
    twin = decoded(file)

    def same(name, data):
        suite.embedded(f"photos/jpeg/{name}.jpg", data, twin)

    same("without-jfif", without(file, APP0))
    same("comment", with_segments(file, segment(COM, b"taken at the market")))
    same("empty-comment", with_segments(file, segment(COM)))
    same("many-segments", with_segments(file, *[segment(0xED, b"Photoshop 3.0\0" + bytes(5000))] * 40))
    same("fill-bytes-before-a-marker", file[:2] + b"\xff" * 7 + file[2:])
    start = scan_start(file)
    same("fill-bytes-before-the-scan", file[:start] + b"\xff" * 3 + file[start:])
    same("zeros-after-the-end", file + bytes(1000))
    same("text-after-the-end", file + b"\r\n--boundary--\r\n")
    thumbnail = encoded(photo((48, 32)).rotate(180), "JPEG")
    same("another-jpeg-after-the-end", file + thumbnail)
    same("thumbnail-in-a-segment", with_segments(file, segment(0xE0, b"JFXX\0\x10" + thumbnail)))
    second = photo().rotate(180)
    multi = encoded(photo(), "MPO", save_all=True, append_images=[second], quality=90)
    suite.embedded("photos/jpeg/multi-picture.jpg", multi, decoded(multi), SUBSAMPLED, SIZE)
