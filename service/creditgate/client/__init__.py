"""Typed clients of a creditgate service.

    from creditgate.client import CreditClient

    with CreditClient("127.0.0.1:50051") as client:
        answer = client.reserve_credit("acme", "order-7", amount_minor=125_000, currency_code="USD")

A credit refusal is an answer, a fault is a `CreditCallError`. `AsyncCreditClient` has the same methods for asyncio.
"""

from creditgate.client.aio import AsyncCreditClient
from creditgate.client.blocking import CreditClient
from creditgate.client.calls import VerifiedAccounts
from creditgate.client.channel import DEFAULT_TARGET, DEFAULT_TIMEOUT_S
from creditgate.client.errors import CreditCallError
from creditgate.client.limit_push import PushedRow
from creditgate.client.open_items import ImportSummary, OpenItemFailure
from creditgate.client.requests import ClearableField, limit_batch_header, limit_update, open_item, unreadable_row
from creditgate.client.requests import reserve_credit as reserve_credit_request
from creditgate.domain.errors import FieldViolation

__all__ = [
    "DEFAULT_TARGET",
    "DEFAULT_TIMEOUT_S",
    "AsyncCreditClient",
    "ClearableField",
    "CreditCallError",
    "CreditClient",
    "FieldViolation",
    "ImportSummary",
    "OpenItemFailure",
    "PushedRow",
    "VerifiedAccounts",
    "limit_batch_header",
    "limit_update",
    "open_item",
    "reserve_credit_request",
    "unreadable_row",
]
