"""Tests of the sample domain."""
