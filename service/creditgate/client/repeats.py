"""How often, and after which wait, the clients repeat by themselves what gRPC does not: the messages of streams."""

import math
import random
from typing import Final

import grpc

from creditgate.client.errors import CreditCallError

REPEATED_CODES: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
"""Codes of a stream that invite to open another one; CANCELLED as for single calls (see `channel.py`)."""

_WAIT_FIRST_S: Final = 0.05
_WAIT_SPREAD: Final = 0.2


class Repeats:
    """Counts how often in a row something was tried in vain.

    The waits are 50, 100, 200, ... ms, each ± 20 %, so that the callers of a service that comes back come one by one.

    Args:
        attempts_max: how often in a row it may be tried, the first time included.
        codes: after which errors it may be tried again.

    """

    def __init__(self, attempts_max: int, codes: frozenset[grpc.StatusCode] = REPEATED_CODES) -> None:
        self._attempts_max = attempts_max
        self._codes = codes
        self._failed = 0

    def succeeded(self) -> None:
        """Begin to count anew."""
        self._failed = 0

    def wait_after(self, error: CreditCallError, remaining_s: float = math.inf) -> float:
        """Return how many seconds to wait before the next attempt; raise the error when there is to be none.

        Args:
            error: what the attempt ended with.
            remaining_s: within how many seconds the next one has to begin.

        """
        self._failed += 1
        spread = random.uniform(1 - _WAIT_SPREAD, 1 + _WAIT_SPREAD)  # noqa: S311 - spreads load, keeps no secret
        wait_s = math.ldexp(_WAIT_FIRST_S, self._failed - 1) * spread
        if error.code not in self._codes or self._failed >= self._attempts_max or wait_s >= remaining_s:
            raise error
        return wait_s
