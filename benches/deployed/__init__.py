"""The experiments of functions.py: the functions as they are deployed."""
