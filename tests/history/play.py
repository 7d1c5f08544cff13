"""Plays a history: clients call, blows fall, everything is recorded; then it is checked."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Final, NamedTuple

import grpc

from creditgate.store import PARTITIONS_DEFAULT
from creditgate.store.keys import partition_of
from creditgate.v1.admin_service_pb2 import VerifyAccountsRequest, VerifyAccountsResponse
from creditgate.v1.credit_service_pb2 import (
    GetAccountRequest,
    GetReservationRequest,
    GetReservationResponse,
    ListReservationsRequest,
    ListReservationsResponse,
)
from tests.faults.conftest import Site
from tests.history.caller import Caller
from tests.history.calls import Call, ClockDrift, Listing, now
from tests.history.check import Evidence, Findings, check_history
from tests.history.clients import DEADLINES_S, Clients
from tests.history.drafts import LIMITS_MINOR, put_account
from tests.history.faults import Blow
from tests.history.journal_reader import JournalReader

_PATIENT_S: Final = 10.0
_PAGE: Final = 500


class Played(NamedTuple):
    """What came of a play: the names of the blows, and what the check found."""

    blows: list[str]
    findings: Findings


def play(site: Site, seed: str, blows: Iterable[Blow], answers_between: int) -> Played:
    """Let clients call, and a blow fall after every so many answers; then check what they were told.

    The site must serve. It is left serving, with accounts of names that begin with `seed`.
    """
    evidence, struck = record(site, seed, blows, answers_between)
    return Played(struck, check_history(evidence))


def record(
    site: Site, seed: str, blows: Iterable[Blow], answers_between: int, deadlines_s: Sequence[float] = DEADLINES_S
) -> tuple[Evidence, list[str]]:
    """Play, and return what was recorded and the names of the blows."""
    account_ids = [f"{seed}-{name}" for name in range(len(LIMITS_MINOR))]
    partitions = {partition_of(account_id, PARTITIONS_DEFAULT) for account_id in account_ids}
    drift = ClockDrift()
    drift.sample()
    reader = JournalReader(site.redis_url, partitions, drift.sample)
    steady = Caller("steady", site.service.target, Random(seed), (_PATIENT_S,))
    evidence, struck = Evidence(), list[str]()
    try:
        reader.start()
        for account_id, limit_minor in zip(account_ids, LIMITS_MINOR, strict=True):
            steady.insist(steady.admin.PutAccount, put_account(account_id, limit_minor))
        with Clients(site.service.target, seed, account_ids, deadlines_s) as clients:
            for blow in blows:
                clients.wait_for_answers(answers_between)
                blow.strike(site)
                site.service.wait_health("SERVING")
                struck.append(blow.name)
            clients.wait_for_answers(answers_between)
        _read_all(steady, account_ids, evidence)
        reader.finish()
        evidence.journal, unasked = reader.effects_on(frozenset(account_ids))
        evidence.faults += unasked + reader.lost()
    finally:
        reader.close()
        steady.close()
    drift.sample()
    evidence.calls = steady.calls + clients.calls
    evidence.chunks = clients.chunks
    evidence.slack_ms = drift.slack_ms
    return evidence, struck


def _read_all(steady: Caller, account_ids: Sequence[str], evidence: Evidence) -> None:
    """Record what the API shows in the end, and what the service itself finds wrong."""
    try:
        evidence.listings = [_read_account(steady, account_id) for account_id in account_ids]
        evidence.faults = _verify(steady, account_ids)
    except grpc.RpcError as error:
        evidence.faults.append(f"the accounts can't be read in the end: {error}")


def _read_account(steady: Caller, account_id: str) -> Listing:
    """Read an account and all its reservations, each as a call of its own."""
    steady.insist(steady.credit.GetAccount, GetAccountRequest(account_id=account_id))
    request = ListReservationsRequest(account_id=account_id, page_size=_PAGE)
    order_ids: set[str] = set()
    while True:
        begun = now()
        page: ListReservationsResponse = steady.read(steady.credit.ListReservations, request)
        for reservation in page.reservations:
            order_ids.add(reservation.order_id)
            reading = GetReservationRequest(account_id=account_id, order_id=reservation.order_id)
            call = Call(steady.name, reading, begun)
            call.end(GetReservationResponse(reservation=reservation))
            steady.calls.append(call)
        if not page.next_page_token:
            return Listing(account_id, frozenset(order_ids))
        request.page_token = page.next_page_token


def _verify(steady: Caller, account_ids: Sequence[str]) -> list[str]:
    """Return the sums that the service itself finds wrong."""
    response: VerifyAccountsResponse = steady.read(
        steady.admin.VerifyAccounts, VerifyAccountsRequest(account_ids=account_ids)
    )
    assert response.verified == len(account_ids)
    return [f"VerifyAccounts: {' '.join(str(difference).split())}" for difference in response.differences]
