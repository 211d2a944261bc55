"""FastAPI without the models of Pydantic 1.

FastAPI imports them to ask of each annotation whether it is one: 22 modules, 1.5 MB, and a twentieth of a server's
start. Once this module is imported, FastAPI no longer does; it still recognises models of Pydantic 1 if other code has
imported them.
"""

import sys
from typing import Any

from fastapi._compat import shared

_is_v1_model = shared.is_pydantic_v1_model_class


def _is_known_v1_model(cls: Any) -> bool:
    return "pydantic.v1" in sys.modules and _is_v1_model(cls)


shared.is_pydantic_v1_model_class = _is_known_v1_model
