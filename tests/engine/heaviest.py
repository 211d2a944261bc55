"""The heaviest requests that each route accepts, or must process before it refuses them, by operation id."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter
from pydantic import BaseModel

from service.features.targeting import MOST_RULES
from service.http.content.strict_json import MAX_CONTAINERS
from service.security.access import require_scope
from service.security.principals import Principal
from tests.engine.api import ARTICLES, PARCELS, SHELVES, Json
from tests.shop import SHOP
from tests.shop.flags import FLAGS
from tests.shop.resources import articles, parcels, shelves

MEGABYTE = 2**20 - 1024  # almost the largest body
MOST = 1000  # operations of a bulk request
NOBODY, SHELF, ARTICLE, PARCEL = (str(UUID(int=number, version=4)) for number in (1, 2, 3, 4))
TAKEN = "TAKEN-SKU"

JSON = {"Content-Type": "application/json"}
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
ANY = {"If-Match": "*"}
TAGS = ", ".join(f'W/"{number}-{number:x}"' for number in range(1900))  # the largest header
STALE = {"If-Match": TAGS.replace("W/", "")}

router = APIRouter()


class Part(BaseModel):
    """A nested model of a hand-written route."""

    number: int = 0


class Parts(BaseModel):
    """The body of a hand-written route."""

    numbers: list[int] = []
    parts: list[Part] = []
    by_name: dict[str, int] = {}
    document: Any = None


@router.post("/count-parts")
async def count_parts(parts: Parts, _: Annotated[Principal, require_scope("shop:write")]) -> int:
    """A hand-written route with a native body."""
    return len(parts.numbers)


HEAVY = replace(SHOP, resources=(shelves, replace(articles, extra=router), parcels))


@dataclass(frozen=True)
class Heavy:
    """A request, its possible statuses, and the maximum number of statements."""

    kind: str
    method: str
    path: str
    statuses: tuple[int, ...] = (200,)
    statements: int = 2
    headers: Mapping[str, str] = field(default_factory=dict)
    content: str = ""
    params: Mapping[str, str] = field(default_factory=dict)


@cache
def numbers(size: int = MEGABYTE) -> str:
    return "[" + "1," * (size // 2 - 1) + "1]"


@cache
def names(size: int = MEGABYTE) -> str:
    return "{" + ",".join(f'"{number:x}":1' for number in range(size // 10)) + "}"


@cache
def deep(size: int = MEGABYTE) -> str:
    nested, most = "[" * 20 + "]" * 20, (MAX_CONTAINERS - 20) // 20
    return "[" + ",".join([nested] * most) + ",1" * ((size - most * 42) // 2) + "]"


def _within(member: str, content: str) -> str:
    return f'{{"{member}":{content}}}'


def _array(*parts: str) -> str:
    return f"[{','.join(parts)}]"


LESS = MEGABYTE - 100
BODIES = {
    "numbers": numbers(),
    "names": names(),
    "deep": deep(),
    "wide text": _within("name", numbers(LESS)),
    "deep text": _within("name", deep(LESS)),
    "wide document": _within("attributes", _within("a", numbers(LESS))),
    "deep document": _within("attributes", _within("a", deep(LESS))),
    "named document": _within("attributes", names(LESS)),
    "wrong list": _within("tags", numbers(LESS)),
    "list of lists": _within("tags", _array(deep(LESS))),
    "unknown member": _within("unknown", deep(LESS)),
    "long text": json.dumps({"name": "é\u2028" * (MEGABYTE // 14)}),
    "long scopes": _within("scopes", numbers(LESS)),
}
NATIVE = {
    **{kind: BODIES[kind] for kind in ("numbers", "names", "deep", "unknown member")},
    "right numbers": _within("numbers", numbers(LESS)),
    "wrong numbers": _within("numbers", _array(*["[]"] * (MAX_CONTAINERS - 20), *["1"] * (LESS // 4))),
    "wrong parts": _within("parts", _array("{}", *["1"] * (LESS // 2 - 10))),
    "unknown in parts": _within("parts", _array(*['{"x":1}'] * (LESS // 8 - 200))),
    "wrong by name": _within("by_name", names(LESS * 4 // 5).replace(":1", ":[]")),
    "deep document": _within("document", deep(LESS)),
}  # fmt: skip


def operations(*given: Json, mode: str = "partial") -> str:
    return json.dumps({"mode": mode, "operations": given * (MOST // len(given))})


def _article(**more: object) -> Json:
    return {"sku": TAKEN, "name": "Lamp", "price": "1.00", "shelf_id": SHELF, **more}


def _on_many(op: str, tag: str, **more: object) -> str:
    return operations(*({"op": op, "id": str(uuid4()), "if_match": tag, **more} for _ in range(MOST)))


def _on_one(member: str, content: str) -> str:
    return f'{{"operations":[{{"op":"create","{member}":{content}}}]}}'


BULKS = {
    "numbers": _within("operations", numbers(LESS)),
    "no operations": json.dumps({"mode": "partial", "operations": [1] * MOST}),
    "one that is deep": _within("operations", _array(deep(LESS))),
    "names of one": _on_one("item", names(LESS)),
    "wrong list of one": _on_one("item", BODIES["wrong list"]),
    "deep document of one": _on_one("item", BODIES["deep document"]),
    "deep unknown of one": _on_one("unknown", deep(LESS)),
    "unknown names": operations({"op": "create", "item": {f"x{number}": 1 for number in range(90)}}),
    "absent, patched": _on_many("patch", "*", changes={"name": "x"}),
    "absent, deleted": _on_many("delete", "*"),
    "many tags": _on_many("delete", STALE["If-Match"][:500].rpartition(",")[0]),
}
PRODUCT_BULKS = {
    **BULKS,
    "dead references": operations({"op": "create", "item": _article(shelf_id=NOBODY)}),
    "one value for all": operations({"op": "create", "item": _article()}),
    "atomic, one value for all": operations({"op": "create", "item": _article()}, mode="atomic"),
}


def _in(values: range) -> str:
    return ",".join(map(str, values))


MANY = range(1000, 1100)
LISTS: dict[str, Json] = {
    "largest page": {"limit": 200, "count": "exact"},
    "ids": {"id__in": ",".join(str(uuid4()) for _ in range(100))},
    "search": {"q": "a b-" * 50},
    "many values": {"name__in": _in(MANY), "count": "exact", "limit": 200, "q": "ab " * 60},
    "sorts": {"sort": "-created_at,name", "limit": 200},
    "long text": {"name": "x" * 2000},
}
PRODUCT_LISTS = {
    **LISTS,
    "many values": {f"{name}__in": _in(MANY) for name in ("sku", "name", "price", "stock")} | {"limit": 200},
    "sorts": {"sort": "-price,name,-created_at", "limit": 200, "count": "exact"},
    "other items": {"expand": "shelf", "shelf.name__in": _in(MANY), "limit": 200},
}


PARCEL_LISTS = {kind: LISTS[kind] for kind in ("largest page", "ids", "search")}


def _writes(path: str, singular: str, own: str) -> Iterator[tuple[str, list[Heavy]]]:
    writes = (
        (f"create_{singular}", "POST", path, JSON),
        (f"replace_{singular}", "PUT", f"{path}/{NOBODY}", JSON | ANY),
        (f"patch_{singular}", "PATCH", f"{path}/{NOBODY}", MERGE_PATCH | ANY),
        (f"patch_{singular}", "PATCH", f"{path}/{own}", MERGE_PATCH | STALE),
    )
    found: dict[str, list[Heavy]] = {}
    for operation, method, to, headers in writes:
        found.setdefault(operation, []).extend(
            Heavy(kind, method, to, (400, 404, 412, 422), 2, headers, content)
            for kind, content in BODIES.items()
        )
    yield from found.items()


def _lists(operation: str, path: str, lists: Mapping[str, Json]) -> tuple[str, list[Heavy]]:
    return operation, [Heavy(kind, "GET", path, (200,), 2, params=params) for kind, params in lists.items()]


def _bulks(operation: str, path: str, bulks: Mapping[str, str]) -> tuple[str, list[Heavy]]:
    statuses = (200, 409, 422)
    return operation, [
        Heavy(kind, "POST", f"{path}/bulk", statuses, 40, JSON, content) for kind, content in bulks.items()
    ]


def _reads(path: str, singular: str, own: str) -> Iterator[tuple[str, list[Heavy]]]:
    one, none = f"{path}/{own}", {"If-None-Match": TAGS}
    past = {"as_of": "2026-01-01T00:00:00Z"}
    yield (
        f"read_{singular}",
        [
            Heavy("many tags", "GET", one, (200,), 2, none),
            Heavy("many tags to match", "GET", one, (200, 412), 2, STALE),
            Heavy("as of", "GET", one, (404,), 2, none, params=past),
            Heavy("as of now", "GET", one, (200,), 2, none, params={"as_of": "2099-01-01T00:00:00Z"}),
        ],
    )
    yield f"delete_{singular}", [Heavy("many tags", "DELETE", one, (412,), 2, STALE)]
    yield f"restore_{singular}", [Heavy("many tags", "POST", f"{one}/restore", (409, 412), 2, STALE)]
    yield (
        f"read_history_of_{singular}",
        [Heavy("largest page", "GET", f"{one}/history", (200,), 2, params={"limit": "200"})],
    )


def _of_resource(path: str, singular: str, plural: str, own: str) -> Iterator[tuple[str, list[Heavy]]]:
    yield from _writes(path, singular, own)
    yield from _reads(path, singular, own)
    yield f"export_{plural}", [Heavy("all", "GET", f"{path}/export", (200,), 8)]


def _of_children(path: str, member: str) -> list[Heavy]:
    """Creations of an item with children: as many as allowed, all wrong, and as many as the body holds."""
    wrong = _array(*[json.dumps({f"x{number}": number for number in range(500)})] * 100)
    bodies = {f"wrong {member}": wrong, f"too many {member}": _array(*["{}"] * (LESS // 4))}
    return [
        Heavy(kind, "POST", path, (400, 422), 2, JSON, _within(member, content))
        for kind, content in {**bodies, **BODIES}.items()
    ]


def _of_flags(flag: str) -> Iterator[tuple[str, list[Heavy]]]:
    rules = [{"value": None, "principals": [f"key:{n}" for n in range(500)]} for _ in range(MOST_RULES)]
    bodies = {**BODIES, "most rules": json.dumps({"rules": rules})}
    yield "list_features", [Heavy("all", "GET", "/api/v1/features", (200,), 4)]
    yield "list_feature_flags", [Heavy("all", "GET", FLAGS_PATH, (200,), 4)]
    yield "read_feature_flag", [Heavy("own", "GET", flag, (200,), 4)]
    yield (
        "set_feature_flag",
        [
            Heavy(kind, "PUT", flag, (200, 400, 422), 8, JSON | ANY, content)
            for kind, content in bodies.items()
        ],
    )
    yield "unset_feature_flag", [Heavy("many tags", "DELETE", flag, (412,), 5, STALE)]
    yield "list_feature_flag_changes", [Heavy("own", "GET", f"{flag}/history", (200,), 5)]


KEYS = "/api/v1/keys"
FLAGS_PATH = "/api/v1/feature-flags"
HEAVIEST: dict[str, list[Heavy]] = dict(
    (
        # Articles first, which have all the fields: `make test` sends a body once.
        *_of_resource(ARTICLES, "article", "articles", ARTICLE),
        *_of_resource(SHELVES, "shelf", "shelves", SHELF),
        *_of_resource(PARCELS, "parcel", "parcels", PARCEL),
        _lists("list_articles", ARTICLES, PRODUCT_LISTS),
        _lists("list_shelves", SHELVES, LISTS),
        _lists("list_parcels", PARCELS, PARCEL_LISTS),
        _lists("list_parcels_of_parcel", f"{PARCELS}/{PARCEL}/parcels", PARCEL_LISTS),
        _lists("list_articles_of_shelf", f"{SHELVES}/{SHELF}/articles", PRODUCT_LISTS),
        _bulks("bulk_change_articles", ARTICLES, PRODUCT_BULKS),
        _bulks("bulk_change_shelves", SHELVES, BULKS),
        _bulks("bulk_change_parcels", PARCELS, BULKS),
        ("create_parcel", _of_children(PARCELS, "parts")),
        ("send_parcel", [Heavy("many tags", "POST", f"{PARCELS}/{PARCEL}/send", (412,), 4, STALE)]),
        ("summarise_shelf", [Heavy("own", "GET", f"{SHELVES}/{SHELF}/summary", (200,), 5)]),
        (
            "restock_article",
            [
                Heavy(kind, "POST", f"{ARTICLES}/{ARTICLE}/restock", (400, 422), 4, JSON, content)
                for kind, content in BODIES.items()
            ],
        ),
        ("list_api_keys", [Heavy("all", "GET", KEYS, (200,), 4)]),
        (
            "create_api_key",
            [
                Heavy(kind, "POST", KEYS, (400, 422), 4, JSON, content)
                for kind, content in ({"long scopes": BODIES["long scopes"]} | BODIES).items()
            ],
        ),
        ("revoke_api_key", [Heavy("longest name", "DELETE", f"{KEYS}/{'x' * 2000}", (404,), 5)]),
        *_of_flags(f"{FLAGS_PATH}/{FLAGS[0].name}"),
        ("read_health", [Heavy("plain", "GET", "/health", (200,), 8)]),
        (
            "count_parts",
            [
                Heavy(kind, "POST", f"{ARTICLES}/count-parts", (200, 400, 422), 2, JSON, content)
                for kind, content in NATIVE.items()
            ],
        ),
    )
)
