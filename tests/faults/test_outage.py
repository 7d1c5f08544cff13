"""Redis hangs or is gone: every call ends in time, and the service comes back by itself."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import pytest

from creditgate.client import CreditCallError, CreditClient
from creditgate.v1.credit_service_pb2 import GetAccountRequest, ReserveCreditRequest
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from tests.faults.conftest import ExternalSite
from tests.faults.load import Load

ENDS_OF_A_HANG = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
CALLERS = 24
SLACK_S = 2.0
FAR_S = 20.0


def end_of(call: Callable[[], object]) -> tuple[grpc.StatusCode, float]:
    """Return how a call ended, and after how many seconds."""
    begun = time.monotonic()
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), time.monotonic() - begun
    return grpc.StatusCode.OK, time.monotonic() - begun


def order(account_id: str, number: int) -> ReserveCreditRequest:
    return ReserveCreditRequest(account_id=account_id, order_id=f"o{number}", amount_minor=1, currency_code="USD")


@pytest.mark.parametrize("deadline_s", [0.3, None], ids=["own-deadline", "no-deadline"])
def test_calls_end_while_redis_hangs_and_are_answered_when_it_goes_on(
    external: ExternalSite, new_id: Callable[[str], str], deadline_s: float | None
) -> None:
    service = external.service
    pid = service.pid
    with (
        Load(service.target, new_id) as load,
        grpc.insecure_channel(service.target) as channel,
        ThreadPoolExecutor(CALLERS) as pool,
    ):
        load.wait_for_more(20)
        stub = CreditServiceStub(channel)
        account_id = new_id("hang")
        with CreditClient(service.target) as client:
            client.put_account(account_id, currency_code="USD", base_limit_minor=1000)
        external.redis.freeze()
        begun = [
            pool.submit(end_of, partial(stub.ReserveCredit, order(account_id, number), timeout=deadline_s))
            for number in range(CALLERS)
        ]
        ends = [each.result(FAR_S) for each in begun]
        assert {code for code, _ in ends} <= ENDS_OF_A_HANG
        # Without a deadline of the client, Redis' own time-out of 0.5 s ends the call.
        assert max(seconds for _, seconds in ends) < (deadline_s or 0.5) + SLACK_S
        service.wait_health("NOT_SERVING")
        code, _ = end_of(lambda: stub.GetAccount(GetAccountRequest(account_id=account_id), timeout=FAR_S))
        assert code is grpc.StatusCode.UNAVAILABLE
        external.redis.thaw()
        service.wait_health("SERVING")
        load.wait_for_more(100)
    assert service.pid == pid
    load.check(service.target)
    with CreditClient(service.target) as client:
        # Some were held although nobody was told, some were not: asked again, all are, once.
        for number in range(CALLERS):
            client.reserve_credit(account_id, f"o{number}", amount_minor=1, currency_code="USD")
        assert client.get_account(account_id).account.exposure.reserved_minor == CALLERS


def test_redis_stopped_and_started_again_is_found_again(external: ExternalSite, new_id: Callable[[str], str]) -> None:
    service = external.service
    pid = service.pid
    with Load(service.target, new_id) as load, CreditClient(service.target) as client:
        load.wait_for_more(50)
        external.redis.kill()
        service.wait_health("NOT_SERVING")
        with pytest.raises(CreditCallError) as caught:
            client.get_account(new_id("any"))
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        external.redis.start(load=False)
        service.wait_health("SERVING")
        load.wait_for_more(50)
    assert service.pid == pid
    load.check(service.target)
