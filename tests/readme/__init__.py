"""README.md says only what was run."""
