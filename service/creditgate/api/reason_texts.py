"""What a rule's verdict reads like. Every sentence that the gate says about a decision stands here."""

from collections.abc import Callable, Mapping
from typing import Final

from creditgate.domain.decision import Action, Exposure, Reason, ReasonCode
from creditgate.domain.money import format_money

_Text = Callable[[Reason, Exposure], str]


def reason_text(reason: Reason, exposure: Exposure) -> str:
    """Return one sentence for people: why the rule fired or, when its action is OFF, why it did not.

    Args:
        reason: the verdict.
        exposure: the account as the decision found it; its currency is that of the verdict's amounts.

    """
    texts = _PASSED if reason.action is Action.OFF else _FIRED
    return texts[reason.code](reason, exposure)


def _always(sentence: str) -> _Text:
    return lambda _reason, _exposure: sentence


def _limit_exceeded(reason: Reason, exposure: Exposure) -> str:
    observed = format_money(reason.observed, exposure.currency_code)
    threshold = format_money(reason.threshold, exposure.currency_code)
    return f"The order would bring the exposure to {observed}, above the limit of {threshold}."


def _limit_kept(reason: Reason, exposure: Exposure) -> str:
    observed = format_money(reason.observed, exposure.currency_code)
    if exposure.unlimited or exposure.limit_minor is None:
        return f"The exposure with the order would be {observed}; there is no limit to compare it with."
    threshold = format_money(reason.threshold, exposure.currency_code)
    if reason.observed > reason.threshold:
        return f"The order is fully secured and takes no credit; the exposure stays {observed}, limit {threshold}."
    return f"The order would bring the exposure to {observed}, within the limit of {threshold}."


_FIRED: Final[Mapping[ReasonCode, _Text]] = {
    ReasonCode.ACCOUNT_BLOCKED: _always("The account is blocked."),
    ReasonCode.ACCOUNT_CLOSED: _always("The account is closed to new orders."),
    ReasonCode.LIMIT_NOT_SET: _always("No credit limit is set for the account."),
    ReasonCode.LIMIT_EXCEEDED: _limit_exceeded,
}

_PASSED: Final[Mapping[ReasonCode, _Text]] = {
    ReasonCode.ACCOUNT_BLOCKED: _always("The account is not blocked."),
    ReasonCode.ACCOUNT_CLOSED: _always("The account is open."),
    ReasonCode.LIMIT_NOT_SET: _always("The account has a credit limit, or is unlimited."),
    ReasonCode.LIMIT_EXCEEDED: _limit_kept,
}
