"""Categories and products, as in the tests of the API."""

from tests.api.conftest import category, new_product

__all__ = ["category", "new_product"]
