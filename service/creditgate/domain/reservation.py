"""Exposure held for one order."""

from enum import IntEnum, unique
from typing import NamedTuple

from creditgate.domain.decision import Decision


@unique
class ReservationState(IntEnum):
    """Where a reservation is in its life; numbers are those of `creditgate.v1.ReservationState`."""

    HELD = 1
    PENDING_REVIEW = 2
    COMMITTED = 3
    RELEASED = 4
    EXPIRED = 5
    REFUSED = 6


class Etag(NamedTuple):
    """Which state of a reservation was read: when it was decided, and how many changes it had seen."""

    decide_time_ms: int
    revision: int


class Reservation(NamedTuple):
    """A reservation as it is now; a hold whose time is over reads as EXPIRED.

    `amount_minor`, `secured_minor`, `committed_minor` and `remaining_minor` are in minor units of the order's currency,
    `exposure_minor` in those of the account's, converted at `rate`. `pending_amount_minor` is the total that an amend
    asks for and a person has to decide about, 0 when none waits. `expire_time_s` is a whole second, `revision` grows
    with every change.
    """

    account_id: str
    order_id: str
    state: ReservationState
    currency_code: str
    amount_minor: int
    secured_minor: int
    committed_minor: int
    remaining_minor: int
    exposure_minor: int
    rate: str
    pending_amount_minor: int
    create_time_ms: int
    expire_time_s: int
    revision: int
    decision: Decision

    @property
    def etag(self) -> Etag:
        """This state of the reservation."""
        return Etag(self.create_time_ms, self.revision)
