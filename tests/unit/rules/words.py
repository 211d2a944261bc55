"""Words that sound translated, and what to write instead."""

import re
from collections.abc import Iterator

from tests.unit.rules.rule import Finding, Rule, Source, is_python

# Each is a whole word or phrase, in a regular expression. A space also matches a line break in a paragraph or comment.
INSTEAD = {
    "anew": '"again", or a verb: "rebuilt", "restarts", "recreated"',
    "beside": '"next to", "along with", "during"',
    "whoever": 'who it is: "the client that", "anybody who"',
    "mend(?:s|ed|ing|)": '"fix", "repair", "recover"',
    r"(?<!there\x20)is none": '"there is no …", "is not a …"',
    "the living": '"rows that are not deleted"',
    "in the same breath": '"in the same statement", "at the same time"',
    "of no account": '"ignored"',
    "in vain": 'what happened: "timed out", "failed"',
    "for ever": '"forever", "indefinitely"',
    r"(?<!on\x20)the way out": '"the fix", "what to do"',
    r"(?<!know\x20)of before": '"the previous …", "the earlier …"',
    r"serv(?:e|es|ing) on(?=[,.:;]|\x20and|\x20while)": '"keeps serving"',
    "(?:brought|bring|brings) along": '"your own", "supplied"',
    "tells? of": '"reports", "says"',
    "well again": '"recovered"',
    "all the same(?=[,.;:])": '"anyway", "still"',
    "comes? to (?:its|their|an) end": '"ends", "finishes"',
    "came to (?:its|their|an) end": '"ended", "finished"',
    "as many as may": '"too many"',
    "one wants": '"you want", or who it is',
    "wakes? (?:somebody|nobody)": '"pages somebody"',
    "(?:is|are) no use": '"does not help", "is ignored"',
    "lets? nobody in": '"refuses logins"',
    "nobody asks": '"nothing queries it"',
    "(?:is|are) told so": 'what it gets: "gets 503"',
    "as good as none": '"is ignored"',
    "to be had": '"available"',
    "hinder(?:s|ed|ing|)": '"block", "delay"',
    "makes? good": '"repairs"',
    "made good": '"repaired"',
    "gone for good": '"removed permanently"',
    "whatever becomes of": '"even if"',
    "whatever (?:its|their|the|clients?|code)": '"regardless of"',
    "(?:is|are) away": '"is unavailable", "is down"',
    "from there on": '"from then on"',
    "once more": '"again"',
    "tells? (?:more|nothing)": '"has the details", "sends nothing"',
    "told (?:more|nothing)": '"had the details", "sent nothing"',
    "(?:block|answer|bother|help)s? nobody": "who or what it does not affect",
    "belongs? into": '"belongs in"',
    r"goes? over(?=\x20(?:with|by|to)\b)": '"is converted", "is migrated"',
    "'s bidding": '"triggered by", "because … asks"',
}
# Words to avoid in the names of tests and of their helpers.
NAME_WORDS = {
    "nobody|somebody|anybody|anyone|whoever|whatever|however": "who or what it is",
    "that_one|so_many": "the value",
    "given_up": '"times_out", "is_cancelled"',
    "believed": '"is_trusted", "is_ignored"',
    "told|tells?": '"reports", "shows", "names"',
    "is_no|are_no": '"is not", "has no"',
    "makes_good|goes_on|go_on|stands?": "what happens",
    "of_its_own|of_their_own": '"separate", "own"',
}
_NAMES = [(re.compile(rf"(?:^|_)({words})(?=_|$)"), instead) for words, instead in NAME_WORDS.items()]
_SUBJECTLESS = re.compile(r"test_(?:an?|the|its?|they|what|who)_")
_FUNCTION = re.compile(r"^\s*(?:async )?def (\w+)", re.MULTILINE)
LONGEST_NAME = 70
_GAP = r"(?:[ ]|[ ]*\n[ \t]*(?:#[ ]?|//[ ]?)?)"
_VARYING = re.compile(r"\((?:[^()]|\([^()]*\))*\)\??|[a-z]\?|\[[^]]*\]|\\x20")


def literal(words: str) -> str:
    """Return the longest text that every match of the expression contains, once it is on one line."""
    return max(re.split(r"[^a-z' ]+", _VARYING.sub(".", words)), key=len)


def on_one_line(text: str) -> str:
    """Return a text in small letters, its line breaks and comment signs as spaces."""
    return " ".join(line.strip(" \t#/") for line in text.lower().split("\n"))


WORDS = [
    (
        literal(words),
        re.compile(rf"(?<![A-Za-z]){words.replace(' ', _GAP)}(?![A-Za-z])", re.IGNORECASE | re.ASCII),
        instead,
    )
    for words, instead in INSTEAD.items()
]
# Written by tools, out of files that the rule reads; the licence; and this list itself.
_EXEMPT = (
    *(f"docs/reference/{page}.md" for page in ("metrics", "problems", "settings")),
    "requirements",
    "LICENSE",
    "tests/unit/rules/words.py",
)
_EXEMPT_ENDINGS = (".json", ".sql", ".png", ".ico", ".woff2")
# The SQL of a released revision never changes, comments included.
_RELEASED = "service/migrations/versions/0008_operations_one_by_one.py"


def _is_prose(path: str) -> bool:
    return not path.startswith((*_EXEMPT, _RELEASED)) and not path.endswith(_EXEMPT_ENDINGS)


def _translated(source: Source) -> Iterator[Finding]:
    line = on_one_line(source.text)
    for part, pattern, instead in WORDS:
        if part not in line:  # a search for a text is fifty times as fast as one for an expression
            continue
        for match in pattern.finditer(source.text):
            if match[0].endswith("None"):  # `x is None`
                continue
            words = re.sub(r"\s+(?:#|//)?\s*", " ", match[0])
            yield source.text.count("\n", 0, match.start()) + 1, f'instead of "{words}" write {instead}'


def _names_in_tests(source: Source) -> Iterator[Finding]:
    for match in _FUNCTION.finditer(source.text):
        name, line = match[1], source.text.count("\n", 0, match.start(1)) + 1
        if len(name) > LONGEST_NAME:
            yield line, f"{name} has {len(name)} characters; the limit is {LONGEST_NAME}"
        if _SUBJECTLESS.match(name):
            yield line, f"{name}: begin with the subject, without an article or pronoun"
        for words, instead in _NAMES:
            if found := words.search(name):
                yield line, f'{name}: instead of "{found[1]}" name {instead}'


RULES = (
    Rule(
        "plain-words",
        _is_prose,
        _translated,
        bad=(
            Source("docs/x.md", "The image is built anew.\n"),
            Source("service/x.py", '"""Work that runs beside the requests."""\n'),
            Source("service/x.py", "x = 1  # whoever asks\n"),
            Source("chart/values.yaml", "# -- Replicas; of no\n# account with an autoscaler.\n"),
            Source("chart/alerts/x.yaml", "description: Requests have waited in vain.\n"),
            Source("tests/x.py", "def test_page_is_written_anew() -> None: ...\n"),
            Source("service/x.py", '"""Hold the lock, whatever becomes of this process."""\n'),
            Source("service/x.py", 'raise ValueError("has a port that is none")\n'),
        ),
        good=(
            Source("service/x.py", "if x is None or y is None: ...\n"),
            Source("docs/x.md", "Besides, we recommend an amendment to the agreement. It is nonempty.\n"),
            Source("docs/x.md", "Rows of all the same size. They serve on port 8000.\n"),
            Source(
                "service/x.py", '"""Return the key, or None if there is none. Encodes on the way out."""\n'
            ),
        ),
    ),
    Rule(
        "test-names",
        lambda path: path.startswith("tests/") and is_python(path),
        _names_in_tests,
        bad=(
            Source("tests/test_x.py", "def test_what_is_no_bucket_counts_as_full() -> None: ...\n"),
            Source("tests/test_x.py", "async def test_client_is_told_so() -> None: ...\n"),
            Source("tests/test_x.py", f"def test_{'long_' * 14}name() -> None: ...\n"),
            Source("tests/x.py", "def silent_database_is_given_up() -> None: ...\n"),
        ),
        good=(Source("tests/test_x.py", "def test_unreadable_bucket_counts_as_full() -> None: ...\n"),),
    ),
)
