"""README.md contains only commands that were run."""
