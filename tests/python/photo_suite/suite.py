"""The files of the suite and what is expected of each."""

import hashlib
import json

import numpy as np
from PIL import Image

from pillow import encoded

# What a lossless file must reach.
SAME = 0.9995


class Suite:
    """Writes files below a folder, and collects one line of the manifest for each."""

    def __init__(self, folder):
        self.folder = folder
        self.lines = {}
        self.twins = {}

    def embedded(self, file, data, twin, cosine=SAME, size=None):
        """Adds a file that is embedded like its twin, which shows what a person sees.

        `size` is the size of the row, if the twin is smaller.
        """
        twin = as_image(twin)
        width, height = size or twin.size
        expected = {"twin": self.twin(twin), "cosine": cosine, "width": width, "height": height}
        self.add(file, data, {"embedded": expected})

    def rejected(self, file, data, code, *words):
        """Adds a file that is rejected with this code and a message that has all these words."""
        self.add(file, data, {"rejected": {"code": code, "words": words}})

    def different(self, name, wrong, right, cosine=0.99):
        """Adds a wrong picture, whose embedding must be far from the one of the right picture.

        These show that the thresholds of the other files can be missed.
        """
        expected = {"twin": self.twin(as_image(right)), "below": cosine}
        self.add(f"photos/wrong/{name}.png", png(as_image(wrong)), {"different": expected})

    def twin(self, image):
        """Returns the file of a twin, which is written once."""
        content = hashlib.sha1(image.tobytes() + str(image.size).encode()).hexdigest()[:16]
        if content not in self.twins:
            self.twins[content] = f"photos/twin/{content}.png"
            self.write(self.twins[content], png(image))
        return self.twins[content]

    def add(self, file, data, expected):
        assert file not in self.lines, file
        self.write(file, data)
        self.lines[file] = {"file": file, **expected}

    def write(self, file, data):
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def finish(self):
        """Writes the manifest."""
        lines = "".join(json.dumps(line) + "\n" for line in self.lines.values())
        (self.folder / "manifest.jsonl").write_text(lines)


def as_image(picture):
    """Returns an image in RGB of an array or image in RGB or grey, without metadata such as a profile."""
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    assert image.mode in ("L", "RGB"), image.mode
    return Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())


def png(image):
    return encoded(image, "PNG", compress_level=1)
