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
from tests.faults.load import Load, until_answered
from tests.patience import PATIENCE_S

ENDS_OF_A_HANG = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
CALLERS = 24
END_S_MAX = 20.0
"""Far above the time-outs in play, so that a slow machine is no failure; nothing else ends a call before FAR_S."""

FAR_S = 60.0


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
    new_external: Callable[..., ExternalSite], new_id: Callable[[str], str], deadline_s: float | None
) -> None:
    external = new_external(redis_timeout="0.5")
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
        with CreditClient(service.target, timeout_s=PATIENCE_S) as client:
            until_answered(lambda: client.put_account(account_id, currency_code="USD", base_limit_minor=1000))
        external.redis.freeze()
        begun = [
            pool.submit(end_of, partial(stub.ReserveCredit, order(account_id, number), timeout=deadline_s))
            for number in range(CALLERS)
        ]
        ends = [each.result(FAR_S) for each in begun]
        assert {code for code, _ in ends} <= ENDS_OF_A_HANG
        # Without a deadline of the client, the time-out for Redis of 0.5 s ends the call.
        assert max(seconds for _, seconds in ends) < END_S_MAX
        service.wait_health("NOT_SERVING")
        code, _ = end_of(lambda: stub.GetAccount(GetAccountRequest(account_id=account_id), timeout=FAR_S))
        assert code is grpc.StatusCode.UNAVAILABLE
        external.redis.thaw()
        service.wait_health("SERVING")
        load.wait_for_more(100)
    assert service.pid == pid
    load.check(service.target)
    with CreditClient(service.target, timeout_s=PATIENCE_S) as client:
        # Some were held although nobody was told, some were not: asked again, all are, once.
        for number in range(CALLERS):
            reserve = partial(client.reserve_credit, account_id, f"o{number}", amount_minor=1, currency_code="USD")
            until_answered(reserve)
        account = until_answered(lambda: client.get_account(account_id).account)
    assert account.exposure.reserved_minor == CALLERS


def test_redis_stopped_and_started_again_is_found_again(external: ExternalSite, new_id: Callable[[str], str]) -> None:
    service = external.service
    pid = service.pid
    with Load(service.target, new_id) as load, CreditClient(service.target, timeout_s=PATIENCE_S) as client:
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
