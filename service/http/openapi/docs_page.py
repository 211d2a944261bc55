"""The docs page: Swagger UI with scripts from a wheel, so it needs no internet access and no inline scripts.

Its URLs are relative, so it works behind a proxy that strips a path without telling the service.
"""

import hashlib
from functools import lru_cache
from importlib.resources import files

import orjson
from fastapi import Depends, FastAPI, Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from service.http.handwritten.opt_outs import any_query

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PUBLIC_PATHS = 8  # different ones that proxies send
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="page"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/page.js"></script>
</body>
</html>
"""
_SCRIPT = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""


def install(app: FastAPI) -> None:
    """Serve `/docs` and `/openapi.json`."""

    @lru_cache(_PUBLIC_PATHS)
    def document(public_path: str) -> tuple[bytes, str]:
        """Return the document, with the server URL that the client used, and its entity tag."""
        body = orjson.dumps({**app.openapi(), "servers": [{"url": public_path or "/"}]})
        return body, f'"{hashlib.sha256(body).hexdigest()[:16]}"'

    async def schema(request: Request) -> Response:
        body, tag = document(request.scope.get("root_path", ""))
        headers = {"ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")

    async def page(_: Request) -> Response:
        return HTMLResponse(
            _PAGE.format(title=f"{app.title} API"), headers={"Content-Security-Policy": _POLICY}
        )

    async def script(_: Request) -> Response:
        return Response(_SCRIPT, media_type="text/javascript")

    for path, endpoint in (("/openapi.json", schema), ("/docs", page), ("/docs/page.js", script)):
        app.add_api_route(
            path, endpoint, include_in_schema=False, response_model=None, dependencies=[Depends(any_query)]
        )
    assets = StaticFiles(directory=str(files("fastapi_offline") / "static"))
    app.mount("/docs/assets", assets)
