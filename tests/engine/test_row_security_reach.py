"""Row-level security reaches what the engine's own condition does not: views, computed members, units of work."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest
import sqlalchemy as sa
from fastapi import APIRouter

from service.http.handwritten import Input
from service.resources.declaration import Action, Change, Computed
from service.resources.units import UnitOfWork, UnitsDep
from service.security.access import require_scope
from tests.engine.api import PARCELS, SHELVES, Api, Json, problem, running, unique
from tests.engine.secured import secured
from tests.engine.test_views import LOADS, create_views, loads
from tests.services import Client
from tests.shop.models import Parcel
from tests.shop.resources import articles, parcels, shelves
from tests.shop.tables import in_database
