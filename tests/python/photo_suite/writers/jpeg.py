"""Reads and puts together the segments of JPEG files."""

import struct

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
APP0, APP1, APP2, APP14, COM, DRI, DHT, DQT, SOS = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE, 0xDD, 0xC4, 0xDB, 0xDA
EXIF_HEADER = b"Exif\0\0"
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
ICC_HEADER = b"ICC_PROFILE\0"


def segment(marker, body=b""):
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def with_segments(file, *segments):
    """Returns a JPEG with more segments right after its first marker."""
    return file[:2] + b"".join(segments) + file[2:]


def exif(block):
    return segment(APP1, EXIF_HEADER + block)


def xmp(packet):
    return segment(APP1, XMP_HEADER + packet)


def profile(icc, part=65000):
    """Returns the segments of a colour profile, in as many parts as it takes."""
    parts = [icc[at : at + part] for at in range(0, len(icc), part)]
    return [
        segment(APP2, ICC_HEADER + bytes([number, len(parts)]) + data) for number, data in enumerate(parts, 1)
    ]


def without(file, marker):
    """Returns a JPEG without the segments of a kind that stand before its pixels."""
    kept = [data for found, data in segments(file) if found != marker]
    return SOI + b"".join(kept) + file[scan_start(file) :]


def segments(file):
    """Yields the marker and bytes of each segment before the first scan."""
    at = 2
    while file[at + 1] != SOS:
        (length,) = struct.unpack_from(">H", file, at + 2)
        yield file[at + 1], file[at : at + 2 + length]
        at += 2 + length


def scan_start(file):
    """Returns where the first scan's segment starts."""
    return 2 + sum(len(data) for _, data in segments(file))


def cut(file, share):
    """Returns a JPEG that ends at a share of its scan, without a marker at its end."""
    start = scan_start(file)
    return file[: start + int((len(file) - start) * share)].rstrip(b"\xff")


def start_of_frame(file):
    """Returns where the segment starts that declares the size."""
    at = 2
    for marker, data in segments(file):
        if 0xC0 <= marker <= 0xCF and marker not in (DHT, 0xC8, 0xCC):
            return at
        at += len(data)
    raise ValueError("no frame")


def with_size(file, width, height):
    """Returns a JPEG that declares another size."""
    at = start_of_frame(file) + 5
    return file[:at] + struct.pack(">HH", height, width) + file[at + 4 :]
