"""Metadata that says how an image must be turned."""

import struct

SHORT, LONG = 3, 4
ORIENTATION = 0x0112
# The namespace of the orientation in XMP.
TIFF = "http://ns.adobe.com/tiff/1.0/"


def exif(orientation, order="<", kind=SHORT, more=()):
    """Returns an EXIF block (a TIFF structure) with the orientation. `more` are entries before it."""
    entries = [*more, (ORIENTATION, kind, orientation)]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    body = b"".join(
        struct.pack(order + "HHI", tag, kind, 1)
        + (struct.pack(order + "HH", value, 0) if kind == SHORT else struct.pack(order + "I", value))
        for tag, kind, value in entries
    )
    return head + struct.pack(order + "H", len(entries)) + body + struct.pack(order + "I", 0)


def xmp_attribute(orientation):
    """Returns an XMP packet with the orientation as an attribute, as most programs write it."""
    return packet(f'<rdf:Description rdf:about="" xmlns:tiff="{TIFF}" tiff:Orientation="{orientation}"/>')


def xmp_element(orientation):
    """Returns an XMP packet with the orientation as an element."""
    return packet(
        f'<rdf:Description rdf:about="" xmlns:tiff="{TIFF}">'
        f"<tiff:Orientation>{orientation}</tiff:Orientation></rdf:Description>"
    )


def packet(description):
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'{description}</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()
