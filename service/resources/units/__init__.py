"""Units of work: transactions in which hooks, actions, jobs and hand-written routes change items of any resource."""

from service.resources.declaration.unit_of_work import UnitOfWork
from service.resources.units.open_units import Units, UnitsDep

__all__ = ["UnitOfWork", "Units", "UnitsDep"]
