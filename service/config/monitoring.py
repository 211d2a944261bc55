"""Metrics."""

from typing import Annotated

from pydantic import Field, field_validator

from service.config.group import Group


class MonitoringSettings(Group):
    metrics: bool = True
    """Collect metrics of requests, and serve `/metrics` on the admin port."""
    duration_buckets: tuple[Annotated[float, Field(gt=0)], ...] = (
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    )  # fmt: skip
    """Upper bounds of the histogram buckets for request durations, in seconds, ascending."""

    @field_validator("duration_buckets")
    @classmethod
    def _ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or list(value) != sorted(set(value)):
            raise ValueError("must be ascending numbers, at least one")
        return value
