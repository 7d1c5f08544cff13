"""Limits, blocks, groups, rates, policy and languages over a real channel."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.api.reason_texts import CHINESE
from creditgate.bootstrap import RunningService
from creditgate.domain.decision import ReasonCode
from creditgate.policies import parse_policy
from creditgate.v1 import credit_desk_service_pb2 as desk
from creditgate.v1.account_pb2 import Account, Block
from creditgate.v1.admin_service_pb2 import (
    ExchangeRate,
    GetGroupRequest,
    GetPolicyRequest,
    ListGroupsRequest,
    PutAccountRequest,
    PutExchangeRatesRequest,
    PutGroupRequest,
)
from creditgate.v1.admin_service_pb2_grpc import AdminServiceStub
from creditgate.v1.credit_desk_service_pb2_grpc import CreditDeskServiceStub
from creditgate.v1.credit_service_pb2 import (
    BatchReserveCreditRequest,
    CheckCreditRequest,
    GetAccountRequest,
    StreamReserveCreditRequest,
)
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from creditgate.v1.decision_pb2 import (
    OUTCOME_APPROVED,
    OUTCOME_REJECTED,
    REASON_CODE_ACCOUNT_BLOCKED,
    REASON_CODE_GROUP_LIMIT_EXCEEDED,
    REASON_CODE_LIMIT_EXCEEDED,
    REASON_CODE_LIMIT_EXPIRED,
    Decision,
)
from creditgate.v1.group_pb2 import CreditGroup, GroupCurrency
from tests.server.calls import open_channel, reason_of, reserve_request, violations_of

HOUR_S = 3600
WHY: Mapping[str, Any] = {"reason": "christmas", "actor": "ann"}
ZH = (("accept-language", "zh-CN, en;q=0.5"),)


def in_s(seconds: int) -> Timestamp:
    return Timestamp(seconds=int(time.time()) + seconds)


class Gate:
    """One account in USD with a limit of 1,000.00, and short names for what is done to it."""

    def __init__(self, channel: grpc.aio.Channel, account_id: str) -> None:
        self.credit, self.desk = CreditServiceStub(channel), CreditDeskServiceStub(channel)
        self.admin = AdminServiceStub(channel)
        self.account_id = account_id

    async def put(self, **settings: object) -> Account:
        account = Account(account_id=self.account_id, currency_code="USD", **settings)  # type: ignore[arg-type]
        return (await self.admin.PutAccount(PutAccountRequest(account=account))).account

    async def read(self) -> Account:
        return (await self.credit.GetAccount(GetAccountRequest(account_id=self.account_id))).account

    async def check(self, amount_minor: int, currency_code: str = "USD") -> Decision:
        request = CheckCreditRequest(account_id=self.account_id, amount_minor=amount_minor, currency_code=currency_code)
        return (await self.credit.CheckCredit(request)).decision

    async def manual(self, limit_minor: int, **fields: Timestamp | bool) -> Account:
        request = desk.SetManualLimitRequest(
            account_id=self.account_id, limit_minor=limit_minor, currency_code="USD", **{**WHY, **fields}
        )
        return (await self.desk.SetManualLimit(request)).account

    async def temporary(self, limit_minor: int, **fields: Timestamp | bool) -> Account:
        request = desk.SetTemporaryLimitRequest(
            account_id=self.account_id, limit_minor=limit_minor, currency_code="USD", **{**WHY, **fields}
        )
        return (await self.desk.SetTemporaryLimit(request)).account

    async def block(self, **fields: Timestamp) -> Account:
        request = desk.BlockAccountRequest(account_id=self.account_id, **{**WHY, **fields})
        return (await self.desk.BlockAccount(request)).account


def codes(decision: Decision) -> list[int]:
    return [reason.code for reason in decision.reasons]


@pytest.fixture
async def channel(service: RunningService) -> AsyncIterator[grpc.aio.Channel]:
    async with open_channel(service.address) as channel:
        yield channel


@pytest.fixture
async def gate(channel: grpc.aio.Channel, account_id: str) -> Gate:
    gate = Gate(channel, account_id)
    await gate.put(base_limit_minor=100_000)
    return gate


async def test_a_manual_limit_counts_instead_of_the_base_limit(gate: Gate) -> None:
    end = in_s(HOUR_S)
    account = await gate.manual(5_000, expire_time=end)
    manual = account.manual_limit
    assert (manual.limit_minor, manual.expire_time, manual.reason, manual.actor) == (5_000, end, "christmas", "ann")
    assert manual.create_time.seconds > 0
    assert (account.exposure.limit_minor, account.base_limit_minor) == (5_000, 100_000)
    decision = await gate.check(5_001)
    assert codes(decision) == [REASON_CODE_LIMIT_EXCEEDED]
    assert (decision.reasons[0].threshold, decision.reasons[0].currency_code) == (5_000, "USD")

    cleared = desk.ClearManualLimitRequest(account_id=gate.account_id, **WHY)
    account = (await gate.desk.ClearManualLimit(cleared)).account
    assert not account.HasField("manual_limit")
    assert account == await gate.read()
    assert (await gate.check(100_000)).outcome == OUTCOME_APPROVED


async def test_a_manual_limit_may_have_no_ceiling(gate: Gate) -> None:
    account = await gate.manual(0, unlimited=True)
    assert (account.manual_limit.unlimited, account.exposure.unlimited) == (True, True)
    assert (await gate.check(10**12)).outcome == OUTCOME_APPROVED


async def test_a_temporary_limit_counts_instead_of_every_other(gate: Gate) -> None:
    await gate.manual(5_000)
    account = await gate.temporary(7_000, end_time=in_s(HOUR_S))
    assert account.temporary_limit.start_time.seconds > 0
    assert account.exposure.limit_minor == 7_000
    cleared = desk.ClearTemporaryLimitRequest(account_id=gate.account_id, **WHY)
    account = (await gate.desk.ClearTemporaryLimit(cleared)).account
    assert not account.HasField("temporary_limit")
    assert account.exposure.limit_minor == 5_000


async def test_a_temporary_limit_that_has_not_begun_waits(gate: Gate) -> None:
    account = await gate.temporary(7_000, start_time=in_s(HOUR_S), end_time=in_s(2 * HOUR_S))
    assert account.temporary_limit.limit_minor == 7_000
    assert account.exposure.limit_minor == 100_000


async def test_a_block_with_an_end(gate: Gate) -> None:
    end = in_s(HOUR_S)
    account = await gate.block(expire_time=end)
    assert (account.block.expire_time, account.block.reason, account.block.actor) == (end, "christmas", "ann")
    assert codes(await gate.check(1)) == [REASON_CODE_ACCOUNT_BLOCKED]
    request = desk.UnblockAccountRequest(account_id=gate.account_id, **WHY)
    account = (await gate.desk.UnblockAccount(request)).account
    assert not account.HasField("block")
    assert (await gate.check(1)).outcome == OUTCOME_APPROVED


async def test_ends_that_are_past_are_refused(gate: Gate) -> None:
    past = in_s(-HOUR_S)
    for call, field in (
        (gate.manual(1, expire_time=past), "expire_time"),
        (gate.block(expire_time=past), "expire_time"),
        (gate.temporary(1, end_time=past), "end_time"),
        (gate.put(block=Block(reason="late", expire_time=past)), "account.block.expire_time"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert violations_of(caught.value)[field].startswith("must be later than the store's clock, which says 20")


async def test_a_limit_in_another_currency_than_the_account(gate: Gate) -> None:
    request = desk.SetManualLimitRequest(account_id=gate.account_id, limit_minor=1, currency_code="EUR", **WHY)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await gate.desk.SetManualLimit(request)
    assert reason_of(caught.value) == "CURRENCY_MISMATCH"
    assert violations_of(caught.value) == {"currency_code": "must be USD, the currency of the account"}


async def test_a_limit_that_has_expired(gate: Gate) -> None:
    account = await gate.put(limit_expire_time=in_s(-25 * HOUR_S))
    assert account.limit_confirm_time.seconds > 0
    (reason,) = (await gate.check(1)).reasons
    assert (reason.code, reason.observed, reason.message) == (
        REASON_CODE_LIMIT_EXPIRED,
        1,
        "The credit limit expired 1 day ago.",
    )
    await gate.manual(5_000)
    assert (await gate.check(1)).outcome == OUTCOME_APPROVED


async def test_a_group_shares_a_limit(gate: Gate, channel: grpc.aio.Channel, new_id: Callable[[str], str]) -> None:
    group_id = new_id("family")
    group = CreditGroup(group_id=group_id, display_name="The Family", currency_code="USD", limit_minor=3_000)
    put = await gate.admin.PutGroup(PutGroupRequest(group=group))
    assert (put.created, put.group.account_count) == (True, 0)
    sister = Gate(channel, new_id("acc"))
    for member in (gate, sister):
        account = await member.put(group_id=group_id, base_limit_minor=100_000)
        assert account.group_id == group_id
    await sister.credit.ReserveCredit(reserve_request(sister.account_id, "o-1", 2_000))
    assert (await gate.check(1_000)).outcome == OUTCOME_APPROVED
    (reason,) = (await gate.check(1_001)).reasons
    assert (reason.code, reason.observed, reason.threshold) == (REASON_CODE_GROUP_LIMIT_EXCEEDED, 3_001, 3_000)

    read = (await gate.admin.GetGroup(GetGroupRequest(group_id=group_id))).group
    assert (read.account_count, read.exposure_minor, read.limit_minor) == (2, 2_000, 3_000)
    assert list(read.currencies) == [GroupCurrency(currency_code="USD", reserved_minor=2_000)]
    listed = [each for each in await all_groups(gate) if each.group_id == group_id]
    assert listed == [read]


async def all_groups(gate: Gate) -> list[CreditGroup]:
    groups: list[CreditGroup] = []
    token = ""
    while True:
        page = await gate.admin.ListGroups(ListGroupsRequest(page_size=1000, page_token=token))
        groups += page.groups
        token = page.next_page_token
        if not token:
            return groups


async def test_an_account_leaves_its_group_by_the_mask(gate: Gate, new_id: Callable[[str], str]) -> None:
    group_id = new_id("family")
    group = CreditGroup(group_id=group_id, currency_code="USD", unlimited=True)
    await gate.admin.PutGroup(PutGroupRequest(group=group))
    await gate.put(group_id=group_id)
    request = PutAccountRequest(account=Account(account_id=gate.account_id))
    request.update_mask.paths.append("group_id")
    assert (await gate.admin.PutAccount(request)).account.group_id == ""
    assert (await gate.admin.GetGroup(GetGroupRequest(group_id=group_id))).group.account_count == 0


async def test_groups_that_are_not_there_or_differ(gate: Gate, new_id: Callable[[str], str]) -> None:
    group_id = new_id("family")
    for call in (gate.admin.GetGroup(GetGroupRequest(group_id=group_id)), gate.put(group_id=group_id)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert reason_of(caught.value) == "GROUP_NOT_FOUND"
    group = CreditGroup(group_id=group_id, currency_code="USD", limit_minor=1)
    await gate.admin.PutGroup(PutGroupRequest(group=group))
    group.currency_code = "EUR"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await gate.admin.PutGroup(PutGroupRequest(group=group))
    assert reason_of(caught.value) == "GROUP_EXISTS_WITH_DIFFERENT_CURRENCY"


async def test_rates_convert_orders_until_they_expire(gate: Gate) -> None:
    pair = {"from_currency_code": "CHF", "to_currency_code": "USD"}
    request = PutExchangeRatesRequest(rates=[ExchangeRate(**pair, rate="1.5")], version=5, expire_time=in_s(HOUR_S))
    assert (await gate.admin.PutExchangeRates(request)).applied == 1
    decision = await gate.check(66_667, "CHF")
    assert (decision.outcome, decision.reasons[0].observed) == (OUTCOME_REJECTED, 100_001)
    assert (await gate.check(66_666, "CHF")).outcome == OUTCOME_APPROVED

    older = PutExchangeRatesRequest(rates=[ExchangeRate(**pair, rate="9")], version=4)
    answer = await gate.admin.PutExchangeRates(older)
    assert (answer.applied, answer.ignored) == (0, 1)
    assert (await gate.check(66_666, "CHF")).outcome == OUTCOME_APPROVED
    past = PutExchangeRatesRequest(rates=[ExchangeRate(**pair, rate="1.5")], version=6, expire_time=in_s(-HOUR_S))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await gate.admin.PutExchangeRates(past)
    assert reason_of(caught.value) == "INVALID_FIELD"
    assert "expire_time must be later than the store's clock" in (caught.value.details() or "")
    assert (await gate.check(66_666, "CHF")).outcome == OUTCOME_APPROVED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await gate.check(1, "MNT")
    assert reason_of(caught.value) == "EXCHANGE_RATE_NOT_FOUND"
    assert "MNT to USD" in (caught.value.details() or "")


async def test_the_policy_of_a_service_without_a_file(gate: Gate) -> None:
    answer = await gate.admin.GetPolicy(GetPolicyRequest())
    assert (answer.policy_version, answer.shadow, answer.problem) == ("default", False, "")
    assert parse_policy(answer.document) == parse_policy("{}")
    assert (await gate.check(1)).policy_version == answer.policy_version


async def test_sentences_in_the_language_of_the_caller(gate: Gate) -> None:
    await gate.block()
    sentence = CHINESE.fired[ReasonCode.ACCOUNT_BLOCKED]
    order = reserve_request(gate.account_id, "o-1")
    check = CheckCreditRequest(account_id=gate.account_id, amount_minor=1, currency_code="USD")
    assert (await gate.credit.CheckCredit(check, metadata=ZH)).decision.reasons[0].message == sentence
    assert (await gate.credit.ReserveCredit(order, metadata=ZH)).decision.reasons[0].message == sentence
    batch = await gate.credit.BatchReserveCredit(BatchReserveCreditRequest(requests=[order]), metadata=ZH)
    assert batch.results[0].response.decision.reasons[0].message == sentence
    stream = gate.credit.StreamReserveCredit(iter([StreamReserveCreditRequest(request=order)]), metadata=ZH)
    assert [answer.response.decision.reasons[0].message async for answer in stream] == [sentence]
    assert (await gate.check(1)).reasons[0].message == "The account is blocked."
