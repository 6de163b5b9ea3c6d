"""Pictures that are stored turned or mirrored, with the orientation in every place that readers know."""

from PIL import Image, ImageOps

from picture import SIZE, photo, pixels
from pillow import encoded
from writers import jpeg, png, riff, tiff
from writers.exif import LONG, exif, xmp_attribute, xmp_element

# What is done to the stored picture to show it.
SHOWN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ALL, SOME = range(1, 9), (3, 6, 8)
PREFIX = b"Exif\0\0"


def add(suite):
    jpeg_file = encoded(photo(), "JPEG", quality=95, subsampling=0)
    webp_file = encoded(photo(), "WEBP", lossless=True)
    png_file = png.png(pixels(), png.RGB)

    def turned(name, orientation, file):
        suite.embedded(f"photos/turned/{name}", file, shown(photo(), orientation), 0.995)

    def with_exif(block):
        return jpeg.with_segments(jpeg_file, jpeg.exif(block))

    def in_webp(flags, chunk):
        return riff.extended(webp_file, SIZE, flags, after=[chunk])

    for number in ALL:
        turned(f"exif-little-endian-{number}.jpg", number, with_exif(exif(number)))
        turned(f"exif-big-endian-{number}.jpg", number, with_exif(exif(number, ">")))
        turned(f"exif-{number}.webp", number, in_webp(riff.EXIF, (b"EXIF", exif(number))))
        turned(
            f"exif-prefix-{number}.webp", number, in_webp(riff.EXIF, (b"EXIF", PREFIX + exif(number, ">")))
        )
        turned(f"exif-{number}.png", number, png.with_chunks(png_file, png.chunk(b"eXIf", exif(number))))
        tags = tiff.tags_of(SIZE, [8] * 3, tiff.RGB, more={tiff.ORIENTATION: tiff.shorts(number)})
        turned(f"tag-{number}.tif", number, tiff.tiff([(tags, [pixels().tobytes()])]))
    for number in SOME:
        for order, end in {"<": "little", ">": "big"}.items():
            turned(f"exif-long-{end}-endian-{number}.jpg", number, with_exif(exif(number, order, LONG)))
        long = in_webp(riff.EXIF, (b"EXIF", exif(number, "<", LONG)))
        turned(f"exif-long-{number}.webp", number, long)
        for form, packet in {"attribute": xmp_attribute(number), "element": xmp_element(number)}.items():
            turned(f"xmp-{form}-{number}.jpg", number, jpeg.with_segments(jpeg_file, jpeg.xmp(packet)))
            turned(f"xmp-{form}-{number}.webp", number, in_webp(riff.XMP, (b"XMP ", packet)))
            text = png.international_text("XML:com.adobe.xmp", packet)
            turned(f"xmp-{form}-{number}.png", number, png.with_chunks(png_file, text))
        text = png.raw_profile("exif", PREFIX + exif(number))
        turned(f"raw-profile-exif-{number}.png", number, png.with_chunks(png_file, text))
        after = png_file[:-12] + png.chunk(b"eXIf", exif(number)) + png_file[-12:]
        turned(f"exif-after-the-pixels-{number}.png", number, after)
    conflicts(turned, with_exif, jpeg_file)


def conflicts(turned, with_exif, jpeg_file):
    """Adds files whose orientations contradict each other, or mean nothing."""
    for number in (0, 9, 65535):
        turned(f"exif-meaningless-{number}.jpg", 1, with_exif(exif(number)))
    both = jpeg.with_segments(jpeg_file, jpeg.exif(exif(6)), jpeg.xmp(xmp_attribute(3)))
    turned("exif-before-xmp.jpg", 6, both)
    both = jpeg.with_segments(jpeg_file, jpeg.xmp(xmp_attribute(3)), jpeg.exif(exif(6)))
    turned("xmp-before-exif.jpg", 6, both)
    # The second directory describes the thumbnail.
    block = exif(1)
    thumbnail = block[:-4] + len(block).to_bytes(4, "little") + exif(8)[8:]
    turned("exif-of-the-thumbnail.jpg", 1, with_exif(thumbnail))
    turned("exif-in-the-last-segment.jpg", 8, last_segment(jpeg_file, jpeg.exif(exif(8))))
    turned("exif-cut-off.jpg", 1, with_exif(exif(6)[:14]))


def last_segment(file, segment):
    at = jpeg.scan_start(file)
    return file[:at] + segment + file[at:]


def shown(image, orientation):
    """Returns what a person sees of a stored image."""
    found = image.transpose(SHOWN[orientation]) if orientation in SHOWN else image
    assert orientation == 1 or found.tobytes() == by_pillow(image, orientation).tobytes()
    return found


def by_pillow(image, orientation):
    """Returns what Pillow shows of a stored image."""
    image = image.copy()
    image.getexif()[0x0112] = orientation
    return ImageOps.exif_transpose(image)
