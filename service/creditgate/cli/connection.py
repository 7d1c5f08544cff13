"""A command's connection to the service: amounts in, calls, answers out.

This module and what it imports take long to import (gRPC, protobuf, the currency table): commands reach it through
`creditgate.cli.deferred`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Final

import grpc
from google.protobuf.message import Message

from creditgate.cli.failures import CommandFailure, ExitCode, Violation, usage_failure
from creditgate.cli.json_output import print_message, print_message_line
from creditgate.cli.tables import print_answer, print_listing
from creditgate.client import ClearableField, CreditCallError, CreditClient
from creditgate.domain.money import Money, MoneyFormatError, parse_money
from creditgate.v1.account_pb2 import ACCOUNT_STATUS_OPEN, Account, Block
from creditgate.v1.credit_service_pb2 import AmendReservationResponse, CheckCreditResponse, ReserveCreditResponse
from creditgate.v1.decision_pb2 import OUTCOME_APPROVED, OUTCOME_FLAGGED
from creditgate.v1.reservation_pb2 import (
    RESERVATION_STATE_COMMITTED,
    RESERVATION_STATE_HELD,
    Reservation,
    ReservationState,
)

__all__ = [
    "ACCOUNT_STATUS_OPEN",
    "Block",
    "Connection",
    "cleared_fields",
    "connect",
    "parse_amount",
    "parse_part_minor",
    "parse_states",
]

_TABLE_ROWS_MAX: Final = 1000

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
    "ETAG_MISMATCH": "look with `creditgate reservation show`, which tells the etag",
    "STORE_UNAVAILABLE": "the service itself answers: look at its Redis",
}


class Connection:
    """The service that a command talks to, and how its answers are shown.

    Attributes:
        client: makes the calls.

    """

    def __init__(self, client: CreditClient, *, as_json: bool) -> None:
        self.client = client
        self._as_json = as_json

    def show(self, answer: Message) -> ExitCode:
        """Print an answer, and return what it means for the program that called the command."""
        if self._as_json:
            print_message(answer)
        else:
            print_answer(answer)
        return _exit_code(answer)

    def check_currency(self, account_id: str, argument: str, money: Money) -> None:
        """Make sure that an amount is in its account's currency, for a call that takes none.

        Raises:
            CommandFailure: it is not.

        """
        currency_code = self.client.get_account(account_id).account.currency_code
        if money.currency_code != currency_code:
            raise usage_failure(f"{argument}: {account_id} is kept in {currency_code}, not in {money.currency_code}")

    def show_each(self, listing: Iterator[Account | Reservation], rows_max: int | None) -> ExitCode:
        """Print a listing: a line of JSON each as they come, or a table."""
        if self._as_json:
            for item in islice(listing, rows_max):
                print_message_line(item)
        else:
            rows = list(islice(listing, rows_max or _TABLE_ROWS_MAX))
            print_listing(rows, more=next(listing, None) is not None)
        return ExitCode.DONE


@contextmanager
def connect(address: str, timeout_s: float, *, as_json: bool) -> Iterator[Connection]:
    """Give a connection to the service at an address.

    Raises:
        CommandFailure: a call in the block failed.

    """
    with CreditClient(address, timeout_s=timeout_s) as client:
        try:
            yield Connection(client, as_json=as_json)
        except CreditCallError as error:
            raise _call_failure(error, address, timeout_s) from None


def parse_amount(argument: str, amount: str, currency: str = "") -> Money:
    """Return the money that a person wrote as one word or two.

    Raises:
        CommandFailure: it can't be read; the sentence names the argument.

    """
    try:
        return parse_money(f"{amount} {currency}".strip())
    except MoneyFormatError as error:
        raise usage_failure(f"{argument}: {error}") from None


def parse_part_minor(option: str, text: str, total: Money) -> int:
    """Return the minor units of an amount that is a part of another one, and so in its currency.

    Raises:
        CommandFailure: it can't be read, or is in another currency.

    """
    part = parse_amount(option, text)
    if part.currency_code != total.currency_code:
        raise usage_failure(f"{option}: {text!r} is not in {total.currency_code}, as the whole is")
    return part.amount_minor


def parse_states(option: str, names: Sequence[str]) -> list[ReservationState.ValueType]:
    """Return the states that a person named by their short names, in any case.

    Raises:
        CommandFailure: there is no such state; the sentence lists them.

    """
    states = {
        name.removeprefix("RESERVATION_STATE_"): number for name, number in ReservationState.items() if number != 0
    }
    unknown = [name for name in names if name.upper() not in states]
    if unknown:
        raise usage_failure(f"{option}: {unknown[0]!r} is none of {', '.join(states)}")
    return [states[name.upper()] for name in names]


def cleared_fields(*, limit: bool, block: bool) -> tuple[ClearableField, ...]:
    """Return the settings of an account that are to be taken away."""
    fields: dict[ClearableField, bool] = {"base_limit_minor": limit, "block": block}
    return tuple(field for field, cleared in fields.items() if cleared)


def _exit_code(answer: Message) -> ExitCode:
    match answer:
        case CheckCreditResponse() | AmendReservationResponse():
            accepted = answer.decision.outcome in {OUTCOME_APPROVED, OUTCOME_FLAGGED}
        case ReserveCreditResponse():
            # A replay repeats the first decision; what counts is whether the order still has its reservation.
            accepted = answer.reservation.state in {RESERVATION_STATE_HELD, RESERVATION_STATE_COMMITTED}
        case _:
            accepted = True
    return ExitCode.DONE if accepted else ExitCode.REFUSED


def _call_failure(error: CreditCallError, address: str, timeout_s: float) -> CommandFailure:
    message, next_step = error.message, _NEXT_STEPS.get(error.reason, "")
    if not error.reason:
        message, next_step = _unexplained(error, address, timeout_s)
    violations = tuple(Violation(*violation) for violation in error.violations)
    return CommandFailure(message, next_step, code=error.code.name, reason=error.reason, violations=violations)


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
