"""Pictures with a colour profile, in every format that has one. The twins are made with LittleCMS."""

import io

import numpy as np
from PIL import Image, ImageCms

from picture import SIZE, alpha, grey, over_white, photo, pixels
from pillow import decoded, encoded
from writers import bmp, icc, jpeg, png, riff, tiff

# What every managed picture must reach.
MANAGED = 0.995

SPACES = {
    "display-p3": icc.rgb(icc.DISPLAY_P3, icc.srgb_curve()),
    "adobe-rgb": icc.rgb(icc.ADOBE_RGB, icc.gamma(2.19921875)),
    "prophoto": icc.rgb(icc.PROPHOTO, icc.gamma(1.8)),
    "linear-srgb": icc.rgb(icc.SRGB, icc.gamma(1.0)),
    "srgb": icc.rgb(icc.SRGB, icc.srgb_curve()),
    "swapped": icc.rgb(icc.SRGB[::-1], icc.srgb_curve()),
}


def add(suite):
    def same(name, file, twin, cosine=MANAGED):
        suite.embedded(f"photos/profile/{name}", file, twin, cosine)

    for space, profile in SPACES.items():
        stored = pixels() if space == "swapped" else np.asarray(converted(photo(), profile))
        twin = in_srgb(Image.fromarray(stored), profile)
        for name, file in in_all_formats(stored, profile).items():
            # A small loss in dark tones of a linear space is a large one in sRGB.
            same(f"{space}{name}", file, in_srgb(decoded(file), profile) if name.endswith(".jpg") else twin)
    alphas_and_palettes(same)
    greys(same)
    inks(same)
    parts(same)
    unusable(same)


def converted(image, profile):
    """Returns an sRGB image in the space of a profile."""
    return through(image, ImageCms.createProfile("sRGB"), opened(profile))


def in_srgb(image, profile):
    """Returns an image of a profile in sRGB: what a person sees."""
    return through(image, opened(profile), ImageCms.createProfile("sRGB"))


def through(image, source, target):
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    found = ImageCms.profileToProfile(image, source, target, renderingIntent=intent, outputMode="RGB")
    # Otherwise the image would be saved with the profile of the target.
    del found.info["icc_profile"]
    return found


def opened(profile):
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def in_all_formats(stored, profile):
    image = Image.fromarray(stored)
    rgb = tiff.tags_of(SIZE, [8] * 3, tiff.RGB, more={tiff.ICC: (tiff.UNDEFINED, list(profile))})
    words = tiff.tags_of(SIZE, [16] * 3, tiff.RGB, more={tiff.ICC: (tiff.UNDEFINED, list(profile))})
    wide = stored.astype(int) * 257
    webp = encoded(image, "WEBP", lossless=True)
    return {
        ".jpg": encoded(image, "JPEG", quality=95, subsampling=0, icc_profile=profile),
        "-progressive.jpg": encoded(
            image, "JPEG", quality=95, subsampling=0, progressive=True, icc_profile=profile
        ),
        ".png": png.png(stored, png.RGB, before=[png.profile(profile)]),
        "-16.png": png.png(wide, png.RGB, 16, before=[png.profile(profile)]),
        ".webp": riff.extended(webp, SIZE, riff.PROFILE, before=[(b"ICCP", profile)]),
        ".tif": tiff.tiff([(rgb, [stored.tobytes()])]),
        "-16.tif": tiff.tiff([(words, [wide.astype("<u2").tobytes()])]),
    }


def alphas_and_palettes(same):
    profile = SPACES["adobe-rgb"]
    stored, mask = np.asarray(converted(photo(), profile)), alpha()
    four, over = np.dstack([stored, mask]), over_white(pixels(), mask)
    same("alpha.png", png.png(four, png.RGBA, before=[png.profile(profile)]), over)
    webp = encoded(Image.fromarray(four), "WEBP", lossless=True, exact=True)
    chunks = [(b"ICCP", profile)]
    same("alpha.webp", riff.extended(webp, SIZE, riff.PROFILE | riff.ALPHA, before=chunks), over)
    image = Image.fromarray(stored).quantize(200, dither=Image.Dither.NONE)
    indices, palette = np.asarray(image), np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    twin = in_srgb(image.convert("RGB"), profile)
    before = [png.profile(profile), png.chunk(b"PLTE", palette.tobytes())]
    same("palette.png", png.png(indices, png.PALETTE, before=before), twin)
    file = bmp.bmp(bmp.rows(stored[..., ::-1], 24), SIZE, 24, header=124, icc=profile)
    same("version-5.bmp", file, photo())


def greys(same):
    """Adds grey pictures with other curves than sRGB's."""
    for exponent in (1.0, 1.8, 2.6):
        profile = icc.grey(icc.gamma(exponent))
        stored = np.rint((grey() / 255) ** (2.2 / exponent) * 255).astype(np.uint8)
        twin = in_srgb(Image.fromarray(stored), profile)
        name = f"grey-gamma-{exponent}"
        file = encoded(Image.fromarray(stored), "JPEG", quality=95, icc_profile=profile)
        same(f"{name}.jpg", file, twin)
        same(f"{name}.png", png.png(stored, png.GREY, before=[png.profile(profile)]), twin)
        more = {tiff.ICC: (tiff.UNDEFINED, list(profile))}
        tags = tiff.tags_of(SIZE, [8], tiff.BLACK_IS_ZERO, more=more)
        same(f"{name}.tif", tiff.tiff([(tags, [stored.tobytes()])]), twin)


def inks(same):
    """Adds CMYK with the profile of a printer, which is far from the simple formula."""
    profile = icc.cmyk()
    # More black than the formula gives, as separations have it.
    c, m, y, _ = (np.asarray(plane).astype(int) for plane in photo().convert("CMYK").split())
    black = np.minimum(np.minimum(c, m), y) // 2
    stored = np.dstack([c - black, m - black, y - black, black]).astype(np.uint8)
    image = Image.frombytes("CMYK", SIZE, stored.tobytes())
    twin = in_srgb(image, profile)
    file = encoded(image, "JPEG", quality=95, subsampling=0, icc_profile=profile)
    same("cmyk.jpg", file, twin)
    more = {tiff.ICC: (tiff.UNDEFINED, list(profile))}
    tags = tiff.tags_of(SIZE, [8] * 4, tiff.CMYK, more=more)
    same("cmyk.tif", tiff.tiff([(tags, [stored.tobytes()])]), twin)


def parts(same):
    """Adds JPEGs whose profile takes several segments."""
    large = icc.rgb(icc.PROPHOTO, icc.gamma(1.8), padding=150_000)
    image = converted(photo(), large)
    file = encoded(image, "JPEG", quality=95, subsampling=0)
    twin, segments = in_srgb(decoded(file), large), jpeg.profile(large)
    same("three-segments.jpg", jpeg.with_segments(file, *segments), twin)
    same("segments-in-disorder.jpg", jpeg.with_segments(file, segments[2], segments[0], segments[1]), twin)


def unusable(same):
    """Adds profiles that can't be used. The photo is then taken for sRGB."""
    good = SPACES["prophoto"]
    broken = {
        "empty": b"",
        "cut-off": good[:200],
        "zeros": bytes(len(good)),
        "text": b"this is not a profile" * 20,
        "wrong-signature": good[:36] + b"xxxx" + good[40:],
        "tags-beyond-the-end": good[:132] + b"\xff" * (len(good) - 132),
        "for-cmyk": icc.cmyk(),
        "for-grey": icc.grey(icc.gamma(1.0)),
    }
    webp = encoded(photo(), "WEBP", lossless=True)
    file = encoded(photo(), "JPEG", quality=95, subsampling=0)
    for name, profile in broken.items():
        same(f"unusable-{name}.jpg", jpeg.with_segments(file, *jpeg.profile(profile or b" ")), photo())
        same(f"unusable-{name}.png", png.png(pixels(), png.RGB, before=[png.profile(profile)]), photo())
        chunk = (b"ICCP", profile)
        same(f"unusable-{name}.webp", riff.extended(webp, SIZE, riff.PROFILE, before=[chunk]), photo())
        more = {tiff.ICC: (tiff.UNDEFINED, list(profile or b" "))}
        tags = tiff.tags_of(SIZE, [8] * 3, tiff.RGB, more=more)
        same(f"unusable-{name}.tif", tiff.tiff([(tags, [pixels().tobytes()])]), photo())
    segments = jpeg.profile(good, part=200)
    same("unusable-missing-segment.jpg", jpeg.with_segments(file, *segments[1:]), decoded(file))
    damaged = png.chunk(b"iCCP", b"profile\0\0" + b"not compressed")
    same("unusable-not-compressed.png", png.png(pixels(), png.RGB, before=[damaged]), photo())
