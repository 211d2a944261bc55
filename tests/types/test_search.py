# ruff: noqa: RUF001  # the ambiguous characters are the point
"""`q=` finds words regardless of Unicode composition and quotes; without a word it filters nothing."""

from unicodedata import normalize

import pytest

from tests.engine.api import BASE, Api, unique

LIST = f"{BASE}/zz-probes"


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("Café {}", normalize("NFD", "café")),
        (normalize("NFD", "Café {}"), "café"),
        ("The “brass” lamp {}", "brass"),
        ("The “brass” lamp {}", "“brass lamp”"),
        ("The brass lamp {}", "„brass lamp“"),
        ("They don’t {}", "don't"),
        ("They don't {}", "don’t"),
        ("Lamp—brass {}", "brass"),
        ("The ﬁle {}", "file"),
        ("ｆｕｌｌ {}", "full"),
    ],
)
async def test_word_is_found_in_every_spelling(api: Api, title: str, query: str) -> None:
    word = unique("word").replace("-", "")
    item = (await api.make("zz-probes", title=title.format(word))).json()
    assert item["title"] == title.format(word), "stored as it was sent"
    found = await api.client.get(LIST, params={"q": f"{query} {word}"})
    assert [i["id"] for i in found.json()["items"]] == [item["id"]]
    quoted = await api.client.get(LIST, params={"q": f"“{word} lamp nowhere”"})
    assert quoted.json()["items"] == [], "a phrase is a phrase"


@pytest.mark.parametrize("query", ["", " ", "\t", "\u00a0"])
async def test_search_without_words_matches_everything(api: Api, query: str) -> None:
    await api.make("zz-probes", title="anything")
    plain = await api.client.get(LIST, params={"limit": "2"})
    searched = await api.client.get(LIST, params={"limit": "2", "q": query})
    assert searched.json()["items"] == plain.json()["items"] != []
