"""The sentences of decisions, in each language."""

import re

import pytest

from creditgate.api.reason_texts import CHINESE, ENGLISH, Language, reason_text
from creditgate.domain.decision import Action, Exposure, Reason, ReasonCode

LIMITED = Exposure("KWD", 100_000, unlimited=False, reserved_minor=0, receivable_minor=1, pending_review_minor=0)
LANGUAGES = pytest.mark.parametrize("language", [ENGLISH, CHINESE], ids=["en", "zh"])

STATES = {ReasonCode.ACCOUNT_BLOCKED, ReasonCode.ACCOUNT_CLOSED, ReasonCode.LIMIT_NOT_SET}
DAYS = {ReasonCode.LIMIT_EXPIRED, ReasonCode.LIMIT_STALE, ReasonCode.OVERDUE_DAYS, ReasonCode.TERMS_TOO_LONG}

TOLERATED = (
    "The order would bring the exposure to 100.001 KWD, above the limit of 100.000 KWD, but within its tolerance."
)


def seen_by(code: ReasonCode, action: Action) -> Reason:
    """Return a verdict with the kind of numbers that its rule sees, none like another."""
    if code in STATES:
        return Reason(code, action, 1, 0)
    return Reason(code, action, 34_567, 23_456) if code in DAYS else Reason(code, action, 34_567, 23_456, "KWD")


def is_chinese(text: str) -> bool:
    return bool(re.search("[\u4e00-\u9fff]", text))


@LANGUAGES
@pytest.mark.parametrize("code", ReasonCode)
@pytest.mark.parametrize("action", Action)
def test_every_rule_has_a_sentence(code: ReasonCode, action: Action, language: Language) -> None:
    text = reason_text(seen_by(code, action), LIMITED, language)
    assert is_chinese(text) == (language is CHINESE)
    assert text.endswith("\u3002" if language is CHINESE else ".")
    assert "{" not in text
    assert not re.search("[,;] ?[\u4e00-\u9fff]|[\u4e00-\u9fff] ?[,;.]", text), "Chinese has punctuation of its own"


@LANGUAGES
@pytest.mark.parametrize("code", set(ReasonCode) - STATES)
def test_a_rule_that_fired_tells_its_numbers(code: ReasonCode, language: Language) -> None:
    text = reason_text(seen_by(code, Action.REJECT), LIMITED, language)
    observed, threshold = ("34567", "23456") if code in DAYS else ("34.567 KWD", "23.456 KWD")
    assert observed in text
    assert threshold in text


@LANGUAGES
def test_near_the_limit_names_the_limit_too(language: Language) -> None:
    reason = Reason(ReasonCode.NEAR_LIMIT, Action.FLAG, 95_000, 90_000, "KWD")
    text = reason_text(reason, LIMITED, language)
    assert all(number in text for number in ("95.000 KWD", "90.000 KWD", "100.000 KWD"))


@LANGUAGES
def test_sentences_do_not_repeat_between_rules(language: Language) -> None:
    assert len(set(language.fired.values())) == len(set(language.passed.values())) == len(ReasonCode)
    assert set(language.fired) == set(language.passed) == set(ReasonCode)


def test_amounts_have_their_own_currency() -> None:
    reason = Reason(ReasonCode.GROUP_LIMIT_EXCEEDED, Action.REVIEW, 1_234_567, 100_000, "JPY")
    assert reason_text(reason, LIMITED) == (
        "The order would bring the exposure of the credit group to 1,234,567 JPY, above its limit of 100,000 JPY."
    )


def test_within_the_tolerance_of_a_group_the_order_is_marked() -> None:
    reason = Reason(ReasonCode.GROUP_LIMIT_EXCEEDED, Action.FLAG, 1_234_567, 100_000, "JPY")
    assert reason_text(reason, LIMITED).endswith("above its limit of 100,000 JPY; the order is marked.")


@pytest.mark.parametrize(
    ("observed", "threshold", "text"),
    [
        (1, 2, "The payment terms are 1 day; the policy allows 2 days."),
        (2, 1, "The payment terms are 2 days; the policy allows 1 day."),
        (90, 0, "The payment terms are 90 days; the policy allows 0 days."),
    ],
)
def test_days(observed: int, threshold: int, text: str) -> None:
    assert reason_text(Reason(ReasonCode.TERMS_TOO_LONG, Action.REJECT, observed, threshold), LIMITED) == text


@pytest.mark.parametrize(
    ("observed", "threshold", "text"),
    [
        (4, 0, "The credit limit expired 4 days ago."),
        (4, 1, "The credit limit expired 4 days ago; the policy allows 1 day of grace."),
    ],
)
def test_an_expired_limit_with_and_without_grace(observed: int, threshold: int, text: str) -> None:
    assert reason_text(Reason(ReasonCode.LIMIT_EXPIRED, Action.REJECT, observed, threshold), LIMITED) == text


@pytest.mark.parametrize("code", [ReasonCode.LIMIT_EXCEEDED, ReasonCode.NEAR_LIMIT])
@pytest.mark.parametrize("exposure", [LIMITED._replace(unlimited=True), LIMITED._replace(limit_minor=None)])
def test_there_may_be_no_limit_to_compare_with(code: ReasonCode, exposure: Exposure) -> None:
    text = "The exposure with the order would be 0.005 KWD; there is no limit to compare it with."
    assert reason_text(Reason(code, Action.OFF, 5, 0, "KWD"), exposure) == text


@pytest.mark.parametrize(
    ("observed", "receivable", "text"),
    [
        (100_000, 1, "The order would bring the exposure to 100.000 KWD, within the limit of 100.000 KWD."),
        (
            100_001,
            1,
            TOLERATED,
        ),
        (
            100_001,
            100_001,
            "The order is fully secured and takes no credit; the exposure stays 100.001 KWD, limit 100.000 KWD.",
        ),
    ],
)
def test_why_the_limit_is_kept(observed: int, receivable: int, text: str) -> None:
    exposure = LIMITED._replace(receivable_minor=receivable)
    assert reason_text(Reason(ReasonCode.LIMIT_EXCEEDED, Action.OFF, observed, 100_000, "KWD"), exposure) == text
