"""Packs rows of limit batches, and unpacks what became of them (`layouts.py`)."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, repeat
from operator import attrgetter
from typing import Final, NamedTuple

from creditgate.domain.limit_batch import (
    LimitRow,
    LimitRowError,
    LimitSums,
    RowEffect,
    RowsApplied,
    RowsEffect,
    RowsRestored,
    RowStanding,
)
from creditgate.domain.limit_row_errors import currency_mismatch, duplicate_account, unknown_account
from creditgate.store import layouts
from creditgate.store.constants import LimitRowFlag, RowEffectFlag, RowFate
from creditgate.store.lane import Argument

_pack_numbers: Final = layouts.LIMIT_ROW.packer.pack
_UNLIMITED: Final = LimitRowFlag.UNLIMITED.value
_SCORED: Final = LimitRowFlag.SCORED.value
_BEFORE_SET: Final = RowEffectFlag.BEFORE_SET.value
_UNLIMITED_BEFORE: Final = RowEffectFlag.UNLIMITED_BEFORE.value
_UNLIMITED_AFTER: Final = RowEffectFlag.UNLIMITED_AFTER.value
_OVER_LIMIT: Final = RowEffectFlag.OVER_LIMIT.value
_name_of: Final = attrgetter("account_id", "row")
_STANDINGS: Final = {standing.value: standing for standing in RowStanding}


def pack_rows(rows: Sequence[LimitRow]) -> bytes:
    """Return rows as they are staged."""
    columns = tuple(zip(*rows, strict=True))
    numbers, account_ids, limits, codes, versions, risk_classes, scores, effective_s, expire_s, reasons = columns
    if None in limits or any(risk_classes) or any(reasons) or scores.count(None) < len(scores):
        packed: Iterable[bytes] = map(pack_row, rows)
    else:
        encoded = map(_encoded_code, codes)
        heads = map(_pack_numbers, numbers, repeat(0), limits, versions, effective_s, expire_s, repeat(0.0), encoded)
        texts = [f"{account_id}\0\0\0".encode() for account_id in account_ids]
        packed = chain.from_iterable(zip(heads, texts, strict=True))
    return b"".join(packed)


def naming(rows: Sequence[LimitRow]) -> Iterator[Argument]:
    """Return account id and number of each row in turn."""
    return chain.from_iterable(map(_name_of, rows))


@lru_cache(maxsize=512)
def _encoded_code(currency_code: str) -> bytes:
    return currency_code.encode()


def pack_row(row: LimitRow) -> bytes:
    """Return a row as it is staged."""
    number, account_id, limit, currency, version, risk_class, score, effective_s, expire_s, reasons = row
    return (
        _pack_numbers(
            number,
            (_UNLIMITED if limit is None else 0) + (0 if score is None else _SCORED),
            limit or 0,
            version,
            effective_s,
            expire_s,
            score or 0.0,
            currency.encode(),
        )
        + f"{account_id}\0{risk_class}\0{reasons}\0".encode()
    )


def unpack_effect(effects: bytes, account_ids: bytes, sums: bytes) -> RowsEffect:
    """Return what rows would do."""
    unpacked = [
        LimitSums._make((*numbers, currency.decode()))
        for *numbers, currency in layouts.ROW_SUMS.packer.iter_unpack(sums)
    ]
    return RowsEffect(_unpack_rows(effects, account_ids), unpacked)


def _unpack_rows(effects: bytes, account_ids: bytes) -> list[RowEffect]:
    names = account_ids.decode().split("\0")
    currencies: dict[bytes, str] = {}
    rows = []
    for name, packed in zip(names, layouts.ROW_EFFECT.packer.iter_unpack(effects), strict=False):
        number, standing, flags, before, after, exposure, headroom, headroom_after, fitting, currency = packed
        code = currencies.get(currency)
        if code is None:
            code = currencies[currency] = currency.decode().strip()
        unlimited_before = flags & _UNLIMITED_BEFORE != 0
        rows.append(
            RowEffect(
                number,
                name,
                _STANDINGS[standing],
                code,
                before if flags & _BEFORE_SET and not unlimited_before else None,
                unlimited_before,
                None if flags & _UNLIMITED_AFTER else after,
                exposure,
                headroom,
                headroom_after,
                flags & _OVER_LIMIT != 0,
                fitting,
            )
        )
    return rows


class ChunkApplied(NamedTuple):
    """What has become of a chunk; `moved_rows` have gone on to other partitions."""

    rows: RowsApplied
    moved_rows: int


class ChunkRestored(NamedTuple):
    """What a rollback made of a chunk; `moved_rows` have gone on to other partitions."""

    rows: RowsRestored
    moved_rows: int


def unpack_applied(answer: bytes) -> ChunkApplied:
    """Return what has become of a chunk."""
    _, moved, applied, scheduled, created, skipped, released, error_count, over_count = (
        layouts.ROWS_APPLIED.packer.unpack_from(answer)
    )
    at = layouts.ROWS_APPLIED.size
    errors = []
    for _ in range(error_count):
        error, at = _unpack_refused(answer, at)
        errors.append(error)
    over = _texts(answer, at, over_count)
    rows = RowsApplied(applied, scheduled, created, skipped, released, tuple(errors), over, over_count, error_count)
    return ChunkApplied(rows, moved)


def unpack_restored(answer: bytes) -> ChunkRestored:
    """Return what a rollback made of a chunk."""
    _, moved, restored, kept_count = layouts.ROWS_RESTORED.packer.unpack_from(answer)
    kept = _texts(answer, layouts.ROWS_RESTORED.size, kept_count)
    return ChunkRestored(RowsRestored(restored, kept, kept_count), moved)


def _texts(answer: bytes, start: int, count: int) -> tuple[str, ...]:
    return tuple(text.decode() for text in answer[start:].split(b"\0", count)[:count])


def _unpack_refused(answer: bytes, start: int) -> tuple[LimitRowError, int]:
    row, fate = layouts.ROW_REFUSED.packer.unpack_from(answer, start)
    texts_start = start + layouts.ROW_REFUSED.size
    id_end = answer.index(b"\0", texts_start)
    currency_end = answer.index(b"\0", id_end + 1)
    account_id, currency = answer[texts_start:id_end].decode(), answer[id_end + 1 : currency_end].decode()
    if fate == RowFate.CURRENCY_MISMATCH:
        return currency_mismatch(row, account_id, currency), currency_end + 1
    return unknown_account(row, account_id), currency_end + 1


def without_duplicates(rows: Sequence[LimitRow]) -> tuple[Sequence[LimitRow], list[LimitRowError]]:
    """Return the rows whose accounts no earlier one has named, and the others."""
    if len({row.account_id for row in rows}) == len(rows):
        return rows, []
    first_rows: dict[str, int] = {}
    named_once: list[LimitRow] = []
    left_out: list[LimitRowError] = []
    for row in rows:
        first_row = first_rows.setdefault(row.account_id, row.row)
        if first_row == row.row:
            named_once.append(row)
        else:
            left_out.append(duplicate_account(row, first_row))
    return named_once, left_out


def unpack_left_out(rows: Sequence[LimitRow], numbers: Sequence[int]) -> list[LimitRowError]:
    """Return the rows of a chunk that are not stored: their index, and the row that has named the account before."""
    return [
        duplicate_account(rows[index - 1], first_row)
        for index, first_row in zip(numbers[::2], numbers[1::2], strict=True)
    ]


def join_applied(chunks: Iterable[RowsApplied], errors_max: int, accounts_max: int) -> RowsApplied:
    """Return what became of several chunks, with lists cut off at their bounds."""
    applied = scheduled = created = skipped = released = over_count = refused = 0
    errors: list[LimitRowError] = []
    over: list[str] = []
    for chunk in chunks:
        applied, scheduled = applied + chunk.applied_rows, scheduled + chunk.scheduled_rows
        created, skipped = created + chunk.created_accounts, skipped + chunk.skipped_rows
        released += chunk.released_reviews
        errors += chunk.errors[: errors_max - len(errors)]
        over += chunk.over_limit_accounts[: accounts_max - len(over)]
        over_count, refused = over_count + chunk.over_limit_count, refused + chunk.refused_rows
    return RowsApplied(applied, scheduled, created, skipped, released, tuple(errors), tuple(over), over_count, refused)


def join_restored(chunks: Iterable[RowsRestored], accounts_max: int) -> RowsRestored:
    """Return what a rollback made of several chunks, with the list cut off at its bound."""
    restored = kept_rows = 0
    kept: list[str] = []
    for chunk in chunks:
        restored, kept_rows = restored + chunk.restored_rows, kept_rows + chunk.kept_rows
        kept += chunk.kept_changes[: accounts_max - len(kept)]
    return RowsRestored(restored, tuple(kept), kept_rows)


def pairs(flat: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Return a flat list of names and values as pairs."""
    return zip(flat[::2], flat[1::2], strict=True)
