"""The settings of the service, for hand-written routes: `settings: SettingsDep`."""

from typing import Annotated

from fastapi import Depends, Request

from service.config import Settings


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


SettingsDep = Annotated[Settings, Depends(_settings)]
