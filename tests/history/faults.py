"""What goes wrong while clients call: the service and its Redis are killed and frozen, in ways that a seed draws."""

import threading
from collections.abc import Callable, Iterator
from random import Random
from typing import Final, NamedTuple

from tests.faults.conftest import Site

_FREEZES_S: Final = (0.05, 0.2, 0.6, 1.2)
"""Shorter and longer than the time-outs of the service, and than the deadlines of the clients."""

_LATER_S: Final = (0.0, 0.02, 0.1)
"""What a second blow waits after the first: calls get stuck meanwhile."""

_NEVER: Final = threading.Event()


class Blow(NamedTuple):
    """One thing that goes wrong, and is put right again."""

    name: str
    strike: Callable[[Site], None]


def draw_blows(random: Random) -> Iterator[Blow]:
    """Yield blows without end: in each turn every kind once or twice, in any order."""
    while True:
        for kind in random.sample(_TURN, BLOWS_PER_TURN):
            yield kind(random)


def _kill_service(_: Random) -> Blow:
    def strike(site: Site) -> None:
        site.service.kill()
        site.service.start()

    return Blow("service killed", strike)


def _kill_redis(_: Random) -> Blow:
    def strike(site: Site) -> None:
        site.kill_redis()
        site.bring_back()

    return Blow("redis killed", strike)


def _kill_both(_: Random) -> Blow:
    def strike(site: Site) -> None:
        site.service.kill()
        site.kill_redis()
        site.bring_back()
        site.service.start()

    return Blow("both killed", strike)


def _freeze_service(random: Random) -> Blow:
    seconds = random.choice(_FREEZES_S)

    def strike(site: Site) -> None:
        site.service.freeze()
        try:
            _NEVER.wait(seconds)
        finally:
            site.service.thaw()

    return Blow(f"service frozen {seconds} s", strike)


def _freeze_redis(random: Random) -> Blow:
    seconds = random.choice(_FREEZES_S)

    def strike(site: Site) -> None:
        site.freeze_redis()
        try:
            _NEVER.wait(seconds)
        finally:
            site.thaw_redis()

    return Blow(f"redis frozen {seconds} s", strike)


def _kill_service_at_frozen_redis(random: Random) -> Blow:
    """What the service had sent is carried out when nobody is there any more to answer it."""
    seconds = random.choice(_LATER_S)

    def strike(site: Site) -> None:
        site.freeze_redis()
        try:
            _NEVER.wait(seconds)
            site.service.kill()
        finally:
            site.thaw_redis()
        site.service.start()

    return Blow(f"service killed {seconds} s after redis froze", strike)


def _kill_redis_under_frozen_service(random: Random) -> Blow:
    """What clients had sent is taken up when Redis is another one."""
    seconds = random.choice(_LATER_S)

    def strike(site: Site) -> None:
        site.service.freeze()
        try:
            _NEVER.wait(seconds)
            site.kill_redis()
            site.bring_back()
        finally:
            site.service.thaw()

    return Blow(f"redis killed {seconds} s after the service froze", strike)


def _stop_service(_: Random) -> Blow:
    """The one blow that is none: a stop in order, which ends calls in ways of its own."""

    def strike(site: Site) -> None:
        site.service.terminate()
        site.service.wait_exit()
        site.service.start()

    return Blow("service stopped", strike)


# A start of the service takes the longest by far: blows without one come twice.
_TURN: Final = (
    _kill_service,
    _kill_both,
    _kill_service_at_frozen_redis,
    _stop_service,
    *[_kill_redis, _freeze_service, _freeze_redis, _kill_redis_under_frozen_service] * 2,
)
BLOWS_PER_TURN: Final = len(_TURN)
