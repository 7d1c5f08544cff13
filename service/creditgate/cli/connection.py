"""A command's connection to the service: amounts in, calls, answers out.

This module and what it imports take long to import (gRPC, protobuf, the currency table): commands reach it through
`creditgate.cli.deferred`.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Final, TypeAlias, TypeVar

import grpc
import uvloop
from google.protobuf.message import Message
from rich.table import Table

from creditgate.cli.desk_tables import group_table
from creditgate.cli.failures import CommandFailure, ExitCode, Violation, usage_failure
from creditgate.cli.json_output import print_message, print_message_line
from creditgate.cli.limit_batch_tables import batch_table
from creditgate.cli.tables import account_table, print_account, print_answer, print_listing, reservation_table
from creditgate.cli.wording import as_typed
from creditgate.client import AsyncCreditClient, ClearableField, CreditCallError, CreditClient
from creditgate.domain.money import Money, MoneyFormatError, parse_money
from creditgate.v1.account_pb2 import ACCOUNT_STATUS_OPEN, Block
from creditgate.v1.admin_service_pb2 import GetPolicyResponse, PutExchangeRatesResponse
from creditgate.v1.credit_desk_service_pb2 import (
    ClearManualLimitResponse,
    ClearTemporaryLimitResponse,
    UnblockAccountResponse,
)
from creditgate.v1.credit_service_pb2 import AmendReservationResponse, CheckCreditResponse, ReserveCreditResponse
from creditgate.v1.decision_pb2 import OUTCOME_APPROVED, OUTCOME_FLAGGED
from creditgate.v1.limit_batch_pb2 import (
    LIMIT_BATCH_MODE_PREVIEW,
    LIMIT_BATCH_STATE_ACTIVATING,
    LIMIT_BATCH_STATE_ACTIVE,
    LIMIT_BATCH_STATE_STAGED,
    LimitBatch,
    LimitBatchState,
)
from creditgate.v1.limit_feed_service_pb2 import PushLimitsResponse
from creditgate.v1.reservation_pb2 import (
    RESERVATION_STATE_COMMITTED,
    RESERVATION_STATE_HELD,
    ReservationState,
)

__all__ = [
    "ACCOUNT_STATUS_OPEN",
    "Block",
    "Connection",
    "account_table",
    "batch_table",
    "cleared_fields",
    "connect",
    "exit_code",
    "group_table",
    "parse_amount",
    "parse_batch_states",
    "parse_part_minor",
    "parse_states",
    "parse_total",
    "reservation_table",
]

RowT = TypeVar("RowT", bound=Message)
ValueT = TypeVar("ValueT")

_OfAnAccount: TypeAlias = ClearManualLimitResponse | ClearTemporaryLimitResponse | UnblockAccountResponse

_TABLE_ROWS_MAX: Final = 1000

_ACCEPTED_BATCHES: Final = frozenset({LIMIT_BATCH_STATE_STAGED, LIMIT_BATCH_STATE_ACTIVATING, LIMIT_BATCH_STATE_ACTIVE})
"""What a pushed batch may have ended up as, for its limits to be in force or to wait only for being activated."""

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

_NEXT_STEPS: Final = {
    "ACCOUNT_NOT_FOUND": "create it with `creditgate account put`, or look with `creditgate account list`",
    "RESERVATION_NOT_FOUND": "look with `creditgate reservation list`",
    "RESERVATION_NOT_HELD": "look with `creditgate reservation show`",
    "CURRENCY_MISMATCH": "`creditgate account show` and `creditgate reservation show` tell the currency",
    "ORDER_EXISTS_WITH_DIFFERENT_DETAILS": "look with `creditgate reservation show`, or use another order id",
    "DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS": "use the amount of the first time, or another document id",
    "PAYMENT_EXISTS_WITH_DIFFERENT_DETAILS": "use the amount of the first time, or another payment id",
    "ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY": "look with `creditgate account show`, or use another account id",
    "REQUEST_EXISTS_WITH_DIFFERENT_DETAILS": "use the amount of the first time, or another --request-id",
    "GROUP_NOT_FOUND": "create it with `creditgate group put`, or look with `creditgate group list`",
    "GROUP_EXISTS_WITH_DIFFERENT_CURRENCY": "look with `creditgate group show`, or use another group id",
    "EXCHANGE_RATE_NOT_FOUND": "put one with `creditgate rates put`",
    "ACCOUNT_MOVING": "this takes a moment, and it is safe to ask again",
    "LIMIT_BATCH_NOT_FOUND": "look with `creditgate limits batches`",
    "LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS": "look with `creditgate limits show`, or push it under another --batch",
    "LIMIT_BATCH_STATE": "look with `creditgate limits show`",
    "LIMIT_BATCH_QUARANTINED": "look with `creditgate limits show`, and if it is right activate it with --force and"
    " a --comment",
    "LIMIT_BATCH_CHANGED": "look with `creditgate limits show`, and decide anew",
    "ETAG_MISMATCH": "look with `creditgate reservation show`, which tells the etag",
    "STORE_UNAVAILABLE": "the service itself answers: look at its Redis",
}

_REFUSALS: Final = frozenset({"LIMIT_BATCH_QUARANTINED"})
"""Reasons of errors with which the gate says no, as it does in its answers: nothing has failed."""


class Connection:
    """The service that a command talks to, and how its answers are shown.

    Attributes:
        client: makes the calls.

    """

    def __init__(self, client: CreditClient, address: str, *, as_json: bool) -> None:
        self.client = client
        self._address = address
        self._as_json = as_json

    def run(self, work: Callable[[AsyncCreditClient], Awaitable[ValueT]]) -> ValueT:
        """Return what long work comes to.

        Ctrl-C cancels it where it waits, and then raises KeyboardInterrupt here. Work that blocks would be interrupted
        anywhere, also between taking and giving back a lock that gRPC's own threads need for the connection to end.
        """

        async def run() -> ValueT:
            async with AsyncCreditClient(self._address, timeout_s=self.client.timeout_s) as client:
                return await work(client)

        return uvloop.run(run())

    def show(self, answer: Message) -> ExitCode:
        """Print an answer, and return what it means for the program that called the command."""
        if self._as_json:
            print_message(answer)
        else:
            print_answer(answer)
        return exit_code(answer)

    def show_account(self, answer: _OfAnAccount, words: str, note: str = "") -> ExitCode:
        """Print an answer that is an account under the words that say what was done, and a note on what is unusual."""
        if self._as_json:
            print_message(answer)
        else:
            print_account(words, answer.account, note)
        return ExitCode.DONE

    def currency_of(self, account_id: str) -> str:
        """Return the currency that an account is kept in."""
        return self.client.get_account(account_id).account.currency_code

    def group_name(self, group_id: str) -> str:
        """Return a credit group's name; empty when there is no such group yet."""
        try:
            return self.client.get_group(group_id).group.display_name
        except CreditCallError as error:
            if error.reason != "GROUP_NOT_FOUND":
                raise
            return ""

    def check_currency(self, account_id: str, argument: str, money: Money) -> None:
        """Make sure that an amount is in its account's currency, for a call that takes none.

        Raises:
            CommandFailure: it is not.

        """
        currency_code = self.currency_of(account_id)
        if money.currency_code != currency_code:
            raise usage_failure(f"{argument}: {account_id} is kept in {currency_code}, not in {money.currency_code}")

    def show_each(
        self, listing: Iterator[RowT], rows_max: int | None, table_of: Callable[[Sequence[RowT]], Table]
    ) -> ExitCode:
        """Print a listing: a line of JSON each as they come, or a table."""
        if self._as_json:
            for item in islice(listing, rows_max):
                print_message_line(item)
        else:
            rows = list(islice(listing, rows_max or _TABLE_ROWS_MAX))
            print_listing(table_of(rows), len(rows), more=next(listing, None) is not None)
        return ExitCode.DONE


@contextmanager
def connect(
    address: str,
    timeout_s: float,
    *,
    as_json: bool,
    language: str = "",
    said_as: Mapping[str, str] = _NOTHING,
    currency_code: str = "",
) -> Iterator[Connection]:
    """Give a connection to the service at an address, which says its sentences in a language.

    Args:
        address: where the service is.
        timeout_s: how long a call may take.
        as_json: whether answers are printed for programs.
        language: what sentences are to be in; empty: as the service likes.
        said_as: by field of a request, the option that it comes from, where `wording.SAID_AS` does not say it: what is
            wrong is told of that.
        currency_code: the currency of the amounts that the service tells in minor units; empty: it tells none.

    Raises:
        CommandFailure: a call in the block failed.

    """
    with CreditClient(address, timeout_s=timeout_s, language=language) as client:
        try:
            yield Connection(client, address, as_json=as_json)
        except CreditCallError as error:
            raise _call_failure(
                error, address, timeout_s, partial(as_typed, said_as=said_as, currency_code=currency_code)
            ) from None


def parse_amount(argument: str, amount: str, currency: str = "") -> Money:
    """Return the money that a person wrote as one word or two.

    Raises:
        CommandFailure: it can't be read; the sentence names the argument.

    """
    try:
        return parse_money(f"{amount} {currency}".strip())
    except MoneyFormatError as error:
        raise usage_failure(f"{argument}: {error}") from None


def parse_total(argument: str, amount: str, currency: str = "") -> Money:
    """Return the money of an order or a document, which is above 0.

    Raises:
        CommandFailure: it can't be read, or is not above 0; the sentence names the argument.

    """
    money = parse_amount(argument, amount, currency)
    if money.amount_minor <= 0:
        raise usage_failure(f"{argument} must be above 0, was {money}")
    return money


def parse_part_minor(option: str, text: str, total: Money) -> int:
    """Return the minor units of an amount that is a part of another one, and so in its currency.

    Raises:
        CommandFailure: it can't be read, is in another currency, below 0, or more than the whole.

    """
    part = parse_amount(option, text)
    if part.currency_code != total.currency_code:
        raise usage_failure(f"{option}: {text!r} is not in {total.currency_code}, as the whole is")
    if not 0 <= part.amount_minor <= total.amount_minor:
        raise usage_failure(f"{option} must be from 0 to the whole, {total}, was {part}")
    return part.amount_minor


def parse_states(option: str, names: Sequence[str]) -> list[ReservationState.ValueType]:
    """Return the states of reservations that a person named by their short names, in any case.

    Raises:
        CommandFailure: there is no such state; the sentence lists them.

    """
    return _parse_names(option, names, dict(ReservationState.items()))


def parse_batch_states(option: str, names: Sequence[str]) -> list[LimitBatchState.ValueType]:
    """Return the states of limit batches that a person named, as `parse_states` does."""
    return _parse_names(option, names, dict(LimitBatchState.items()))


def _parse_names(option: str, names: Sequence[str], values: dict[str, ValueT]) -> list[ValueT]:
    """Return the values of an enum by their short names, of which the first is not set and can't be named."""
    prefix = next(iter(values)).removesuffix("UNSPECIFIED")
    known = {name.removeprefix(prefix): value for name, value in islice(values.items(), 1, None)}
    unknown = [name for name in names if name.upper() not in known]
    if unknown:
        raise usage_failure(f"{option}: {unknown[0]!r} is none of {', '.join(known)}")
    return [known[name.upper()] for name in names]


def cleared_fields(*, limit: bool, block: bool, group: bool) -> tuple[ClearableField, ...]:
    """Return the settings of an account that are to be taken away."""
    fields: dict[ClearableField, bool] = {"base_limit_minor": limit, "block": block, "group_id": group}
    return tuple(field for field, cleared in fields.items() if cleared)


def exit_code(answer: Message) -> ExitCode:
    """Return what an answer means for the program that called the command."""
    match answer:
        case CheckCreditResponse() | AmendReservationResponse():
            accepted = answer.decision.outcome in {OUTCOME_APPROVED, OUTCOME_FLAGGED}
        case ReserveCreditResponse():
            # A replay repeats the first decision; what counts is whether the order still has its reservation.
            accepted = answer.reservation.state in {RESERVATION_STATE_HELD, RESERVATION_STATE_COMMITTED}
        case PutExchangeRatesResponse():
            accepted = not answer.ignored
        case GetPolicyResponse():
            accepted = not answer.problem
        case PushLimitsResponse():
            accepted = _is_batch_accepted(answer.batch)
        case _:
            accepted = True
    return ExitCode.DONE if accepted else ExitCode.REFUSED


def _is_batch_accepted(batch: LimitBatch) -> bool:
    """Return whether a pushed batch has any use; a preview, whether it would have."""
    if 0 < batch.received_rows == batch.rejected_rows:
        return False
    if batch.mode == LIMIT_BATCH_MODE_PREVIEW:
        return not batch.guard_rails and not (batch.all_or_nothing and batch.rejected_rows)
    return batch.state in _ACCEPTED_BATCHES


def _call_failure(error: CreditCallError, address: str, timeout_s: float, said: Callable[[str], str]) -> CommandFailure:
    message, next_step = said(error.message), _NEXT_STEPS.get(error.reason, "")
    if not error.reason:
        message, next_step = _unexplained(error, address, timeout_s)
    violations = tuple(Violation(said(violation.field), said(violation.description)) for violation in error.violations)
    exit_code = ExitCode.REFUSED if error.reason in _REFUSALS else ExitCode.FAILED
    return CommandFailure(
        message, next_step, code=error.code.name, reason=error.reason, violations=violations, exit_code=exit_code
    )


def _unexplained(error: CreditCallError, address: str, timeout_s: float) -> tuple[str, str]:
    """Return the message and the next step for an error without a reason, which no creditgate service has sent."""
    match error.code:
        case grpc.StatusCode.UNAVAILABLE:
            message = f"no creditgate service answers at {address}"
            next_step = "start one with `creditgate serve`, or say where it is with --address"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            message = f"no answer from {address} within {timeout_s:g} s"
            next_step = "it is safe to ask again, with a longer --timeout if need be"
        case grpc.StatusCode.UNIMPLEMENTED:
            message = f"what answers at {address} does not know this call"
            next_step = "it is another program, or an older version of the service"
        case _:
            message, next_step = f"{address} answered {error.code.name}: {error.message}", ""
    return message, next_step
