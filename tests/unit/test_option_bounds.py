"""The bounds of numbers that options of commands take."""

import pytest
from typer.testing import CliRunner

from service.cli.command_line import application


@pytest.mark.parametrize(
    ("command", "option", "least", "most"),
    [
        ("migrate", "--wait", 0, 3600),
        ("backup create", "--wait", 0, 3600),
        ("keys create --name x --scope x:read", "--days", 1, 3650),
        ("features set x true", "--percent", 0, 100),
        ("import articles file", "--from-line", 1, None),
        ("dev", "--port", 1, 65535),
        ("dev", "--admin-port", 1, 65535),
    ],
)
def test_number_beyond_a_bound_is_refused(command: str, option: str, least: int, most: int | None) -> None:
    refused = {least - 1: f"Input should be greater than or equal to {least} "}
    if most is not None:
        refused[most + 1] = f"Input should be less than or equal to {most} "
    for number, reason in refused.items():
        arguments = [*command.split(), option, str(number)]
        result = CliRunner().invoke(application(arguments), arguments)
        shown = " ".join(result.output.replace("│", " ").split())
        assert result.exit_code == 2
        assert reason in shown
        assert f"Invalid value for '{option}'" in shown
