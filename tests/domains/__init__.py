"""Tests of the domains, one folder each."""
