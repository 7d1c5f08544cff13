"""Requests of CreditDeskService: every bound from both sides."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.api.parse import desk
from creditgate.domain.account import Block, ManualLimit, TemporaryLimit
from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import SetBlock, SetManualLimit, SetTemporaryLimit
from creditgate.v1 import credit_desk_service_pb2 as messages

WHO_AND_WHY = {"account_id": "A1", "reason": "christmas", "actor": "ann"}
MANUAL = {**WHO_AND_WHY, "currency_code": "USD", "limit_minor": 500}
TEMPORARY = {**MANUAL, "end_time": Timestamp(seconds=200)}

BLOCK = (desk.parse_block_account, messages.BlockAccountRequest, WHO_AND_WHY)
UNBLOCK = (desk.parse_unblock_account, messages.UnblockAccountRequest, WHO_AND_WHY)
SET_MANUAL = (desk.parse_set_manual_limit, messages.SetManualLimitRequest, MANUAL)
CLEAR_MANUAL = (desk.parse_clear_manual_limit, messages.ClearManualLimitRequest, WHO_AND_WHY)
SET_TEMPORARY = (desk.parse_set_temporary_limit, messages.SetTemporaryLimitRequest, TEMPORARY)
CLEAR_TEMPORARY = (desk.parse_clear_temporary_limit, messages.ClearTemporaryLimitRequest, WHO_AND_WHY)

Kind = tuple[Callable[[Any], object], type[Message], dict[str, Any]]
KINDS = pytest.mark.parametrize(
    "kind",
    [BLOCK, UNBLOCK, SET_MANUAL, CLEAR_MANUAL, SET_TEMPORARY, CLEAR_TEMPORARY],
    ids=["block", "unblock", "manual", "clear-manual", "temporary", "clear-temporary"],
)


def parsed(kind: Kind, **fields: object) -> object:
    parse, message, good = kind
    return parse(message(**{name: value for name, value in (good | fields).items() if value is not None}))


def violations_of(kind: Kind, **fields: object) -> dict[str, str]:
    with pytest.raises(CreditError) as caught:
        parsed(kind, **fields)
    assert caught.value.reason is ErrorReason.INVALID_FIELD
    return dict(caught.value.violations)


def test_block() -> None:
    block = Block("christmas", "ann", expire_time_s=90)
    assert parsed(BLOCK, expire_time=Timestamp(seconds=90)) == SetBlock("A1", block, "christmas", "ann")
    assert parsed(BLOCK) == SetBlock("A1", Block("christmas", "ann"), "christmas", "ann")
    assert parsed(UNBLOCK) == SetBlock("A1", None, "christmas", "ann")


def test_manual_limit() -> None:
    limit = ManualLimit(500, 90, "christmas", "ann")
    expected = SetManualLimit("A1", "USD", limit, "christmas", "ann")
    assert parsed(SET_MANUAL, expire_time=Timestamp(seconds=90)) == expected
    endless = ManualLimit(0, 0, "christmas", "ann")
    assert parsed(SET_MANUAL, limit_minor=0) == SetManualLimit("A1", "USD", endless, "christmas", "ann")
    ceilingless = ManualLimit(None, 0, "christmas", "ann")
    expected = SetManualLimit("A1", "USD", ceilingless, "christmas", "ann")
    assert parsed(SET_MANUAL, limit_minor=0, unlimited=True) == expected
    assert parsed(CLEAR_MANUAL) == SetManualLimit("A1", "", None, "christmas", "ann")


def test_temporary_limit() -> None:
    limit = TemporaryLimit(500, 100, 200, "christmas", "ann")
    expected = SetTemporaryLimit("A1", "USD", limit, "christmas", "ann")
    assert parsed(SET_TEMPORARY, start_time=Timestamp(seconds=100)) == expected
    from_now = TemporaryLimit(500, 0, 200, "christmas", "ann")
    assert parsed(SET_TEMPORARY) == SetTemporaryLimit("A1", "USD", from_now, "christmas", "ann")
    assert parsed(CLEAR_TEMPORARY) == SetTemporaryLimit("A1", "", None, "christmas", "ann")


@KINDS
@pytest.mark.parametrize(
    ("field", "value"),
    [("account_id", "x" * 128), ("reason", "ä" * 500), ("reason", "x"), ("actor", "x" * 128), ("actor", "x")],
)
def test_who_and_why_within_bounds(kind: Kind, field: str, value: str) -> None:
    parsed(kind, **{field: value})


@KINDS
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_id", ""),
        ("account_id", "x" * 129),
        ("reason", ""),
        ("reason", "  "),
        ("reason", "x" * 501),
        ("reason", "two\nlines"),
        ("actor", ""),
        ("actor", "x" * 129),
        ("actor", "a\x00"),
    ],
)
def test_who_and_why_out_of_bounds(kind: Kind, field: str, value: str) -> None:
    assert violations_of(kind, **{field: value}).keys() == {field}


@KINDS
def test_everything_that_is_missing_is_named_at_once(kind: Kind) -> None:
    parse, message, good = kind
    with pytest.raises(CreditError) as caught:
        parse(message())
    required = good.keys() - {"limit_minor"}
    assert {violation.field for violation in caught.value.violations} == required


@pytest.mark.parametrize("kind", [SET_MANUAL, SET_TEMPORARY], ids=["manual", "temporary"])
def test_amounts(kind: Kind) -> None:
    for good in (0, AMOUNT_MAX_MINOR):
        parsed(kind, limit_minor=good)
    for bad in (-1, AMOUNT_MAX_MINOR + 1):
        expected = f"must be between 0 and {AMOUNT_MAX_MINOR} minor units, was {bad}"
        assert violations_of(kind, limit_minor=bad) == {"limit_minor": expected}
    for bad_currency in ("", "usd", "XAU"):
        assert violations_of(kind, currency_code=bad_currency).keys() == {"currency_code"}


def test_no_ceiling_has_no_amount() -> None:
    expected = {"limit_minor": "must be 0 with unlimited, was 500"}
    assert violations_of(SET_MANUAL, unlimited=True) == expected


@pytest.mark.parametrize(
    ("kind", "field"), [(BLOCK, "expire_time"), (SET_MANUAL, "expire_time"), (SET_TEMPORARY, "end_time")]
)
def test_ends(kind: Kind, field: str) -> None:
    for good in (Timestamp(seconds=1), Timestamp(seconds=2**32 - 1)):
        parsed(kind, **{field: good})
    for bad in (Timestamp(), Timestamp(seconds=-1), Timestamp(seconds=2**32), Timestamp(seconds=5, nanos=1)):
        found = violations_of(kind, **{field: bad})
        assert found.keys() == {field}
        assert found[field].startswith("must be a whole second between 1970 and February 2106, was ")


def test_a_temporary_limit_has_an_end_behind_its_start() -> None:
    assert violations_of(SET_TEMPORARY, end_time=None) == {"end_time": "must be set"}
    assert violations_of(SET_TEMPORARY, start_time=Timestamp(seconds=200)) == {
        "end_time": "must be later than start_time"
    }
    assert violations_of(SET_TEMPORARY, start_time=Timestamp(seconds=199, nanos=5)).keys() == {"start_time"}
    parsed(SET_TEMPORARY, start_time=Timestamp(seconds=199))
