"""Parts of the service that can be switched off."""

from service.config.group import Group


class FeatureSettings(Group):
    docs: bool = True
    """Serve the docs page at `/docs` and the schema at `/openapi.json`."""
