"""Requests of ReceivablesService: every bound from both sides."""

from collections.abc import Callable
from datetime import date

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.api.parse.receivables import (
    parse_open_item,
    parse_post_receivable,
    parse_record_credit_note,
    parse_record_payment,
    parse_update_aging,
)
from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import ImportOpenItem, PostReceivable, RecordCreditNote, RecordPayment, UpdateAging
from creditgate.v1.receivables_service_pb2 import (
    OpenItem,
    PostReceivableRequest,
    RecordCreditNoteRequest,
    RecordPaymentRequest,
    UpdateAgingRequest,
)

ID_RULE = "must be 1 to 128 characters of [A-Za-z0-9._:/@-]"
AMOUNT_RULE = "must be between 1 and 9007199254740991 minor units"
OPEN_AMOUNT_RULE = "must be between -9007199254740991 and 9007199254740991 minor units and not 0"
DATE_RULE = "must be empty or a date YYYY-MM-DD from 1970-01-02 to 2999-12-31"
TIME_RULE = "must be a Timestamp between 1970 and 9999"
LAST_SECOND = 253_402_300_799

Parse = Callable[..., object]

ENTRIES: list[tuple[Parse, type[Message], str, type]] = [
    (parse_post_receivable, PostReceivableRequest, "document_id", PostReceivable),
    (parse_record_credit_note, RecordCreditNoteRequest, "document_id", RecordCreditNote),
    (parse_record_payment, RecordPaymentRequest, "payment_id", RecordPayment),
    (parse_open_item, OpenItem, "document_id", ImportOpenItem),
]
of_each_entry = pytest.mark.parametrize(
    ("parse", "request_class", "id_field", "operation"), ENTRIES, ids=[row[0].__name__ for row in ENTRIES]
)


def entry(request_class: type[Message], id_field: str, **fields: object) -> Message:
    good = {"account_id": "A1", id_field: "x-1", "amount_minor": 5, "currency_code": "USD"}
    return request_class(**(good | fields))


def violations_of(parse: Parse, request: Message) -> dict[str, str]:
    with pytest.raises(CreditError) as caught:
        parse(request)
    assert caught.value.reason is ErrorReason.INVALID_FIELD
    return dict(caught.value.violations)


@of_each_entry
def test_an_entry(parse: Parse, request_class: type[Message], id_field: str, operation: type) -> None:
    assert parse(entry(request_class, id_field)) == operation("A1", "x-1", 5, "USD")
    largest = entry(request_class, id_field, amount_minor=AMOUNT_MAX_MINOR, **{id_field: "x" * 128})
    assert parse(largest) == operation("A1", "x" * 128, AMOUNT_MAX_MINOR, "USD")


@of_each_entry
def test_every_wrong_field_of_an_entry_is_named(
    parse: Parse,
    request_class: type[Message],
    id_field: str,
    operation: type,  # noqa: ARG001 - one table for all tests
) -> None:
    found = violations_of(parse, request_class())
    amount_rule = OPEN_AMOUNT_RULE if request_class is OpenItem else AMOUNT_RULE
    assert found == {
        "account_id": f"{ID_RULE}, was empty",
        id_field: f"{ID_RULE}, was empty",
        "amount_minor": f"{amount_rule}, was 0",
        "currency_code": "must be an ISO 4217 currency code such as USD, was empty",
    }
    for fields in (
        {"account_id": "x" * 129},
        {id_field: "a b"},
        {"amount_minor": AMOUNT_MAX_MINOR + 1},
        {"currency_code": "usd"},
    ):
        assert violations_of(parse, entry(request_class, id_field, **fields)).keys() == fields.keys()


@of_each_entry
def test_only_an_open_item_may_be_a_credit(
    parse: Parse, request_class: type[Message], id_field: str, operation: type
) -> None:
    for amount in (-1, -AMOUNT_MAX_MINOR):
        request = entry(request_class, id_field, amount_minor=amount)
        if request_class is OpenItem:
            assert parse(request) == operation("A1", "x-1", amount, "USD")
        else:
            assert violations_of(parse, request) == {"amount_minor": f"{AMOUNT_RULE}, was {amount}"}


@pytest.mark.parametrize("bad", [0, AMOUNT_MAX_MINOR + 1, -AMOUNT_MAX_MINOR - 1, 2**63 - 1, -(2**63)])
def test_open_amounts_out_of_bounds(bad: int) -> None:
    found = violations_of(parse_open_item, entry(OpenItem, "document_id", amount_minor=bad))
    assert found == {"amount_minor": f"{OPEN_AMOUNT_RULE}, was {bad}"}


# --- ageing


def aging(**fields: object) -> UpdateAgingRequest:
    good = {
        "account_id": "A1",
        "overdue_minor": 100,
        "disputed_minor": 40,
        "oldest_due_date": "2026-02-28",
        "as_of": Timestamp(seconds=1, nanos=1_999_999),
    }
    return UpdateAgingRequest(**(good | fields))  # type: ignore[arg-type]


def test_ageing() -> None:
    assert parse_update_aging(aging()) == UpdateAging("A1", 100, 40, date(2026, 2, 28), 1_001)
    nothing = aging(overdue_minor=0, disputed_minor=0, oldest_due_date="")
    assert parse_update_aging(nothing) == UpdateAging("A1", 0, 0, None, 1_001)
    unsaid = aging(oldest_due_date="")
    assert parse_update_aging(unsaid) == UpdateAging("A1", 100, 40, None, 1_001)


def test_the_largest_ageing() -> None:
    largest = aging(
        account_id="x" * 128,
        overdue_minor=AMOUNT_MAX_MINOR,
        disputed_minor=AMOUNT_MAX_MINOR,
        oldest_due_date="2999-12-31",
        as_of=Timestamp(seconds=LAST_SECOND, nanos=999_999_999),
    )
    expected = UpdateAging("x" * 128, AMOUNT_MAX_MINOR, AMOUNT_MAX_MINOR, date(2999, 12, 31), LAST_SECOND * 1000 + 999)
    assert parse_update_aging(largest) == expected


def test_every_wrong_field_of_an_ageing_is_named() -> None:
    request = UpdateAgingRequest(overdue_minor=-1, disputed_minor=-1, oldest_due_date="soon")
    assert violations_of(parse_update_aging, request) == {
        "account_id": f"{ID_RULE}, was empty",
        "overdue_minor": "must be between 0 and 9007199254740991 minor units, was -1",
        "disputed_minor": "must be between 0 and overdue_minor (-1), was -1",
        "oldest_due_date": f"{DATE_RULE}, was 'soon'",
        "as_of": "must be set",
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"overdue_minor": AMOUNT_MAX_MINOR + 1},
            {"overdue_minor": f"must be between 0 and 9007199254740991 minor units, was {AMOUNT_MAX_MINOR + 1}"},
        ),
        ({"disputed_minor": 101}, {"disputed_minor": "must be between 0 and overdue_minor (100), was 101"}),
        ({"disputed_minor": -1}, {"disputed_minor": "must be between 0 and overdue_minor (100), was -1"}),
        (
            {"overdue_minor": 0, "disputed_minor": 0},
            {"oldest_due_date": "must be empty when overdue_minor is 0"},
        ),
        ({"as_of": None}, {"as_of": "must be set"}),
    ],
)
def test_figures_out_of_bounds(fields: dict[str, object], expected: dict[str, str]) -> None:
    assert violations_of(parse_update_aging, aging(**fields)) == expected


@pytest.mark.parametrize("good", ["1970-01-02", "2024-02-29", "2999-12-31"])
def test_due_dates_within_bounds(good: str) -> None:
    operation = parse_update_aging(aging(oldest_due_date=good))
    assert operation.oldest_due_date == date.fromisoformat(good)


@pytest.mark.parametrize(
    "bad",
    [
        "1970-01-01",
        "3000-01-01",
        "2026-02-30",
        "2026-2-28",
        "20260228",
        "2026-W09-6",
        "2026-02-28T00:00",
        "2026-02-28\n",
        "٢٠٢٦-02-28",
        " ",
    ],
)
def test_due_dates_out_of_bounds(bad: str) -> None:
    assert violations_of(parse_update_aging, aging(oldest_due_date=bad)) == {
        "oldest_due_date": f"{DATE_RULE}, was {bad!r}"
    }


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(0, 0), (-1, 0), (LAST_SECOND + 1, 0), (1, -1), (1, 1_000_000_000), (2**63 - 1, 0), (-(2**63), 2**31 - 1)],
)
def test_instants_out_of_bounds(seconds: int, nanos: int) -> None:
    found = violations_of(parse_update_aging, aging(as_of=Timestamp(seconds=seconds, nanos=nanos)))
    assert found == {"as_of": f"{TIME_RULE}, was {seconds} seconds and {nanos} nanos"}
