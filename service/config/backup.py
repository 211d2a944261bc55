"""Backups."""

from service.config.group import Group


class BackupSettings(Group):
    """Settings of backups. The group is empty until there are backup commands."""
