"""The error of a wrong declaration."""


class DeclarationError(Exception):
    """A declaration that contradicts its model. Raised at start-up; names the resource and the field."""
