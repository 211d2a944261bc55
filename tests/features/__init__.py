"""Feature flags: their evaluation, their routes, and what a started process does with them."""
