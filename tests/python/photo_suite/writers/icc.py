"""Writes colour profiles."""

import struct

import numpy as np

# The white point D50, which all profiles are relative to.
D50 = (0.9642, 1.0, 0.8249)

# Red, green and blue in XYZ, adapted to D50.
SRGB = [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141)]
DISPLAY_P3 = [(0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)]
ADOBE_RGB = [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)]
PROPHOTO = [(0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491)]


def fixed(*numbers):
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def tag(kind, body):
    return kind + bytes(4) + body


def gamma(exponent):
    """Returns a curve of one exponent."""
    return tag(b"curv", struct.pack(">IH", 1, round(exponent * 256)))


def srgb_curve():
    """Returns the curve of sRGB with its linear part, as a table."""
    x = np.linspace(0, 1, 1024)
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return tag(b"curv", struct.pack(">I", 1024) + np.rint(linear * 65535).astype(">u2").tobytes())


def rgb(primaries, curve, **header):
    tags = {
        name: tag(b"XYZ ", fixed(*xyz)) for name, xyz in zip(("rXYZ", "gXYZ", "bXYZ"), primaries, strict=True)
    }
    return profile({**tags, "rTRC": curve, "gTRC": curve, "bTRC": curve}, **header)


def grey(curve):
    return profile({"kTRC": curve}, space=b"GRAY")


def cmyk():
    """Returns the profile of a printer whose inks are less pure than the simple formula assumes."""
    grid = 7
    steps = np.linspace(0, 1, grid)
    c, m, y, k = np.meshgrid(steps, steps, steps, steps, indexing="ij")
    red = (1 - 0.95 * c) * (1 - 0.12 * m) * (1 - 0.02 * y) * (1 - 0.9 * k)
    green = (1 - 0.38 * c) * (1 - 0.88 * m) * (1 - 0.08 * y) * (1 - 0.9 * k)
    blue = (1 - 0.14 * c) * (1 - 0.42 * m) * (1 - 0.92 * y) * (1 - 0.9 * k)
    table = lab8(np.stack([red, green, blue], axis=-1))
    identity = bytes(range(256))
    body = struct.pack(">BBBB", 4, 3, grid, 0) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    body += identity * 4 + table.tobytes() + identity * 3
    return profile({"A2B0": tag(b"mft1", body)}, device=b"prtr", space=b"CMYK", connection=b"Lab ")


def lab8(linear):
    """Returns linear sRGB in Lab as a profile stores it in bytes."""
    xyz = linear @ np.array(SRGB) / np.array(D50)
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    lab = np.stack([(116 * y - 16) * 2.55, 500 * (x - y) + 128, 200 * (y - z) + 128], axis=-1)
    return np.clip(np.rint(lab), 0, 255).astype(np.uint8)


def profile(tags, device=b"mntr", space=b"RGB ", connection=b"XYZ ", padding=0):
    """Returns a profile of version 2.1. `padding` bytes are kept in a private tag."""
    described = tag(b"desc", struct.pack(">I", 5) + b"Test\0" + bytes(78))
    tags = {"desc": described, "cprt": tag(b"text", b"CC0\0"), "wtpt": tag(b"XYZ ", fixed(*D50)), **tags}
    if padding:
        tags["zzzz"] = tag(b"data", np.random.default_rng(1).bytes(padding))
    table, data, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, body in tags.items():
        table += name.encode() + struct.pack(">II", start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    size = start + len(data)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02100000, device, space, connection)
    # A date that readers accept, the signature, and the white point.
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*D50)
    return head.ljust(128, b"\0") + table + data
