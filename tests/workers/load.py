"""Callers that call without pause, some through the client and some without its repeating."""

import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

import grpc

from creditgate.client import CreditCallError, CreditClient
from creditgate.v1.credit_service_pb2 import GetAccountRequest
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from tests.patience import PATIENCE_S
from tests.waiting import wait_until

CALLERS_ONCE: Final = 4
_CALLERS_OF_CLIENT: Final = 2
_PAUSE_S: Final = 0.005
_ONE_ATTEMPT: Final = (
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 50),
)


def open_channels(address: str, count: int, stack: ExitStack) -> list[CreditServiceStub]:
    """Return stubs with a connection each, on which a call is sent once."""
    channels = [stack.enter_context(grpc.insecure_channel(address, options=_ONE_ATTEMPT)) for _ in range(count)]
    return [CreditServiceStub(channel) for channel in channels]


class Load:
    """Reads an account from the beginning to the end of a `with`.

    Attributes:
        failures: what calls through the client ended with.
        raw_codes: what calls that are sent once ended with, if not well.
        interruptions: how often such a call ended not well while the one before it on its connection had ended well.

    """

    def __init__(self, address: str, account_id: str) -> None:
        self.failures: list[CreditCallError] = []
        self.raw_codes: set[grpc.StatusCode] = set()
        self.interruptions = 0
        self.answered = 0
        self._address = address
        self._account_id = account_id
        self._stop = threading.Event()
        targets = [self._call_through_client] * _CALLERS_OF_CLIENT + [self._call_once] * CALLERS_ONCE
        self._threads = [threading.Thread(target=target, daemon=True) for target in targets]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)
        assert not any(thread.is_alive() for thread in self._threads)

    def wait_for_more(self, calls: int) -> None:
        """Wait until so many further calls have been answered."""
        wanted = self.answered + calls
        wait_until(lambda: self.answered >= wanted)

    def _call_through_client(self) -> None:
        with CreditClient(self._address, timeout_s=PATIENCE_S) as client:
            while not self._stop.wait(_PAUSE_S):
                try:
                    client.get_account(self._account_id)
                except CreditCallError as error:
                    self.failures.append(error)
                else:
                    self.answered += 1

    def _call_once(self) -> None:
        with ExitStack() as stack:
            (stub,) = open_channels(self._address, 1, stack)
            well = True
            while not self._stop.wait(_PAUSE_S):
                try:
                    stub.GetAccount(GetAccountRequest(account_id=self._account_id), timeout=PATIENCE_S)
                except grpc.RpcError as error:
                    self.raw_codes.add(error.code())
                    self.interruptions += well
                    well = False
                else:
                    self.answered += 1
                    well = True
