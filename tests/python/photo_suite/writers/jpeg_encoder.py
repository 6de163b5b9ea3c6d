"""Encodes JPEGs in the layouts that Pillow can't write.

They are sequential, with Huffman or arithmetic coding.
"""

import struct
from dataclasses import dataclass, field

import numpy as np

from writers.arithmetic import ArithmeticScan
from writers.huffman import HuffmanScan
from writers.jpeg import APP14, DHT, DQT, DRI, EOI, SOI, SOS, segment

ZIGZAG = [
    x * 8 + y if (x + y) % 2 else y * 8 + x
    for x, y in sorted(np.ndindex(8, 8), key=lambda at: (sum(at), at[0]))
]


@dataclass
class Component:
    """One plane, and how many of its blocks an MCU has in each direction."""

    plane: np.ndarray
    across: int = 1
    down: int = 1
    number: int = 1
    blocks: np.ndarray = field(default=None, repr=False)


@dataclass
class Layout:
    """How the file is put together."""

    arithmetic: bool = False
    interleaved: bool = True
    restart: int = 0
    quantiser: int = 3
    wide_tables: bool = False
    adobe: int | None = None
    marker: int | None = None


def jpeg(size, components, layout):
    """Returns a JPEG of planes with the size of the image. Each is reduced as its sampling says."""
    width, height = size
    across, down = max(c.across for c in components), max(c.down for c in components)
    mcus = (-(-height // (8 * down)), -(-width // (8 * across)))
    for component in components:
        component.blocks = quantised(component, mcus, across, down, layout.quantiser)
    precision = 0x10 if layout.wide_tables else 0
    steps = struct.pack(">64H", *[layout.quantiser] * 64) if precision else bytes([layout.quantiser] * 64)
    # Baseline has 8-bit tables. Extended and arithmetic frames have other markers.
    marker = layout.marker or (0xC9 if layout.arithmetic else 0xC1 if precision else 0xC0)
    frame = struct.pack(">BHHB", 8, height, width, len(components))
    frame += b"".join(bytes([c.number, c.across << 4 | c.down, 0]) for c in components)
    parts = [SOI]
    if layout.adobe is not None:
        parts.append(segment(APP14, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, layout.adobe)))
    parts += [segment(DQT, bytes([precision]) + steps), segment(marker, frame)]
    if not layout.arithmetic:
        parts.append(segment(DHT, HuffmanScan.TABLES))
    if layout.restart:
        parts.append(segment(DRI, struct.pack(">H", layout.restart)))
    scans = [components] if layout.interleaved else [[component] for component in components]
    return b"".join(parts + [scan(part, size, (across, down), layout) for part in scans]) + EOI


def scan(components, size, most, layout):
    """Returns the segment and the bits of one scan."""
    head = bytes([len(components)]) + b"".join(bytes([c.number, 0]) for c in components) + b"\0\x3f\0"
    coder, data = (ArithmeticScan if layout.arithmetic else HuffmanScan), b""
    units = list(mcus_of(components, size, most))
    interval = layout.restart or len(units)
    for number, at in enumerate(range(0, len(units), interval)):
        if number:
            data += bytes([0xFF, 0xD0 + (number - 1) % 8])
        current = coder(len(components))
        for unit in units[at : at + interval]:
            for index, block in unit:
                current.encode(index, block)
        data += current.finish()
    return segment(SOS, head) + data


def mcus_of(components, size, most):
    """Yields the blocks of each MCU, with the index of their component."""
    if len(components) == 1:
        # A scan of one component has only the blocks that the image touches, one per MCU.
        (component,) = components
        across = blocks_of(size[0], component.across, most[0])
        down = blocks_of(size[1], component.down, most[1])
        for row in component.blocks[:down]:
            for block in row[:across]:
                yield [(0, block)]
        return
    first = components[0]
    for y in range(first.blocks.shape[0] // first.down):
        for x in range(first.blocks.shape[1] // first.across):
            yield [
                (index, c.blocks[y * c.down + v, x * c.across + h])
                for index, c in enumerate(components)
                for v in range(c.down)
                for h in range(c.across)
            ]


def blocks_of(length, sampling, most):
    """Returns how many blocks of a component the image touches in one direction."""
    samples = -(-length * sampling // most)
    return -(-samples // 8)


def quantised(component, mcus, across, down, step):
    """Returns the coefficients of a plane as rows × columns × 64 integers in zigzag order."""
    plane = component.plane.astype(float)
    dy, dx = down // component.down, across // component.across
    rows, columns = mcus[0] * component.down * 8, mcus[1] * component.across * 8
    padding = ((0, rows * dy - plane.shape[0]), (0, columns * dx - plane.shape[1]))
    plane = np.pad(plane, padding, mode="edge").reshape(rows, dy, columns, dx).mean(axis=(1, 3))
    blocks = (plane - 128).reshape(rows // 8, 8, columns // 8, 8).swapaxes(1, 2)
    n = np.arange(8)
    basis = np.cos((2 * n[None] + 1) * n[:, None] * np.pi / 16) / 2
    basis[0] /= np.sqrt(2)
    found = np.rint(basis @ blocks @ basis.T / step).astype(int)
    return found.reshape(*found.shape[:2], 64)[..., ZIGZAG]


def ycc(rgb):
    """Returns the planes of luma and chroma of an array in RGB."""
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    planes = [y, (b - y) * 0.564334 + 128, (r - y) * 0.713267 + 128]
    return [np.clip(np.rint(plane), 0, 255) for plane in planes]
