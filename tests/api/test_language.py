"""Which language a caller gets."""

import pytest

from creditgate.api.context import CallContext
from creditgate.api.language import LANGUAGE_KEY, language_of
from creditgate.api.reason_texts import CHINESE, ENGLISH, Language
from creditgate.cli.options import LANGUAGES


class Call(CallContext):
    """A call that says what its caller reads."""

    peer = "test"

    def __init__(self, accept_language: str | None) -> None:
        super().__init__("method", 0, 1)
        self.accept_language = accept_language

    def metadata(self, key: str) -> str | None:
        assert key == LANGUAGE_KEY
        return self.accept_language


def test_the_command_line_takes_those_that_there_are() -> None:
    assert [language_of(Call(language)) for language in LANGUAGES] == [ENGLISH, CHINESE]


@pytest.mark.parametrize("wanted", [None, "", "en", "en-GB", "fr", "fr-FR, de;q=0.9", "*", ";;,,=", "zhuang", "q=1"])
def test_english_unless_another_is_wanted(wanted: str | None) -> None:
    assert language_of(Call(wanted)) is ENGLISH


@pytest.mark.parametrize("wanted", ["zh", "ZH", "zh-CN", "zh-Hant-TW", " zh ", "fr, zh", "zh;q=0.001", "zh ; q=1"])
def test_chinese(wanted: str) -> None:
    assert language_of(Call(wanted)) is CHINESE


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("zh-CN, en;q=0.8", CHINESE),
        ("zh;q=0.8, en", ENGLISH),
        ("zh;q=0.8, en;q=0.9", ENGLISH),
        ("en;q=0.5, zh;q=0.7, fr", CHINESE),
        ("en, zh", ENGLISH),
        ("zh, en", CHINESE),
        ("en;q=0, zh;q=0.1", CHINESE),
        ("zh;q=0", ENGLISH),
        ("zh;q=-1", ENGLISH),
        ("zh;q=much", ENGLISH),
        ("zh;q=nan", ENGLISH),
        ("zh;q=", ENGLISH),
    ],
)
def test_the_best_liked_of_those_there_are(wanted: str, language: Language) -> None:
    assert language_of(Call(wanted)) is language
