"""Tests of the migrations, the schema and its triggers."""
