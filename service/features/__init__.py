"""Typed feature flags: declared in code, changed at run time, the same in every replica within a second."""

from service.features.flag import Evaluation, Flag, FlagError

__all__ = ["Evaluation", "Flag", "FlagError"]
