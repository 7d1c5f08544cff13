"""A limit batch's record as the store keeps it: JSON that only Python reads."""

import json
from dataclasses import asdict, fields
from typing import Any, Final

from creditgate.domain.limit_batch import (
    GuardRail,
    GuardRailReport,
    LimitBatch,
    LimitBatchHeader,
    LimitBatchMode,
    LimitBatchState,
    LimitChange,
    LimitEffect,
    LimitRowError,
    LimitRowErrorReason,
    LimitTotals,
)

_Json = dict[str, Any]
_APART: Final = ("revision", "create_time_ms", "update_time_ms", "row_errors")
"""What the store keeps beside the record, and tells by itself."""


def render_record(batch: LimitBatch) -> bytes:
    """Return the record of a batch."""
    record = asdict(batch)
    for name in _APART:
        del record[name]
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()


def parse_record(
    record: bytes, revision: int, times_ms: tuple[int, int], row_errors: tuple[LimitRowError, ...] = ()
) -> LimitBatch:
    """Return the batch of a record; `times_ms` are when it was created and last changed."""
    known = _known(LimitBatch, json.loads(record))
    known["header"] = _parse_header(known["header"])
    known["state"] = LimitBatchState(known["state"])
    known["guard_rails"] = tuple(_parse_report(report) for report in known["guard_rails"])
    known["effect"] = _parse_effect(known["effect"]) if known["effect"] is not None else None
    for name in ("over_limit_accounts", "kept_changes"):
        known[name] = tuple(known[name])
    create_time_ms, update_time_ms = times_ms
    return LimitBatch(
        **known,
        revision=revision,
        create_time_ms=create_time_ms,
        update_time_ms=update_time_ms,
        row_errors=row_errors,
    )


def render_row_error(error: LimitRowError) -> bytes:
    """Return a wrong row, less its number."""
    parts = (error.account_id, error.field, error.reason, error.message)
    return json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()


def parse_row_error(row: bytes, packed: bytes) -> LimitRowError:
    """Return a wrong row."""
    account_id, field, reason, message = json.loads(packed)
    return LimitRowError(int(row), account_id, field, LimitRowErrorReason(reason), message)


def _known(kind: type[Any], record: _Json) -> _Json:
    """Return what this version knows of a record, which a newer one may have written."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in record.items() if name in names}


def _parse_header(record: _Json) -> LimitBatchHeader:
    known = _known(LimitBatchHeader, record)
    known["mode"] = LimitBatchMode(known["mode"])
    return LimitBatchHeader(**known)


def _parse_report(record: _Json) -> GuardRailReport:
    known = _known(GuardRailReport, record)
    known["guard_rail"] = GuardRail(known["guard_rail"])
    known["examples"] = _parse_changes(known["examples"])
    return GuardRailReport(**known)


def _parse_effect(record: _Json) -> LimitEffect:
    known = _known(LimitEffect, record)
    known["totals"] = tuple(LimitTotals(**_known(LimitTotals, totals)) for totals in known["totals"])
    for name in ("largest_raises", "largest_cuts"):
        known[name] = _parse_changes(known[name])
    return LimitEffect(**known)


def _parse_changes(records: list[_Json]) -> tuple[LimitChange, ...]:
    return tuple(LimitChange(**_known(LimitChange, record)) for record in records)
