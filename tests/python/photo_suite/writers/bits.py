"""Packs samples with few bits into bytes."""

import numpy as np


def packed_rows(samples, depth):
    """Returns rows of bytes of samples with 1, 2, 4, 8 or 16 bits, the highest first."""
    rows = samples.reshape(samples.shape[0], -1)
    if depth == 16:
        return rows.astype(">u2").view(np.uint8)
    bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
    return np.packbits(bits.reshape(rows.shape[0], -1), axis=1)
