"""What an operation that could not be carried out answers, in words that name the field and the bound."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, cast

from redis.exceptions import ResponseError

from creditgate.domain.bounds import AMOUNT_MAX_MINOR, GROUP_CURRENCIES_MAX
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.money import format_money
from creditgate.domain.operations import CommitReservation, Operation, PutAccount
from creditgate.domain.reservation import ReservationState
from creditgate.store import layouts
from creditgate.store.constants import REFUSAL_CODE

_MS_PER_S: Final = 1000


def unpack_failure(operation: Operation[object], answer: bytes) -> CreditError:
    """Return the error that an answer stands for, in words that name the field and the bound."""
    _, number = layouts.FAILURE.packer.unpack_from(answer)
    text = answer[layouts.FAILURE.size : -1].decode()
    reason = ErrorReason(answer[0])
    return _FAILURES[reason](operation, reason, number, text)


def read_refusal(error: ResponseError) -> CreditError | None:
    """Return the fault with which a function that is no operation refused a call; None for Redis's own errors."""
    code, *words = str(error).split(" ", maxsplit=3)
    if code != REFUSAL_CODE:
        return None
    number, amount, text = words
    reason = ErrorReason(int(number))
    return _FAILURES[reason](Operation(""), reason, int(amount), text)


def account_moving(account_id: str) -> CreditError:
    """Return the error of an operation whose account is being moved, or was moved again whenever it was asked."""
    msg = f"account {account_id} is just joining a credit group; ask again in a moment"
    return CreditError(ErrorReason.ACCOUNT_MOVING, msg)


def _account_not_found(operation: Operation[object], reason: ErrorReason, _number: int, _text: str) -> CreditError:
    if isinstance(operation, PutAccount):
        return CreditError.of_field("account.currency_code", "must be set for a new account")
    return CreditError(reason, f"there is no account {operation.account_id}")


def _reservation_not_found(operation: Operation[object], reason: ErrorReason, _number: int, _text: str) -> CreditError:
    order_id = getattr(operation, "order_id", "")
    return CreditError(reason, f"account {operation.account_id} has no reservation for order {order_id}")


def _sum_out_of_range(operation: Operation[object], reason: ErrorReason, number: int, text: str) -> CreditError:
    currency_code, _, group_id = text.partition(">")
    if isinstance(operation, PutAccount):
        # An account joins with all that it has.
        would = _would_leave_range(operation.group_id or group_id, currency_code)
        return CreditError.of_field("account.group_id", would, reason)
    amount = cast("int", getattr(operation, "amount_minor", 0))
    would = f"would bring the account's sum of {number} {text} minor units beyond ±{AMOUNT_MAX_MINOR}"
    if group_id:
        would = _would_leave_range(group_id, currency_code)
    return CreditError.of_field("amount_minor", f"of {amount} {would}", reason)


def _would_leave_range(group_id: str, currency_code: str) -> str:
    return f"would bring the exposure of credit group {group_id} in {currency_code} beyond ±{AMOUNT_MAX_MINOR}"


def _currency_mismatch(operation: Operation[object], reason: ErrorReason, _number: int, text: str) -> CreditError:
    kept_by = "the order" if hasattr(operation, "order_id") else "the account"
    return CreditError.of_field("currency_code", f"must be {text}, the currency of {kept_by}", reason)


def _no_exchange_rate(operation: Operation[object], reason: ErrorReason, _number: int, text: str) -> CreditError:
    from_currency, to_currency, *of_group = text.split(">")
    converted = f"an order of account {operation.account_id} has to be converted"
    if of_group:
        converted = f"what credit group {of_group[0]} has in {from_currency} has to be converted"
    return CreditError(
        reason, f"{converted}, and there is no exchange rate from {from_currency} to {to_currency} in force"
    )


def _order_differs(operation: Operation[object], reason: ErrorReason, number: int, text: str) -> CreditError:
    order_id = getattr(operation, "order_id", "")
    return CreditError(
        reason,
        f"order {order_id} was decided with other details (amount_minor, currency_code, secured_minor or "
        f"payment_terms_days); its amount is {format_money(number, text)}",
    )


def _document_differs(operation: Operation[object], reason: ErrorReason, number: int, text: str) -> CreditError:
    document_id = getattr(operation, "document_id", "")
    recorded_for = f" for order {text}" if isinstance(operation, CommitReservation) and text else ""
    return CreditError(
        reason,
        f"document {document_id} was recorded with other details (amount_minor, order_id, final, or the other sign); "
        f"it has {number} minor units{recorded_for}",
    )


def _payment_differs(operation: Operation[object], reason: ErrorReason, number: int, text: str) -> CreditError:
    payment_id = getattr(operation, "payment_id", "")
    return CreditError(reason, f"payment {payment_id} was recorded with another amount, {format_money(number, text)}")


def _currency_differs(_operation: Operation[object], reason: ErrorReason, _number: int, text: str) -> CreditError:
    return CreditError.of_field("account.currency_code", f"is {text} and can't change", reason)


def _not_held(operation: Operation[object], reason: ErrorReason, number: int, _text: str) -> CreditError:
    order_id = getattr(operation, "order_id", "")
    advice = "; record the invoice with PostReceivable" if isinstance(operation, CommitReservation) else ""
    return CreditError(reason, f"order {order_id} is {ReservationState(number).name}: nothing is held for it{advice}")


def _etag_mismatch(operation: Operation[object], reason: ErrorReason, _number: int, _text: str) -> CreditError:
    order_id = getattr(operation, "order_id", "")
    return CreditError(
        reason, f"order {order_id} has changed since this etag was read; read the reservation again and decide anew"
    )


def _request_differs(operation: Operation[object], reason: ErrorReason, number: int, text: str) -> CreditError:
    request_id = getattr(operation, "request_id", "")
    return CreditError(
        reason,
        f"request {request_id} was carried out with other details (amount_minor or hold_duration); "
        f"its total is {format_money(number, text)}",
    )


def _invalid_field(_operation: Operation[object], _reason: ErrorReason, number: int, text: str) -> CreditError:
    if text == "hold_duration":
        return CreditError.of_field(text, f"must be at most {number} seconds, as the policy says")
    now = datetime.fromtimestamp(number / _MS_PER_S, UTC).isoformat(timespec="seconds")
    bound = "at most a day ahead of" if text == "as_of" else "later than"
    return CreditError.of_field(text, f"must be {bound} the store's clock, which says {now}")


def _group_not_found(_operation: Operation[object], reason: ErrorReason, _number: int, text: str) -> CreditError:
    return CreditError(reason, f"there is no credit group {text}")


def _group_currency_differs(_operation: Operation[object], reason: ErrorReason, _number: int, text: str) -> CreditError:
    return CreditError.of_field("group.currency_code", f"is {text} and can't change", reason)


def _group_currencies_exhausted(
    _operation: Operation[object], reason: ErrorReason, _number: int, text: str
) -> CreditError:
    return CreditError(
        reason, f"credit group {text} has accounts in {GROUP_CURRENCIES_MAX} currencies already, the most there may be"
    )


def _account_moving(operation: Operation[object], _reason: ErrorReason, _number: int, _text: str) -> CreditError:
    return account_moving(operation.account_id)


def _internal(operation: Operation[object], reason: ErrorReason, _number: int, text: str) -> CreditError:
    return CreditError(reason, f"{type(operation).__name__} met a defect of the function library: {text}")


_Failure = Callable[[Operation[object], ErrorReason, int, str], CreditError]
_FAILURES: Final[dict[ErrorReason, _Failure]] = {
    ErrorReason.ACCOUNT_NOT_FOUND: _account_not_found,
    ErrorReason.RESERVATION_NOT_FOUND: _reservation_not_found,
    ErrorReason.SUM_OUT_OF_RANGE: _sum_out_of_range,
    ErrorReason.CURRENCY_MISMATCH: _currency_mismatch,
    ErrorReason.EXCHANGE_RATE_NOT_FOUND: _no_exchange_rate,
    ErrorReason.ORDER_EXISTS_WITH_DIFFERENT_DETAILS: _order_differs,
    ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS: _document_differs,
    ErrorReason.PAYMENT_EXISTS_WITH_DIFFERENT_DETAILS: _payment_differs,
    ErrorReason.ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY: _currency_differs,
    ErrorReason.RESERVATION_NOT_HELD: _not_held,
    ErrorReason.ETAG_MISMATCH: _etag_mismatch,
    ErrorReason.REQUEST_EXISTS_WITH_DIFFERENT_DETAILS: _request_differs,
    ErrorReason.INVALID_FIELD: _invalid_field,
    ErrorReason.GROUP_NOT_FOUND: _group_not_found,
    ErrorReason.GROUP_EXISTS_WITH_DIFFERENT_CURRENCY: _group_currency_differs,
    ErrorReason.GROUP_CURRENCIES_EXHAUSTED: _group_currencies_exhausted,
    ErrorReason.ACCOUNT_MOVING: _account_moving,
    ErrorReason.INTERNAL: _internal,
}
