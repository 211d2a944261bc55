"""The rows of the sample catalogue, made up from words and numbers."""
