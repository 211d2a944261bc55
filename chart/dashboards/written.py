"""All dashboards as the text of their files."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from chart.dashboards import database, limits, logs, pods, service

FOLDER = Path(__file__).parent


def written() -> dict[Path, str]:
    """What each file should hold."""
    return {
        FOLDER / f"{module.__name__.rpartition('.')[2]}.json": json.dumps(
            module.dashboard().build(), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False
        )
        + "\n"
        for module in (service, database, limits, pods, logs)
    }
