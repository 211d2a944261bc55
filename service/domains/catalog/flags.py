"""The feature flags of the catalogue."""

from service.features import Flag

value_of_active = Flag(
    "value_of_active",
    default=False,
    description="The value in a category's summary counts active products only.",
    owner="catalog",
    expires=None,
)

FLAGS = (value_of_active,)
