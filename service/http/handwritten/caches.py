"""The results of cached functions, for hand-written routes: `caches: CachesDep`."""

from typing import Annotated

from fastapi import Depends, Request

from service.cache.cached_function import Caches


async def _caches(request: Request) -> Caches:
    caches: Caches = request.app.state.caches
    return caches


CachesDep = Annotated[Caches, Depends(_caches)]
