"""Requests of CreditService: every bound from both sides."""

from collections.abc import Callable

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from creditgate.api.parse.credit import (
    parse_amend_reservation,
    parse_check_credit,
    parse_commit_reservation,
    parse_get_account,
    parse_get_reservation,
    parse_list_reservations,
    parse_release_reservation,
    parse_reserve_credit,
)
from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import (
    AmendReservation,
    CheckCredit,
    CommitReservation,
    GetAccount,
    GetReservation,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.domain.reservation import Etag, ReservationState
from creditgate.v1.credit_service_pb2 import (
    AmendReservationRequest,
    CheckCreditRequest,
    CommitReservationRequest,
    GetAccountRequest,
    GetReservationRequest,
    ListReservationsRequest,
    ReleaseReservationRequest,
    ReserveCreditRequest,
)

DAY_S = 86_400
ID_RULE = "must be 1 to 128 characters of [A-Za-z0-9._:/@-]"
AMOUNT_RULE = "must be between 1 and 9007199254740991 minor units"


def reserve(**fields: object) -> ReserveCreditRequest:
    good = {"account_id": "A1", "order_id": "o-1", "amount_minor": 100, "currency_code": "USD"}
    return ReserveCreditRequest(**(good | fields))  # type: ignore[arg-type]


def commit(**fields: object) -> CommitReservationRequest:
    good = {
        "account_id": "A1",
        "order_id": "o-1",
        "amount_minor": 100,
        "currency_code": "USD",
        "document_id": "inv-1",
    }
    return CommitReservationRequest(**(good | fields))  # type: ignore[arg-type]


def amend(**fields: object) -> AmendReservationRequest:
    good = {"account_id": "A1", "order_id": "o-1", "amount_minor": 100, "currency_code": "USD"}
    return AmendReservationRequest(**(good | fields))  # type: ignore[arg-type]


def listing_of(**fields: object) -> ListReservationsRequest:
    return ListReservationsRequest(**({"account_id": "A1"} | fields))  # type: ignore[arg-type]


def violations_of(parse: Callable[..., object], request: Message) -> dict[str, str]:
    with pytest.raises(CreditError) as caught:
        parse(request)
    assert caught.value.reason is ErrorReason.INVALID_FIELD
    return dict(caught.value.violations)


def test_reserve_credit_with_all_fields() -> None:
    request = reserve(secured_minor=40, hold_duration=Duration(seconds=60), payment_terms_days=30, source="shop/eu")
    assert parse_reserve_credit(request) == ReserveCredit("A1", "o-1", 100, "USD", 60, 40, 30, "shop/eu")


def test_reserve_credit_holds_as_long_as_the_policy_says_unless_told() -> None:
    assert parse_reserve_credit(reserve()).hold_s is None


@pytest.mark.parametrize("good", ["a", "x" * 128, "AZaz09._:/@-"])
def test_ids_within_bounds(good: str) -> None:
    assert parse_reserve_credit(reserve(account_id=good)).account_id == good
    assert parse_reserve_credit(reserve(order_id=good)).order_id == good


@pytest.mark.parametrize(
    ("bad", "was"),
    [
        ("", "was empty"),
        ("x" * 129, f"was '{'x' * 40}…' (129 characters)"),
        ("a b", "was 'a b'"),
        ("a\n", r"was 'a\n'"),
        ("ä", "was 'ä'"),
        ("a{b}", "was 'a{b}'"),
    ],
)
def test_ids_out_of_bounds(bad: str, was: str) -> None:
    assert violations_of(parse_reserve_credit, reserve(account_id=bad)) == {"account_id": f"{ID_RULE}, {was}"}
    assert violations_of(parse_reserve_credit, reserve(order_id=bad)) == {"order_id": f"{ID_RULE}, {was}"}


@pytest.mark.parametrize("good", [1, AMOUNT_MAX_MINOR])
def test_amounts_within_bounds(good: int) -> None:
    assert parse_reserve_credit(reserve(amount_minor=good)).amount_minor == good


@pytest.mark.parametrize("bad", [0, -1, AMOUNT_MAX_MINOR + 1, -(2**63), 2**63 - 1])
def test_amounts_out_of_bounds(bad: int) -> None:
    found = violations_of(parse_reserve_credit, reserve(amount_minor=bad))
    assert found == {"amount_minor": f"{AMOUNT_RULE}, was {bad}"}


@pytest.mark.parametrize("good", ["USD", "JPY", "KWD"])
def test_currencies(good: str) -> None:
    assert parse_reserve_credit(reserve(currency_code=good)).currency_code == good


@pytest.mark.parametrize("bad", ["", "usd", "US", "USDX", "XAU", "XXX", "ZZZ", "840", "U\nD"])
def test_no_currencies(bad: str) -> None:
    assert violations_of(parse_reserve_credit, reserve(currency_code=bad)).keys() == {"currency_code"}


@pytest.mark.parametrize("good", [0, 1, 100])
def test_secured_within_the_amount(good: int) -> None:
    assert parse_reserve_credit(reserve(secured_minor=good)).secured_minor == good


@pytest.mark.parametrize("bad", [-1, 101])
def test_secured_out_of_the_amount(bad: int) -> None:
    expected = {"secured_minor": f"must be between 0 and amount_minor (100), was {bad}"}
    assert violations_of(parse_reserve_credit, reserve(secured_minor=bad)) == expected


@pytest.mark.parametrize(
    ("seconds", "nanos", "hold_s"),
    [(1, 0, 1), (0, 1, 1), (59, 1, 60), (60, 0, 60), (400 * DAY_S, 0, 400 * DAY_S), (400 * DAY_S - 1, 1, 400 * DAY_S)],
)
def test_hold_is_rounded_up_to_whole_seconds(seconds: int, nanos: int, hold_s: int) -> None:
    request = reserve(hold_duration=Duration(seconds=seconds, nanos=nanos))
    assert parse_reserve_credit(request).hold_s == hold_s


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(0, 0), (-1, 0), (0, -1), (400 * DAY_S, 1), (400 * DAY_S + 1, 0), (2**63 - 1, 0), (-(2**63), 0)],
)
def test_hold_out_of_bounds(seconds: int, nanos: int) -> None:
    found = violations_of(parse_reserve_credit, reserve(hold_duration=Duration(seconds=seconds, nanos=nanos)))
    assert found == {
        "hold_duration": f"must be between 1 and 34560000 seconds, was {seconds} seconds and {nanos} nanos"
    }


@pytest.mark.parametrize(("seconds", "nanos"), [(1, 1_000_000_000), (1, -1), (-1, 1), (0, -1_000_000_000)])
def test_malformed_hold(seconds: int, nanos: int) -> None:
    found = violations_of(parse_reserve_credit, reserve(hold_duration=Duration(seconds=seconds, nanos=nanos)))
    assert found["hold_duration"].startswith("must be a Duration")


@pytest.mark.parametrize("good", [0, 3650])
def test_terms_within_bounds(good: int) -> None:
    assert parse_reserve_credit(reserve(payment_terms_days=good)).payment_terms_days == good


@pytest.mark.parametrize("bad", [-1, 3651])
def test_terms_out_of_bounds(bad: int) -> None:
    found = violations_of(parse_reserve_credit, reserve(payment_terms_days=bad))
    assert found == {"payment_terms_days": f"must be between 0 and 3650 days, was {bad}"}


@pytest.mark.parametrize("good", ["", "s" * 64])
def test_source_within_bounds(good: str) -> None:
    assert parse_reserve_credit(reserve(source=good)).source == good


@pytest.mark.parametrize("bad", ["s" * 65, "a b"])
def test_source_out_of_bounds(bad: str) -> None:
    assert violations_of(parse_reserve_credit, reserve(source=bad)).keys() == {"source"}


def test_every_wrong_field_is_named_at_once() -> None:
    request = reserve(account_id="", amount_minor=0, currency_code="usd", source="a b", payment_terms_days=-1)
    with pytest.raises(CreditError) as caught:
        parse_reserve_credit(request)
    fields = [violation.field for violation in caught.value.violations]
    assert fields == ["account_id", "amount_minor", "currency_code", "payment_terms_days", "source"]
    assert caught.value.message.startswith(f"account_id {ID_RULE}, was empty; amount_minor {AMOUNT_RULE}, was 0; ")


def test_check_credit() -> None:
    request = CheckCreditRequest(
        account_id="A1", amount_minor=100, currency_code="EUR", secured_minor=100, explain=True, payment_terms_days=30
    )
    expected = CheckCredit("A1", 100, "EUR", 100, explain=True, payment_terms_days=30)
    assert parse_check_credit(request) == expected
    assert violations_of(parse_check_credit, CheckCreditRequest(secured_minor=1, payment_terms_days=3651)).keys() == {
        "account_id",
        "amount_minor",
        "currency_code",
        "secured_minor",
        "payment_terms_days",
    }


def test_amend() -> None:
    assert parse_amend_reservation(amend()) == AmendReservation("A1", "o-1", 100, "USD", None, "", None)
    request = amend(
        amount_minor=AMOUNT_MAX_MINOR, hold_duration=Duration(seconds=59, nanos=1), request_id="x" * 128, etag="1f.a"
    )
    expected = AmendReservation("A1", "o-1", AMOUNT_MAX_MINOR, "USD", 60, "x" * 128, Etag(31, 10))
    assert parse_amend_reservation(request) == expected


def test_every_wrong_field_of_an_amend_is_named() -> None:
    request = AmendReservationRequest(request_id="a b", etag="latest")
    request.hold_duration.SetInParent()
    assert violations_of(parse_amend_reservation, request) == {
        "account_id": f"{ID_RULE}, was empty",
        "order_id": f"{ID_RULE}, was empty",
        "amount_minor": f"{AMOUNT_RULE}, was 0",
        "currency_code": "must be an ISO 4217 currency code such as USD, was empty",
        "hold_duration": "must be between 1 and 34560000 seconds, was 0 seconds and 0 nanos",
        "request_id": "must be empty or 1 to 128 characters of [A-Za-z0-9._:/@-], was 'a b'",
        "etag": "must be empty or an etag that this service gave out, was 'latest'",
    }


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("account_id", "x" * 129),
        ("order_id", "a|b"),
        ("amount_minor", AMOUNT_MAX_MINOR + 1),
        ("amount_minor", -1),
        ("currency_code", "usd"),
        ("hold_duration", Duration(seconds=400 * DAY_S + 1)),
        ("request_id", "x" * 129),
        ("etag", "1.0"),
        ("etag", "1f.a" * 100),
    ],
)
def test_amend_out_of_bounds(field: str, bad: object) -> None:
    assert violations_of(parse_amend_reservation, amend(**{field: bad})).keys() == {field}


def test_commit() -> None:
    expected = CommitReservation("A1", "o-1", 100, "USD", "inv-1", final=True)
    assert parse_commit_reservation(commit(final=True)) == expected
    assert violations_of(parse_commit_reservation, CommitReservationRequest()).keys() == {
        "account_id",
        "order_id",
        "amount_minor",
        "currency_code",
        "document_id",
    }


def test_only_a_final_commit_may_be_of_nothing() -> None:
    assert parse_commit_reservation(commit(amount_minor=0, final=True)).amount_minor == 0
    assert violations_of(parse_commit_reservation, commit(amount_minor=0)) == {"amount_minor": f"{AMOUNT_RULE}, was 0"}
    assert violations_of(parse_commit_reservation, commit(amount_minor=-1, final=True)) == {
        "amount_minor": "must be between 0 and 9007199254740991 minor units, was -1"
    }


def test_release() -> None:
    request = ReleaseReservationRequest(account_id="A1", order_id="o-1", request_id="r", reason="cancelled: späť")
    assert parse_release_reservation(request) == ReleaseReservation("A1", "o-1", "r", "cancelled: späť")
    of_state = ReleaseReservationRequest(account_id="A1", order_id="o-1", etag="1f.a")
    assert parse_release_reservation(of_state) == ReleaseReservation("A1", "o-1", etag=Etag(31, 10))
    plain = ReleaseReservationRequest(account_id="A1", order_id="o-1", reason="x" * 200)
    assert parse_release_reservation(plain) == ReleaseReservation("A1", "o-1", "", "x" * 200)


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("account_id", ""),
        ("order_id", ""),
        ("request_id", "a b"),
        ("request_id", "x" * 129),
        ("reason", "x" * 201),
        ("reason", "two\nlines"),
        ("reason", "bell\x07"),
        ("reason", "next\x85line"),
        ("reason", "line\u2028separator"),
        ("etag", "latest"),
        ("etag", "1.0"),
    ],
)
def test_release_out_of_bounds(field: str, bad: str) -> None:
    fields = {"account_id": "A1", "order_id": "o-1"} | {field: bad}
    assert violations_of(parse_release_reservation, ReleaseReservationRequest(**fields)).keys() == {field}


def test_reads() -> None:
    request = GetReservationRequest(account_id="A1", order_id="o-1")
    assert parse_get_reservation(request) == GetReservation("A1", "o-1")
    assert parse_get_account(GetAccountRequest(account_id="A1")) == GetAccount("A1")
    assert violations_of(parse_get_reservation, GetReservationRequest()).keys() == {"account_id", "order_id"}
    assert violations_of(parse_get_account, GetAccountRequest()).keys() == {"account_id"}


def test_listing_defaults() -> None:
    listing = parse_list_reservations(ListReservationsRequest(account_id="A1"))
    assert listing == ("A1", frozenset(), 100, "")


def test_listing_of_states() -> None:
    request = listing_of(states=[1, 5, 1], page_size=1000, page_token="t" * 512)
    listing = parse_list_reservations(request)
    assert listing.states == {ReservationState.HELD, ReservationState.EXPIRED}
    assert (listing.page_size, listing.page_token) == (1000, "t" * 512)


def test_the_unspecified_state_stands_for_all() -> None:
    assert parse_list_reservations(listing_of(states=[1, 0])).states == frozenset()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"states": [1, 7]}, "states[1]"),
        ({"states": [-1]}, "states[0]"),
        ({"page_size": -1}, "page_size"),
        ({"page_size": 1001}, "page_size"),
        ({"page_token": "t" * 513}, "page_token"),
        ({"account_id": "no id"}, "account_id"),
    ],
)
def test_listing_out_of_bounds(fields: dict[str, object], field: str) -> None:
    request = listing_of(**fields)
    assert violations_of(parse_list_reservations, request).keys() == {field}


def test_an_answer_names_a_bounded_number_of_fields() -> None:
    request = listing_of(states=[99] * 5000)
    assert len(violations_of(parse_list_reservations, request)) == 10
