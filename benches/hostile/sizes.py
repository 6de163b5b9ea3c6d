"""Sizes of generated files, in bytes."""

# Just below 1 MB, and just below the limit of 25 MiB.
SMALL = 990_000
LARGE = (25 << 20) - 100_000
# All noise is the same on every run.
NOISE_SEED = 13
