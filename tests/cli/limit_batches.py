"""Limit batches as a service tells them, for the tests of several commands."""

from datetime import UTC, datetime

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from creditgate.v1.limit_batch_pb2 import (
    GUARD_RAIL_ACCOUNTS_CUT,
    GuardRailReport,
    LimitChange,
    LimitEffect,
    LimitTotals,
)
from tests.client.scripted_service import Failure

MAY_31 = Timestamp()
MAY_31.FromDatetime(datetime(2026, 5, 31, 2, 0, tzinfo=UTC))

EFFECT = LimitEffect(
    raised_accounts=3,
    cut_accounts=2,
    confirmed_accounts=1,
    over_limit_accounts=1,
    fitting_reviews=4,
    totals=[
        LimitTotals(
            currency_code="USD",
            limit_before_minor=100_000,
            limit_after_minor=150_000,
            headroom_before_minor=50_000,
            headroom_after_minor=90_000,
        )
    ],
    largest_raises=[LimitChange(account_id="acme", currency_code="USD", after_minor=50_000)],
    largest_cuts=[
        LimitChange(account_id="bolt", currency_code="USD", before_minor=9_000, after_minor=1_000, exposure_minor=2_000)
    ],
)
CUT = GuardRailReport(
    guard_rail=GUARD_RAIL_ACCOUNTS_CUT,
    message="40 % of the accounts are cut by more than 20 %; at most 20 % may be",
    observed=4000,
    threshold=2000,
    examples=[EFFECT.largest_cuts[0]],
)


def refused(code: grpc.StatusCode, reason: str, message: str) -> Failure:
    details = Status(code=code.value[0], message=message)
    details.details.add().Pack(ErrorInfo(reason=reason, domain="creditgate"))
    return Failure(code, message, details)
