"""Calls of the library's functions that are no operations: each in one partition, by a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from creditgate.domain.bounds import PAGE_SIZE_MAX
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import Operation
from creditgate.store.answers import moved_to
from creditgate.store.directory import HOPS_MAX, Directory
from creditgate.store.failures import account_moving, unpack_failure
from creditgate.store.lane import Argument, Reply
from creditgate.store.page_token import PagePlace, PageTokenError, parse_page_token, render_page_token
from creditgate.store.partition_group import PartitionGroup


class FunctionCalls:
    """Calls functions. Every method raises `CreditError`.

    Args:
        group_of: the group of each partition.
        directory: where accounts live.
        policy: returns the policy that listings show accounts by.

    """

    def __init__(
        self, group_of: Mapping[int, PartitionGroup], directory: Directory, policy: Callable[[], bytes]
    ) -> None:
        self._group_of = group_of
        self._directory = directory
        self._policy = policy

    async def call(
        self,
        function: str,
        partition: int,
        arguments: tuple[Argument, ...],
        deadline: float,
        *,
        read_only: bool = False,
        replicated: bool = False,
    ) -> Reply:
        """Return a function's reply; with `replicated`, when replicas have what it changed."""
        # Shielded: a call that is given up must not take the lane with it.
        group = self._group_of[partition]
        call = asyncio.ensure_future(
            group.call(function, partition, arguments, deadline, read_only=read_only, replicated=replicated)
        )
        call.add_done_callback(_retrieve_error)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await asyncio.shield(call)
        except TimeoutError:
            msg = "the deadline passed before the store answered; asking again is safe"
            raise CreditError(ErrorReason.DEADLINE_EXCEEDED, msg) from None

    async def at_account(self, account_id: str, ask: Callable[[int], Awaitable[Reply]]) -> Reply:
        """Ask about an account in the partition where it lives; raise the fault that is answered."""
        for _ in range(HOPS_MAX):
            reply = await ask(self._directory.partition_of(account_id))
            if not isinstance(reply, bytes):
                return reply
            moved = moved_to(reply)
            if moved is None:
                raise unpack_failure(Operation(account_id), reply)
            self._directory.learn(account_id, moved.partition)
        raise account_moving(account_id)

    async def list_all(
        self, function: str, page_size: int, page_token: str, deadline: float
    ) -> tuple[list[bytes], str]:
        """Return a page of what all partitions have, one after the other, and the token of the next page."""
        place = self.place(page_token, None)
        arguments = (place.cursor, place.behind, page_size, self._policy())
        reply = await self.call(function, place.partition, arguments, deadline, read_only=True)
        cursor, behind, *items = cast("list[bytes]", reply)
        following = PagePlace(place.partition, cursor.decode(), behind.decode())
        if not cursor and place.partition + 1 < len(self._group_of):
            following = PagePlace(place.partition + 1, "0", "")
        return items, render_page_token(following)

    async def list_partition(self, function: str, partition: int, deadline: float) -> list[bytes]:
        """Return all that one partition has, page by page."""
        token = render_page_token(PagePlace(partition, "0", ""))
        items: list[bytes] = []
        while token and self.place(token, None).partition == partition:
            page, token = await self.list_all(function, PAGE_SIZE_MAX, token, deadline)
            items += page
        return items

    def place(self, page_token: str, partition: int | None) -> PagePlace:
        """Return where a page begins; of a listing of one partition, with `partition`."""
        try:
            return parse_page_token(page_token, partition, len(self._group_of))
        except PageTokenError:
            raise CreditError.of_field("page_token", "is not a token that this listing gave out") from None


def _retrieve_error(call: asyncio.Future[Reply]) -> None:
    """Look at the error of a call that nobody waits for any more, which asyncio would otherwise complain about."""
    if not call.cancelled():
        call.exception()
