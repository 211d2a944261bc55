"""`cached()`: keeps the results of a domain's queries in memory, by their arguments."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, get_type_hints

from pydantic import TypeAdapter
from sqlmodel.ext.asyncio.session import AsyncSession

from service import actor
from service.cache.change_feed import ChangeFeed
from service.cache.loading_cache import LoadingCache
from service.cache.memory import Memory
from service.database import Database

P = ParamSpec("P")
T = TypeVar("T")

MOST_SECONDS = 86_400.0


class CachedFunctionError(Exception):
    """A cached function that contradicts the rules; raised at start-up, naming the function."""


class CachedFunction(Generic[P, T]):
    """A query whose results are kept. Call it with `Caches` in place of the session: `await totals(caches, id)`."""

    def __init__(
        self,
        query: Callable[Concatenate[AsyncSession, P], Awaitable[T]],
        *,
        seconds: float,
        stale: float,
        tables: Sequence[str],
    ) -> None:
        self.query = query
        self.name = f"{query.__name__}()"  # no path of a resource has parentheses
        self.seconds = seconds
        self.stale = stale
        self.tables = tables
        self.result: TypeAdapter[T] = TypeAdapter(get_type_hints(query)["return"])
        if not (seconds > 0 and stale >= 0 and seconds + stale <= MOST_SECONDS):
            raise CachedFunctionError(
                f"{self.name}: seconds must be more than 0, stale 0 or more, and both together at most a day"
            )

    async def __call__(self, caches: "Caches", *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result for these arguments, which must be hashable. Errors of the query are raised, not kept."""
        return await caches.get(self, args, kwargs)


def cached(
    *, seconds: float, stale: float = 0.0, tables: Sequence[str] = ()
) -> Callable[[Callable[Concatenate[AsyncSession, P], Awaitable[T]]], CachedFunction[P, T]]:
    """Decorate a query `async def totals(session, id) -> Totals`, and list it in `Domain.caches`.

    A result is kept for `seconds`; for `stale` seconds more it is given at once while one query renews it. A change of
    any row of `tables` drops all results. Whatever a result depends on must be an argument, the caller's rights too.
    Raises `CachedFunctionError`.
    """
    return partial(CachedFunction, seconds=seconds, stale=stale, tables=tables)


class Caches:
    """The results of all cached functions in this process."""

    def __init__(
        self,
        functions: Iterable[CachedFunction[..., Any]],
        database: Database,
        memory: Memory,
        feed: ChangeFeed,
    ) -> None:
        """Raises `CachedFunctionError` for two functions of one name."""
        self._database = database
        self._memory = memory
        self._results: dict[CachedFunction[..., Any], LoadingCache[Any, bytes]] = {}
        for function in functions:
            if any(function.name == other.name for other in self._results):
                raise CachedFunctionError(f"{function.name}: two cached functions have this name; rename one")
            results: LoadingCache[Any, bytes] = LoadingCache(
                function.name, memory, seconds=function.seconds, stale=function.stale, size=len
            )
            self._results[function] = results
            for table in function.tables:
                feed.watch(table, partial(_clear, results))

    async def get(self, function: CachedFunction[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        """See `CachedFunction.__call__`. Raises `CachedFunctionError` for a function that no domain lists."""
        if function not in self._results:
            raise CachedFunctionError(f"{function.name}: list it in the caches of its domain")
        if self._memory.size == 0:
            return await self._query(function, args, kwargs)

        async def load() -> bytes:
            return function.result.dump_json(await self._query(function, args, kwargs))

        seen = actor.seen_rows()  # under row-level security, the query finds no others
        key = (args, tuple(sorted(kwargs.items())), seen and seen.key)
        # As bytes, so that no caller can change what others get.
        content = await self._results[function].get(key, load)
        assert content is not None
        return function.result.validate_json(content)

    async def close(self) -> None:
        """End the queries that renew results in the background."""
        for results in self._results.values():
            await results.close()

    async def _query(
        self, function: CachedFunction[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> T:
        async with self._database.session() as session:
            return await function.query(session, *args, **kwargs)


def _clear(results: LoadingCache[Any, bytes], _: set[str] | None) -> None:
    results.clear()
