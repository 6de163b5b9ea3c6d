"""What arrives under the name of a photo and is none. The message says what it is, and what to do."""

import base64
import gzip
import io
import json
import tarfile
import zipfile

from picture import photo
from pillow import encoded

SVG = b"<svg xmlns='http://www.w3.org/2000/svg'></svg>"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def add(suite):
    jpeg = encoded(photo(), "JPEG", quality=90)
    png, webp = encoded(photo(), "PNG"), encoded(photo(), "WEBP")
    for name, (data, *words) in {**texts(), **archives(jpeg), **media(), **transports(jpeg)}.items():
        suite.rejected(f"photos/no-image/{name}", data, "not_an_image", *words)
    for name, data in {"jpg": jpeg, "png": png, "webp": webp}.items():
        mangled = data.decode("utf-8", "replace").encode()
        suite.rejected(f"photos/no-image/mangled.{name}", mangled, "not_an_image", "text", "binary")
    suite.rejected("photos/no-image/empty.jpg", b"", "empty", "0 bytes")


def texts():
    """Returns pages, errors and pointers that a download stored instead of a photo."""
    page = b"<!DOCTYPE html>\n<html><head><title>403</title></head><body>Forbidden</body></html>"
    error = (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied'
        b"</Message><RequestId>ABC</RequestId></Error>"
    )
    return {
        "page.jpg": (page, "HTML"),
        "page-with-svg.jpg": (page.replace(b"Forbidden", SVG), "HTML"),
        "page-in-capitals.jpg": (b"\r\n<HTML><BODY>" + SVG + b"</BODY></HTML>", "HTML"),
        "page-after-a-comment.jpg": (b"<!-- proxy -->\n<!doctype html><html></html>", "HTML"),
        "s3-error.jpg": (error, "S3", "AccessDenied"),
        "xml.jpg": (b'<?xml version="1.0"?><list><item/></list>', "XML"),
        "json.jpg": (json.dumps({"message": "Internal server error"}).encode(), "JSON"),
        "json-list.jpg": (b'[\n  {"id": 1}\n]\n', "JSON"),
        "git-lfs-pointer.jpg": (LFS, "Git LFS", "git lfs pull"),
        "text.jpg": (b"The photo of the apple follows tomorrow.\n", "text"),
        "text-utf-8.jpg": ("Der schönste Apfel – für Sie.\n".encode(), "text"),
        "text-utf-16.jpg": ("The photo follows.\n".encode("utf-16"), "text"),
        "about-cars.bmp": (b"BMW builds cars. This is a text about them.\n", "text"),
        "rows.jpg": (b"key,label\napple.jpg,Apple\n", "text"),
    }


def archives(jpeg):
    """Returns archives with a photo."""
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("apple.jpg", jpeg)
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        member = tarfile.TarInfo("apple.jpg")
        member.size = len(jpeg)
        archive.addfile(member, io.BytesIO(jpeg))
    return {
        "compressed.jpg": (gzip.compress(jpeg), "gzip"),
        "archive.jpg": (zipped.getvalue(), "ZIP"),
        "archive.tar.jpg": (tarred.getvalue(), "tar"),
    }


def media():
    """Returns videos and sounds, such as the moving half of a Live Photo."""
    return {
        "live-photo.mov": (box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"mdat", bytes(500)), "video"),
        "video.mp4": (box(b"ftyp", b"isom\0\0\2\0isomiso2avc1mp41") + box(b"mdat", bytes(500)), "video"),
        "old-video.mov": (box(b"wide", b"") + box(b"mdat", bytes(500)), "video"),
        "video.webm": (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\x82\x84webm" + bytes(100), "video"),
        "video.avi": (b"RIFF\x24\0\0\0AVI LIST" + bytes(100), "video"),
        "sound.wav": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(100), "recording"),
    }


def box(kind, body):
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def transports(jpeg):
    """Returns photos in an encoding that belongs to their transport, and other bytes."""
    encoded_jpeg = base64.b64encode(jpeg)
    form = (
        b'------x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n------x--\r\n"
    )
    signed = b"%x;chunk-signature=" % len(jpeg) + b"0" * 64 + b"\r\n" + jpeg + b"\r\n0;chunk-signature="
    unsigned = b"%x\r\n" % len(jpeg) + jpeg + b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    lines = base64.encodebytes(jpeg)
    return {
        "form.jpg": (form, "multipart", "PUT"),
        "aws-chunked.jpg": (signed + b"0" * 64 + b"\r\n\r\n", "aws-chunked"),
        "aws-chunked-trailer.jpg": (unsigned, "chunked"),
        "base64.jpg": (encoded_jpeg, "base64"),
        "base64-in-lines.jpg": (lines, "base64"),
        "data-url.jpg": (b"data:image/jpeg;base64," + encoded_jpeg, "data URL"),
        "quoted-base64.jpg": (b'"' + encoded_jpeg + b'"', "base64"),
        "zeros.jpg": (bytes(50_000), "zero"),
        "few-zeros.jpg": (bytes(12), "zero"),
        "unknown.jpg": (bytes(range(128, 256)) * 20,),
        "byte-before-the-jpeg.jpg": (b"\n" + jpeg,),
    }
