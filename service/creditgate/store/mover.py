"""Moves an account to the partition of its credit group, in steps that any server can finish (`lua/move.lua`)."""

from collections.abc import Awaitable, Sequence
from typing import Final, Protocol, cast

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.store.directory import Directory
from creditgate.store.lane import Argument, Reply

_RECORDS: Final = ("o", "l", "t")
"""What an account has in hashes: reservations, ledger, texts."""

_COPY_COUNT: Final = 100
_WRITE_FIELDS_MAX: Final = 200
_END: Final = b"0"
_GONE: Final = b""
_NOT_HERE: Final = -1


class CallFunction(Protocol):
    """Calls a function of the library on one partition."""

    def __call__(
        self, function: str, partition: int, arguments: Sequence[Argument], *, read_only: bool = False
    ) -> Awaitable[Reply]:
        """Return the function's reply; raise `CreditError` STORE_UNAVAILABLE."""
        ...


class Mover:
    """Moves accounts. Every method may be repeated after any failure."""

    def __init__(self, directory: Directory, call: CallFunction) -> None:
        self._directory = directory
        self._call = call

    async def place(self, account_id: str, partition: int) -> int:
        """Let the home of an account that does not exist yet know where it will live; return where it does.

        That is elsewhere when another server was faster.
        """
        home = self._directory.home_of(account_id)
        reply = cast("list[int]", await self._call("creditgate_move_place", home, (account_id, partition, 0)))
        lives_in = home if reply[0] == _NOT_HERE else reply[0]
        self._directory.learn(account_id, lives_in)
        return lives_in

    async def move(self, account_id: str, source: int, target: int, group_id: str) -> CreditError | None:
        """Move an account that lives in `source` to `target`, and let it join a group there.

        Returns why it can't join, and then it lives on where it did; None when it has arrived, or when somebody else
        has moved it meanwhile: then its place has to be found anew.
        """
        reply = cast("list[object]", await self._call("creditgate_move_freeze", source, (account_id, target, group_id)))
        if reply[0] == _NOT_HERE:
            return None
        # Another move may have begun before, to another group; that has to end first.
        epoch, bound_for, group = cast("tuple[int, int, bytes]", reply)
        return await self._finish(account_id, source, bound_for, epoch, group.decode())

    async def _finish(self, account_id: str, source: int, target: int, epoch: int, group_id: str) -> CreditError | None:
        if not await self._copy(account_id, source, target, epoch):
            return None
        arrived = await self._call("creditgate_move_arrive", target, (account_id, epoch, group_id))
        if isinstance(arrived, bytes):
            await self._call("creditgate_move_cancel", target, (account_id, epoch, source))
            await self._call("creditgate_move_thaw", source, (account_id, epoch))
            return CreditError(
                ErrorReason(arrived[0]), f"there is no room for account {account_id} in group {group_id}"
            )
        if not arrived:
            return None
        await self._call("creditgate_move_leave", source, (account_id, epoch))
        home = self._directory.home_of(account_id)
        if home not in {source, target}:
            await self._call("creditgate_move_place", home, (account_id, target, epoch))
        self._directory.learn(account_id, target)
        return None

    async def _copy(self, account_id: str, source: int, target: int, epoch: int) -> bool:
        """Copy all that an account has; return whether it is still this move that does so."""
        reply = cast("list[object]", await self._read(account_id, source, epoch, "", "0"))
        if reply[0] == _GONE:
            return False
        record, name, velocity, due = cast("list[bytes]", reply[1])
        begin: list[Argument] = [account_id, epoch, source, record, name, velocity]
        begin += cast("Sequence[bytes]", due)
        if not await self._call("creditgate_move_begin", target, begin):
            return True  # it has arrived already, and only has to leave
        for which in _RECORDS:
            cursor = b"0"
            while True:
                reply = cast("list[object]", await self._read(account_id, source, epoch, which, cursor.decode()))
                cursor, fields = cast("tuple[bytes, list[bytes]]", reply) if reply[0] != _GONE else (_GONE, [])
                if cursor == _GONE:
                    return False
                for start in range(0, len(fields), _WRITE_FIELDS_MAX):
                    chunk = fields[start : start + _WRITE_FIELDS_MAX]
                    if not await self._call("creditgate_move_write", target, (account_id, epoch, which, *chunk)):
                        return True
                if cursor == _END:
                    break
        return True

    async def _read(self, account_id: str, source: int, epoch: int, which: str, cursor: str) -> Reply:
        arguments = (account_id, epoch, which, cursor, _COPY_COUNT)
        return await self._call("creditgate_move_read", source, arguments, read_only=True)
