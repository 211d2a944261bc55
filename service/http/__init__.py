"""HTTP for all routes: protocol, edge, problems, OpenAPI document, server."""
