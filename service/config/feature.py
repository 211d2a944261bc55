"""Parts of the service that can be switched off, and the values of feature flags."""

from pydantic import Field, JsonValue

from service.config.group import Group


class FeatureSettings(Group):
    docs: bool = True
    """Serve the docs page at `/docs` and the schema at `/openapi.json`."""
    flags: dict[str, JsonValue] = Field(default={}, examples=['{"new_checkout": true}'])
    """Values of feature flags by name, as a JSON object such as `{"new_checkout": true}`, in place of the defaults in
    the code. What is set at run time comes first: `slipway features`."""
