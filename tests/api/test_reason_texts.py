"""The sentences of decisions."""

import pytest

from creditgate.api.reason_texts import reason_text
from creditgate.domain.decision import Action, Exposure, Reason, ReasonCode

LIMITED = Exposure("KWD", 100_000, unlimited=False, reserved_minor=0, receivable_minor=0, pending_review_minor=0)


@pytest.mark.parametrize("code", ReasonCode)
@pytest.mark.parametrize("action", Action)
def test_every_rule_has_sentences(code: ReasonCode, action: Action) -> None:
    text = reason_text(Reason(code, action, 1, 2), LIMITED)
    assert text.endswith(".")
    assert text[0].isupper()


def test_amounts_have_the_currency_of_the_account() -> None:
    reason = Reason(ReasonCode.LIMIT_EXCEEDED, Action.FLAG, 1_234_567, 100_000)
    assert reason_text(reason, LIMITED) == (
        "The order would bring the exposure to 1,234.567 KWD, above the limit of 100.000 KWD."
    )


@pytest.mark.parametrize(
    ("observed", "exposure", "text"),
    [
        (100_000, LIMITED, "The order would bring the exposure to 100.000 KWD, within the limit of 100.000 KWD."),
        (
            100_001,
            LIMITED,
            "The order is fully secured and takes no credit; the exposure stays 100.001 KWD, limit 100.000 KWD.",
        ),
        (
            5,
            LIMITED._replace(unlimited=True),
            "The exposure with the order would be 0.005 KWD; there is no limit to compare it with.",
        ),
        (
            5,
            LIMITED._replace(limit_minor=None),
            "The exposure with the order would be 0.005 KWD; there is no limit to compare it with.",
        ),
    ],
)
def test_why_the_limit_is_kept(observed: int, exposure: Exposure, text: str) -> None:
    assert reason_text(Reason(ReasonCode.LIMIT_EXCEEDED, Action.OFF, observed, 100_000), exposure) == text
