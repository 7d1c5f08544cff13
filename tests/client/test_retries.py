"""When a client repeats a call, and when it does not."""

import asyncio
from collections.abc import Callable

import grpc
import pytest

from creditgate.client import AsyncCreditClient, CreditCallError, CreditClient
from creditgate.v1.account_pb2 import Account
from creditgate.v1.credit_service_pb2 import GetAccountResponse
from tests.client.scripted_service import Failure, ScriptedService
from tests.patience import PATIENCE_S

UNAVAILABLE = Failure(grpc.StatusCode.UNAVAILABLE)
ANSWER = GetAccountResponse(account=Account(account_id="acme"))

TRIES = 4
"""How often something is tried that has to be done within a second: the machine may have other things to do then."""

REPEATED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def test_unavailable_is_repeated_until_there_is_an_answer(scripted: ScriptedService) -> None:
    scripted.script("GetAccount", UNAVAILABLE, UNAVAILABLE, ANSWER)
    with CreditClient(scripted.address, timeout_s=PATIENCE_S) as client:
        assert client.get_account("acme") == ANSWER
    assert len(scripted.requests) == 3


async def test_unavailable_is_repeated_by_the_asyncio_client(scripted: ScriptedService) -> None:
    scripted.script("GetAccount", UNAVAILABLE, UNAVAILABLE, ANSWER)
    async with AsyncCreditClient(scripted.address, timeout_s=PATIENCE_S) as client:
        assert await client.get_account("acme") == ANSWER
    assert len(scripted.requests) == 3


@pytest.mark.parametrize("method", ["RecordPayment", "CloseAccount"])
def test_every_service_of_the_contract_is_repeated(scripted: ScriptedService, method: str) -> None:
    scripted.script(method, UNAVAILABLE, Failure(grpc.StatusCode.ABORTED))
    with CreditClient(scripted.address, timeout_s=PATIENCE_S) as client:
        calls: dict[str, Callable[[], object]] = {
            "RecordPayment": lambda: client.record_payment("acme", "p", amount_minor=1, currency_code="USD"),
            "CloseAccount": lambda: client.close_account("acme"),
        }
        with pytest.raises(CreditCallError):
            calls[method]()
    assert len(scripted.requests) == 2


def test_five_attempts_are_the_most(scripted: ScriptedService) -> None:
    scripted.script("GetAccount", UNAVAILABLE)
    with CreditClient(scripted.address, timeout_s=PATIENCE_S) as client, pytest.raises(CreditCallError) as raised:
        client.get_account("acme")
    assert raised.value.code is grpc.StatusCode.UNAVAILABLE
    assert len(scripted.requests) == 5


def test_repeats_end_with_the_deadline(scripted: ScriptedService) -> None:
    scripted.script("GetAccount", UNAVAILABLE)
    with CreditClient(scripted.address, timeout_s=0.03) as client, pytest.raises(CreditCallError):
        client.get_account("acme")
    assert len(scripted.requests) < 5


def test_a_call_that_a_stopping_server_cancelled_is_repeated(scripted: ScriptedService) -> None:
    scripted.script("GetAccount", Failure(grpc.StatusCode.CANCELLED))
    with CreditClient(scripted.address, timeout_s=PATIENCE_S) as client, pytest.raises(CreditCallError):
        client.get_account("acme")
    assert len(scripted.requests) == 5


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code not in REPEATED | {grpc.StatusCode.OK}])
def test_nothing_else_is_repeated(scripted: ScriptedService, code: grpc.StatusCode) -> None:
    scripted.script("GetAccount", Failure(code))
    with CreditClient(scripted.address, timeout_s=PATIENCE_S) as client, pytest.raises(CreditCallError) as raised:
        client.get_account("acme")
    assert raised.value.code is code
    assert len(scripted.requests) == 1


async def test_while_a_service_stays_away_its_callers_stop_repeating(scripted: ScriptedService) -> None:
    scripted.script("GetAccount", UNAVAILABLE)
    async with AsyncCreditClient(scripted.address, timeout_s=PATIENCE_S) as client:
        outcomes = await asyncio.gather(*(client.get_account("acme") for _ in range(60)), return_exceptions=True)
        assert all(isinstance(outcome, CreditCallError) for outcome in outcomes)
        before = len(scripted.requests)
        with pytest.raises(CreditCallError):
            await client.get_account("acme")
    assert len(scripted.requests) == before + 1


async def test_a_service_that_comes_back_is_found_by_the_next_call(
    start_scripted: Callable[..., ScriptedService],
) -> None:
    service = start_scripted().script("GetAccount", ANSWER)
    async with AsyncCreditClient(service.address, timeout_s=PATIENCE_S) as client:
        assert await client.get_account("acme") == ANSWER
        found: list[bool] = []
        while not any(found) and len(found) < TRIES:
            service.stop()
            with pytest.raises(CreditCallError) as raised:
                await client.get_account("acme")
            assert raised.value.code is grpc.StatusCode.UNAVAILABLE
            assert raised.value.reason == ""
            service = start_scripted(port=service.port).script("GetAccount", ANSWER)
            found.append(await is_found(client))
    assert any(found)


async def is_found(client: AsyncCreditClient) -> bool:
    """Make a call; return whether it found the service within the second that its repeats take."""
    try:
        return await client.get_account("acme") == ANSWER
    except CreditCallError:
        return False


def test_a_service_that_was_never_there_is_told_at_once() -> None:
    with CreditClient("127.0.0.1:1", timeout_s=PATIENCE_S) as client, pytest.raises(CreditCallError) as raised:
        client.get_account("acme")
    assert raised.value.code is grpc.StatusCode.UNAVAILABLE
