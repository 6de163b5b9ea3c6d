"""The experiments of side_by_side.py: fruitvec and other tools do the same work in turns."""
