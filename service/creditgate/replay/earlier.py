"""What an earlier play of the same file has already asked.

The service forgets a rejected order, as its contract says, so that asking again judges it anew: against what the
account owes now, not what it owed then. Played a second time, an order that was refused in spring could be approved by
the payments of autumn. So an order is not asked again if an earlier play is known to have been past it.

What shows how far an earlier play came: the orders the service knows, and the payments that must have been recorded for
the account to owe what it owes. An account is played strictly in order, and a stride begins when the one before is
done; hence everything before an account's last trace was asked, and everything before the stride of the last trace of
all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from creditgate.domain.operations import RecordPayment, ReserveCredit
from creditgate.replay.schedule import Event, strides


@dataclass(frozen=True, slots=True)
class Standing:
    """What the service knows of an account that has had its settings before: the play's orders, and what is owed.

    `committed_minor` is what was ever invoiced on the account's reservations, `receivable_minor` what of it is unpaid.
    """

    known_orders: frozenset[str]
    committed_minor: int
    receivable_minor: int


class OrderKey(NamedTuple):
    """An order of the play."""

    account_id: str
    order_id: str


def rejected_before(events: Iterable[Event], standings: Mapping[str, Standing]) -> frozenset[OrderKey]:
    """Return the orders that an earlier play has asked and the service does not know: they were rejected."""
    if not any(standing.known_orders for standing in standings.values()):
        return frozenset()
    paid_minor = {account_id: each.committed_minor - each.receivable_minor for account_id, each in standings.items()}
    last_traces: dict[str, int] = {}
    unknown: list[tuple[int, OrderKey]] = []
    everything_before = position = 0
    for stride in strides(events):
        stride_begin = position
        for event in stride:
            account_id = event.operation.account_id
            known = account_id in standings and event.order_id in standings[account_id].known_orders
            if known and _has_happened(event, paid_minor):
                last_traces[account_id], everything_before = position, stride_begin
            elif not known and account_id in standings and isinstance(event.operation, ReserveCredit):
                unknown.append((position, OrderKey(account_id, event.order_id)))
            position += 1
    return frozenset(key for at, key in unknown if at < max(everything_before, last_traces.get(key.account_id, 0)))


def _has_happened(event: Event, paid_minor: dict[str, int]) -> bool:
    """Return whether a step of a known order is a trace: its order, or a payment that what was paid still covers."""
    operation = event.operation
    if isinstance(operation, RecordPayment):
        paid_minor[operation.account_id] -= operation.amount_minor
        return paid_minor[operation.account_id] >= 0
    return isinstance(operation, ReserveCredit)
