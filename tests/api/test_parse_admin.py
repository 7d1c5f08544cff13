"""Requests of AdminService: the update mask, and every bound from both sides."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from creditgate.api.parse.admin import (
    parse_close_account,
    parse_listing,
    parse_put_account,
    parse_verify_accounts,
)
from creditgate.domain.account import AccountStatus, Block
from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from creditgate.domain.errors import CreditError
from creditgate.domain.operations import BlockSetting, CloseAccount, LimitSetting, PutAccount
from creditgate.v1 import account_pb2
from creditgate.v1.admin_service_pb2 import (
    CloseAccountRequest,
    ListAccountsRequest,
    PutAccountRequest,
    VerifyAccountsRequest,
)


def put(*mask: str, **fields: object) -> PutAccountRequest:
    account = account_pb2.Account(**({"account_id": "A1"} | fields))  # type: ignore[arg-type]
    return PutAccountRequest(account=account, update_mask=FieldMask(paths=mask) if mask else None)


def violations_of(request: PutAccountRequest) -> dict[str, str]:
    with pytest.raises(CreditError) as caught:
        parse_put_account(request)
    return dict(caught.value.violations)


def test_without_a_mask_what_is_set_is_written() -> None:
    request = put(
        display_name="Acme",
        currency_code="USD",
        risk_class="gold",
        status=2,
        base_limit_minor=0,
        unlimited=True,
        block=account_pb2.Block(reason="fraud", actor="ann"),
    )
    assert parse_put_account(request) == PutAccount(
        "A1",
        "USD",
        display_name="Acme",
        risk_class="gold",
        status=AccountStatus.CLOSED,
        base_limit=LimitSetting(0),
        unlimited=True,
        block=BlockSetting(Block("fraud", "ann")),
    )


def test_without_a_mask_what_is_not_set_stays() -> None:
    assert parse_put_account(put()) == PutAccount("A1")


def test_a_mask_without_paths_counts_as_absent() -> None:
    request = put(display_name="Acme")
    request.update_mask.SetInParent()
    assert parse_put_account(request) == PutAccount("A1", display_name="Acme")


def test_named_and_not_set_is_cleared() -> None:
    request = put("display_name", "risk_class", "base_limit_minor", "unlimited", "block")
    assert parse_put_account(request) == PutAccount(
        "A1",
        display_name="",
        risk_class="",
        base_limit=LimitSetting(None),
        unlimited=False,
        block=BlockSetting(None),
    )


def test_the_unspecified_status_leaves_it_as_it_is() -> None:
    assert parse_put_account(put("status")).status is None


def test_set_and_not_named_is_neither_written_nor_checked() -> None:
    request = put("unlimited", display_name="x" * 201, base_limit_minor=-1, unlimited=True)
    assert parse_put_account(request) == PutAccount("A1", unlimited=True)


def test_unknown_paths() -> None:
    found = violations_of(put("exposure"))
    assert found == {
        "update_mask": "must name settable fields (display_name, risk_class, status, base_limit_minor, unlimited, "
        "block), was 'exposure'"
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
        {"block": account_pb2.Block(reason="x" * 500, actor="x" * 128)},
    ],
)
def test_within_bounds(fields: dict[str, object]) -> None:
    parse_put_account(put(**fields))


def test_close() -> None:
    assert parse_close_account(CloseAccountRequest(account_id="A1")) == CloseAccount("A1")
    with pytest.raises(CreditError, match=r"^account_id must be 1 to 128"):
        parse_close_account(CloseAccountRequest())


def test_list_accounts() -> None:
    assert parse_listing(ListAccountsRequest()) == (100, "")
    assert parse_listing(ListAccountsRequest(page_size=1, page_token="t" * 512)) == (1, "t" * 512)
    with pytest.raises(CreditError) as caught:
        parse_listing(ListAccountsRequest(page_size=1001, page_token="t" * 513))
    assert [violation.field for violation in caught.value.violations] == ["page_size", "page_token"]


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
