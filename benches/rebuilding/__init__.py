"""The experiments of rebuild.py: backfill, compaction and PCA on one machine and on Spark."""
