"""Every setting has an effect and a description."""

import tests.process.settings as _rows  # noqa: F401  # fills the table
from service.config import Settings
from service.config.group import Group, descriptions
from tests.process.settings.table import ROWS
from tests.unit.rules.rule import Source, python_sources
from tests.unit.settings_use import read_fields

GROUPS: dict[str, type[Group]] = {name: type(info.default) for name, info in Settings.model_fields.items()}
FIELDS = [(group, field) for group, kind in GROUPS.items() for field in kind.model_fields]

SAMPLE = [
    Source("service/config/x.py", "class XSettings:\n    def place(self): return self.host\n"),
    Source("service/a.py", "def f(x: XSettings): return x.used, x.place\n"),
    Source("service/b.py", "y.unrelated, y.of_two_words\n"),
]


def test_settings_have_the_expected_groups() -> None:
    assert set(GROUPS) == {
        "app", "server", "logging", "database", "redis", "security", "rate_limit", "monitoring", "feature",
        "performance", "backup", "retention",
    }  # fmt: skip


def test_every_setting_is_read_somewhere() -> None:
    read = read_fields([*python_sources("service")], {group: kind.__name__ for group, kind in GROUPS.items()})
    unread = [f"{group}__{field}" for group, field in FIELDS if field not in read[group]]
    assert unread == [], "nothing reads these settings: use them or remove them"


def test_unread_setting_is_detected() -> None:
    read = read_fields(SAMPLE, {"x": "XSettings"})["x"]
    assert read >= {"used", "host", "of_two_words"}
    assert not {"unused", "unrelated"} & read


def test_effect_of_every_setting_is_tested_in_a_process() -> None:
    names = {f"{group}__{field}" for group, field in FIELDS}
    assert names == set(ROWS), "give each setting a row: tests/process/settings/table.py"


def test_no_row_uses_the_default() -> None:
    for group, field in FIELDS:
        row, default = ROWS[f"{group}__{field}"], getattr(GROUPS[group].model_construct(), field)
        assert callable(row.value) or str(row.value).strip("[]") != str(default).lower(), (group, field)


def test_every_setting_has_a_description() -> None:
    for group, field in FIELDS:
        text = descriptions(GROUPS[group]).get(field, "")
        assert len(text) > 10, (group, field)
        assert text[0].isupper() or text[0] == "`", text
        assert text.endswith("."), text
