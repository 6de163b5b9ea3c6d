"""Images in formats that are not decoded, which the message names."""

from cases.not_images import box
from picture import photo
from pillow import encoded


def add(suite):
    for name, (data, *words) in kinds().items():
        suite.rejected(f"photos/other-format/{name}", data, "unsupported_format", *words)
    tiff, gif = encoded(photo(), "TIFF"), encoded(photo(), "GIF")
    bmp = encoded(photo(), "BMP")
    for name, data in {"tif": tiff, "gif": gif, "bmp": bmp}.items():
        # An upload accepts what the app hands out: JPEG, PNG and WebP.
        suite.rejected(f"uploads/2026-11-28/photo.{name}", data, "unsupported_format", "JPEG, PNG or WebP")
    for name, kind in {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}.items():
        options = {} if kind == "PNG" else {"quality": 95}
        suite.embedded(f"uploads/2026-11-28/photo.{name}", encoded(photo(), kind, **options), photo(), 0.99)


def kinds():
    return {
        "raw.cr3": (box(b"ftyp", b"crx \0\0\0\1crx isom") + bytes(500), "Canon"),
        "photo.avif": (encoded(photo(), "AVIF", quality=90), "AVIF"),
        "photo.jp2": (encoded(photo(), "JPEG2000"), "JPEG 2000"),
        "codestream.j2k": (encoded(photo(), "JPEG2000", no_jp2=True), "JPEG 2000"),
        "codestream.jxl": (b"\xff\x0a" + bytes(200), "JPEG XL"),
        "photo.jxl": (box(b"JXL ", b"\r\n\x87\n") + bytes(200), "JPEG XL"),
        "layers.psd": (b"8BPS\0\1" + bytes(200), "PSD"),
        "document.pdf": (encoded(photo(), "PDF"), "PDF"),
        "drawing.svg": (
            b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"/>',
            "SVG",
        ),
        "drawing-short.svg": (b'<svg xmlns="http://www.w3.org/2000/svg" width="9"/>', "SVG"),
        "icon.ico": (encoded(photo().resize((32, 32)), "ICO"), "ICO"),
        "texture.dds": (encoded(photo(), "DDS"), "DDS"),
        "pixels.ppm": (encoded(photo(), "PPM"), "PNM"),
        "picture.qoi": (b"qoif" + bytes(100), "QOI"),
        "light.hdr": (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 2\n" + bytes(16), "HDR"),
        "light.exr": (b"\x76\x2f\x31\x01" + bytes(200), "OpenEXR"),
        "raw.raf": (b"FUJIFILMCCD-RAW 0201FF" + bytes(200), "Fujifilm"),
        "raw.orf": (b"IIRO\x08\0\0\0" + bytes(200), "Olympus"),
        "raw.rw2": (b"IIU\0\x18\0\0\0" + bytes(200), "Panasonic"),
        "raw.x3f": (b"FOVb" + bytes(200), "Sigma"),
    }
