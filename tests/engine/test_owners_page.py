"""The code in docs/owners.md runs, and hand-written queries can ask for a principal's rows."""

import re
from pathlib import Path
from typing import Any

from sqlmodel import select

from service.security.principals import Principal
from tests.conftest import DatabaseFactory
from tests.engine.api import BASE, running
from tests.engine.secured import in_migration
from tests.shop.metadata import new_metadata
from tests.shop.tables import create_tables, in_database

PAGE = Path(__file__).parents[2] / "docs" / "owners.md"


async def test_code_of_the_page(fresh_database: DatabaseFactory) -> None:
    text = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))
    page: dict[str, Any] = {"METADATA": new_metadata(), "__name__": "owners_page"}
    exec(
        compile(text.replace("table=True):", "table=True):\n    metadata = METADATA"), "<docs>", "exec"), page
    )
    invoices, lines, model = page["invoices"], page["invoice_lines"], page["Invoice"]
    url = fresh_database(shop=False)
    await in_database(url, lambda connection: create_tables(connection, [invoices.table, lines.table]))
    for step in ("upgrade", "downgrade"):
        await in_database(url, in_migration(page[step]))
    async with running(url, [invoices, lines], ("invoices:read", "invoices:write")) as api:
        made = (await api.make("invoices", number="1")).json()
        await api.make("invoice-lines", invoice_id=made["id"], number=1)
        assert (await api.client.get(f"{BASE}/invoices")).json()["items"] == [made]
        async with api.database.session() as session:
            session.add(model(tenant="other", number="1"))
        found = {}
        for scope, claims in (("x:y", {"tenant": "other"}), ("x:y", {}), ("invoices:all", {}), ("admin", {})):
            principal = Principal("key:x", frozenset({scope}), claims)
            async with api.database.session() as session:
                rows = await session.exec(select(model.tenant).where(invoices.owned_by(principal)))
                found[scope, *claims] = sorted(rows)
        both = ["other", "tests"]
        assert [*found.values()] == [["other"], [], both, both]
