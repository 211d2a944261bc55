"""Schema migrations: Alembic scripts in `versions`, run by `service.migrations.runner`."""
