"""The rows of the sample: over a thousand products in fourteen categories, the same on every machine."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from service.domains.catalog.sample.ranges import RANGES, Range

FIRST_DAY = datetime(2025, 1, 6, 8, tzinfo=UTC)
BETWEEN = timedelta(minutes=97)  # from one new product to the next
ACTIVE, DRAFT = 0.86, 0.94  # cumulative shares of the statuses
SOLD_OUT = 0.07
COST = Decimal("0.55")  # of the price
MARKUP = 0.18  # from one finish to the next more expensive one
ENDINGS = (Decimal("0.00"), Decimal("0.50"), Decimal("0.90"), Decimal("0.95"))
SERIES = (
    "Alder", "Brook", "Cove", "Dale", "Elm", "Fjord", "Grove", "Harbour", "Isle", "Juniper", "Kiln", "Lark",
    "Meadow", "North", "Orchard", "Pier", "Quay", "Ridge", "Slate", "Tern", "Umber", "Vale", "Willow",
)  # fmt: skip
SENTENCES = (
    "Made in small series, and repaired where it is made.",
    "The one that we would buy again.",
    "Spare parts are kept for ten years.",
    "Packed without plastic.",
    "Fits the others of its series.",
    "Looks better with every year of use.",
)


def categories() -> list[dict[str, Any]]:
    """Return the categories: id, created_at, slug, name, description."""
    return [
        {
            "id": stable_id(f"category/{goods.slug}", FIRST_DAY),
            "created_at": FIRST_DAY,
            "slug": goods.slug,
            "name": goods.name,
            "description": goods.description,
        }
        for goods in RANGES
    ]


def products() -> list[dict[str, Any]]:
    """Return the products, oldest first.

    Keys: id, created_at, sku, name, description, price, cost, stock, status, tags, attributes, and `category`, the
    slug of the category.
    """
    kinds = [list(_kinds(goods)) for goods in RANGES]
    # Interleave the ranges, so that the newest products are of different kinds.
    longest = max(len(kind) for kind in kinds)
    mixed = [kind[n] for n in range(longest) for kind in kinds if n < len(kind)]
    return [_product(*kind, FIRST_DAY + (n + 1) * BETWEEN) for n, kind in enumerate(mixed)]


def stable_id(name: str, at: datetime) -> UUID:
    """Return a UUID version 7 that depends only on the arguments."""
    bits = int.from_bytes(hashlib.sha256(name.encode()).digest()[:10], "big")
    value = int(at.timestamp() * 1000) << 80 | bits
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def _kinds(goods: Range) -> Iterator[tuple[Range, int, str, int]]:
    """Yield range, number, thing and finish of each product of a range."""
    number = 0
    for finish in range(len(goods.finishes)):
        for thing in goods.things:
            number += 1
            yield goods, number, thing, finish


def _product(goods: Range, number: int, thing: str, finish: int, created_at: datetime) -> dict[str, Any]:
    sku = f"{goods.code}-{number:04}"
    chance = random.Random(sku)  # noqa: S311 no secret; random() alone is the same in every version of Python
    series = SERIES[(list(goods.things).index(thing) * 5 + len(goods.slug)) % len(SERIES)]
    look = goods.finishes[finish]
    product: dict[str, Any] = {
        "id": stable_id(f"product/{sku}", created_at),
        "created_at": created_at,
        "sku": sku,
        "name": f"{series} {thing}, {look}",
        "description": f"{thing.capitalize()} of the {series} series in {look}. {_pick(chance, SENTENCES)}",
        "price": _price(chance, goods.things[thing], finish),
        "stock": 0 if chance.random() < SOLD_OUT else int(chance.random() ** 2 * 240) + 1,
        "status": _status(chance.random()),
        "tags": sorted({_pick(chance, goods.tags), _pick(chance, goods.tags)}),
        "attributes": {"finish": look, **{name: _pick(chance, goods.facts[name]) for name in goods.facts}},
        "category": goods.slug,
    }
    return {**product, "cost": round(product["price"] * COST, 2)}


def _pick(chance: random.Random, choices: Sequence[Any]) -> Any:
    return choices[int(chance.random() * len(choices))]


def _price(chance: random.Random, plain: int, finish: int) -> Decimal:
    whole = int(plain * (1 + MARKUP * finish) * (0.95 + 0.1 * chance.random()))
    ending: Decimal = _pick(chance, ENDINGS)
    return Decimal(whole) + ending


def _status(share: float) -> str:
    if share < ACTIVE:
        return "active"
    return "draft" if share < DRAFT else "discontinued"
