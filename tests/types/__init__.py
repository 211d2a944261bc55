"""Every type of column that a declaration accepts, filled with its extremes, by every way in and out."""
