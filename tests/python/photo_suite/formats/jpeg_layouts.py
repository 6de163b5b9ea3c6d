"""JPEG in layouts that cameras and scanners write, and Pillow doesn't."""

import numpy as np

from picture import SIZE, grey, photo, pixels
from pillow import decoded, encoded
from writers.jpeg import SOS, scan_start, segment, start_of_frame
from writers.jpeg_encoder import Component, Layout, jpeg, ycc

# Chroma can be scaled up in more than one way.
SUBSAMPLED = 0.998

# How often each component is sampled, across and down.
SAMPLINGS = {
    "411": [(4, 1), (1, 1), (1, 1)],
    "440": [(1, 2), (1, 1), (1, 1)],
    "410": [(4, 2), (1, 1), (1, 1)],
    "more-chroma-than-luma": [(1, 1), (2, 2), (2, 2)],
    "chroma-sampled-differently": [(2, 2), (2, 1), (1, 2)],
}


def add(suite):
    def same(name, file, cosine=0.999):
        suite.embedded(f"photos/jpeg-layout/{name}.jpg", file, decoded(file), cosine)

    for name, samplings in SAMPLINGS.items():
        same(name, jpeg(SIZE, planes(samplings), Layout()), SUBSAMPLED)
    full, half = [(1, 1)] * 3, [(2, 2), (1, 1), (1, 1)]
    for coding in ("huffman", "arithmetic"):
        arithmetic = coding == "arithmetic"
        for name, samplings in {"444": full, "420": half}.items():
            for interleaved in (True, False):
                for restart in (0, 5):
                    layout = Layout(arithmetic=arithmetic, interleaved=interleaved, restart=restart)
                    kind = f"{coding}-{name}{'' if interleaved else '-by-plane'}{'-restart' * (restart > 0)}"
                    same(kind, jpeg(SIZE, planes(samplings), layout), SUBSAMPLED)
        same(f"{coding}-grey", jpeg(SIZE, [Component(grey())], Layout(arithmetic=arithmetic)))
    same("grey-sampled-twice", jpeg(SIZE, [Component(grey(), 2, 2)], Layout()))
    same("wide-quantisation-tables", jpeg(SIZE, planes(full), Layout(wide_tables=True)))
    same("odd-size-by-plane", odd_size(Layout(interleaved=False)), SUBSAMPLED)
    same("odd-size-arithmetic", odd_size(Layout(arithmetic=True, restart=3)), SUBSAMPLED)
    rgb = pixels()
    components = [Component(rgb[..., index], number=index + 1) for index in range(3)]
    same("rgb-adobe", jpeg(SIZE, components, Layout(adobe=0)))
    inks(suite)
    unusual(suite)


def planes(samplings, size=SIZE):
    """Returns the components of the picture, each sampled as a pair says."""
    return [
        Component(plane, *sampling, number)
        for number, (plane, sampling) in enumerate(zip(ycc(pixels(size)), samplings, strict=True), 1)
    ]


def odd_size(layout):
    size = (SIZE[0] - 5, SIZE[1] - 3)
    return jpeg(size, planes([(2, 2), (1, 1), (1, 1)], size), layout)


def inks(suite):
    """Adds CMYK as luma and chroma. Like Photoshop, it inverts all inks."""
    rgb = pixels()
    black = Component(np.full_like(rgb[..., 0], 255), number=4)
    colours = [Component(plane, number=number) for number, plane in enumerate(ycc(255 - rgb), 1)]
    file = jpeg(SIZE, [*colours, black], Layout(adobe=2))
    suite.embedded("photos/jpeg-layout/ycck.jpg", file, photo(), 0.995)


def unusual(suite):
    """Adds kinds that the standard has and no camera writes."""
    file = encoded(photo(), "JPEG", subsampling=0)
    at = start_of_frame(file)
    twelve = file[: at + 4] + bytes([12]) + file[at + 5 :]
    suite.rejected("photos/jpeg-layout/12-bit.jpg", twelve, "unsupported_format", "12")
    for name, marker in {"lossless": 0xC3, "hierarchical": 0xC5}.items():
        other = file[: at + 1] + bytes([marker]) + file[at + 2 :]
        suite.rejected(f"photos/jpeg-layout/{name}.jpg", other, "unsupported_format", "JPEG")
    none = file[: scan_start(file)] + segment(SOS, b"\0\0\x3f\0") + b"\xff\xd9"
    suite.rejected("photos/jpeg-layout/scan-without-components.jpg", none, "corrupt")
