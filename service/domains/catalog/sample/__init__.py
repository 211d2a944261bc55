"""Generates the rows of the sample catalogue."""
