"""What all benchmarks share: builds and environments, photos, timed processes, and tables."""
