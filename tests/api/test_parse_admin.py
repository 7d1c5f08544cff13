"""Requests of AdminService: the update mask, and every bound from both sides."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from iso4217 import Currency

from creditgate.api.parse.admin import (
    parse_close_account,
    parse_get_group,
    parse_listing,
    parse_put_account,
    parse_put_exchange_rates,
    parse_put_group,
    parse_verify_accounts,
)
from creditgate.domain.account import AccountStatus, Block
from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from creditgate.domain.errors import CreditError
from creditgate.domain.money import minor_digits
from creditgate.domain.operations import BlockSetting, CloseAccount, GetGroup, LimitSetting, PutAccount, PutGroup
from creditgate.domain.rates import ExchangeRate
from creditgate.v1 import account_pb2, group_pb2
from creditgate.v1.admin_service_pb2 import (
    CloseAccountRequest,
    GetGroupRequest,
    ListAccountsRequest,
    ListGroupsRequest,
    PutAccountRequest,
    PutExchangeRatesRequest,
    PutGroupRequest,
    VerifyAccountsRequest,
)
from creditgate.v1.admin_service_pb2 import ExchangeRate as ExchangeRateMessage


def put(*mask: str, **fields: object) -> PutAccountRequest:
    account = account_pb2.Account(**({"account_id": "A1"} | fields))  # type: ignore[arg-type]
    return PutAccountRequest(account=account, update_mask=FieldMask(paths=mask) if mask else None)


def violations_of(request: Any, parse: Callable[[Any], object] = parse_put_account) -> dict[str, str]:  # noqa: ANN401 - each parse takes its own
    with pytest.raises(CreditError) as caught:
        parse(request)
    return dict(caught.value.violations)


def test_without_a_mask_what_is_set_is_written() -> None:
    request = put(
        display_name="Acme",
        currency_code="USD",
        group_id="family",
        risk_class="gold",
        status=2,
        base_limit_minor=0,
        unlimited=True,
        limit_expire_time=Timestamp(seconds=1000),
        block=account_pb2.Block(reason="fraud", actor="ann", expire_time=Timestamp(seconds=2000)),
    )
    assert parse_put_account(request) == PutAccount(
        "A1",
        "USD",
        display_name="Acme",
        risk_class="gold",
        status=AccountStatus.CLOSED,
        base_limit=LimitSetting(0),
        unlimited=True,
        block=BlockSetting(Block("fraud", "ann", expire_time_s=2000)),
        group_id="family",
        limit_expire_time_s=1000,
    )


def test_without_a_mask_what_is_not_set_stays() -> None:
    assert parse_put_account(put()) == PutAccount("A1")


def test_a_mask_without_paths_counts_as_absent() -> None:
    request = put(display_name="Acme")
    request.update_mask.SetInParent()
    assert parse_put_account(request) == PutAccount("A1", display_name="Acme")


def test_named_and_not_set_is_cleared() -> None:
    request = put(
        "display_name", "group_id", "risk_class", "base_limit_minor", "unlimited", "limit_expire_time", "block"
    )
    assert parse_put_account(request) == PutAccount(
        "A1",
        display_name="",
        risk_class="",
        base_limit=LimitSetting(None),
        unlimited=False,
        block=BlockSetting(None),
        group_id="",
        limit_expire_time_s=0,
    )


def test_the_unspecified_status_leaves_it_as_it_is() -> None:
    assert parse_put_account(put("status")).status is None


def test_set_and_not_named_is_neither_written_nor_checked() -> None:
    request = put("unlimited", display_name="x" * 201, base_limit_minor=-1, unlimited=True)
    assert parse_put_account(request) == PutAccount("A1", unlimited=True)


def test_unknown_paths() -> None:
    found = violations_of(put("exposure"))
    assert found == {
        "update_mask": "must name settable fields (display_name, group_id, risk_class, status, base_limit_minor, "
        "unlimited, limit_expire_time, block), was 'exposure'"
    }
    assert violations_of(put("block.reason")).keys() == {"update_mask"}


def test_a_path_is_named_once() -> None:
    assert violations_of(put("status", "status")) == {"update_mask": "must name a field once, named status again"}


def test_a_mask_of_any_length_gets_a_bounded_answer() -> None:
    with pytest.raises(CreditError) as caught:
        parse_put_account(put(*["nothing"] * 10_000))
    assert len(caught.value.violations) == 10


def test_the_account_is_required() -> None:
    assert violations_of(PutAccountRequest()) == {"account": "must be set"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"account_id": ""}, "account.account_id"),
        ({"currency_code": "usd"}, "account.currency_code"),
        ({"display_name": "x" * 201}, "account.display_name"),
        ({"display_name": "a\tb"}, "account.display_name"),
        ({"risk_class": "x" * 33}, "account.risk_class"),
        ({"risk_class": "Gold"}, "account.risk_class"),
        ({"status": 3}, "account.status"),
        ({"base_limit_minor": -1}, "account.base_limit_minor"),
        ({"base_limit_minor": AMOUNT_MAX_MINOR + 1}, "account.base_limit_minor"),
        ({"block": account_pb2.Block(reason="x" * 501)}, "account.block.reason"),
        ({"block": account_pb2.Block(actor="x" * 129)}, "account.block.actor"),
        ({"block": account_pb2.Block(actor="a\x00")}, "account.block.actor"),
        ({"block": account_pb2.Block(expire_time=Timestamp())}, "account.block.expire_time"),
        ({"group_id": "x" * 129}, "account.group_id"),
        ({"group_id": "a b"}, "account.group_id"),
        ({"limit_expire_time": Timestamp()}, "account.limit_expire_time"),
        ({"limit_expire_time": Timestamp(seconds=-1)}, "account.limit_expire_time"),
        ({"limit_expire_time": Timestamp(seconds=1, nanos=1)}, "account.limit_expire_time"),
        ({"limit_expire_time": Timestamp(seconds=2**32)}, "account.limit_expire_time"),
    ],
)
def test_out_of_bounds(fields: dict[str, object], field: str) -> None:
    assert violations_of(put(**fields)).keys() == {field}


@pytest.mark.parametrize(
    "fields",
    [
        {"account_id": "x" * 128},
        {"currency_code": ""},
        {"display_name": "ä" * 200},
        {"risk_class": "x" * 32},
        {"status": 1},
        {"base_limit_minor": AMOUNT_MAX_MINOR},
        {"block": account_pb2.Block(reason="x" * 500, actor="x" * 128, expire_time=Timestamp(seconds=1))},
        {"group_id": "x" * 128},
        {"limit_expire_time": Timestamp(seconds=1)},
        {"limit_expire_time": Timestamp(seconds=2**32 - 1)},
    ],
)
def test_within_bounds(fields: dict[str, object]) -> None:
    parse_put_account(put(**fields))


def test_close() -> None:
    assert parse_close_account(CloseAccountRequest(account_id="A1")) == CloseAccount("A1")
    with pytest.raises(CreditError, match=r"^account_id must be 1 to 128"):
        parse_close_account(CloseAccountRequest())


def test_listings() -> None:
    for message in (ListAccountsRequest, ListGroupsRequest):
        assert parse_listing(message()) == (100, "")
        assert parse_listing(message(page_size=1, page_token="t" * 512)) == (1, "t" * 512)
        with pytest.raises(CreditError) as caught:
            parse_listing(message(page_size=1001, page_token="t" * 513))
        assert [violation.field for violation in caught.value.violations] == ["page_size", "page_token"]


def put_group(**fields: object) -> PutGroupRequest:
    good = {"group_id": "family", "currency_code": "EUR", "limit_minor": 5}
    return PutGroupRequest(group=group_pb2.CreditGroup(**(good | fields)))  # type: ignore[arg-type]


def test_put_group() -> None:
    assert parse_put_group(put_group(display_name="Family")) == PutGroup("family", "EUR", 5, "Family")
    assert parse_put_group(put_group(limit_minor=None, unlimited=True)) == PutGroup("family", "EUR", None, "")


@pytest.mark.parametrize(
    "fields",
    [
        {"group_id": "x" * 128},
        {"display_name": "ä" * 200},
        {"limit_minor": 0},
        {"limit_minor": AMOUNT_MAX_MINOR},
    ],
)
def test_groups_within_bounds(fields: dict[str, object]) -> None:
    parse_put_group(put_group(**fields))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"group_id": ""}, "group.group_id"),
        ({"group_id": "x" * 129}, "group.group_id"),
        ({"currency_code": ""}, "group.currency_code"),
        ({"display_name": "x" * 201}, "group.display_name"),
        ({"display_name": "a\nb"}, "group.display_name"),
        ({"limit_minor": None}, "group.limit_minor"),
        ({"limit_minor": 0, "unlimited": True}, "group.limit_minor"),
        ({"limit_minor": -1}, "group.limit_minor"),
        ({"limit_minor": AMOUNT_MAX_MINOR + 1}, "group.limit_minor"),
    ],
)
def test_groups_out_of_bounds(fields: dict[str, object], field: str) -> None:
    assert violations_of(put_group(**fields), parse_put_group).keys() == {field}


def test_a_group_is_required() -> None:
    assert violations_of(PutGroupRequest(), parse_put_group) == {"group": "must be set"}


def test_get_group() -> None:
    assert parse_get_group(GetGroupRequest(group_id="family")) == GetGroup("family")
    assert violations_of(GetGroupRequest(), parse_get_group).keys() == {"group_id"}


def rate(**fields: str) -> ExchangeRateMessage:
    return ExchangeRateMessage(**({"from_currency_code": "EUR", "to_currency_code": "USD", "rate": "1.0842"} | fields))


def put_rates(*rates: ExchangeRateMessage, **fields: object) -> PutExchangeRatesRequest:
    return PutExchangeRatesRequest(**({"rates": rates or (rate(),), "version": 1} | fields))  # type: ignore[arg-type]


def test_put_exchange_rates() -> None:
    back = rate(from_currency_code="JPY", to_currency_code="KWD", rate="0.0019300")
    table = parse_put_exchange_rates(put_rates(rate(), back, version=7, expire_time=Timestamp(seconds=99)))
    rates = (ExchangeRate("EUR", "USD", 10842, 4), ExchangeRate("JPY", "KWD", 193, 5))
    assert table == (7, 99, rates)
    assert [each.shift for each in rates] == [0, -3]


@pytest.mark.parametrize(
    ("text", "mantissa", "scale"),
    [
        ("1", 1, 0),
        ("1.0", 1, 0),
        ("150", 150, 0),
        ("0.0000000001", 1, 10),
        ("123456789012", 123_456_789_012, 0),
        ("12.3456789012", 123_456_789_012, 10),
        ("000.5", 5, 1),
    ],
)
def test_rates_within_bounds(text: str, mantissa: int, scale: int) -> None:
    (parsed,) = parse_put_exchange_rates(put_rates(rate(rate=text))).rates
    assert (parsed.mantissa, parsed.scale) == (mantissa, scale)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0.00",
        "-1",
        "+1",
        "1,5",
        "1.",
        ".5",
        "1e3",
        "1/3",
        " 1",
        "\u0661",
        "nan",
        "1" * 13,
        "0." + "0" * 10 + "1",
    ],
)
def test_rates_out_of_bounds(text: str) -> None:
    found = violations_of(put_rates(rate(rate=text)), parse_put_exchange_rates)
    assert found.keys() == {"rates[0].rate"}
    assert found["rates[0].rate"].startswith("must be a")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (put_rates(version=0), "version"),
        (put_rates(version=-1), "version"),
        (put_rates(version=AMOUNT_MAX_MINOR + 1), "version"),
        (put_rates(expire_time=Timestamp(seconds=1, nanos=1)), "expire_time"),
        (put_rates(rate(from_currency_code="eur")), "rates[0].from_currency_code"),
        (put_rates(rate(to_currency_code="")), "rates[0].to_currency_code"),
        (put_rates(rate(to_currency_code="EUR")), "rates[0].to_currency_code"),
        (put_rates(rate(), rate(rate="2")), "rates[1].to_currency_code"),
        (PutExchangeRatesRequest(version=1), "rates"),
    ],
)
def test_rate_tables_out_of_bounds(request_: PutExchangeRatesRequest, field: str) -> None:
    assert violations_of(request_, parse_put_exchange_rates).keys() == {field}


def test_a_rate_table_is_bounded() -> None:
    codes = sorted(currency.code for currency in Currency if minor_digits(currency.code) is not None)
    pairs = [(left, right) for left in codes[:24] for right in codes[:24] if left != right]
    most = [rate(from_currency_code=left, to_currency_code=right) for left, right in pairs[:501]]
    assert len(parse_put_exchange_rates(put_rates(*most[:500], version=AMOUNT_MAX_MINOR)).rates) == 500
    assert violations_of(put_rates(*most), parse_put_exchange_rates) == {"rates": "must have 1 to 500 items, had 501"}


def test_both_directions_are_rates_of_their_own() -> None:
    there, back = rate(), rate(from_currency_code="USD", to_currency_code="EUR", rate="0.9223")
    assert len(parse_put_exchange_rates(put_rates(there, back)).rates) == 2


def test_verify_a_page() -> None:
    assert parse_verify_accounts(VerifyAccountsRequest()) == ((), 100, "", False)
    request = VerifyAccountsRequest(page_size=1000, page_token="t" * 512, repair=True)
    assert parse_verify_accounts(request) == ((), 1000, "t" * 512, True)


def test_verify_named_accounts() -> None:
    names = [f"A{number}" for number in range(100)]
    verification = parse_verify_accounts(VerifyAccountsRequest(account_ids=names, repair=True))
    assert (verification.account_ids, verification.repair) == (tuple(names), True)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"account_ids": ["A1"] * 101}, {"account_ids": "must be at most 100, had 101"}),
        (
            {"account_ids": ["A1", ""]},
            {"account_ids[1]": "must be 1 to 128 characters of [A-Za-z0-9._:/@-], was empty"},
        ),
        ({"account_ids": ["A1"], "page_size": 1}, {"page_size": "must not be set when account_ids are"}),
        ({"account_ids": ["A1"], "page_token": "t"}, {"page_token": "must not be set when account_ids are"}),
        ({"page_size": 1001}, {"page_size": "must be between 0 and 1000, was 1001"}),
        ({"page_size": -1}, {"page_size": "must be between 0 and 1000, was -1"}),
        ({"page_token": "t" * 513}, {"page_token": "must be at most 512 characters, had 513"}),
    ],
)
def test_verification_out_of_bounds(fields: dict[str, object], expected: dict[str, str]) -> None:
    with pytest.raises(CreditError) as caught:
        parse_verify_accounts(VerifyAccountsRequest(**fields))  # type: ignore[arg-type]  # fields by name
    assert dict(caught.value.violations) == expected


def test_a_verification_of_many_wrong_names_gets_a_bounded_answer() -> None:
    with pytest.raises(CreditError) as caught:
        parse_verify_accounts(VerifyAccountsRequest(account_ids=["a b"] * 10_000))
    assert len(caught.value.violations) == 10
