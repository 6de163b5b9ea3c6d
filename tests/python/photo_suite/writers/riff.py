"""Puts chunks into WebP files."""

import struct

# Flags of the chunk VP8X.
ANIMATION, XMP, EXIF, ALPHA, PROFILE = 2, 4, 8, 16, 32


def chunks(file):
    """Returns the kinds and bodies of the chunks of a WebP file."""
    found, at = [], 12
    while at + 8 <= len(file):
        (length,) = struct.unpack_from("<I", file, at + 4)
        found.append((file[at : at + 4], file[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return found


def webp(parts):
    """Returns a WebP file of chunks."""
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in parts
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def extended(file, size, flags, before=(), after=()):
    """Returns a simple WebP file in the extended layout, with more chunks."""
    width, height = size
    kept = [(kind, data) for kind, data in chunks(file) if kind != b"VP8X"]
    header = bytes([flags, 0, 0, 0]) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return webp([(b"VP8X", header), *before, *kept, *after])
