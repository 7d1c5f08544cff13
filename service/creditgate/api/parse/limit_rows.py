"""Rows of a limit batch.

A batch may have a million rows. So rows are looked at together, field by field, as long as all of them are plain; where
one is not, each row is found to be right by a few comparisons, and only one that is not is looked at for what is wrong.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.api.parse.fields import (
    ID_CHARACTERS,
    Violations,
    check_amount,
    check_currency,
    check_id,
    check_required_text,
    check_risk_class,
    is_id,
    is_risk_class,
    read_second,
    was,
)
from creditgate.domain.bounds import (
    AMOUNT_MAX_MINOR,
    ID_LENGTH_MAX,
    LIMIT_REASON_LENGTH_MAX,
    LIMIT_REASONS_MAX,
    SECOND_MAX,
)
from creditgate.domain.errors import FieldViolation
from creditgate.domain.limit_batch import LimitRow, LimitRowError, LimitRowErrorReason
from creditgate.domain.money import minor_digits
from creditgate.v1.limit_feed_service_pb2 import LimitUpdate

ROW_MESSAGE_LENGTH_MAX: Final = 200

_REASONS_BETWEEN: Final = "\n"
_CURRENCY_CODE_LENGTH: Final = 3
_NO_SECOND: Final = -1
_NEVER_S: Final = SECOND_MAX + 1
_match_ids: Final = re.compile(f"(?:{ID_CHARACTERS}{{1,{ID_LENGTH_MAX}}}\n)+").fullmatch
_has: Final[Callable[[LimitUpdate, Any], bool]] = LimitUpdate.HasField
_new_row: Final = tuple.__new__
"""Makes a `LimitRow` in half the time that its constructor takes."""


def parse_plain(first_row: int, updates: Sequence[LimitUpdate], said: LimitUpdate, now_s: int) -> list[LimitRow] | None:
    """Return rows that follow each other if all of them are plain, None otherwise.

    A plain row is right and has a ceiling. `said` has each field that any of them has (`said_fields`); `now_s` is as in
    `parse_update`.
    """
    account_ids = [update.account_id for update in updates]
    limits = [update.limit_minor for update in updates]
    currency_codes = [update.currency_code for update in updates]
    versions = [update.version for update in updates]
    if (
        said.unlimited
        or not _are_ids(account_ids)
        or not 0 <= min(limits) <= max(limits) <= AMOUNT_MAX_MINOR
        or not (min(limits) or all(map(_has, updates, repeat("limit_minor"))))
        or not 0 < min(versions) <= max(versions) <= AMOUNT_MAX_MINOR
        or not all(map(_is_currency, set(currency_codes)))
    ):
        return None
    details = _plain_details(updates, said, now_s)
    if details is None:
        return None
    risk_classes, scores, effective_s, expire_s, reasons = details
    numbers = range(first_row, first_row + len(updates))
    columns = zip(
        *(numbers, account_ids, limits, currency_codes, versions),
        *(risk_classes, scores, effective_s, expire_s, reasons),
        strict=False,
    )
    return list(map(_new_row, repeat(LimitRow), columns))


_Details = tuple[Iterable[str], Iterable[float | None], Iterable[int], Iterable[int], Iterable[str]]


def _plain_details(updates: Sequence[LimitUpdate], said: LimitUpdate, now_s: int) -> _Details | None:
    """Return what rows say beside their limits, column by column, if all that is plain; None otherwise."""
    risk_classes: Iterable[str] = repeat("")
    scores: Iterable[float | None] = repeat(None)
    effective_s: Iterable[int] = repeat(0)
    expire_s: Iterable[int] = repeat(0)
    reasons: Iterable[str] = repeat("")
    if said.risk_class:
        risk_classes = [update.risk_class for update in updates]
        if not all(map(_is_class, set(risk_classes))):
            return None
    if _has(said, "score"):
        scores = [update.score if _has(update, "score") else None for update in updates]
        if not math.isfinite(sum(filter(None, scores))):  # it never is where one is not
            return None
    if _has(said, "effective_time") or _has(said, "expire_time"):
        effective_s = [_second_of(each.effective_time) if _has(each, "effective_time") else 0 for each in updates]
        ends_s = [_second_of(each.expire_time) if _has(each, "expire_time") else _NEVER_S for each in updates]
        if not all(map(_is_span, effective_s, ends_s, repeat(now_s))):
            return None
        expire_s = [0 if end_s == _NEVER_S else end_s for end_s in ends_s]
    if said.reasons:
        told = [update.reasons for update in updates]
        if not all(map(_are_plain, told)):
            return None
        reasons = map(_REASONS_BETWEEN.join, told)
    return risk_classes, scores, effective_s, expire_s, reasons


def _are_ids(account_ids: Sequence[str]) -> bool:
    joined = "\n".join(account_ids) + "\n"
    return _match_ids(joined) is not None and joined.count("\n") == len(account_ids)


def _is_span(effective_s: int, expire_s: int, now_s: int) -> bool:
    return 0 <= effective_s < expire_s > now_s


@lru_cache(maxsize=512)
def _is_class(risk_class: str) -> bool:
    return is_risk_class(risk_class) is not None


def _is_currency(code: str) -> bool:
    return len(code) == _CURRENCY_CODE_LENGTH and minor_digits(code) is not None


def _second_of(time: Timestamp) -> int:
    """Return a whole second, -1 for what is none."""
    second = time.seconds
    return second if 0 < second <= SECOND_MAX and not time.nanos else _NO_SECOND


def _are_plain(reasons: Sequence[str]) -> bool:
    """Return whether reasons are right at first sight."""
    if len(reasons) > LIMIT_REASONS_MAX:
        return False
    return all(len(each) <= LIMIT_REASON_LENGTH_MAX and each.isprintable() and each.strip() for each in reasons)


def parse_update(row: int, update: LimitUpdate, now_s: int) -> LimitRow | LimitRowError:
    """Return a row, or what is wrong with it; a limit that has ended at `now_s`, in seconds since 1970, is wrong."""
    has = update.HasField
    account_id, limit_minor, currency_code = update.account_id, update.limit_minor, update.currency_code
    version, risk_class, score, reasons = update.version, update.risk_class, update.score, update.reasons
    effective_s = _second_of(update.effective_time) if has("effective_time") else 0
    expire_s = _second_of(update.expire_time) if has("expire_time") else _NEVER_S
    unlimited = update.unlimited
    if (
        is_id(account_id)
        and 0 <= limit_minor <= AMOUNT_MAX_MINOR
        and (not has("limit_minor") if unlimited else limit_minor or has("limit_minor"))
        and _is_currency(currency_code)
        and 0 < version <= AMOUNT_MAX_MINOR
        and (not risk_class or _is_class(risk_class))
        and score - score == 0  # not so for what is no finite number
        and 0 <= effective_s < expire_s > now_s
        and (not reasons or _are_plain(reasons))
    ) or not _violations_of(update, now_s):
        told_score = score if score or has("score") else None
        return _new_row(
            LimitRow,
            (
                row,
                account_id,
                None if unlimited else limit_minor,
                currency_code,
                version,
                risk_class,
                told_score,
                effective_s,
                0 if expire_s == _NEVER_S else expire_s,
                _REASONS_BETWEEN.join(reasons) if reasons else "",
            ),
        )
    wrong = _violations_of(update, now_s)[0]
    return LimitRowError(
        row,
        account_id[:ID_LENGTH_MAX],
        wrong.field,
        LimitRowErrorReason.INVALID_FIELD,
        wrong.description[:ROW_MESSAGE_LENGTH_MAX],
    )


def _violations_of(update: LimitUpdate, now_s: int) -> Violations:
    found: Violations = []
    check_id(found, "account_id", update.account_id)
    if update.unlimited:
        if update.HasField("limit_minor"):
            found.append(FieldViolation("limit_minor", f"must be absent with unlimited, {was(update.limit_minor)}"))
    elif update.HasField("limit_minor"):
        check_amount(found, "limit_minor", update.limit_minor, least_minor=0)
    else:
        found.append(FieldViolation("limit_minor", "must be set unless unlimited is"))
    check_currency(found, "currency_code", update.currency_code)
    check_risk_class(found, "risk_class", update.risk_class)
    if not math.isfinite(update.score):
        found.append(FieldViolation("score", f"must be a finite number, was {update.score}"))
    if not 0 < update.version <= AMOUNT_MAX_MINOR:
        found.append(FieldViolation("version", f"must be from 1 to {AMOUNT_MAX_MINOR}, {was(update.version)}"))
    _check_times(found, update, now_s)
    if len(update.reasons) > LIMIT_REASONS_MAX:
        found.append(FieldViolation("reasons", f"must be at most {LIMIT_REASONS_MAX}, had {len(update.reasons)}"))
    for index, reason in enumerate(update.reasons[:LIMIT_REASONS_MAX]):
        check_required_text(found, f"reasons[{index}]", reason, LIMIT_REASON_LENGTH_MAX)
    return found


def _check_times(found: Violations, update: LimitUpdate, now_s: int) -> None:
    effective_s = expire_s = 0
    if update.HasField("effective_time"):
        effective_s = read_second(found, "effective_time", update.effective_time)
    if update.HasField("expire_time"):
        expire_s = read_second(found, "expire_time", update.expire_time)
        if 0 < expire_s <= effective_s:
            found.append(FieldViolation("expire_time", "must be later than effective_time"))
        elif 0 < expire_s <= now_s:
            found.append(
                FieldViolation(
                    "expire_time", f"must be later than the batch's begin ({now_s} seconds), {was(expire_s)}"
                )
            )
