"""Tests of the rendered chart. They need no cluster."""
