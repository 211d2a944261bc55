"""FastAPI's search for the models that a document names, without validators.

FastAPI builds a validator for each field of each model to read its annotation, three times for each model: half of the
time for which the first request for the document blocks the event loop. Once this module is imported, it does not.
"""

from types import SimpleNamespace
from typing import Any

from fastapi._compat import v2
from pydantic import BaseModel

Models = set[Any]

replaced = v2.get_flat_models_from_model


def models_of(model: type[BaseModel], known_models: Models | None = None) -> Models:
    """Return the models and enums that the fields of a model name, directly or not, and those that are known."""
    found: Models = set() if known_models is None else known_models
    for info in model.model_fields.values():
        field: Any = SimpleNamespace(field_info=info)
        v2.get_flat_models_from_field(field, known_models=found)
    return found


v2.get_flat_models_from_model = models_of
