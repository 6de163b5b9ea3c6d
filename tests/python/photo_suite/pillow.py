"""Encodes and decodes with Pillow."""

import io

from PIL import Image


def encoded(image, kind, **options):
    """Returns the bytes of the file that Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(file):
    """Returns the picture that Pillow reads, in RGB: the reference for lossy files."""
    return Image.open(io.BytesIO(file)).convert("RGB")
