"""What verifying an account's sums finds, step by step, and what repairs have journaled."""

from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from redis import Redis

from creditgate.domain.account import Account
from creditgate.domain.verification import SumDifference
from creditgate.store import keys
from creditgate.store.answers import unpack_account
from creditgate.store.constants import EffectKind
from creditgate.store.lane import Argument, Reply
from tests.store.clocked import PARTITION
from tests.store.journal import read_account_effects


def told(differences: Sequence[SumDifference]) -> list[tuple[str, int, int]]:
    """Return each difference: the sum's name, what is kept, what it should be."""
    return [(each.sum_name, each.kept_minor, each.recomputed_minor) for each in differences]


def asking(client: Redis) -> Callable[[Sequence[Argument]], Awaitable[Reply]]:
    """Return what asks for one step after another."""

    async def ask(arguments: Sequence[Argument]) -> Reply:
        return cast("Reply", client.fcall_ro("creditgate_audit", 1, keys.prefix(PARTITION), *arguments))

    return ask


def repairs(client: Redis, account_id: str) -> list[Account]:
    """Return the account as each repair in the journal left it."""
    effects = read_account_effects(client, PARTITION, account_id)
    return [unpack_account(effect.record)[0] for effect in effects if effect.kind is EffectKind.REPAIRED]
