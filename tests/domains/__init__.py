"""Tests of the team's code, a folder for each domain."""
