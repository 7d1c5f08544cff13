"""Clients that call without pause, all on the same few accounts. What ends unanswered is asked again or given up."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from types import TracebackType
from typing import Final, Self

from creditgate.v1.credit_service_pb2 import (
    AmendReservationResponse,
    CommitReservationResponse,
    GetAccountResponse,
    GetReservationResponse,
    ReleaseReservationResponse,
    ReserveCreditResponse,
)
from creditgate.v1.receivables_service_pb2 import (
    PostReceivableResponse,
    RecordCreditNoteResponse,
    RecordPaymentResponse,
)
from tests.history.book import Book
from tests.history.caller import Caller
from tests.history.calls import Answer, Call, Chunk, Request
from tests.history.causes import account_of
from tests.history.drafts import Drafts

CLIENTS: Final = 8
DEADLINES_S: Final = (0.2, 0.5, 1.0)
"""Shorter and longer than what Redis may take to answer."""

_ABANDONED: Final = 0.3
_ASKED_AGAIN: Final = 0.05
"""How often a client asks again although it was answered."""

_PAUSE_S: Final = 0.05
_POLL_S: Final = 0.02
_GIVE_UP_S: Final = 60.0


class _Client:
    """One client: draws what to do, does it, and lets the others know what it has seen."""

    def __init__(self, caller: Caller, random: Random, account_ids: Sequence[str], book: Book) -> None:
        self.caller = caller
        self._drafts = Drafts(caller.name, random, account_ids, book)
        self._random = random
        self._book = book
        self._stop = threading.Event()
        credit, receivables, drafts = self.caller.credit, self.caller.receivables, self._drafts
        self._acts: dict[Callable[[], None], int] = {
            self._settling(credit.ReserveCredit, drafts.reserve): 30,
            self._reserve_batch: 6,
            self._reserve_stream: 6,
            self._settling(credit.AmendReservation, drafts.amend): 14,
            self._settling(credit.CommitReservation, drafts.commit): 14,
            self._settling(credit.ReleaseReservation, drafts.release): 8,
            self._settling(receivables.PostReceivable, drafts.post): 4,
            self._settling(receivables.RecordPayment, drafts.pay): 12,
            self._settling(receivables.RecordCreditNote, drafts.credit_note): 3,
            self._import: 4,
            self._settling(self.caller.admin.PutAccount, drafts.put_limit): 2,
            self._settling(credit.GetReservation, drafts.get_reservation): 4,
            self._settling(credit.GetAccount, drafts.get_account): 4,
        }

    def stop(self) -> None:
        """Let the call under way be the last one."""
        self._stop.set()

    def run(self) -> None:
        """Call until stopped."""
        acts, weights = list(self._acts), list(self._acts.values())
        while not self._stop.is_set():
            self._random.choices(acts, weights)[0]()

    def _settling(self, rpc: Callable[..., Answer], draw: Callable[[], Request]) -> Callable[[], None]:
        return lambda: self._settle(rpc, draw())

    def _settle(self, rpc: Callable[..., Answer], request: Request) -> None:
        """Ask until there is an answer, or give up; now and then ask once more."""
        while self._ask(rpc, request).unanswered:
            if self._stop.is_set() or self._random.random() < _ABANDONED:
                return
            self._stop.wait(_PAUSE_S)
        if self._random.random() < _ASKED_AGAIN:
            self._ask(rpc, request)

    def _ask(self, rpc: Callable[..., Answer], request: Request) -> Call:
        call = self.caller.ask(rpc, request)
        self._learn(call)
        return call

    def _reserve_batch(self) -> None:
        self._settle_rest(self.caller.ask_batch(self._drafts.reserve_several()))

    def _reserve_stream(self) -> None:
        self._settle_rest(self.caller.ask_stream(self._drafts.reserve_several()))

    def _settle_rest(self, calls: Sequence[Call]) -> None:
        """Ask for each order of several that was not answered, or give it up."""
        for call in calls:
            self._learn(call)
            if call.unanswered and self._random.random() >= _ABANDONED:
                self._settle(self.caller.credit.ReserveCredit, call.request)

    def _import(self) -> None:
        self.caller.import_items(self._drafts.open_items())

    def _learn(self, call: Call) -> None:
        """Let the other clients know what was seen."""
        answer = call.answer
        if isinstance(
            answer, PostReceivableResponse | RecordPaymentResponse | RecordCreditNoteResponse | GetAccountResponse
        ):
            self._book.note_exposure(answer.account.account_id, answer.account.exposure)
        elif isinstance(answer, ReserveCreditResponse | AmendReservationResponse):
            self._book.note_exposure(account_of(call.request), answer.decision.exposure)
        if isinstance(
            answer,
            ReserveCreditResponse
            | AmendReservationResponse
            | CommitReservationResponse
            | ReleaseReservationResponse
            | GetReservationResponse,
        ):
            self._book.note_reservation(answer.reservation)


class Clients:
    """All clients; they run from the beginning to the end of a `with`."""

    def __init__(self, target: str, seed: str, account_ids: Sequence[str], deadlines_s: Sequence[float]) -> None:
        book = Book()
        self._clients = []
        for name in (f"c{number}" for number in range(CLIENTS)):
            random = Random(f"{seed} {name}")
            self._clients.append(_Client(Caller(name, target, random, deadlines_s), random, account_ids, book))
        self._pool = ThreadPoolExecutor(CLIENTS, "client")
        self._running: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._running = [self._pool.submit(client.run) for client in self._clients]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.stop()
        self._pool.shutdown()
        for client in self._clients:
            client.caller.close()
        if error is None:
            self._raise_failure()

    @property
    def answered(self) -> int:
        """How many calls were answered."""
        return sum(client.caller.answered for client in self._clients)

    @property
    def calls(self) -> list[Call]:
        """Everything that was asked."""
        return [call for client in self._clients for call in client.caller.calls]

    @property
    def chunks(self) -> list[Chunk]:
        """Everything that was imported."""
        return [chunk for client in self._clients for chunk in client.caller.chunks]

    def wait_for_answers(self, count: int) -> None:
        """Wait until so many further calls were answered."""
        give_up = time.monotonic() + _GIVE_UP_S
        wanted = self.answered + count
        while self.answered < wanted:
            self._raise_failure()
            assert time.monotonic() < give_up, f"{wanted - self.answered} answers are missing"
            threading.Event().wait(_POLL_S)

    def _raise_failure(self) -> None:
        for future in self._running:
            if future.done():
                future.result()
