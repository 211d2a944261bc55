"""Hand-written routes: their dependencies, and checks as strict as those of generated routes."""
