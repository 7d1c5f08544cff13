"""What a rule's verdict reads like. Every sentence that the gate says about a decision stands here, in each language.

A sentence names its numbers by `{observed}` and `{threshold}`, amounts with their currency or a number of days, and the
account's limit by `{limit}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from creditgate.domain.decision import Action, Exposure, Reason, ReasonCode
from creditgate.domain.money import format_money


@dataclass(frozen=True, slots=True)
class Language:
    """The sentences of one language: for a rule that fired, for one that did not, and for special cases of these."""

    fired: Mapping[ReasonCode, str]
    passed: Mapping[ReasonCode, str]
    without_grace: str
    without_limit: str
    secured: str
    marked_group: str
    day: str
    days: str


ENGLISH: Final = Language(
    fired={
        ReasonCode.ACCOUNT_BLOCKED: "The account is blocked.",
        ReasonCode.ACCOUNT_CLOSED: "The account is closed to new orders.",
        ReasonCode.LIMIT_NOT_SET: "No credit limit is set for the account.",
        ReasonCode.LIMIT_EXPIRED: "The credit limit expired {observed} ago; the policy allows {threshold} of grace.",
        ReasonCode.LIMIT_STALE: "The credit limit was last confirmed {observed} ago; the policy allows {threshold}.",
        ReasonCode.LIMIT_EXCEEDED: "The order would bring the exposure to {observed}, above the limit of {threshold}.",
        ReasonCode.WITHIN_TOLERANCE: "The order would bring the exposure to {observed}, above the limit of "
        "{threshold}, but within its tolerance.",
        ReasonCode.NEAR_LIMIT: "The order would bring the exposure to {observed}, near the limit of {limit}: above "
        "{threshold}.",
        ReasonCode.GROUP_LIMIT_EXCEEDED: "The order would bring the exposure of the credit group to {observed}, "
        "above its limit of {threshold}.",
        ReasonCode.ORDER_TOO_LARGE: "The order is {observed}; a single order may be at most {threshold}.",
        ReasonCode.OVERDUE_AMOUNT: "{observed} is overdue; at most {threshold} may be.",
        ReasonCode.OVERDUE_DAYS: "The oldest unpaid item is {observed} overdue; the policy allows {threshold}.",
        ReasonCode.VELOCITY_EXCEEDED: "The orders of this period would come to {observed}; the policy allows "
        "{threshold}.",
        ReasonCode.TERMS_TOO_LONG: "The payment terms are {observed}; the policy allows {threshold}.",
    },
    passed={
        ReasonCode.ACCOUNT_BLOCKED: "The account is not blocked.",
        ReasonCode.ACCOUNT_CLOSED: "The account is open.",
        ReasonCode.LIMIT_NOT_SET: "The account has a credit limit, or is unlimited.",
        ReasonCode.LIMIT_EXPIRED: "The credit limit has not expired.",
        ReasonCode.LIMIT_STALE: "The credit limit was last confirmed {observed} ago, within the {threshold} "
        "that the policy allows.",
        ReasonCode.LIMIT_EXCEEDED: "The order would bring the exposure to {observed}, within the limit of {threshold}.",
        ReasonCode.WITHIN_TOLERANCE: "The order does not need the tolerance above the limit.",
        ReasonCode.NEAR_LIMIT: "The order would bring the exposure to {observed}; near the limit is above {threshold}.",
        ReasonCode.GROUP_LIMIT_EXCEEDED: "The credit group's limit is kept, or the account is in no credit group.",
        ReasonCode.ORDER_TOO_LARGE: "The order is {observed}, which is not too large.",
        ReasonCode.OVERDUE_AMOUNT: "{observed} is overdue, which is allowed.",
        ReasonCode.OVERDUE_DAYS: "No unpaid item is overdue for longer than the policy allows ({threshold}).",
        ReasonCode.VELOCITY_EXCEEDED: "The orders of this period would come to {observed}, which is allowed.",
        ReasonCode.TERMS_TOO_LONG: "The payment terms are {observed}, within the {threshold} that the policy allows.",
    },
    without_grace="The credit limit expired {observed} ago.",
    without_limit="The exposure with the order would be {observed}; there is no limit to compare it with.",
    secured="The order is fully secured and takes no credit; the exposure stays {observed}, limit {threshold}.",
    marked_group="The order would bring the exposure of the credit group to {observed}, above its limit of "
    "{threshold}; the order is marked.",
    day="{} day",
    days="{} days",
)

CHINESE: Final = Language(
    fired={
        ReasonCode.ACCOUNT_BLOCKED: "该账户已被冻结。",
        ReasonCode.ACCOUNT_CLOSED: "该账户已关闭，不再接受新订单。",
        ReasonCode.LIMIT_NOT_SET: "该账户尚未设置信用额度。",
        ReasonCode.LIMIT_EXPIRED: "信用额度已过期 {observed}，宽限期为 {threshold}。",
        ReasonCode.LIMIT_STALE: "信用额度上次确认是在 {observed}前，最多允许 {threshold}。",
        ReasonCode.LIMIT_EXCEEDED: "该订单将使信用占用达到 {observed}，超过额度 {threshold}。",
        ReasonCode.WITHIN_TOLERANCE: "该订单将使信用占用达到 {observed}，超过额度 {threshold}，但仍在容差之内。",
        ReasonCode.NEAR_LIMIT: "该订单将使信用占用达到 {observed}，高于 {threshold}，接近额度 {limit}。",
        ReasonCode.GROUP_LIMIT_EXCEEDED: "该订单将使信用组的占用达到 {observed}，超过其额度 {threshold}。",
        ReasonCode.ORDER_TOO_LARGE: "订单金额为 {observed}，单笔订单最多 {threshold}。",
        ReasonCode.OVERDUE_AMOUNT: "逾期金额为 {observed}，最多允许 {threshold}。",
        ReasonCode.OVERDUE_DAYS: "最早的未付款项已逾期 {observed}，最多允许 {threshold}。",
        ReasonCode.VELOCITY_EXCEEDED: "本期订单合计将达到 {observed}，最多允许 {threshold}。",
        ReasonCode.TERMS_TOO_LONG: "付款期限为 {observed}，最多允许 {threshold}。",
    },
    passed={
        ReasonCode.ACCOUNT_BLOCKED: "该账户未被冻结。",
        ReasonCode.ACCOUNT_CLOSED: "该账户处于开放状态。",
        ReasonCode.LIMIT_NOT_SET: "该账户已设置信用额度，或不受额度限制。",
        ReasonCode.LIMIT_EXPIRED: "信用额度未过期。",
        ReasonCode.LIMIT_STALE: "信用额度在 {observed}前确认，最多允许 {threshold}。",
        ReasonCode.LIMIT_EXCEEDED: "该订单将使信用占用达到 {observed}，未超过额度 {threshold}。",
        ReasonCode.WITHIN_TOLERANCE: "该订单无需使用额度之上的容差。",
        ReasonCode.NEAR_LIMIT: "该订单将使信用占用达到 {observed}；高于 {threshold} 视为接近额度。",
        ReasonCode.GROUP_LIMIT_EXCEEDED: "未超过信用组额度，或该账户不属于任何信用组。",
        ReasonCode.ORDER_TOO_LARGE: "订单金额为 {observed}，未超过单笔上限。",
        ReasonCode.OVERDUE_AMOUNT: "逾期金额为 {observed}，在允许范围内。",
        ReasonCode.OVERDUE_DAYS: "没有未付款项的逾期时间超过政策允许的 {threshold}。",
        ReasonCode.VELOCITY_EXCEEDED: "本期订单合计将达到 {observed}，在允许范围内。",
        ReasonCode.TERMS_TOO_LONG: "付款期限为 {observed}，允许 {threshold}。",
    },
    without_grace="信用额度已过期 {observed}。",
    without_limit="加上该订单，信用占用将为 {observed}；没有可比较的额度。",
    secured="该订单有全额担保，不占用信用；占用仍为 {observed}，额度为 {threshold}。",
    marked_group="该订单将使信用组的占用达到 {observed}，超过其额度 {threshold}；订单已标记。",
    day="{} 天",
    days="{} 天",
)


_COMPARED_WITH_THE_LIMIT: Final = frozenset({ReasonCode.LIMIT_EXCEEDED, ReasonCode.NEAR_LIMIT})


def reason_text(reason: Reason, exposure: Exposure, language: Language = ENGLISH) -> str:
    """Return one sentence for people: why the rule fired or, when its action is OFF, why it did not.

    Args:
        reason: the verdict.
        exposure: the account as the decision found it.
        language: what the reader reads.

    """
    limit = format_money(exposure.limit_minor, exposure.currency_code) if exposure.limit_minor is not None else ""
    return _sentence(reason, exposure, language).format(
        observed=_number(reason.observed, reason.currency_code, language),
        threshold=_number(reason.threshold, reason.currency_code, language),
        limit=limit,
    )


def _sentence(reason: Reason, exposure: Exposure, language: Language) -> str:
    code, passed = reason.code, reason.action is Action.OFF
    if passed and code in _COMPARED_WITH_THE_LIMIT:
        if exposure.unlimited or exposure.limit_minor is None:
            return language.without_limit
        if code is ReasonCode.LIMIT_EXCEEDED and reason.observed > reason.threshold:
            adds_nothing = reason.observed == exposure.exposure_minor
            return language.secured if adds_nothing else language.fired[ReasonCode.WITHIN_TOLERANCE]
    if code is ReasonCode.LIMIT_EXPIRED and not passed and not reason.threshold:
        return language.without_grace
    if code is ReasonCode.GROUP_LIMIT_EXCEEDED and reason.action is Action.FLAG:
        return language.marked_group
    return (language.passed if passed else language.fired)[code]


def _number(value: int, currency_code: str, language: Language) -> str:
    if currency_code:
        return format_money(value, currency_code)
    return (language.day if value == 1 else language.days).format(value)
