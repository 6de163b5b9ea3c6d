"""The picture of the suite: colourful, and different in each corner.

The shapes were searched at random. A turned or mirrored copy has a cosine of at most 0.92 to the picture, as
has a copy whose colour profile is ignored. A JPEG of it has more than 0.997.
"""

import numpy as np
from PIL import Image

SIZE = (192, 128)

# Centre and radii as fractions of the width and height, and the colour.
SHAPES = [
    ((0.31, 0.39), (0.2, 0.3), (96, 0, 192)),
    ((0.14, 0.18), (0.09, 0.07), (255, 128, 198)),
    ((0.78, 0.89), (0.24, 0.1), (244, 255, 0)),
    ((0.74, 0.59), (0.32, 0.1), (205, 255, 30)),
    ((0.37, 0.92), (0.32, 0.12), (46, 255, 98)),
    ((0.34, 0.85), (0.05, 0.06), (103, 255, 94)),
    ((0.92, 0.25), (0.15, 0.15), (25, 0, 16)),
]


def pixels(size=SIZE):
    """Returns the picture as an array of height × width × 3 bytes."""
    width, height = size
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    image = np.stack([20 + 150 * y, 130 + 60 * x - 70 * y, 225 - 150 * y], axis=-1)
    stripes = (x > 0.86) & (y < 0.5)
    image[stripes] = np.where(((y * 12).astype(int) % 2 == 0)[..., None], (30, 20, 20), (240, 240, 235))[
        stripes
    ]
    for (cx, cy), (rx, ry), colour in SHAPES:
        distance = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2
        inside = distance < 1
        shade = (1.08 - 0.3 * distance)[..., None]
        image[inside] = (np.array(colour) * shade)[inside]
    image += 5 * np.sin(70 * x + 11 * y)[..., None]
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def photo(size=SIZE):
    """Returns the picture as a Pillow image."""
    return Image.fromarray(pixels(size))


def grey(size=SIZE):
    """Returns the picture in grey, as an array of height × width bytes."""
    return np.asarray(photo(size).convert("L"))


def alpha(size=SIZE):
    """Returns a mask in steps, from opaque at the left to transparent at the right."""
    width, height = size
    columns = np.repeat([255, 255, 170, 90, 0], -(-width // 5))[:width]
    return np.broadcast_to(columns, (height, width)).astype(np.uint8)


def over_white(colours, mask):
    """Blends an array in RGB or grey over white, as a person sees it."""
    if colours.ndim == 2:
        colours = np.repeat(colours[..., None], 3, axis=2)
    share = mask[..., None] / 255
    return np.rint(colours * share + 255 * (1 - share)).astype(np.uint8)


def quantised(colours):
    """Returns the picture as palette indices, and the palette, whose length is `colours`."""
    image = photo().quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = np.array(image.getpalette(), dtype=np.uint8).reshape(-1, 3)
    return np.asarray(image), np.pad(palette, ((0, colours - len(palette)), (0, 0)))
