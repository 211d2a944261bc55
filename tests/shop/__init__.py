"""The domain of the chassis' own tests: a shop of articles on shelves.

Tests of the chassis use this domain and no other, so they stay green whatever domains a team lists in
`service.domains`. `Article` has a field of each common kind: unique text, free text, decimal, integer, enum, array,
JSON and a reference to a `Shelf`. Both resources ask for the scopes `shop:read` and `shop:write`, and the `rent` of a
shelf for `shop:internal` too; a hand-written route sums up a shelf, and asks a feature flag how. The names of the
tables begin with `tests_`, so they cannot meet a team's.

- Databases: `database_url` and `fresh_database()` have the tables. `fresh_database(shop=False)` is at the head of the
  migrations and has no table of the shop.
- In this process: `create_app(settings, (SHOP,))`. The fixtures of tests/api/conftest.py (`app`, `client`, `shelf`,
  `article`) and `running(url)` of tests/engine/api.py do that.
- In a process of its own: `python -m tests.shop serve`, with the repository in PYTHONPATH, is `slipway serve` with this
  domain in place of the team's; likewise for every other command. `migrate` and `dev` create the tables too.
  `tests.process.served.Served` starts one.
- With more or less in the domain: `dataclasses.replace(SHOP, jobs=…)`, in a process by `tests.shop.door.install`.
- More awkward tables, for tests of the engine alone: tests/engine/tables.py.
"""

from service.resources.domain import Domain
from tests.shop import routes
from tests.shop.flags import FLAGS
from tests.shop.resources import RESOURCES
from tests.shop.seed import SEED

SHOP = Domain(name="shop", resources=RESOURCES, routers=(routes.router,), seed=SEED, flags=FLAGS)
