"""Writes photos in other colour spaces, with their profiles, out of photos in sRGB.

usage: profiles.py OUT PHOTOS

PHOTOS is a folder. Each of its photos becomes five files in OUT.
"""

import io
import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

SRGB = ImageCms.createProfile("sRGB")
D50 = np.array([0.9642, 1.0, 0.8249])
D65 = np.array([0.9505, 1.0, 1.0891])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# The light that a layer of cyan, magenta, yellow and black ink lets through, in linear sRGB.
INKS = np.array([[0.02, 0.35, 0.75], [0.75, 0.03, 0.25], [0.95, 0.75, 0.02], [0.02, 0.02, 0.02]])
GRID = 9


def fixed(*numbers):
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def profile(space, connection, tags):
    """Assembles an ICC profile of version 2 from its tags."""
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78), **tags}
    tags[b"cprt"] = b"text\0\0\0\0CC0\0"
    tags[b"wtpt"] = b"XYZ \0\0\0\0" + fixed(*D50)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    table, data = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(tag))
        data += tag + bytes(-len(tag) % 4)
    size = 128 + len(table) + len(data)
    head = struct.pack(">I4xI4s4s4s12x4s28x", size, 0x02100000, kind, space, connection, b"acsp")
    return (head + fixed(*D50)).ljust(128, b"\0") + table + data


def curve(gamma):
    """Returns a curve: a gamma, or a table of 1024 points for the curve of sRGB."""
    if gamma is not None:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    x = np.linspace(0, 1, 1024)
    y = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return b"curv\0\0\0\0" + struct.pack(">I", 1024) + np.round(y * 65535).astype(">u2").tobytes()


def rgb_to_xyz(primaries, white):
    """Returns the matrix from linear RGB to XYZ, adapted to D50."""
    unscaled = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    matrix = unscaled * np.linalg.solve(unscaled, white)
    adaptation = np.linalg.inv(BRADFORD) @ np.diag(BRADFORD @ D50 / (BRADFORD @ white)) @ BRADFORD
    return adaptation @ matrix


def rgb(primaries, gamma, white=D65):
    tags = {name + b"TRC": curve(gamma) for name in (b"r", b"g", b"b")}
    for name, colorant in zip((b"r", b"g", b"b"), rgb_to_xyz(primaries, white).T, strict=True):
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + fixed(*colorant)
    return profile(b"RGB ", b"XYZ ", tags)


def cmyk():
    """Returns the profile of a press whose inks multiply, with a table of colours."""
    levels = np.linspace(0, 1, GRID)
    amounts = np.stack(np.meshgrid(*[levels] * 4, indexing="ij"), axis=-1)[..., None]
    light = np.prod(1 - amounts * (1 - INKS), axis=-2)
    xyz = light @ rgb_to_xyz([(0.64, 0.33), (0.3, 0.6), (0.15, 0.06)], D65).T / D50
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    lab = [(116 * y - 16) * 652.8, (500 * (x - y) + 128) * 256, (200 * (y - z) + 128) * 256]
    straight = np.array([0, 65535], dtype=">u2").tobytes()
    table = b"mft2\0\0\0\0" + bytes([4, 3, GRID, 0])
    table += fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + struct.pack(">HH", 2, 2)
    grid = np.stack(lab, axis=-1).round().clip(0, 65535).astype(">u2")
    table += straight * 4 + grid.tobytes() + straight * 3
    return profile(b"CMYK", b"Lab ", {b"A2B0": table})


DISPLAY_P3 = rgb([(0.68, 0.32), (0.265, 0.69), (0.15, 0.06)], None)
ADOBE_RGB = rgb([(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)], 2.19921875)
PROPHOTO = rgb([(0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)], 1.8, D50)
GREY = profile(b"GRAY", b"XYZ ", {b"kTRC": curve(1.8)})
CMYK = cmyk()


def separated(photo):
    """Converts a photo to CMYK. Nine tenths of the grey are black ink."""
    inks = 255 - np.asarray(photo, dtype=np.float64)
    black = inks.min(axis=2, keepdims=True) * 0.9
    coloured = (inks - black) / (1 - black / 255)
    return Image.fromarray(np.concatenate([coloured, black], axis=2).round().astype(np.uint8), "CMYK")


def main(out, photos):
    lossy = {"quality": 95, "subsampling": 0}
    spaces = {"p3": DISPLAY_P3, "adobe": ADOBE_RGB, "prophoto": PROPHOTO}
    formats = [("jpg", lossy), ("png", {}), ("webp", {"lossless": True}), ("tif", {})]
    for number, file in enumerate(sorted(Path(photos).iterdir())):
        photo = Image.open(file).convert("RGB")
        files = {}
        for turn, (space, icc) in enumerate(spaces.items()):
            extension, options = formats[(number + turn) % len(formats)]
            wide = ImageCms.profileToProfile(photo, SRGB, ImageCms.ImageCmsProfile(io.BytesIO(icc)))
            files[f"{number}-{space}.{extension}"] = wide, icc, options
        files[f"{number}-grey.jpg"] = photo.convert("L"), GREY, lossy
        extension, options = formats[0] if number % 2 == 0 else formats[-1]
        files[f"{number}-cmyk.{extension}"] = separated(photo), CMYK, options
        for name, (image, icc, options) in files.items():
            image.save(Path(out) / name, icc_profile=icc, **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
