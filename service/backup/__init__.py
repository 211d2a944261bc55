"""Backups: a dump in sealed parts and a manifest that proves them.

From the outside in: `create_backup`, `restore_backup`, `replacement`, `retention`, `verify`, `stored_backups`; below
them `manifest`, `sealing`, `storage`, `snapshot` (what the dump must contain) and `programs` (pg_dump, pg_restore).
"""
