"""Moves an account to the partition of its credit group, in steps that any server can finish (`lua/move.lua`)."""

from collections.abc import Awaitable, Sequence
from enum import Enum, auto, unique
from typing import Final, Protocol, cast

from creditgate.domain.errors import CreditError
from creditgate.domain.operations import PutAccount
from creditgate.store.directory import Directory
from creditgate.store.failures import unpack_failure
from creditgate.store.lane import Argument, Reply
from creditgate.store.operations import pack_operation

_PARTS: Final = ("c", "w", "o", "l", "t")
"""What is copied behind the account itself: the partition's clock, what waits and since when, reservations, ledger and
texts."""

_COPY_COUNT: Final = 100
_WRITE_FIELDS_MAX: Final = 200
_END: Final = b"0"
_GONE: Final = b""
_NOT_HERE: Final = -1
_CANCELLED: Final = -1


class CallFunction(Protocol):
    """Calls a function of the library on one partition."""

    def __call__(
        self, function: str, partition: int, arguments: Sequence[Argument], *, read_only: bool = False
    ) -> Awaitable[Reply]:
        """Return the function's reply; raise `CreditError` STORE_UNAVAILABLE."""
        ...


@unique
class _Copied(Enum):
    """What has become of copying an account."""

    STILL_OURS = auto()
    """It may arrive, unless it has already."""
    GONE = auto()
    """The account is not frozen for this move any more."""
    CANCELLED = auto()
    """The account can't arrive by this move, and is still frozen for it."""


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

    async def move(self, put: PutAccount, source: int, target: int) -> CreditError | None:
        """Move an account that lives in `source` to `target`, and put it there, in the group that it is to join.

        Returns why it can't be put so, and then it lives on where it did, as it was; None when it has arrived, or when
        somebody else has moved it meanwhile: then its place has to be found anew.
        """
        account_id, group_id = put.account_id, put.group_id or ""
        reply = cast("list[object]", await self._call("creditgate_move_freeze", source, (account_id, target, group_id)))
        if reply[0] == _NOT_HERE:
            return None
        epoch, bound_for, group = cast("tuple[int, int, bytes]", reply)
        if (bound_for, group.decode()) != (target, group_id):
            # Another move, to another group, has begun before; that has to end first.
            put = PutAccount(account_id, group_id=group.decode())
        return await self._finish(put, source, bound_for, epoch)

    async def _finish(self, put: PutAccount, source: int, target: int, epoch: int) -> CreditError | None:
        account_id = put.account_id
        copied = await self._copy(account_id, source, target, epoch)
        if copied is _Copied.CANCELLED:
            # Whoever was told that it can't be put so has not let it live on.
            await self._call("creditgate_move_thaw", source, (account_id, epoch))
        if copied is not _Copied.STILL_OURS:
            return None
        arguments = (account_id, epoch, put.group_id or "", pack_operation(put, 1))
        arrived = await self._call("creditgate_move_arrive", target, arguments)
        if isinstance(arrived, bytes):
            if await self._call("creditgate_move_cancel", target, (account_id, epoch, source)):
                await self._call("creditgate_move_thaw", source, (account_id, epoch))
                return unpack_failure(put, arrived)
            # Another server has let it arrive meanwhile.
        elif not arrived:
            return None
        await self._call("creditgate_move_leave", source, (account_id, epoch))
        home = self._directory.home_of(account_id)
        if home not in {source, target}:
            await self._call("creditgate_move_place", home, (account_id, target, epoch))
        self._directory.learn(account_id, target)
        return None

    async def _copy(self, account_id: str, source: int, target: int, epoch: int) -> _Copied:
        """Copy all that an account has."""
        reply = cast("list[object]", await self._read(account_id, source, epoch, "", "0"))
        if reply[0] == _GONE:
            return _Copied.GONE
        record, name, velocity, due = cast("list[bytes]", reply[1])
        begin: list[Argument] = [account_id, epoch, source, record, name, velocity]
        begin += cast("Sequence[bytes]", due)
        begun = await self._call("creditgate_move_begin", target, begin)
        if begun == _CANCELLED:
            return _Copied.CANCELLED
        if not begun:
            return _Copied.STILL_OURS  # it has arrived already, and only has to leave
        for which in _PARTS:
            cursor = b"0"
            while True:
                reply = cast("list[object]", await self._read(account_id, source, epoch, which, cursor.decode()))
                cursor, fields = cast("tuple[bytes, list[bytes]]", reply) if reply[0] != _GONE else (_GONE, [])
                if cursor == _GONE:
                    return _Copied.GONE
                for start in range(0, len(fields), _WRITE_FIELDS_MAX):
                    chunk = fields[start : start + _WRITE_FIELDS_MAX]
                    if not await self._call("creditgate_move_write", target, (account_id, epoch, which, *chunk)):
                        return _Copied.STILL_OURS  # another server has let it arrive, or has cancelled it
                if cursor == _END:
                    break
        return _Copied.STILL_OURS

    async def _read(self, account_id: str, source: int, epoch: int, which: str, cursor: str) -> Reply:
        arguments = (account_id, epoch, which, cursor, _COPY_COUNT)
        return await self._call("creditgate_move_read", source, arguments, read_only=True)
