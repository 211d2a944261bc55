"""Every command in the runbooks and the pages on clusters is tested, or says why not."""

from tests.cluster.commands import NOT_COMMANDS, NOT_TRIED, PAGES, How, commands


def test_every_command_has_a_way_to_be_tested() -> None:
    assert {command.how for command in commands()} == set(How)


def test_commands_that_change_something_are_never_run() -> None:
    verbs = {"apply", "cordon", "create", "delete", "edit", "scale"}
    verbs |= {"install", "rollback", "uninstall", "upgrade"}
    for command in commands():
        words = command.text.partition(" -- ")[0].split()
        if words[0] in {"helm", "kubectl"} and verbs & set(words):
            assert command.how in {How.PART, How.NAME, How.NOT}, command.text


def test_every_exception_is_used() -> None:
    pages = " ".join(" ".join(page.read_text("utf-8").split()) for page in PAGES)
    assert [words for words in NOT_COMMANDS if f"`{words}`" not in pages] == []
    texts = [command.text for command in commands()]
    assert [
        beginning for beginning in NOT_TRIED if not any(text.startswith(beginning) for text in texts)
    ] == []
