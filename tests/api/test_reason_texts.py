"""The sentences of decisions, in each language."""

import re

import pytest

from creditgate.api.reason_texts import CHINESE, ENGLISH, Language, reason_text
from creditgate.domain.decision import Action, Exposure, Reason, ReasonCode

LIMITED = Exposure("KWD", 100_000, unlimited=False, reserved_minor=0, receivable_minor=1, pending_review_minor=0)
NO_LIMIT = LIMITED._replace(limit_minor=None)
LANGUAGES = pytest.mark.parametrize("language", [ENGLISH, CHINESE], ids=["en", "zh"])

STATES = {ReasonCode.ACCOUNT_BLOCKED, ReasonCode.ACCOUNT_CLOSED, ReasonCode.LIMIT_NOT_SET}
DAYS = {ReasonCode.LIMIT_EXPIRED, ReasonCode.LIMIT_STALE, ReasonCode.OVERDUE_DAYS, ReasonCode.TERMS_TOO_LONG}

TOLERATED = (
    "The order would bring the exposure to 100.001 KWD, above the limit of 100.000 KWD, but within its tolerance."
)
SECURED = "The order is fully secured and takes no credit; the exposure stays 100.001 KWD, limit 100.000 KWD."


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
        (0, 0, "The credit limit has expired."),
        (4, 0, "The credit limit expired 4 days ago."),
        (7, 7, "The credit limit expired 7 days ago; its grace of 7 days is over."),
        (4, 1, "The credit limit expired 4 days ago; its grace of 1 day is over."),
    ],
)
def test_an_expired_limit_with_and_without_grace(observed: int, threshold: int, text: str) -> None:
    assert reason_text(Reason(ReasonCode.LIMIT_EXPIRED, Action.REJECT, observed, threshold), LIMITED) == text


@pytest.mark.parametrize(
    ("observed", "threshold", "text"),
    [
        (0, 0, "The credit limit was last confirmed less than a day ago, but the policy allows no time at all."),
        (1, 0, "The credit limit was last confirmed 1 day ago; the policy allows 0 days."),
        (30, 30, "The credit limit was last confirmed more than 30 days ago, which is longer than the policy allows."),
        (31, 30, "The credit limit was last confirmed 31 days ago; the policy allows 30 days."),
    ],
)
def test_a_stale_limit_is_told_in_whole_days_and_fires_by_the_second(observed: int, threshold: int, text: str) -> None:
    assert reason_text(Reason(ReasonCode.LIMIT_STALE, Action.FLAG, observed, threshold), LIMITED) == text


@pytest.mark.parametrize(
    ("code", "observed", "threshold", "text"),
    [
        (ReasonCode.LIMIT_EXPIRED, 0, 0, "信用额度已过期。"),
        (ReasonCode.LIMIT_EXPIRED, 4, 0, "信用额度已过期 4 天。"),
        (ReasonCode.LIMIT_EXPIRED, 7, 7, "信用额度已过期 7 天，7 天的宽限期已结束。"),
        (ReasonCode.LIMIT_STALE, 0, 0, "信用额度上次确认距今不到 1 天，但政策不允许任何间隔。"),
        (ReasonCode.LIMIT_STALE, 30, 30, "信用额度上次确认距今已超过 30 天，超出政策允许的时间。"),
        (ReasonCode.LIMIT_STALE, 31, 30, "信用额度上次确认是在 31 天前，最多允许 30 天。"),
    ],
)
def test_an_old_limit_in_chinese(code: ReasonCode, observed: int, threshold: int, text: str) -> None:
    assert reason_text(Reason(code, Action.REJECT, observed, threshold), LIMITED, CHINESE) == text


@pytest.mark.parametrize(
    ("code", "observed", "threshold", "exposure", "text"),
    [
        (ReasonCode.LIMIT_EXPIRED, 0, 0, LIMITED, "The credit limit that counts has not expired."),
        (
            ReasonCode.LIMIT_EXPIRED,
            0,
            7,
            LIMITED,
            "The credit limit that counts has not expired, or expired less than a day ago, within its grace of 7 days.",
        ),
        (ReasonCode.LIMIT_EXPIRED, 6, 7, LIMITED, "The credit limit expired 6 days ago, within its grace of 7 days."),
        (ReasonCode.LIMIT_EXPIRED, 0, 7, NO_LIMIT, "No credit limit is set that could expire."),
        (
            ReasonCode.LIMIT_STALE,
            30,
            30,
            LIMITED,
            "The credit limit was last confirmed 30 days ago, within the 30 days that the policy allows.",
        ),
        (
            ReasonCode.LIMIT_STALE,
            0,
            30,
            LIMITED,
            "The credit limit was last confirmed less than a day ago, or a manual or temporary one counts.",
        ),
        (ReasonCode.LIMIT_STALE, 0, 30, NO_LIMIT, "No credit limit is set that would have to be confirmed."),
    ],
)
def test_why_a_limit_is_not_too_old(
    code: ReasonCode, observed: int, threshold: int, exposure: Exposure, text: str
) -> None:
    assert reason_text(Reason(code, Action.OFF, observed, threshold), exposure) == text


@pytest.mark.parametrize("code", [ReasonCode.LIMIT_EXCEEDED, ReasonCode.WITHIN_TOLERANCE, ReasonCode.NEAR_LIMIT])
@pytest.mark.parametrize("exposure", [LIMITED._replace(unlimited=True), NO_LIMIT])
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
            SECURED,
        ),
    ],
)
def test_why_the_limit_is_kept(observed: int, receivable: int, text: str) -> None:
    exposure = LIMITED._replace(receivable_minor=receivable)
    assert reason_text(Reason(ReasonCode.LIMIT_EXCEEDED, Action.OFF, observed, 100_000, "KWD"), exposure) == text


@pytest.mark.parametrize(
    ("observed", "receivable", "text"),
    [
        (100_000, 1, "The order does not need the tolerance above the limit."),
        (
            100_001,
            1,
            (
                "The order would bring the exposure to 100.001 KWD, above the limit of 100.000 KWD by more than its "
                "tolerance."
            ),
        ),
        (100_001, 100_001, SECURED),
    ],
)
def test_why_the_tolerance_does_not_count(observed: int, receivable: int, text: str) -> None:
    exposure = LIMITED._replace(receivable_minor=receivable)
    assert reason_text(Reason(ReasonCode.WITHIN_TOLERANCE, Action.OFF, observed, 100_000, "KWD"), exposure) == text


@pytest.mark.parametrize(
    ("observed", "receivable", "text"),
    [
        (90_000, 1, "The order would bring the exposure to 90.000 KWD; near the limit is above 90.000 KWD."),
        (
            110_000,
            1,
            (
                "The order would bring the exposure to 110.000 KWD, which is not near the limit of 100.000 KWD but "
                "above it."
            ),
        ),
        (100_001, 100_001, SECURED),
    ],
)
def test_why_the_order_is_not_near_the_limit(observed: int, receivable: int, text: str) -> None:
    exposure = LIMITED._replace(receivable_minor=receivable)
    assert reason_text(Reason(ReasonCode.NEAR_LIMIT, Action.OFF, observed, 90_000, "KWD"), exposure) == text


@pytest.mark.parametrize(
    ("observed", "threshold", "text"),
    [
        (50, 50, "0.050 KWD is overdue, which is allowed."),
        (
            51,
            50,
            "0.051 KWD is overdue, more than 0.050 KWD; the policy looks at that only once enough of a limit is used.",
        ),
        (
            51,
            0,
            (
                "0.051 KWD is overdue; the policy names no amount in this currency, or looks at it only once enough "
                "of a limit is used."
            ),
        ),
    ],
)
def test_why_an_overdue_amount_is_allowed(observed: int, threshold: int, text: str) -> None:
    assert reason_text(Reason(ReasonCode.OVERDUE_AMOUNT, Action.OFF, observed, threshold, "KWD"), LIMITED) == text


@pytest.mark.parametrize(
    ("observed", "text"),
    [
        (30, "No unpaid item is overdue for longer than the policy allows (30 days)."),
        (
            31,
            (
                "The oldest unpaid item is 31 days overdue, more than 30 days; but what is overdue and not disputed is "
                "too little for the policy to look at it."
            ),
        ),
    ],
)
def test_why_overdue_days_are_allowed(observed: int, text: str) -> None:
    assert reason_text(Reason(ReasonCode.OVERDUE_DAYS, Action.OFF, observed, 30), LIMITED) == text


@LANGUAGES
@pytest.mark.parametrize("action", [Action.REVIEW, Action.OFF])
def test_velocity_speaks_of_its_window(action: Action, language: Language) -> None:
    text = reason_text(Reason(ReasonCode.VELOCITY_EXCEEDED, action, 51, 50, "KWD"), LIMITED, language)
    assert ("滚动期间" if language is CHINESE else "the policy's rolling window") in text


@pytest.mark.parametrize(
    ("observed", "currency_code", "text"),
    [
        (0, "", "The account is in no credit group, or an exchange rate of its group is missing."),
        (
            100,
            "JPY",
            "The order would bring the exposure of the credit group to 100 JPY, within its limit of 100 JPY.",
        ),
        (101, "JPY", "The credit group has no ceiling, or the order takes no credit."),
    ],
)
def test_why_the_limit_of_the_group_is_kept(observed: int, currency_code: str, text: str) -> None:
    reason = Reason(ReasonCode.GROUP_LIMIT_EXCEEDED, Action.OFF, observed, 100 if currency_code else 0, currency_code)
    assert reason_text(reason, LIMITED) == text


def test_a_group_without_a_ceiling_does_not_keep_a_limit_of_0() -> None:
    reason = Reason(ReasonCode.GROUP_LIMIT_EXCEEDED, Action.OFF, 0, 0, "JPY")
    assert reason_text(reason, LIMITED) == (
        "The exposure of the credit group would be 0 JPY; the group has no ceiling, or its limit of 0 JPY is kept."
    )


@LANGUAGES
@pytest.mark.parametrize("exposure", [LIMITED, NO_LIMIT, LIMITED._replace(receivable_minor=34_567)])
@pytest.mark.parametrize("code", set(ReasonCode) - STATES)
@pytest.mark.parametrize("observed", [0, 23_456, 34_567, 123_456])
@pytest.mark.parametrize("threshold", [0, 23_456])
def test_every_case_is_in_the_language(
    code: ReasonCode, observed: int, threshold: int, exposure: Exposure, language: Language
) -> None:
    for action in (Action.OFF, Action.FLAG):
        reason = Reason(code, action, observed, threshold, "" if code in DAYS else "KWD")
        text = reason_text(reason, exposure, language)
        assert is_chinese(text) == (language is CHINESE)
        assert text.endswith("\u3002" if language is CHINESE else ".")
        assert "{" not in text
