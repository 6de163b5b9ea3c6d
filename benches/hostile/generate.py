"""Writes all files: `generate.py FOLDER FORMAT ...`. It needs Pillow and NumPy."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hostile import bmp, gif, jpeg, mutants, png, tiff, webp  # noqa: E402

FORMATS = {"bmp": bmp, "gif": gif, "jpeg": jpeg, "png": png, "tiff": tiff, "webp": webp}


def main():
    folder = Path(sys.argv[1])
    for name in sys.argv[2:]:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for generate in (FORMATS[name].files, lambda name=name: mutants.files(name)):
            for file, data in generate():
                (folder / name / file).write_bytes(data)
                print(name, file, len(data), flush=True)


if __name__ == "__main__":
    main()
