"""SIGTERM under load: what is under way is answered, the process ends well, and nothing stays behind."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc

from creditgate.client import CreditCallError, CreditClient
from creditgate.v1.decision_pb2 import OUTCOME_APPROVED
from tests.faults.conftest import EmbeddedSite, ExternalSite
from tests.faults.load import Load, until_answered
from tests.killable import has_ended
from tests.patience import PATIENCE_S
from tests.waiting import wait_until

CALLERS = 24


def test_calls_under_way_are_answered_before_the_service_ends(
    external: ExternalSite, new_id: Callable[[str], str]
) -> None:
    service, account_id = external.service, new_id("stop")
    with CreditClient(service.target, timeout_s=PATIENCE_S) as client, ThreadPoolExecutor(CALLERS) as pool:
        client.put_account(account_id, currency_code="USD", unlimited=True)
        external.redis.freeze()
        begun = [
            pool.submit(client.reserve_credit, account_id, f"o{number}", amount_minor=3, currency_code="USD")
            for number in range(CALLERS)
        ]
        wait_until(lambda: service.rpcs_in_flight() >= CALLERS)
        service.terminate()
        external.redis.thaw()
        answers = [each.result(PATIENCE_S) for each in begun]
        assert {answer.decision.outcome for answer in answers} == {OUTCOME_APPROVED}
    assert service.wait_exit() == 0
    service.start()
    with CreditClient(service.target, timeout_s=PATIENCE_S) as client:
        account = until_answered(lambda: client.get_account(account_id).account)
    assert account.exposure.reserved_minor == 3 * CALLERS


def test_a_stop_under_load_loses_nothing_and_takes_the_embedded_redis_along(
    embedded: EmbeddedSite, new_id: Callable[[str], str]
) -> None:
    service, redis_pid = embedded.service, embedded.redis_pid
    with Load(service.target, new_id) as load:
        load.wait_for_more(100)
        service.terminate()
        assert service.wait_exit() == 0
        assert has_ended(redis_pid)
        service.start()
        load.wait_for_more(100)
    load.check(service.target)


def test_a_call_that_a_stopping_service_does_not_answer_has_done_nothing(
    embedded: EmbeddedSite, new_id: Callable[[str], str]
) -> None:
    service, account_id = embedded.service, new_id("stop")
    answered: set[str] = set()
    codes: set[grpc.StatusCode] = set()
    with CreditClient(service.target, timeout_s=PATIENCE_S) as client:
        client.put_account(account_id, currency_code="USD", unlimited=True)

        def ask(worker: int) -> None:
            for number in itertools.count():
                order_id = f"o{worker}.{number}"
                try:
                    client.reserve_credit(account_id, order_id, amount_minor=1, currency_code="USD")
                except CreditCallError as error:
                    codes.add(error.code)
                    return
                answered.add(order_id)

        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(ask, worker) for worker in range(8)]
            wait_until(lambda: len(answered) >= 100)
            service.terminate()
            for each in asking:
                each.result(PATIENCE_S)
    assert service.wait_exit() == 0
    # CANCELLED is how gRPC ends calls that reach a stopping server after it took its last one.
    assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    service.start()
    with CreditClient(service.target, timeout_s=PATIENCE_S) as client:
        account = until_answered(lambda: client.get_account(account_id).account)
        held = {each.order_id for each in client.list_reservations(account_id, page_size=1000)}
    assert held == answered
    assert account.exposure.reserved_minor == len(answered)
