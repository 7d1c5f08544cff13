"""One account as the contract wants it, from before it was put: its orders, its ledger and their sums.

Sums are added up over the orders each time.
"""

from typing import Final

from creditgate.store.constants import EffectKind
from creditgate.v1.decision_pb2 import (
    OUTCOME_APPROVED,
    OUTCOME_REJECTED,
    REASON_CODE_LIMIT_EXCEEDED,
    REASON_CODE_LIMIT_NOT_SET,
)
from creditgate.v1.reservation_pb2 import (
    RESERVATION_STATE_COMMITTED,
    RESERVATION_STATE_EXPIRED,
    RESERVATION_STATE_HELD,
    RESERVATION_STATE_RELEASED,
)
from tests.history.readings import (
    MS_PER_S,
    AccountReading,
    AmendReading,
    DecisionReading,
    EntryReading,
    Happened,
    OrderReading,
    ReasonReading,
    ReservationReading,
    SumsReading,
)

HELD: Final = RESERVATION_STATE_HELD
COMMITTED: Final = RESERVATION_STATE_COMMITTED
RELEASED: Final = RESERVATION_STATE_RELEASED
EXPIRED: Final = RESERVATION_STATE_EXPIRED
REJECTED: Final = 0
"""The state in the journal of an order that was rejected; it is not kept."""


def etag_of(order: OrderReading) -> str:
    """An etag names the decision that made a reservation, and how many changes it has seen since."""
    return f"{order.decision.decide_ms:x}.{order.revision:x}"


def net(amount_minor: int, secured_minor: int) -> int:
    """The part of an amount that no security covers; security covers what is invoiced first."""
    return max(0, amount_minor - secured_minor)


def held_for(amount_minor: int, committed_minor: int, secured_minor: int) -> int:
    """The exposure of what is not invoiced yet."""
    return max(0, net(amount_minor, secured_minor) - net(committed_minor, secured_minor))


def end_of_hold(now_ms: int, hold_s: int) -> int:
    """The second at which a hold ends: a whole one, and never less time than was asked for."""
    return -(-now_ms // MS_PER_S) + hold_s


def state_at(order: OrderReading, now_s: int) -> int:
    """The state that a reservation reads as: a hold ends in its second, settled or not."""
    return EXPIRED if order.state == HELD and now_s >= order.expire_s else order.state


def reservation_reads(order_id: str, order: OrderReading, now_s: int) -> ReservationReading:
    """Return a reservation as it reads at a second."""
    state = state_at(order, now_s)
    held = state == HELD
    create_ms = order.decision.decide_ms
    return ReservationReading(
        order_id,
        state,
        order.amount_minor,
        order.secured_minor,
        order.committed_minor,
        max(0, order.amount_minor - order.committed_minor) if held else 0,
        order.held_minor if held else 0,
        create_ms,
        order.expire_s,
        etag_of(order),
        order.decision,
    )


class ExpectedAccount:
    """One account, from before it was put."""

    def __init__(self) -> None:
        self.exists = False
        self.display_name = ""
        self.limit_minor: int | None = None
        self.unlimited = False
        self.receivable_minor = 0
        self.secured_receivable_minor = 0
        self.orders: dict[str, OrderReading] = {}
        self.entries: dict[str, EntryReading] = {}
        self.amends: dict[tuple[str, str], AmendReading] = {}
        self._held: set[str] = set()

    # --- what it says of itself

    def reserved_minor(self, now_s: int) -> int:
        """Exposure held at a second."""
        held = (self.orders[order_id] for order_id in self._held)
        return sum(order.held_minor for order in held if order.expire_s > now_s)

    def exposure_minor(self, now_s: int) -> int:
        """Reserved plus receivable; a negative receivable counts as 0."""
        return self.reserved_minor(now_s) + max(0, self.receivable_minor)

    def reads(self, now_s: int) -> AccountReading:
        """Return the account as it reads at a second."""
        return AccountReading(
            self.display_name,
            self.limit_minor,
            self.unlimited,
            self.reserved_minor(now_s),
            self.receivable_minor,
            self.secured_receivable_minor,
            0,
        )

    def sums(self, now_s: int, reserved_change: int = 0, receivable_change: int = 0, secured: int = 0) -> SumsReading:
        """Return the sums at a second, with changes to them."""
        return SumsReading(
            self.reserved_minor(now_s) + reserved_change,
            self.receivable_minor + receivable_change,
            self.secured_receivable_minor + secured,
            0,
        )

    def judge(self, added_minor: int, now_ms: int, *, judged: bool = True) -> DecisionReading:
        """Decide about so much more exposure; what is not judged is approved."""
        now_s = now_ms // MS_PER_S
        reasons = []
        limit_minor = None if self.unlimited else self.limit_minor
        exposure_minor = self.exposure_minor(now_s) + added_minor
        if judged and limit_minor is None and not self.unlimited:
            reasons.append(ReasonReading(REASON_CODE_LIMIT_NOT_SET, 0, 0))
        if judged and limit_minor is not None and added_minor > 0 and exposure_minor > limit_minor:
            reasons.append(ReasonReading(REASON_CODE_LIMIT_EXCEEDED, exposure_minor, limit_minor))
        return DecisionReading(
            OUTCOME_REJECTED if reasons else OUTCOME_APPROVED,
            tuple(reasons),
            limit_minor,
            self.unlimited,
            self.reserved_minor(now_s),
            self.receivable_minor,
            now_ms,
        )

    # --- what happens to it

    def settle(self, order_id: str, now_s: int) -> Happened | None:
        """Return what the sweeper does at a second to a hold whose time is over; None: it must leave it alone."""
        order = self.orders.get(order_id)
        if order is None or order.state != HELD or state_at(order, now_s) != EXPIRED:
            return None
        settled = order._replace(state=EXPIRED, held_minor=0)
        return Happened(EffectKind.EXPIRED, order_id, sums=self.sums(now_s), order=settled)

    def take(self, happened: Happened) -> None:
        """Carry out an effect."""
        if happened.account is not None:
            self.exists = True
            self.display_name, self.limit_minor, self.unlimited = happened.account[:3]
        if happened.sums is not None:
            self.receivable_minor = happened.sums.receivable_minor
            self.secured_receivable_minor = happened.sums.secured_receivable_minor
        if happened.kind in {EffectKind.REJECTED, EffectKind.AMEND_REJECTED}:
            return
        if happened.order is not None:
            self._keep(happened.name, happened.order)
        if happened.entry is not None:
            document = f"d:{happened.of}" if happened.kind is EffectKind.COMMITTED else happened.name
            self.entries[document] = happened.entry
        if happened.amend is not None and happened.of:
            self.amends[happened.name, happened.of] = happened.amend

    def _keep(self, order_id: str, order: OrderReading) -> None:
        self.orders[order_id] = order
        if order.state == HELD:
            self._held.add(order_id)
        else:
            self._held.discard(order_id)
