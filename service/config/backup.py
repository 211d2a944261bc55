"""Backups."""

from service.config.group import Group


class BackupSettings(Group):
    """Settings of backups. They come with the backup commands; until then the group is empty."""
