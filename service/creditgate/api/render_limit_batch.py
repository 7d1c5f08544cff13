"""Limit batches into messages, field by field as in `creditgate.api.render`."""

from typing import Final

from creditgate.api.render import fill_time
from creditgate.domain.limit_batch import GuardRailReport, LimitBatch, LimitChange, LimitEffect, LimitRowError
from creditgate.v1 import limit_batch_pb2

ROW_ERRORS_SIZE_MAX_BYTES: Final = 3 * 1024 * 1024
"""Row errors beyond this are counted and not told: clients refuse messages above 4 MiB."""


def fill_limit_batch(target: limit_batch_pb2.LimitBatch, batch: LimitBatch) -> None:
    """Write a batch with its report and the row errors that it comes with."""
    header = batch.header
    target.batch_id = header.batch_id
    target.source = header.source
    target.model_version = header.model_version
    fill_time(target.as_of, header.as_of_ms)
    target.mode = header.mode  # type: ignore[assignment]
    target.all_or_nothing = header.all_or_nothing
    target.create_accounts = header.create_accounts
    target.state = batch.state  # type: ignore[assignment]
    _fill_counts(target, batch)
    for report in batch.guard_rails:
        _fill_report(target.guard_rails.add(), report)
    if batch.effect is not None:
        _fill_effect(target.effect, batch.effect)
    target.over_limit_accounts.extend(batch.over_limit_accounts)
    target.kept_changes.extend(batch.kept_changes)
    target.actor = batch.actor
    target.comment = batch.comment
    target.forced = batch.forced
    fill_time(target.create_time, batch.create_time_ms)
    fill_time(target.update_time, batch.update_time_ms)
    if batch.receive_time_ms:
        fill_time(target.receive_time, batch.receive_time_ms)
    if batch.activate_time_ms:
        fill_time(target.activate_time, batch.activate_time_ms)
    _fill_row_errors(target, batch.row_errors)


def _fill_counts(target: limit_batch_pb2.LimitBatch, batch: LimitBatch) -> None:
    target.received_rows = batch.received_rows
    target.rejected_rows = batch.rejected_rows
    target.skipped_rows = batch.skipped_rows
    target.applied_rows = batch.applied_rows
    target.scheduled_rows = batch.scheduled_rows
    target.created_accounts = batch.created_accounts
    target.over_limit_count = batch.over_limit_count
    target.released_reviews = batch.released_reviews
    target.restored_rows = batch.restored_rows
    target.kept_count = batch.kept_count


def _fill_report(target: limit_batch_pb2.GuardRailReport, report: GuardRailReport) -> None:
    target.guard_rail = report.guard_rail  # type: ignore[assignment]
    target.message = report.message
    target.observed = report.observed
    target.threshold = report.threshold
    for change in report.examples:
        _fill_change(target.examples.add(), change)


def _fill_effect(target: limit_batch_pb2.LimitEffect, effect: LimitEffect) -> None:
    target.SetInParent()  # an effect of nothing is told too
    target.raised_accounts = effect.raised_accounts
    target.cut_accounts = effect.cut_accounts
    target.confirmed_accounts = effect.confirmed_accounts
    target.new_accounts = effect.new_accounts
    target.over_limit_accounts = effect.over_limit_accounts
    target.fitting_reviews = effect.fitting_reviews
    for totals in effect.totals:
        target.totals.add(
            currency_code=totals.currency_code,
            limit_before_minor=totals.limit_before_minor,
            limit_after_minor=totals.limit_after_minor,
            headroom_before_minor=totals.headroom_before_minor,
            headroom_after_minor=totals.headroom_after_minor,
        )
    for change in effect.largest_raises:
        _fill_change(target.largest_raises.add(), change)
    for change in effect.largest_cuts:
        _fill_change(target.largest_cuts.add(), change)


def _fill_change(target: limit_batch_pb2.LimitChange, change: LimitChange) -> None:
    target.account_id = change.account_id
    target.currency_code = change.currency_code
    if change.before_minor is not None:
        target.before_minor = change.before_minor
    if change.after_minor is not None:
        target.after_minor = change.after_minor
    target.exposure_minor = change.exposure_minor


def _fill_row_errors(target: limit_batch_pb2.LimitBatch, errors: tuple[LimitRowError, ...]) -> None:
    size_bytes = 0
    for error in sorted(errors, key=lambda each: each.row):
        message = target.row_errors.add()
        message.row = error.row
        message.account_id = error.account_id
        message.field = error.field
        message.reason = error.reason  # type: ignore[assignment]
        message.message = error.message
        size_bytes += message.ByteSize()
        if size_bytes > ROW_ERRORS_SIZE_MAX_BYTES:
            break
