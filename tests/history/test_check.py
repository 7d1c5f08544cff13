"""The check itself: it finds nothing in a history as it was recorded, and whatever is changed in it afterwards."""

import copy
import dataclasses
import functools
import itertools
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from redis import Redis

from creditgate.store import PARTITIONS_DEFAULT
from creditgate.store.constants import EffectKind
from creditgate.store.journal import Effect
from creditgate.v1.admin_service_pb2 import PutAccountResponse
from creditgate.v1.credit_service_pb2 import (
    AmendReservationResponse,
    CommitReservationResponse,
    GetAccountResponse,
    GetReservationResponse,
    ReleaseReservationResponse,
    ReserveCreditResponse,
)
from creditgate.v1.receivables_service_pb2 import OpenItem, RecordPaymentResponse
from tests.faults.conftest import Site
from tests.history.calls import Answer, Call, Fault
from tests.history.causes import account_of, cause_of_call, cause_of_effect, must_have_effect
from tests.history.check import Evidence, check_history
from tests.history.faults import Blow
from tests.history.play import record
from tests.history.readings import JournaledEffect, read_answer
from tests.history.sites import external_site
from tests.store.journal import read_entries
from tests.waiting import wait_until

ANSWERS = 250
PATIENT_S = 10.0
MINUTE_MS = 60_000
MINUTE_NS = MINUTE_MS * 1_000_000
LOST = Fault(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
KINDS = (
    EffectKind.ACCOUNT_CHANGED,
    EffectKind.RESERVED,
    EffectKind.REJECTED,
    EffectKind.AMENDED,
    EffectKind.AMEND_REJECTED,
    EffectKind.COMMITTED,
    EffectKind.RELEASED,
    EffectKind.EXPIRED,
    EffectKind.RECORDED,
)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A history in which nothing went wrong."""
    with external_site(tmp_path_factory.mktemp("check")) as site:
        blows = [Blow("none", wait_for_all_kinds)]
        recorded, _ = record(site, "check", blows, ANSWERS, deadlines_s=(PATIENT_S,))
    return recorded


def wait_for_all_kinds(site: Site) -> None:
    """Let clients call until the journal has everything."""
    with Redis.from_url(site.redis_url) as client:
        wait_until(lambda: {effect.kind for effect in read_journal(client)} >= set(KINDS))


def read_journal(client: Redis) -> Iterator[Effect]:
    for partition in range(PARTITIONS_DEFAULT):
        yield from itertools.chain.from_iterable(read_entries(client, partition))


def found(evidence: Evidence) -> list[str]:
    return check_history(evidence).violations


def effect_of(evidence: Evidence, kind: EffectKind) -> JournaledEffect:
    """Return the middle one of the effects of a kind."""
    of_kind = [each for effects in evidence.journal for each in effects if each.effect.kind is kind]
    return of_kind[len(of_kind) // 2]


def of_account(evidence: Evidence, account_id: str) -> Evidence:
    """Return what is about one account."""
    return Evidence(
        [call for call in evidence.calls if account_of(call.request) == account_id],
        [[each for each in effects if each.effect.account_id == account_id] for effects in evidence.journal],
        [],
        [listing for listing in evidence.listings if listing.account_id == account_id],
    )


def with_effects(evidence: Evidence, effect: JournaledEffect, *instead: JournaledEffect) -> Evidence:
    """Return what is about the account of an effect, with others instead of this one."""
    narrowed = of_account(evidence, effect.effect.account_id)
    narrowed.journal = [
        [other for each in effects for other in (instead if each is effect else (each,))]
        for effects in narrowed.journal
    ]
    return narrowed


def call_of(evidence: Evidence, kind: type[Answer], *, effect: bool) -> Call:
    """Return the middle one of the calls with such an answer, which says that it had an effect or not."""
    of_kind = [
        call
        for call in evidence.calls
        if isinstance(call.answer, kind) and must_have_effect(read_answer(call.answer)) is effect
    ]
    return of_kind[len(of_kind) // 2]


def with_call(evidence: Evidence, call: Call, instead: Call) -> Evidence:
    """Return what is about the account of a call, with that call recorded otherwise."""
    narrowed = of_account(evidence, account_of(call.request))
    narrowed.calls = [instead if each is call else each for each in narrowed.calls]
    return narrowed


def altered(answer: Answer | None, path: str) -> Answer | None:
    """Return an answer with another value in the field at a path."""
    whole = copy.deepcopy(answer)
    *parents, name = path.split(".")
    parent = functools.reduce(getattr, parents, whole)
    value = getattr(parent, name)
    if isinstance(value, bool):
        setattr(parent, name, not value)
    elif isinstance(value, int):
        setattr(parent, name, value + 1)
    else:
        setattr(parent, name, f"{value}0")
    return whole


def moved(call: Call, minutes: int) -> Call:
    """Return a call as if it had been made at another time."""
    assert call.ended is not None
    begun, ended = (each._replace(store_ns=each.store_ns + minutes * MINUTE_NS) for each in (call.begun, call.ended))
    return dataclasses.replace(call, begun=begun, ended=ended)


def test_nothing_is_found_in_what_was_recorded(evidence: Evidence) -> None:
    findings = check_history(evidence)
    assert not findings.violations, findings.violations
    assert findings.tally.effects.keys() == {kind.name for kind in KINDS}
    assert findings.tally.calls == len(evidence.calls)
    assert findings.tally.unanswered == 0


def test_whether_an_answer_arrived_makes_no_difference(evidence: Evidence) -> None:
    calls = [
        call if index % 3 or isinstance(call.request, OpenItem) else dataclasses.replace(call, answer=LOST)
        for index, call in enumerate(evidence.calls)
    ]
    lossy = check_history(dataclasses.replace(evidence, calls=calls))
    assert not lossy.violations, lossy.violations
    assert lossy.tally.unanswered > lossy.tally.unanswered_with_effect > 0


# An order that the sweeper has not settled yet reads as one that it has: that effect may be missing.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not EffectKind.EXPIRED], ids=lambda kind: kind.name)
def test_an_effect_that_is_missing_is_found(evidence: Evidence, kind: EffectKind) -> None:
    assert found(with_effects(evidence, effect_of(evidence, kind)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_effect_that_is_there_twice_is_found(evidence: Evidence, kind: EffectKind) -> None:
    effect = effect_of(evidence, kind)
    assert found(with_effects(evidence, effect, effect, effect))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_effect_that_took_place_at_another_time_is_found(evidence: Evidence, kind: EffectKind) -> None:
    effect = effect_of(evidence, kind)
    earlier = effect._replace(effect=effect.effect._replace(time_ms=effect.effect.time_ms - MINUTE_MS))
    assert found(with_effects(evidence, effect, earlier))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("part", ["sums", "order", "entry", "amend", "account"])
def test_an_effect_that_does_not_follow_is_found(evidence: Evidence, kind: EffectKind, part: str) -> None:
    effect = effect_of(evidence, kind)
    whole: Any = getattr(effect.happened, part)
    for name, value in whole._asdict().items() if whole is not None else ():
        if isinstance(value, int):
            other = effect.happened._replace(**{part: whole._replace(**{name: value + 1})})
            assert found(with_effects(evidence, effect, effect._replace(happened=other))), name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_effect_that_nobody_asked_for_is_found(evidence: Evidence, kind: EffectKind) -> None:
    effect = effect_of(evidence, kind)
    if kind is EffectKind.EXPIRED:
        forged = effect._replace(update_s=effect.happened.order.expire_s - 1) if effect.happened.order else effect
        assert found(with_effects(evidence, effect, forged))
        return
    alone = of_account(evidence, effect.effect.account_id)
    alone.calls = [call for call in alone.calls if cause_of_call(call.request) != cause_of_effect(effect)]
    assert found(alone)


def test_effects_in_another_order_are_found(evidence: Evidence) -> None:
    effect = effect_of(evidence, EffectKind.RECORDED)
    alone = of_account(evidence, effect.effect.account_id)
    (effects,) = [effects for effects in alone.journal if effect in effects]
    place = effects.index(effect)
    effects[place - 1], effects[place] = effects[place], effects[place - 1]
    assert found(alone)


@pytest.mark.parametrize(
    ("kind", "path", "effect"),
    [
        (ReserveCreditResponse, "decision.exposure.reserved_minor", True),
        (ReserveCreditResponse, "replayed", True),
        (ReserveCreditResponse, "replayed", False),
        (ReserveCreditResponse, "reservation.expire_time.seconds", False),
        (AmendReservationResponse, "decision.exposure.reserved_minor", True),
        (AmendReservationResponse, "replayed", True),
        (CommitReservationResponse, "late", True),
        (CommitReservationResponse, "over_committed_minor", True),
        (CommitReservationResponse, "reservation.committed_minor", True),
        (ReleaseReservationResponse, "reservation.etag", True),
        (ReleaseReservationResponse, "replayed", True),
        (RecordPaymentResponse, "account.exposure.reserved_minor", True),
        (RecordPaymentResponse, "replayed", True),
        (PutAccountResponse, "account.exposure.reserved_minor", True),
        (GetAccountResponse, "account.exposure.reserved_minor", False),
        (GetReservationResponse, "reservation.etag", False),
    ],
)
def test_an_answer_that_does_not_fit_is_found(
    evidence: Evidence, kind: type[Answer], path: str, *, effect: bool
) -> None:
    call = call_of(evidence, kind, effect=effect)
    assert found(with_call(evidence, call, dataclasses.replace(call, answer=altered(call.answer, path))))


@pytest.mark.parametrize("minutes", [-1, 1])
def test_an_answer_to_a_call_of_another_time_is_found(evidence: Evidence, minutes: int) -> None:
    call = call_of(evidence, ReserveCreditResponse, effect=True)
    assert found(with_call(evidence, call, moved(call, minutes)))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(grpc.StatusCode.FAILED_PRECONDITION, "RESERVATION_NOT_HELD"),
        Fault(grpc.StatusCode.INTERNAL, "INTERNAL"),
        Fault(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN"),
    ],
)
def test_a_fault_that_hides_an_effect_is_found(evidence: Evidence, fault: Fault) -> None:
    call = call_of(evidence, ReserveCreditResponse, effect=True)
    assert found(with_call(evidence, call, dataclasses.replace(call, answer=fault)))


def test_a_call_that_a_stopping_service_turned_away_needs_no_reason(evidence: Evidence) -> None:
    call = call_of(evidence, GetReservationResponse, effect=False)
    turned_away = dataclasses.replace(call, answer=Fault(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN"))
    assert not found(with_call(evidence, call, turned_away))


def test_an_import_that_counts_otherwise_is_found(evidence: Evidence) -> None:
    miscounted = [dataclasses.replace(chunk, replayed=len(chunk.items) + 1) for chunk in evidence.chunks]
    assert found(dataclasses.replace(evidence, chunks=miscounted))


def test_an_order_that_is_not_listed_is_found(evidence: Evidence) -> None:
    cut = [dataclasses.replace(each, order_ids=frozenset(sorted(each.order_ids)[1:])) for each in evidence.listings]
    assert len(found(dataclasses.replace(evidence, listings=cut))) == len(cut)


def test_what_the_service_finds_itself_is_told(evidence: Evidence) -> None:
    assert found(dataclasses.replace(evidence, faults=["a sum differs"])) == ["a sum differs"]


def test_a_clock_that_was_set_widens_the_windows_by_as_much(evidence: Evidence) -> None:
    call = call_of(evidence, RecordPaymentResponse, effect=True)
    earlier = with_call(evidence, call, moved(call, -1))
    assert found(earlier)
    assert not found(dataclasses.replace(earlier, slack_ms=MINUTE_MS))
