"""Which access lines a sample keeps."""

import io

import orjson

from service.config import LoggingSettings
from service.observability.access_log import AccessLine, AccessLog


def _logged(share: float, status: int = 200) -> set[str]:
    """Return the ids of a thousand requests that leave a line."""
    stream = io.BytesIO()
    log = AccessLog(LoggingSettings(format="json", access_sample=share), stream)
    for number in range(1000):
        log.write(AccessLine("GET", "/x", status, 0.1, 1, None, f"request-{number}", None, None))
    return {orjson.loads(line)["request_id"] for line in stream.getvalue().splitlines()}


def test_sample_keeps_its_share_and_grows() -> None:
    tenth, third = _logged(0.1), _logged(0.33)
    assert 70 < len(tenth) < 130
    assert 280 < len(third) < 380
    assert tenth < third


def test_sample_keeps_every_failed_request() -> None:
    assert len(_logged(0, 404)) == len(_logged(0.1, 503)) == len(_logged(1)) == 1000
    assert not _logged(0)
