"""The Spark cluster of the tests: Java, the master and workers, the artifacts, and a rebuild on them."""
