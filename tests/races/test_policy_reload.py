"""A policy file that is replaced while orders are judged: no call fails, and one version explains each decision."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1.admin_service_pb2 import PutAccountRequest
from creditgate.v1.admin_service_pb2_grpc import AdminServiceStub
from creditgate.v1.credit_service_pb2 import ReserveCreditRequest
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from creditgate.v1.decision_pb2 import OUTCOME_FLAGGED
from creditgate.v1.receivables_service_pb2 import PostReceivableRequest, UpdateAgingRequest
from creditgate.v1.receivables_service_pb2_grpc import ReceivablesServiceStub
from tests.faults.service_process import ServiceProcess
from tests.private_redis import PrivateRedis
from tests.races.judged_calls import CHANNEL_OPTIONS, JudgedCalls
from tests.races.versions import (
    APPROVED_MINOR,
    BROKEN,
    OVERDUE_MINOR,
    OWED_MINOR,
    account_of,
    due_date,
    text_of,
)
from tests.workers.served_workers import ServedWorkers

ACCOUNTS: Final = 4
ROUNDS: Final = 4
WRITTEN_AT_ONCE: Final = 12
"""How many versions are written one right after the other; the last stays."""

FIRST: Final = 12
"""The version that flags the orders with which the accounts are set up: their sums have to be held."""


class PolicyFile:
    """The file that the service reads; it is replaced as editors and deployments do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = FIRST
        path.write_text(text_of(FIRST))

    def write_in_place(self, text: str) -> None:
        self.path.write_text(text)

    def replace(self, text: str) -> None:
        beside = self.path.with_suffix(".new")
        beside.write_text(text)
        beside.replace(self.path)

    def write_next(self) -> None:
        self.version += 1
        write = self.write_in_place if self.version % 2 else self.replace
        write(text_of(self.version))


@pytest.fixture
def policy_file(tmp_path: Path) -> PolicyFile:
    return PolicyFile(tmp_path / "policy.yaml")


@pytest.fixture(params=["one process", "two workers"])
def target(
    request: pytest.FixtureRequest, tmp_path: Path, private_redis: PrivateRedis, policy_file: PolicyFile
) -> Iterator[str]:
    """Where a service listens that reads the file, as one process or with workers that each read it."""
    settings = {"redis_url": private_redis.url, "policy_file": str(policy_file.path)}
    if request.param == "one process":
        process = ServiceProcess(tmp_path, **settings)
        process.start()
        yield process.target
        process.close()
    else:
        workers = ServedWorkers(tmp_path, **settings)
        workers.start()
        yield workers.address
        workers.close()


def put_account(target: str, account_id: str) -> None:
    """Make an account with debts, overdue ones among them, and with something approved today."""
    with grpc.insecure_channel(target, options=CHANNEL_OPTIONS) as channel:
        receivables = ReceivablesServiceStub(channel)
        AdminServiceStub(channel).PutAccount(PutAccountRequest(account=account_of(account_id)))
        receivables.PostReceivable(
            PostReceivableRequest(account_id=account_id, document_id="d1", amount_minor=OWED_MINOR, currency_code="USD")
        )
        as_of = Timestamp()
        as_of.GetCurrentTime()
        receivables.UpdateAging(
            UpdateAgingRequest(
                account_id=account_id, overdue_minor=OVERDUE_MINOR, oldest_due_date=due_date(), as_of=as_of
            )
        )
        earlier = ReserveCreditRequest(
            account_id=account_id, order_id="earlier", amount_minor=APPROVED_MINOR, currency_code="USD"
        )
        assert CreditServiceStub(channel).ReserveCredit(earlier).decision.outcome == OUTCOME_FLAGGED


def test_each_decision_is_explained_by_one_version(
    target: str, policy_file: PolicyFile, new_id: Callable[[str], str]
) -> None:
    accounts = [new_id("acc") for _ in range(ACCOUNTS)]
    for account_id in accounts:
        put_account(target, account_id)
    with JudgedCalls(target, accounts) as calls:
        calls.wait_for_more(1)
        for round_number in range(ROUNDS):
            for _ in range(WRITTEN_AT_ONCE):
                policy_file.write_next()
            calls.wait_for_all(lambda caller: caller.version == policy_file.version and not caller.sees_problem)
            if round_number % 2:
                policy_file.replace(BROKEN)
                calls.wait_for_all(lambda caller: caller.sees_problem)
                calls.wait_for_more(1)
    assert {caller.version for caller in calls.callers} == {policy_file.version}
