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
    """The sentences of one language: for a rule that fired, for one that did not, and for special cases of these.

    Where a number can't tell cases apart, their sentence is true in each of them.
    """

    fired: Mapping[ReasonCode, str]
    passed: Mapping[ReasonCode, str]
    just_expired: str
    without_grace: str
    just_stale: str
    stale_at_once: str
    marked_group: str
    in_grace: str
    maybe_in_grace: str
    none_to_expire: str
    none_to_confirm: str
    maybe_confirmed: str
    without_limit: str
    secured: str
    beyond_tolerance: str
    over_limit: str
    without_group: str
    group_kept: str
    maybe_unlimited_group: str
    little_used: str
    maybe_little_used: str
    little_overdue: str
    day: str
    days: str


ENGLISH: Final = Language(
    fired={
        ReasonCode.ACCOUNT_BLOCKED: "The account is blocked.",
        ReasonCode.ACCOUNT_CLOSED: "The account is closed to new orders.",
        ReasonCode.LIMIT_NOT_SET: "No credit limit is set for the account.",
        ReasonCode.LIMIT_EXPIRED: "The credit limit expired {observed} ago; its grace of {threshold} is over.",
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
        ReasonCode.VELOCITY_EXCEEDED: "With this order, {observed} would be newly held in the policy's rolling window; "
        "at most {threshold} may be.",
        ReasonCode.TERMS_TOO_LONG: "The payment terms are {observed}; the policy allows {threshold}.",
    },
    passed={
        ReasonCode.ACCOUNT_BLOCKED: "The account is not blocked.",
        ReasonCode.ACCOUNT_CLOSED: "The account is not closed.",
        ReasonCode.LIMIT_NOT_SET: "The account has a credit limit, or is unlimited.",
        ReasonCode.LIMIT_EXPIRED: "The credit limit that counts has not expired.",
        ReasonCode.LIMIT_STALE: "The credit limit was last confirmed {observed} ago, within the {threshold} "
        "that the policy allows.",
        ReasonCode.LIMIT_EXCEEDED: "The order would bring the exposure to {observed}, within the limit of {threshold}.",
        ReasonCode.WITHIN_TOLERANCE: "The order does not need the tolerance above the limit.",
        ReasonCode.NEAR_LIMIT: "The order would bring the exposure to {observed}; near the limit is above {threshold}.",
        ReasonCode.GROUP_LIMIT_EXCEEDED: "The order would bring the exposure of the credit group to {observed}, "
        "within its limit of {threshold}.",
        ReasonCode.ORDER_TOO_LARGE: "The order is {observed}, which is not too large.",
        ReasonCode.OVERDUE_AMOUNT: "{observed} is overdue, which is allowed.",
        ReasonCode.OVERDUE_DAYS: "No unpaid item is overdue for longer than the policy allows ({threshold}).",
        ReasonCode.VELOCITY_EXCEEDED: "With this order, {observed} would be newly held in the policy's rolling window, "
        "which is allowed.",
        ReasonCode.TERMS_TOO_LONG: "The payment terms are {observed}, within the {threshold} that the policy allows.",
    },
    just_expired="The credit limit has expired.",
    without_grace="The credit limit expired {observed} ago.",
    just_stale="The credit limit was last confirmed more than {threshold} ago, which is longer than the policy allows.",
    stale_at_once="The credit limit was last confirmed less than a day ago, but the policy allows no time at all.",
    marked_group="The order would bring the exposure of the credit group to {observed}, above its limit of "
    "{threshold}; the order is marked.",
    in_grace="The credit limit expired {observed} ago, within its grace of {threshold}.",
    maybe_in_grace="The credit limit that counts has not expired, or expired less than a day ago, within its grace of "
    "{threshold}.",
    none_to_expire="No credit limit is set that could expire.",
    none_to_confirm="No credit limit is set that would have to be confirmed.",
    maybe_confirmed="The credit limit was last confirmed less than a day ago, or a manual or temporary one counts.",
    without_limit="The exposure with the order would be {observed}; there is no limit to compare it with.",
    secured="The order is fully secured and takes no credit; the exposure stays {observed}, limit {limit}.",
    beyond_tolerance="The order would bring the exposure to {observed}, above the limit of {threshold} by more than "
    "its tolerance.",
    over_limit="The order would bring the exposure to {observed}, which is not near the limit of {limit} but above it.",
    without_group="The account is in no credit group, or an exchange rate of its group is missing.",
    group_kept="The credit group has no ceiling, or the order takes no credit.",
    maybe_unlimited_group="The exposure of the credit group would be {observed}; the group has no ceiling, or its "
    "limit of {threshold} is kept.",
    little_used="{observed} is overdue, more than {threshold}; the policy looks at that only once enough of a limit is "
    "used.",
    maybe_little_used="{observed} is overdue; the policy names no amount in this currency, or looks at it only once "
    "enough of a limit is used.",
    little_overdue="The oldest unpaid item is {observed} overdue, more than {threshold}; but what is overdue and not "
    "disputed is too little for the policy to look at it.",
    day="{} day",
    days="{} days",
)

CHINESE: Final = Language(
    fired={
        ReasonCode.ACCOUNT_BLOCKED: "该账户已被冻结。",
        ReasonCode.ACCOUNT_CLOSED: "该账户已关闭，不再接受新订单。",
        ReasonCode.LIMIT_NOT_SET: "该账户尚未设置信用额度。",
        ReasonCode.LIMIT_EXPIRED: "信用额度已过期 {observed}，{threshold}的宽限期已结束。",
        ReasonCode.LIMIT_STALE: "信用额度上次确认是在 {observed}前，最多允许 {threshold}。",
        ReasonCode.LIMIT_EXCEEDED: "该订单将使信用占用达到 {observed}，超过额度 {threshold}。",
        ReasonCode.WITHIN_TOLERANCE: "该订单将使信用占用达到 {observed}，超过额度 {threshold}，但仍在容差之内。",
        ReasonCode.NEAR_LIMIT: "该订单将使信用占用达到 {observed}，高于 {threshold}，接近额度 {limit}。",
        ReasonCode.GROUP_LIMIT_EXCEEDED: "该订单将使信用组的占用达到 {observed}，超过其额度 {threshold}。",
        ReasonCode.ORDER_TOO_LARGE: "订单金额为 {observed}，单笔订单最多 {threshold}。",
        ReasonCode.OVERDUE_AMOUNT: "逾期金额为 {observed}，最多允许 {threshold}。",
        ReasonCode.OVERDUE_DAYS: "最早的未付款项已逾期 {observed}，最多允许 {threshold}。",
        ReasonCode.VELOCITY_EXCEEDED: "加上该订单，政策滚动期间内新占用的信用将达到 {observed}，最多允许 {threshold}。",
        ReasonCode.TERMS_TOO_LONG: "付款期限为 {observed}，最多允许 {threshold}。",
    },
    passed={
        ReasonCode.ACCOUNT_BLOCKED: "该账户未被冻结。",
        ReasonCode.ACCOUNT_CLOSED: "该账户未关闭。",
        ReasonCode.LIMIT_NOT_SET: "该账户已设置信用额度，或不受额度限制。",
        ReasonCode.LIMIT_EXPIRED: "当前适用的信用额度未过期。",
        ReasonCode.LIMIT_STALE: "信用额度在 {observed}前确认，最多允许 {threshold}。",
        ReasonCode.LIMIT_EXCEEDED: "该订单将使信用占用达到 {observed}，未超过额度 {threshold}。",
        ReasonCode.WITHIN_TOLERANCE: "该订单无需使用额度之上的容差。",
        ReasonCode.NEAR_LIMIT: "该订单将使信用占用达到 {observed}；高于 {threshold} 视为接近额度。",
        ReasonCode.GROUP_LIMIT_EXCEEDED: "该订单将使信用组的占用达到 {observed}，未超过其额度 {threshold}。",
        ReasonCode.ORDER_TOO_LARGE: "订单金额为 {observed}，未超过单笔上限。",
        ReasonCode.OVERDUE_AMOUNT: "逾期金额为 {observed}，在允许范围内。",
        ReasonCode.OVERDUE_DAYS: "没有未付款项的逾期时间超过政策允许的 {threshold}。",
        ReasonCode.VELOCITY_EXCEEDED: "加上该订单，政策滚动期间内新占用的信用将达到 {observed}，在允许范围内。",
        ReasonCode.TERMS_TOO_LONG: "付款期限为 {observed}，允许 {threshold}。",
    },
    just_expired="信用额度已过期。",
    without_grace="信用额度已过期 {observed}。",
    just_stale="信用额度上次确认距今已超过 {threshold}，超出政策允许的时间。",
    stale_at_once="信用额度上次确认距今不到 1 天，但政策不允许任何间隔。",
    marked_group="该订单将使信用组的占用达到 {observed}，超过其额度 {threshold}；订单已标记。",
    in_grace="信用额度已过期 {observed}，仍在 {threshold}的宽限期内。",
    maybe_in_grace="当前适用的信用额度未过期，或过期不到 1 天，仍在 {threshold}的宽限期内。",
    none_to_expire="尚未设置会过期的信用额度。",
    none_to_confirm="尚未设置需要确认的信用额度。",
    maybe_confirmed="信用额度上次确认距今不到 1 天，或当前适用的是手动或临时额度。",
    without_limit="加上该订单，信用占用将为 {observed}；没有可比较的额度。",
    secured="该订单有全额担保，不占用信用；占用仍为 {observed}，额度为 {limit}。",
    beyond_tolerance="该订单将使信用占用达到 {observed}，超过额度 {threshold}，且超出其容差。",
    over_limit="该订单将使信用占用达到 {observed}，不是接近而是超过额度 {limit}。",
    without_group="该账户不属于任何信用组，或缺少其信用组的汇率。",
    group_kept="信用组不受额度限制，或该订单不占用信用。",
    maybe_unlimited_group="信用组的占用将为 {observed}；信用组不受额度限制，或未超过其额度 {threshold}。",
    little_used="逾期金额为 {observed}，超过 {threshold}；但只有额度使用足够多时，政策才会检查。",
    maybe_little_used="逾期金额为 {observed}；政策没有规定该币种的金额，或只有额度使用足够多时才会检查。",
    little_overdue="最早的未付款项已逾期 {observed}，超过 {threshold}；但逾期且无争议的金额太小，政策不予检查。",
    day="{} 天",
    days="{} 天",
)


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
    if reason.action is Action.OFF:
        return _passed_sentence(reason, exposure, language)
    match reason.code:
        case ReasonCode.LIMIT_EXPIRED if not reason.threshold:
            return language.without_grace if reason.observed else language.just_expired
        case ReasonCode.LIMIT_STALE if reason.observed <= reason.threshold:
            # It is a part of a day older than the days that are allowed.
            return language.just_stale if reason.threshold else language.stale_at_once
        case ReasonCode.GROUP_LIMIT_EXCEEDED if reason.action is Action.FLAG:
            return language.marked_group
    return language.fired[reason.code]


def _passed_sentence(reason: Reason, exposure: Exposure, language: Language) -> str:
    match reason.code:
        case ReasonCode.LIMIT_EXCEEDED | ReasonCode.WITHIN_TOLERANCE | ReasonCode.NEAR_LIMIT:
            return _kept_limit(reason, exposure, language)
        case ReasonCode.LIMIT_EXPIRED | ReasonCode.LIMIT_STALE:
            return _lasting_limit(reason, exposure, language)
        case ReasonCode.GROUP_LIMIT_EXCEEDED:
            return _kept_group_limit(reason, language)
        case ReasonCode.OVERDUE_AMOUNT if reason.observed > reason.threshold:
            return language.little_used if reason.threshold else language.maybe_little_used
        case ReasonCode.OVERDUE_DAYS if reason.observed > reason.threshold:
            return language.little_overdue
    return language.passed[reason.code]


def _kept_limit(reason: Reason, exposure: Exposure, language: Language) -> str:
    """Return why a rule did not fire that compares the exposure with the limit."""
    limit = exposure.limit_minor
    if exposure.unlimited or limit is None:
        return language.without_limit
    if reason.observed <= reason.threshold:
        return language.passed[reason.code]
    if reason.observed == exposure.exposure_minor:
        return language.secured
    match reason.code:
        case ReasonCode.LIMIT_EXCEEDED:
            return language.fired[ReasonCode.WITHIN_TOLERANCE]
        case ReasonCode.WITHIN_TOLERANCE:
            return language.beyond_tolerance
    return language.over_limit


def _lasting_limit(reason: Reason, exposure: Exposure, language: Language) -> str:
    """Return why a rule did not fire that looks at how old the base limit is; another limit has 0 days, too."""
    expiry = reason.code is ReasonCode.LIMIT_EXPIRED
    if exposure.limit_minor is None and not exposure.unlimited:
        return language.none_to_expire if expiry else language.none_to_confirm
    if not reason.observed and not expiry:
        return language.maybe_confirmed
    if not reason.threshold or not expiry:
        return language.passed[reason.code]
    return language.in_grace if reason.observed else language.maybe_in_grace


def _kept_group_limit(reason: Reason, language: Language) -> str:
    """Return why the rule of the group did not fire; a group without a ceiling has a limit of 0, too."""
    if not reason.currency_code:
        return language.without_group
    if reason.observed > reason.threshold:
        return language.group_kept
    return language.passed[reason.code] if reason.threshold else language.maybe_unlimited_group


def _number(value: int, currency_code: str, language: Language) -> str:
    if currency_code:
        return format_money(value, currency_code)
    return (language.day if value == 1 else language.days).format(value)
