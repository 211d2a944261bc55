"""The tool behind `make bench`."""
