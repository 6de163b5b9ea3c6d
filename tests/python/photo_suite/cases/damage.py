"""Damaged files: cut off, changed, and joined with others."""

import struct

from picture import SIZE, photo, pixels, quantised
from pillow import decoded, encoded
from writers import bmp, gif, jpeg, png, tiff
from writers.jpeg import COM, EOI

SHARES = (0.05, 0.3, 0.6, 0.95)


def add(suite):
    cut_off(suite)
    jpegs(suite)
    harmless_jpegs(suite)
    pngs(suite)
    others(suite)


def files():
    """Returns an intact file of each kind."""
    colour, rgb = photo(), pixels()
    indices, palette = quantised(256)
    tags = tiff.tags_of(SIZE, [8] * 3, tiff.RGB)
    return {
        "baseline.jpg": encoded(colour, "JPEG", quality=90),
        "progressive.jpg": encoded(colour, "JPEG", quality=90, progressive=True),
        "plain.png": png.png(rgb, png.RGB),
        "interlaced.png": png.png(rgb, png.RGB, interlaced=True),
        "many-chunks.png": png.png(rgb, png.RGB, idats=50),
        "lossy.webp": encoded(colour, "WEBP", quality=90),
        "lossless.webp": encoded(colour, "WEBP", lossless=True),
        "plain.gif": gif.gif([gif.Frame(indices)], SIZE, palette),
        "true-colour.bmp": bmp.bmp(bmp.rows(rgb[..., ::-1], 24), SIZE, 24),
        "run-lengths.bmp": bmp.bmp(bmp.run_length_8(indices), SIZE, 8, bmp.RLE8, palette),
        "one-strip.tif": tiff.tiff([(tags, [rgb.tobytes()])]),
        "directory-last.tif": encoded(colour, "TIFF", compression="tiff_lzw"),
    }


def cut_off(suite):
    """Adds files without their end, as an interrupted copy leaves them."""
    for name, file in files().items():
        stem, ending = name.split(".")
        for share in SHARES:
            part = file[: int(len(file) * share)]
            suite.rejected(
                f"photos/cut-off/{stem}-{share:.0%}.{ending}", part, "truncated", "upload it again"
            )
        # Two letters are too few to say that it was a BMP.
        if ending != "bmp":
            start = f"photos/cut-off/{stem}-after-12-bytes.{ending}"
            suite.rejected(start, file[:12], "truncated", "upload it again")


def jpegs(suite):
    """Adds JPEGs that lack pixels and look complete."""
    for name in ("baseline", "progressive"):
        file = files()[f"{name}.jpg"]
        half = jpeg.cut(file, 0.5)

        def truncated(kind, data, name=name):
            suite.rejected(f"photos/damaged/{name}-{kind}.jpg", data, "truncated", "upload it again")

        truncated("half-and-end", half + EOI)
        truncated("half-and-zeros-and-end", half + bytes(100) + EOI)
        truncated("half-and-zeros", half + bytes(2000))
        truncated("half-and-another", half + encoded(photo().rotate(180), "JPEG"))
        truncated("half-and-text", half + b"\r\n--boundary--\r\n")
        truncated("most-and-end", jpeg.cut(file, 0.85) + EOI)
    start = jpeg.scan_start(file)
    suite.rejected("photos/damaged/no-scan.jpg", file[:start] + EOI, "corrupt", "scan")
    suite.rejected("photos/damaged/only-markers.jpg", jpeg.SOI + EOI, "corrupt", "JPEG")


def harmless_jpegs(suite):
    """Adds JPEGs with faults that cost no pixel. Browsers show them."""
    file = encoded(photo(), "JPEG", quality=90, subsampling=0)
    twin = decoded(file)

    def same(name, data):
        suite.embedded(f"photos/damaged/harmless-{name}.jpg", data, twin, 0.999)

    same("end-is-zeros", file[:-2] + bytes(2))
    same("end-is-many-zeros", file[:-2] + bytes(500))
    same("end-is-missing", file[:-2])
    for marker, kind in {0xE4: "segment", COM: "comment"}.items():
        for length in (0, 1):
            impossible = bytes([0xFF, marker]) + struct.pack(">H", length)
            same(f"{kind}-of-length-{length}", jpeg.with_segments(file, impossible))
    # libjpeg continues at the wrong marker, as its other users do.
    restarted = wrong_restart()
    suite.embedded("photos/damaged/harmless-restart-number.jpg", restarted, decoded(restarted), 0.995)


def wrong_restart():
    file = encoded(photo(), "JPEG", quality=90, subsampling=0, restart_marker_blocks=2)
    return file.replace(b"\xff\xd3", b"\xff\xd4", 1)


def pngs(suite):
    """Adds PNGs with wrong checksums and chunks."""
    rgb = pixels()
    file = png.png(rgb, png.RGB)
    data = file.index(b"IDAT")

    def corrupt(name, changed, code="corrupt"):
        suite.rejected(f"photos/damaged/{name}.png", changed, code, "PNG")

    corrupt("wrong-header-checksum", file[:29] + b"\0\0\0\0" + file[33:])
    corrupt("wrong-pixels", file[: data + 3000] + b"\xff" * 40 + file[data + 3040 :])
    corrupt("no-pixels", png.SIGNATURE + png.ihdr(*SIZE, 8, png.RGB) + png.chunk(b"IEND"))
    short = png.png(rgb[: SIZE[1] // 2], png.RGB)
    half = png.SIGNATURE + png.ihdr(*SIZE, 8, png.RGB) + short[33:]
    corrupt("half-of-the-rows", half)
    corrupt("depth-3", png.SIGNATURE + png.ihdr(*SIZE, 3, png.RGB) + file[33:])
    corrupt("colour-type-5", png.SIGNATURE + png.ihdr(*SIZE, 8, 5) + file[33:])
    indices, _ = quantised(16)
    corrupt("no-palette", png.png(indices, png.PALETTE))
    mangled = file.replace(b"\r\n", b"\n")
    suite.rejected("photos/damaged/line-ends-changed.png", mangled, "not_an_image", "PNG", "line ends")


def others(suite):
    """Adds files of the other formats that contradict themselves."""
    intact = files()
    lossy = intact["lossy.webp"]
    # The three bytes of the start code.
    changed = lossy[:23] + b"\xff" * 3 + lossy[26:]
    suite.rejected("photos/damaged/wrong-frame-header.webp", changed, "corrupt", "WebP")
    indices, palette = quantised(256)
    half = gif.Frame(indices, stream=gif.lzw(indices[: SIZE[1] // 2].tobytes()))
    suite.rejected("photos/damaged/half-of-the-rows.gif", gif.gif([half], SIZE, palette), "corrupt", "GIF")
    suite.rejected("photos/damaged/no-frame.gif", gif.gif([], SIZE, palette), "truncated", "GIF")
    suite.rejected("photos/damaged/no-palette.gif", gif.gif([gif.Frame(indices % 4)], SIZE), "corrupt", "GIF")
    tags = tiff.tags_of(SIZE, [8] * 3, tiff.RGB)
    rgb = pixels().tobytes()

    def broken(name, more, chunks, code="corrupt"):
        file = tiff.tiff([({**tags, **more}, chunks)])
        suite.rejected(f"photos/damaged/{name}.tif", file, code, "TIFF")

    broken("half-of-the-rows", {}, [rgb[: len(rgb) // 2]], "truncated")
    broken("strip-beyond-the-end", {tiff.STRIP_OFFSETS: tiff.longs(10_000_000)}, [rgb], "truncated")
    broken("fewer-strips-than-rows", {tiff.ROWS_PER_STRIP: tiff.longs(16)}, [rgb])
    broken("unknown-compression", {tiff.COMPRESSION: tiff.shorts(1234)}, [rgb], "unsupported_format")
    broken("not-lzw", {tiff.COMPRESSION: tiff.shorts(tiff.LZW)}, [rgb])
    broken("not-deflate", {tiff.COMPRESSION: tiff.shorts(tiff.DEFLATE)}, [rgb])
    file = bmp.bmp(rgb, SIZE, 24)
    suite.rejected("photos/damaged/depth-7.bmp", file[:28] + b"\7" + file[29:], "corrupt", "BMP")
    beyond = file[:10] + struct.pack("<I", 10_000_000) + file[14:]
    suite.rejected("photos/damaged/pixels-beyond-the-end.bmp", beyond, "truncated", "BMP")
