"""Generated rows of the sample catalogue."""
