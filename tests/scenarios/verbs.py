"""The verbs that ask the store for one operation: each makes a request of its words, and parses it as a handler does.

So a table can say everything that a caller can, and what a caller may not say fails here as it does for a caller. An
option that a line leaves out is left out of the request.
"""

from collections.abc import Callable, Mapping
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.api.etag import render_etag
from creditgate.api.parse import admin, credit, desk, receivables
from creditgate.domain.account import AccountStatus
from creditgate.domain.operations import Operation
from creditgate.v1 import (
    account_pb2,
    admin_service_pb2,
    credit_desk_service_pb2,
    credit_service_pb2,
    group_pb2,
    receivables_service_pb2,
)
from tests.scenarios.scene import Scene
from tests.scenarios.table import TableError
from tests.scenarios.words import NONE, Words, read_amount, read_duration_ms, read_member, read_yes

_DEFAULT_CURRENCY: Final = "USD"

Ask = Callable[[Scene, Words], Operation[object]]
"""Returns the operation that a line asks for. Raises `CreditError` as parsing its request does, and `TableError`."""


def _account_of(scene: Scene, words: Words) -> tuple[str, str]:
    """Return the id and the currency of the account that comes next."""
    name = words.take("an account")
    return scene.account_id(name), scene.currencies.get(name, _DEFAULT_CURRENCY)


def _hold_of(given: Mapping[str, str]) -> Duration | None:
    if "hold" not in given:
        return None
    hold = Duration()
    hold.FromMilliseconds(read_duration_ms(given["hold"]))
    return hold


def _timestamp_of(scene: Scene, given: Mapping[str, str], name: str) -> Timestamp | None:
    if name not in given:
        return None
    timestamp = Timestamp()
    timestamp.FromMilliseconds(scene.time_ms(given[name]))
    return timestamp


def _etag_of(scene: Scene, given: Mapping[str, str]) -> str:
    return render_etag(scene.etag(given["etag"])) if "etag" in given else ""


# --- accounts


def _put_account(scene: Scene, words: Words) -> Operation[object]:
    """`account A1 [USD] [limit 1000|none] [limit_expires T+1d] [unlimited yes|no] [status OPEN|CLOSED]`…

    … `[class low] [group G1|none] [name text] [block reason|none] [actor ann]`: writes the settings that are named.
    """
    name = words.take("an account")
    currency = words.take_unless(tuple(_SETTERS))
    given = words.options(tuple(_SETTERS))
    if currency:
        scene.currencies.setdefault(name, currency)
    account = account_pb2.Account(account_id=scene.account_id(name), currency_code=currency)
    mask = [_set_account(scene, account, setting, value) for setting, value in given.items()]
    request = admin_service_pb2.PutAccountRequest(
        account=account, update_mask=FieldMask(paths=dict.fromkeys(mask)) if mask else None
    )
    return admin.parse_put_account(request)


def _set_account(scene: Scene, account: account_pb2.Account, setting: str, value: str) -> str:
    """Write one setting; return the field that it is in."""
    field, write = _SETTERS[setting]
    write(scene, account, value)
    return field


def _set_limit(_: Scene, account: account_pb2.Account, value: str) -> None:
    if value != NONE:
        account.base_limit_minor = read_amount(value)


def _set_limit_end(scene: Scene, account: account_pb2.Account, value: str) -> None:
    account.limit_expire_time.FromMilliseconds(scene.time_ms(value))


def _set_unlimited(_: Scene, account: account_pb2.Account, value: str) -> None:
    account.unlimited = read_yes(value)


def _set_status(_: Scene, account: account_pb2.Account, value: str) -> None:
    account.status = read_member(AccountStatus, value)  # type: ignore[assignment]  # the contract's number


def _set_class(_: Scene, account: account_pb2.Account, value: str) -> None:
    account.risk_class = value


def _set_group(scene: Scene, account: account_pb2.Account, value: str) -> None:
    account.group_id = scene.group_id(value) if value != NONE else ""


def _set_name(_: Scene, account: account_pb2.Account, value: str) -> None:
    account.display_name = value


def _set_block(_: Scene, account: account_pb2.Account, value: str) -> None:
    if value != NONE:
        account.block.reason = value


def _set_actor(_: Scene, account: account_pb2.Account, value: str) -> None:
    account.block.actor = value


_SETTERS: Final[Mapping[str, tuple[str, Callable[[Scene, account_pb2.Account, str], None]]]] = {
    "limit": ("base_limit_minor", _set_limit),
    "limit_expires": ("limit_expire_time", _set_limit_end),
    "unlimited": ("unlimited", _set_unlimited),
    "status": ("status", _set_status),
    "class": ("risk_class", _set_class),
    "group": ("group_id", _set_group),
    "name": ("display_name", _set_name),
    "block": ("block", _set_block),
    "actor": ("block", _set_actor),
}


def _close_account(scene: Scene, words: Words) -> Operation[object]:
    """`close A1`."""
    account_id, _ = _account_of(scene, words)
    words.end()
    return admin.parse_close_account(admin_service_pb2.CloseAccountRequest(account_id=account_id))


def _put_group(scene: Scene, words: Words) -> Operation[object]:
    """`group G1 [USD] limit 1000|none`."""
    group_id, currency = scene.group_id(words.take("a group")), words.take_unless(("limit",))
    limit = words.options(("limit",)).get("limit", NONE)
    group = group_pb2.CreditGroup(group_id=group_id, currency_code=currency or _DEFAULT_CURRENCY)
    if limit == NONE:
        group.unlimited = True
    else:
        group.limit_minor = read_amount(limit)
    return admin.parse_put_group(admin_service_pb2.PutGroupRequest(group=group))


def _block_account(scene: Scene, words: Words) -> Operation[object]:
    """`block A1 [until T+60s]`."""
    account_id, _ = _account_of(scene, words)
    until = _timestamp_of(scene, words.options(("until",)), "until")
    return desk.parse_block_account(
        credit_desk_service_pb2.BlockAccountRequest(
            account_id=account_id, reason="late", actor="ann", expire_time=until
        )
    )


def _unblock_account(scene: Scene, words: Words) -> Operation[object]:
    """`unblock A1`."""
    account_id, _ = _account_of(scene, words)
    words.end()
    return desk.parse_unblock_account(
        credit_desk_service_pb2.UnblockAccountRequest(account_id=account_id, reason="paid", actor="ann")
    )


def _get_account(scene: Scene, words: Words) -> Operation[object]:
    """`exposure A1`."""
    account_id, _ = _account_of(scene, words)
    words.end()
    return credit.parse_get_account(credit_service_pb2.GetAccountRequest(account_id=account_id))


# --- orders


def _check_credit(scene: Scene, words: Words) -> Operation[object]:
    """`check A1 600 [secured 100] [terms 30] [currency EUR] [explain]`."""
    account_id, currency = _account_of(scene, words)
    amount_minor = words.take_amount()
    given = words.options(("secured", "terms", "currency"), ("explain",))
    request = credit_service_pb2.CheckCreditRequest(
        account_id=account_id,
        amount_minor=amount_minor,
        currency_code=given.get("currency", currency),
        secured_minor=read_amount(given.get("secured", "0")),
        payment_terms_days=read_amount(given.get("terms", "0")),
        explain="explain" in given,
    )
    return credit.parse_check_credit(request)


def _reserve_credit(scene: Scene, words: Words) -> Operation[object]:
    """`reserve A1 o1 600 [secured 100] [hold 60s] [terms 30] [currency EUR] [source web]`."""
    account_id, currency = _account_of(scene, words)
    order_id, amount_minor = words.take("an order"), words.take_amount()
    given = words.options(("secured", "hold", "terms", "currency", "source"))
    request = credit_service_pb2.ReserveCreditRequest(
        account_id=account_id,
        order_id=order_id,
        amount_minor=amount_minor,
        currency_code=given.get("currency", currency),
        secured_minor=read_amount(given.get("secured", "0")),
        hold_duration=_hold_of(given),
        payment_terms_days=read_amount(given.get("terms", "0")),
        source=given.get("source", ""),
    )
    return credit.parse_reserve_credit(request)


def _amend_reservation(scene: Scene, words: Words) -> Operation[object]:
    """`amend A1 o1 900 [hold 60s] [request r1] [etag e1] [currency EUR]`."""
    account_id, currency = _account_of(scene, words)
    order_id, amount_minor = words.take("an order"), words.take_amount()
    given = words.options(("hold", "request", "etag", "currency"))
    request = credit_service_pb2.AmendReservationRequest(
        account_id=account_id,
        order_id=order_id,
        amount_minor=amount_minor,
        currency_code=given.get("currency", currency),
        hold_duration=_hold_of(given),
        request_id=given.get("request", ""),
        etag=_etag_of(scene, given),
    )
    return credit.parse_amend_reservation(request)


def _commit_reservation(scene: Scene, words: Words) -> Operation[object]:
    """`commit A1 o1 600 document-1 [final] [currency EUR]`."""
    account_id, currency = _account_of(scene, words)
    order_id, amount_minor, document_id = words.take("an order"), words.take_amount(), words.take("a document")
    given = words.options(("currency",), ("final",))
    request = credit_service_pb2.CommitReservationRequest(
        account_id=account_id,
        order_id=order_id,
        amount_minor=amount_minor,
        currency_code=given.get("currency", currency),
        document_id=document_id,
        final="final" in given,
    )
    return credit.parse_commit_reservation(request)


def _release_reservation(scene: Scene, words: Words) -> Operation[object]:
    """`release A1 o1 [request r1] [reason text] [etag e1]`."""
    account_id, _ = _account_of(scene, words)
    order_id = words.take("an order")
    given = words.options(("request", "reason", "etag"))
    request = credit_service_pb2.ReleaseReservationRequest(
        account_id=account_id,
        order_id=order_id,
        request_id=given.get("request", ""),
        reason=given.get("reason", ""),
        etag=_etag_of(scene, given),
    )
    return credit.parse_release_reservation(request)


def _get_reservation(scene: Scene, words: Words) -> Operation[object]:
    """`reservation A1 o1`."""
    account_id, _ = _account_of(scene, words)
    order_id = words.take("an order")
    words.end()
    request = credit_service_pb2.GetReservationRequest(account_id=account_id, order_id=order_id)
    return credit.parse_get_reservation(request)


# --- receivables


def _post_receivable(scene: Scene, words: Words) -> Operation[object]:
    """`post A1 document-1 600 [currency EUR]`."""
    account_id, document_id, amount_minor, currency = _entry_of(scene, words)
    request = receivables_service_pb2.PostReceivableRequest(
        account_id=account_id, document_id=document_id, amount_minor=amount_minor, currency_code=currency
    )
    return receivables.parse_post_receivable(request)


def _record_payment(scene: Scene, words: Words) -> Operation[object]:
    """`pay A1 payment-1 600 [currency EUR]`."""
    account_id, payment_id, amount_minor, currency = _entry_of(scene, words)
    request = receivables_service_pb2.RecordPaymentRequest(
        account_id=account_id, payment_id=payment_id, amount_minor=amount_minor, currency_code=currency
    )
    return receivables.parse_record_payment(request)


def _record_credit_note(scene: Scene, words: Words) -> Operation[object]:
    """`credit A1 document-1 600 [currency EUR]`."""
    account_id, document_id, amount_minor, currency = _entry_of(scene, words)
    request = receivables_service_pb2.RecordCreditNoteRequest(
        account_id=account_id, document_id=document_id, amount_minor=amount_minor, currency_code=currency
    )
    return receivables.parse_record_credit_note(request)


def _import_open_item(scene: Scene, words: Words) -> Operation[object]:
    """`import A1 document-1 -600 [currency EUR]`."""
    account_id, document_id, amount_minor, currency = _entry_of(scene, words)
    item = receivables_service_pb2.OpenItem(
        account_id=account_id, document_id=document_id, amount_minor=amount_minor, currency_code=currency
    )
    return receivables.parse_open_item(item)


def _entry_of(scene: Scene, words: Words) -> tuple[str, str, int, str]:
    """Return account, id, amount and currency of an entry in the ledger."""
    account_id, currency = _account_of(scene, words)
    entry_id, amount_minor = words.take("the id of a document or a payment"), words.take_amount()
    return account_id, entry_id, amount_minor, words.options(("currency",)).get("currency", currency)


def _update_aging(scene: Scene, words: Words) -> Operation[object]:
    """`aging A1 500 as_of T [disputed 100] [oldest_due T-30d]`."""
    account_id, _ = _account_of(scene, words)
    overdue_minor = words.take_amount()
    given = words.options(("as_of", "disputed", "oldest_due"))
    request = receivables_service_pb2.UpdateAgingRequest(
        account_id=account_id,
        overdue_minor=overdue_minor,
        disputed_minor=read_amount(given.get("disputed", "0")),
        oldest_due_date=scene.date(given["oldest_due"]).isoformat() if "oldest_due" in given else "",
        as_of=_timestamp_of(scene, given, "as_of"),
    )
    return receivables.parse_update_aging(request)


OPERATIONS: Final[Mapping[str, Ask]] = {
    "account": _put_account,
    "close": _close_account,
    "group": _put_group,
    "block": _block_account,
    "unblock": _unblock_account,
    "exposure": _get_account,
    "check": _check_credit,
    "reserve": _reserve_credit,
    "amend": _amend_reservation,
    "commit": _commit_reservation,
    "release": _release_reservation,
    "reservation": _get_reservation,
    "post": _post_receivable,
    "pay": _record_payment,
    "credit": _record_credit_note,
    "import": _import_open_item,
    "aging": _update_aging,
}

ANSWER_NEEDED: Final = frozenset({"exposure", "check", "reserve", "amend", "reservation"})
"""Verbs that decide or read: without an answer, such a line would show nothing."""


def ask_of(scene: Scene, words: tuple[str, ...]) -> Operation[object]:
    """Return the operation that a line asks for (see `Ask`)."""
    verb, *rest = words
    if verb not in OPERATIONS:
        raise TableError(f"there is no verb {verb!r} that asks the store for an operation")
    return OPERATIONS[verb](scene, Words(rest))
