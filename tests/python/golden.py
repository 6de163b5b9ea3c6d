"""Embeds photos with Pillow and onnxruntime and compares the embeddings with ours.

usage: golden.py MODEL.onnx EXPECTED.jsonl

A line of EXPECTED has a photo's file and our width, height and embedding.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageCms, ImageOps

SIDE = 128
MIN_COSINE = 0.9995
SRGB = ImageCms.createProfile("sRGB")


def upright_rgb(file):
    """Reads a photo, applies its orientation and profile, and puts a transparent one on white."""
    image = ImageOps.exif_transpose(Image.open(file))
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    if profile is not None:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        image = ImageCms.profileToProfile(image, profile, SRGB, outputMode="RGB")
    return image.convert("RGB")


def main(model, expected_file):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    cosines = {}
    for photo in map(json.loads, Path(expected_file).read_text().splitlines()):
        image = upright_rgb(photo["file"])
        assert image.size == (photo["width"], photo["height"]), (photo["key"], image.size)
        pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float32)
        (embedding,) = session.run(None, {"image": (pixels / 127.5 - 1).transpose(2, 0, 1)[None]})
        reference, found = embedding[0].astype(np.float64), np.array(photo["embedding"])
        assert found.shape == reference.shape == (1280,)
        cosines[photo["key"]] = found @ reference / np.linalg.norm(found) / np.linalg.norm(reference)
    # `not >=` also finds NaN.
    too_low = {key: cosine for key, cosine in cosines.items() if not cosine >= MIN_COSINE}
    assert not too_low, too_low
    lowest = min(cosines, key=cosines.get)
    median = np.median(list(cosines.values()))
    print(f"{len(cosines)} photos, lowest cosine {cosines[lowest]:.7f} ({lowest}), median {median:.7f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
