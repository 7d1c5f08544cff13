"""The policy file of a running service: it decides, it is read again, it is told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from creditgate.bootstrap import RunningService, ServiceStartError, running_service
from creditgate.policies import parse_policy
from creditgate.v1.account_pb2 import Account
from creditgate.v1.admin_service_pb2 import GetPolicyRequest, GetPolicyResponse, PutAccountRequest
from creditgate.v1.admin_service_pb2_grpc import AdminServiceStub
from creditgate.v1.credit_service_pb2 import CheckCreditRequest, ReserveCreditResponse
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from creditgate.v1.decision_pb2 import (
    ACTION_REJECT,
    ACTION_REVIEW,
    ACTION_SHADOW,
    OUTCOME_APPROVED,
    OUTCOME_FLAGGED,
    OUTCOME_PENDING_REVIEW,
    OUTCOME_REJECTED,
    REASON_CODE_LIMIT_EXCEEDED,
    REASON_CODE_TERMS_TOO_LONG,
    REASON_CODE_WITHIN_TOLERANCE,
    Decision,
)
from creditgate.v1.reservation_pb2 import RESERVATION_STATE_HELD
from tests.server.calls import open_channel, reserve_request
from tests.server.test_service import settings_for
from tests.waiting import eventually

TOLERANT = """
default:
  rules:
    within_tolerance: {action: flag, percent: 10}
    limit_exceeded: {action: review}
    terms_too_long: {action: shadow, days: 30}
risk_classes:
  strict:
    rules:
      limit_exceeded: {action: reject}
      within_tolerance: {action: off}
"""


class Gate:
    """A service, and an account with a limit of 100.00 USD in each of some risk classes."""

    def __init__(self, service: RunningService, channel: grpc.aio.Channel, new_id: Callable[[str], str]) -> None:
        self.service = service
        self.admin, self.credit = AdminServiceStub(channel), CreditServiceStub(channel)
        self._new_id = new_id

    async def account(self, risk_class: str = "") -> str:
        account = Account(
            account_id=self._new_id("acc"), currency_code="USD", base_limit_minor=10_000, risk_class=risk_class
        )
        await self.admin.PutAccount(PutAccountRequest(account=account))
        return account.account_id

    async def check(self, account_id: str, amount_minor: int, **fields: int) -> Decision:
        request = CheckCreditRequest(
            account_id=account_id, amount_minor=amount_minor, currency_code="USD", explain=True, **fields
        )
        return (await self.credit.CheckCredit(request)).decision

    async def reserve(self, account_id: str, amount_minor: int) -> ReserveCreditResponse:
        return await self.credit.ReserveCredit(reserve_request(account_id, "o-1", amount_minor))

    async def policy(self) -> GetPolicyResponse:
        return await self.admin.GetPolicy(GetPolicyRequest())

    def metric(self, name: str, **labels: str) -> float | None:
        return self.service.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(TOLERANT)
    return path


def rewrite(path: Path, text: str) -> None:
    path.write_text(text)


@asynccontextmanager
async def gate_with(redis_url: str, new_id: Callable[[str], str], **settings: object) -> AsyncIterator[Gate]:
    async with (
        running_service(settings_for(redis_url, **settings)) as service,
        open_channel(service.address) as channel,
    ):
        assert await service.store.wait_ready(60), service.store.unready_reason
        yield Gate(service, channel, new_id)


@pytest.fixture
async def gate(redis_url: str, new_id: Callable[[str], str], policy_file: Path) -> AsyncIterator[Gate]:
    async with gate_with(redis_url, new_id, policy_file=policy_file) as gate:
        yield gate


async def test_a_policy_file_decides_by_risk_class(gate: Gate) -> None:
    account, strict = await gate.account(), await gate.account("strict")
    unknown_class = await gate.account("platinum")
    assert (await gate.check(account, 10_000)).outcome == OUTCOME_APPROVED
    for account_id in (account, unknown_class):
        flagged = await gate.check(account_id, 11_000)
        assert flagged.outcome == OUTCOME_FLAGGED
        assert [reason.code for reason in flagged.reasons] == [REASON_CODE_WITHIN_TOLERANCE]
        assert (await gate.check(account_id, 11_001)).outcome == OUTCOME_PENDING_REVIEW
    assert (await gate.check(strict, 10_001)).outcome == OUTCOME_REJECTED
    version = parse_policy(TOLERANT).compiled(shadow=False).version
    assert (await gate.check(strict, 1)).policy_version == version
    answer = await gate.policy()
    assert (answer.policy_version, answer.shadow, answer.problem) == (version, False, "")
    assert parse_policy(answer.document) == parse_policy(TOLERANT)


async def test_a_rule_in_shadow_mode_has_no_effect_and_is_told(gate: Gate) -> None:
    decision = await gate.check(await gate.account(), 1, payment_terms_days=31)
    assert decision.outcome == OUTCOME_APPROVED
    (reason,) = decision.shadow_reasons
    assert (reason.code, reason.action) == (REASON_CODE_TERMS_TOO_LONG, ACTION_SHADOW)
    assert (reason.observed, reason.threshold) == (31, 30)
    kept = await gate.check(await gate.account(), 1, payment_terms_days=30)
    assert not kept.shadow_reasons
    assert REASON_CODE_TERMS_TOO_LONG in [reason.code for reason in kept.passed_rules]


async def test_a_change_of_the_file_decides_without_a_restart(gate: Gate, policy_file: Path) -> None:
    account_id = await gate.account()
    first = await gate.reserve(account_id, 11_000)
    assert first.decision.outcome == OUTCOME_FLAGGED
    changed = TOLERANT.replace("percent: 10", "percent: 20")

    async def decides(text: str) -> bool:
        return (await gate.check(account_id, 1)).policy_version == parse_policy(text).compiled(shadow=False).version

    rewrite(policy_file, changed)
    await eventually(lambda: decides(changed))
    assert (await gate.check(account_id, 1_000)).outcome == OUTCOME_FLAGGED
    again = await gate.reserve(account_id, 11_000)
    assert (again.replayed, again.decision) == (True, first.decision), "a decision keeps the version that explains it"
    assert gate.metric("creditgate_policy_reads_total", usable="true") == 2

    rewrite(policy_file, changed + "default: {}\n")

    async def is_refused() -> bool:
        return bool((await gate.policy()).problem)

    await eventually(is_refused)
    answer = await gate.policy()
    assert answer.problem == "line 12: default is there twice; remove one of them"
    assert parse_policy(answer.document) == parse_policy(changed)
    assert await decides(changed)
    assert gate.metric("creditgate_policy_file_usable") == 0
    assert gate.metric("creditgate_policy_reads_total", usable="false") == 1

    rewrite(policy_file, TOLERANT)
    await eventually(lambda: decides(TOLERANT))
    assert (await gate.policy()).problem == ""
    assert gate.metric("creditgate_policy_file_usable") == 1


async def test_the_whole_gate_in_shadow_mode(redis_url: str, new_id: Callable[[str], str], policy_file: Path) -> None:
    async with gate_with(redis_url, new_id, policy_file=policy_file, mode="shadow") as gate:
        account_id, strict = await gate.account(), await gate.account("strict")
        assert (await gate.policy()).shadow
        for name, action in ((account_id, ACTION_REVIEW), (strict, ACTION_REJECT)):
            reserved = await gate.reserve(name, 99_000)
            assert reserved.decision.outcome == OUTCOME_APPROVED
            assert reserved.reservation.state == RESERVATION_STATE_HELD
            assert not reserved.decision.reasons
            (reason,) = reserved.decision.shadow_reasons
            assert (reason.code, reason.action) == (REASON_CODE_LIMIT_EXCEEDED, action)
        labels = {"code": "LIMIT_EXCEEDED", "action": "SHADOW"}
        assert gate.metric("creditgate_decision_reasons_total", **labels) == 2


async def test_shadow_mode_without_a_file(redis_url: str, new_id: Callable[[str], str]) -> None:
    async with gate_with(redis_url, new_id, mode="shadow") as gate:
        decision = await gate.check(await gate.account(), 10_001)
        assert decision.outcome == OUTCOME_APPROVED
        assert [reason.code for reason in decision.shadow_reasons] == [REASON_CODE_LIMIT_EXCEEDED]


async def test_a_wrong_file_keeps_the_service_from_starting(redis_url: str, policy_file: Path) -> None:
    rewrite(policy_file, "default:\n  rules:\n    near_limit: {action: flg}\n")
    with pytest.raises(ServiceStartError) as caught:
        async with running_service(settings_for(redis_url, policy_file=policy_file)):
            raise AssertionError
    assert str(caught.value) == (
        f"CREDITGATE_POLICY_FILE is {policy_file}, which can't be used: line 3: default.rules.near_limit.action "
        "must be off, shadow, flag, review or reject, was 'flg'"
    )
