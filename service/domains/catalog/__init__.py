"""The sample domain: a catalogue of products in categories, and their deliveries."""

from service.domains.catalog import routes
from service.domains.catalog.flags import FLAGS
from service.domains.catalog.jobs import jobs
from service.domains.catalog.resources import RESOURCES
from service.domains.catalog.seed import SEED
from service.resources.domain import Domain

DOMAIN = Domain(
    name="catalog",
    resources=RESOURCES,
    routers=(routes.router,),
    jobs=jobs,
    seed=SEED,
    flags=FLAGS,
    caches=(routes.summary_of_category,),
)
