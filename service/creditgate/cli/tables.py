"""Answers as people read them: a headline, the reasons, and the numbers."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import singledispatch
from typing import TYPE_CHECKING, Final, NoReturn

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from creditgate.domain.money import format_amount, format_money
from creditgate.v1.account_pb2 import ACCOUNT_STATUS_CLOSED, Account, AccountStatus, ManualLimit, TemporaryLimit
from creditgate.v1.admin_service_pb2 import CloseAccountResponse, PutAccountResponse
from creditgate.v1.credit_service_pb2 import (
    AmendReservationResponse,
    CheckCreditResponse,
    CommitReservationResponse,
    GetAccountResponse,
    GetReservationResponse,
    ReleaseReservationResponse,
    ReserveCreditResponse,
)
from creditgate.v1.decision_pb2 import OUTCOME_REJECTED, Decision, Exposure, Outcome, Reason, ReasonCode
from creditgate.v1.receivables_service_pb2 import (
    PostReceivableResponse,
    RecordCreditNoteResponse,
    RecordPaymentResponse,
    UpdateAgingResponse,
)
from creditgate.v1.reservation_pb2 import (
    RESERVATION_STATE_COMMITTED,
    RESERVATION_STATE_RELEASED,
    Reservation,
    ReservationState,
)

if TYPE_CHECKING:
    from creditgate.settings import SettingDescription

_PIPED_WIDTH: Final = 200
INDENT: Final = (0, 0, 0, 2)
_REPLAYED: Final = "asked before: nothing was changed now"
_STYLES: Final = {
    "APPROVED": "bold green",
    "FLAGGED": "bold yellow",
    "PENDING_REVIEW": "bold yellow",
    "REJECTED": "bold red",
    "HELD": "green",
    "OPEN": "green",
    "CLOSED": "red",
    "BLOCKED": "red",
}
_ENDED_BY_A_CALL: Final = frozenset({RESERVATION_STATE_COMMITTED, RESERVATION_STATE_RELEASED})

Facts = Sequence[tuple[str, str | Text]]


class OutputConsole(Console):
    """A console that leaves a broken pipe to its caller, and gives a file or a pipe long lines."""

    def __init__(self) -> None:
        super().__init__(highlight=False, markup=False, emoji=False)
        if not self.is_terminal:
            self.width = _PIPED_WIDTH

    def on_broken_pipe(self) -> NoReturn:
        """Raise what `Console` would turn into exit code 1, which here means a refusal."""
        raise BrokenPipeError


def counted(count: int, word: str) -> str:
    """Return how many there are of what a word names."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def print_listing(table: Table, count: int, *, more: bool) -> None:
    """Print a row for each, and how many there are; say so when there are more."""
    console = OutputConsole()
    if count:
        console.print(table)
    console.print(f"{count:,} shown; there are more: raise --max" if more else f"{count:,} in all")


def print_settings(described: "Sequence[SettingDescription]") -> None:
    """Print each setting: its name and value, and below them what it means and its default."""
    console = OutputConsole()
    for setting in described:
        console.print(Text(setting.name, style="bold").append(f" = {setting.value or '(absent)'}", style="not bold"))
        default = "" if setting.value == setting.default else f" [default: {setting.default or '(absent)'}]"
        console.print(Padding(Text(f"{setting.description}{default}", style="dim"), INDENT, expand=False))


@singledispatch
def print_answer(answer: Message) -> None:
    """Print the answer to one call."""
    raise TypeError(type(answer).__name__)


@print_answer.register
def _(answer: CheckCreditResponse) -> None:
    console = OutputConsole()
    console.print(headline(_outcome(answer.decision)))
    _print_grounds(console, answer.decision)
    print_facts(console, exposure_facts(answer.decision.exposure))


@print_answer.register
def _(answer: ReserveCreditResponse) -> None:
    console = OutputConsole()
    console.print(headline(_outcome(answer.decision), _REPLAYED if answer.replayed else ""))
    _print_grounds(console, answer.decision)
    if answer.HasField("reservation"):
        print_facts(console, _reservation_facts(answer.reservation))
        console.print("The account before this order:")
    print_facts(console, exposure_facts(answer.decision.exposure))


@print_answer.register
def _(answer: AmendReservationResponse) -> None:
    console = OutputConsole()
    outcome = _outcome(answer.decision)
    refused = answer.decision.outcome == OUTCOME_REJECTED
    console.print(headline(outcome, "the order stays as it is" if refused else _REPLAYED if answer.replayed else ""))
    _print_grounds(console, answer.decision)
    print_facts(console, _reservation_facts(answer.reservation))
    console.print("The account before this change:")
    print_facts(console, exposure_facts(answer.decision.exposure))


@print_answer.register
def _(answer: CommitReservationResponse) -> None:
    console = OutputConsole()
    over = format_money(answer.over_committed_minor, answer.reservation.currency_code)
    notes = (
        _REPLAYED if answer.replayed else "",
        "the hold had already ended: recorded all the same" if answer.late else "",
        f"{over} more than the order: recorded all the same" if answer.over_committed_minor else "",
    )
    console.print(headline("recorded as receivable", "; ".join(filter(None, notes))))
    print_facts(console, _reservation_facts(answer.reservation))


@print_answer.register
def _(answer: ReleaseReservationResponse) -> None:
    console = OutputConsole()
    console.print(headline("released", _REPLAYED if answer.replayed else ""))
    print_facts(console, _reservation_facts(answer.reservation))


@print_answer.register
def _(answer: PostReceivableResponse) -> None:
    print_account("invoice recorded", answer.account, _REPLAYED if answer.replayed else "")


@print_answer.register
def _(answer: RecordCreditNoteResponse) -> None:
    print_account("credit note recorded", answer.account, _REPLAYED if answer.replayed else "")


@print_answer.register
def _(answer: RecordPaymentResponse) -> None:
    print_account("payment recorded", answer.account, _REPLAYED if answer.replayed else "")


@print_answer.register
def _(answer: UpdateAgingResponse) -> None:
    if answer.ignored:
        print_account("ageing left as it is", answer.account, "figures of a later instant are there")
    else:
        print_account("ageing recorded", answer.account, _REPLAYED if answer.replayed else "")


@print_answer.register
def _(answer: GetReservationResponse) -> None:
    console = OutputConsole()
    print_facts(console, _reservation_facts(answer.reservation))
    decision = answer.reservation.decision
    console.print(headline(f"decided {_outcome(decision)}", f"on {local_time(decision.decide_time)}"))
    _print_grounds(console, decision)


@print_answer.register
def _(answer: GetAccountResponse) -> None:
    print_facts(OutputConsole(), _account_facts(answer.account))


@print_answer.register
def _(answer: PutAccountResponse) -> None:
    note = "its limit has ended already" if _limit_has_ended(answer.account) else ""
    print_account("account created" if answer.created else "account changed", answer.account, note)


@print_answer.register
def _(answer: CloseAccountResponse) -> None:
    print_account("account closed", answer.account)


def print_account(words: str, account: Account, note: str = "") -> None:
    """Print what was done to an account, and the account as it is now."""
    console = OutputConsole()
    console.print(headline(words, note))
    print_facts(console, _account_facts(account))


def headline(words: str, note: str = "") -> Text:
    """Return the first line of an answer; the note tells what is unusual about it."""
    line = Text(words, style=_STYLES.get(words, "bold"))
    return line.append(f"  ({note})", style="not bold dim") if note else line


def _print_grounds(console: Console, decision: Decision) -> None:
    """Print each reason's sentence; those without effect say so."""
    grounds = (
        *((reason, "") for reason in decision.reasons),
        *((reason, " [shadow mode: without effect]") for reason in decision.shadow_reasons),
        *((reason, " [did not fire]") for reason in decision.passed_rules),
    )
    for reason, note in grounds:
        console.print(Padding(Text(f"{_reason_code(reason)}: {printable(reason.message)}{note}"), INDENT, expand=False))


def print_facts(console: Console, facts: Facts) -> None:
    """Print a line for each fact: its name and its value."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        console.print(Text.assemble("  ", (name.ljust(width), "dim"), "  ", value), soft_wrap=True)


def exposure_facts(exposure: Exposure) -> Facts:
    """Return where an account stands."""
    currency_code = exposure.currency_code
    exposure_minor = exposure.reserved_minor + max(0, exposure.receivable_minor)
    facts: list[tuple[str, str | Text]] = [
        ("limit", _limit(exposure)),
        ("reserved", format_money(exposure.reserved_minor, currency_code)),
        ("receivable", format_money(exposure.receivable_minor, currency_code)),
        ("exposure", format_money(exposure_minor, currency_code)),
    ]
    if exposure.pending_review_minor:
        facts.append(("pending review", format_money(exposure.pending_review_minor, currency_code)))
    facts.append(("available", _available(exposure)))
    return facts


def _limit(exposure: Exposure) -> str:
    if exposure.unlimited:
        return "unlimited"
    return format_money(exposure.limit_minor, exposure.currency_code) if exposure.HasField("limit_minor") else "not set"


def _available(exposure: Exposure) -> str:
    if exposure.unlimited:
        return "unlimited"
    if not exposure.HasField("available_minor"):
        return "nothing: no limit is set"
    return format_money(exposure.available_minor, exposure.currency_code)


def _reservation_facts(reservation: Reservation) -> Facts:
    currency_code = reservation.currency_code
    facts: list[tuple[str, str | Text]] = [
        ("account", reservation.account_id),
        ("order", reservation.order_id),
        ("state", _styled(_state(reservation))),
        ("amount", format_money(reservation.amount_minor, currency_code)),
    ]
    if reservation.secured_minor:
        facts.append(("secured", format_money(reservation.secured_minor, currency_code)))
    account_currency_code = reservation.decision.exposure.currency_code
    return [
        *facts,
        ("exposure held", format_money(reservation.exposure_minor, account_currency_code)),
        ("committed", format_money(reservation.committed_minor, currency_code)),
        ("remaining", format_money(reservation.remaining_minor, currency_code)),
        ("created", local_time(reservation.create_time)),
        *([("expires", expires)] if (expires := _expires(reservation)) else []),
        ("etag", reservation.etag),
    ]


def _expires(reservation: Reservation) -> str:
    """Return when what is held or waits ends, or has ended by itself; empty when it has ended otherwise."""
    return "" if reservation.state in _ENDED_BY_A_CALL else local_time(reservation.expire_time)


def _account_facts(account: Account) -> Facts:
    facts: list[tuple[str, str | Text]] = [("account", account.account_id)]
    if account.display_name:
        facts.append(("name", printable(account.display_name)))
    if account.risk_class:
        facts.append(("risk class", account.risk_class))
    if account.group_id:
        facts.append(("group", account.group_id))
    facts.append(("status", _styled(_status(account))))
    if account.HasField("block"):
        block = account.block
        facts.append(("blocked", printable(f"{block.reason or 'no reason given'} ({block.actor or 'unknown'})")))
        facts.append(("blocked since", local_time(block.create_time)))
        if block.HasField("expire_time"):
            facts.append(("blocked until", local_time(block.expire_time)))
    facts += _account_exposure_facts(account)
    facts += _limit_facts(account)
    if account.secured_receivable_minor:
        secured = format_money(account.secured_receivable_minor, account.currency_code)
        facts.append(("secured", f"{secured} of invoices is covered by security and takes no credit"))
    if account.HasField("aging_as_of"):
        facts += _aging_facts(account)
    return [*facts, ("created", local_time(account.create_time))]


def _account_exposure_facts(account: Account) -> Facts:
    """Return where an account stands; a limit that has ended reads as one, since the policy may refuse every order."""
    if not _limit_has_ended(account):
        return exposure_facts(account.exposure)
    ended = {
        "limit": f"  (ended {local_time(account.limit_expire_time)})",
        "available": "  (of a limit that has ended)",
    }
    return [(name, f"{value}{ended.get(name, '')}") for name, value in exposure_facts(account.exposure)]


def _limit_has_ended(account: Account) -> bool:
    """Return whether the base limit has ended and no other counts in its place, by this machine's clock."""
    now = datetime.now(UTC)
    if not account.HasField("limit_expire_time") or account.limit_expire_time.ToDatetime(UTC) > now:
        return False
    manual, temporary = account.manual_limit, account.temporary_limit
    has_manual = account.HasField("manual_limit") and not (
        manual.HasField("expire_time") and manual.expire_time.ToDatetime(UTC) <= now
    )
    has_temporary = account.HasField("temporary_limit") and temporary.start_time.ToDatetime(
        UTC
    ) <= now < temporary.end_time.ToDatetime(UTC)
    return not has_manual and not has_temporary


def _limit_facts(account: Account) -> Facts:
    """Return the limits that an account has, where there is more to tell than the one that counts now."""
    facts: list[tuple[str, str | Text]] = []
    base, manual, temporary = account.HasField("base_limit_minor"), account.manual_limit, account.temporary_limit
    if account.HasField("temporary_limit"):
        between = f"from {local_time(temporary.start_time)} until {local_time(temporary.end_time)}"
        facts.append(("temporary limit", _set_limit(account, temporary, between)))
    if account.HasField("manual_limit"):
        until = f"until {local_time(manual.expire_time)}" if manual.HasField("expire_time") else "without an end"
        facts.append(("manual limit", _set_limit(account, manual, until)))
    if facts or account.HasField("limit_expire_time"):
        amount = format_money(account.base_limit_minor, account.currency_code) if base else "not set"
        ended = account.limit_expire_time.ToDatetime(UTC) <= datetime.now(UTC)
        until = f", {'ended' if ended else 'until'} {local_time(account.limit_expire_time)}"
        ends = until if account.HasField("limit_expire_time") else ""
        facts.append(("base limit", f"{'unlimited' if account.unlimited else amount}{ends}"))
    if account.HasField("scheduled_limit"):
        facts.append(("next limit", _scheduled_limit(account)))
    return [*facts, *_scoring_facts(account)]


def _scheduled_limit(account: Account) -> str:
    """Return the scorer's next base limit, with the instants between which it counts."""
    scheduled = account.scheduled_limit
    amount = "unlimited" if scheduled.unlimited else format_money(scheduled.limit_minor, account.currency_code)
    ends = f" until {local_time(scheduled.expire_time)}" if scheduled.HasField("expire_time") else ""
    risk_class = f", class {scheduled.risk_class}" if scheduled.risk_class else ""
    return f"{amount}, from {local_time(scheduled.effective_time)}{ends} (version {scheduled.version}{risk_class})"


def _scoring_facts(account: Account) -> Facts:
    """Return what the scorer said of the base limit."""
    facts: list[tuple[str, str | Text]] = []
    if account.HasField("score"):
        facts.append(("score", f"{account.score:g}"))
    if account.limit_reasons:
        facts.append(("limit reasons", printable("; ".join(account.limit_reasons))))
    return facts


def _set_limit(account: Account, limit: ManualLimit | TemporaryLimit, when: str) -> str:
    unlimited = isinstance(limit, ManualLimit) and limit.unlimited
    amount = "unlimited" if unlimited else format_money(limit.limit_minor, account.currency_code)
    return printable(f"{amount}, {when}: {limit.reason} ({limit.actor})")


def _aging_facts(account: Account) -> Facts:
    due = account.oldest_due_date
    since = f", the oldest of it due on {due}" if due else ""
    if due > f"{datetime.now(UTC).astimezone():%Y-%m-%d}":
        since += ", which is still to come"
    facts = [("overdue", f"{format_money(account.overdue_minor, account.currency_code)}{since}")]
    if account.disputed_minor:
        disputed = format_money(account.disputed_minor, account.currency_code)
        facts.append(("disputed", f"{disputed} of what is overdue"))
    return [*facts, ("aged as of", local_time(account.aging_as_of))]


def account_table(accounts: Sequence[Account]) -> Table:
    """Return a row for each account."""
    table = _table(("account", "name", "status"), ("limit", "exposure", "available"))
    for account in accounts:
        table.add_row(*_account_row(account))
    return table


def reservation_table(reservations: Sequence[Reservation]) -> Table:
    """Return a row for each reservation."""
    table = _table(("order", "state"), ("amount", "committed", "remaining"))
    table.add_column("expires")
    for reservation in reservations:
        table.add_row(*_reservation_row(reservation))
    return table


def _table(identity: Sequence[str], amounts: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in identity:
        table.add_column(heading, overflow="fold")
    for heading in amounts:
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("currency")
    return table


def _account_row(account: Account) -> Sequence[str | Text]:
    exposure = account.exposure
    exposure_minor = exposure.reserved_minor + max(0, exposure.receivable_minor)
    return (
        account.account_id,
        printable(account.display_name),
        _styled(_status(account)),
        _limit(exposure).removesuffix(f" {exposure.currency_code}") + (" ended" if _limit_has_ended(account) else ""),
        format_amount(exposure_minor, exposure.currency_code),
        format_amount(exposure.available_minor, exposure.currency_code) if exposure.HasField("available_minor") else "",
        account.currency_code,
    )


def _reservation_row(reservation: Reservation) -> Sequence[str | Text]:
    currency_code = reservation.currency_code
    return (
        reservation.order_id,
        _styled(_state(reservation)),
        format_amount(reservation.amount_minor, currency_code),
        format_amount(reservation.committed_minor, currency_code),
        format_amount(reservation.remaining_minor, currency_code),
        currency_code,
        _expires(reservation),
    )


def _outcome(decision: Decision) -> str:
    return short_name(Outcome.DESCRIPTOR, decision.outcome)


def _reason_code(reason: Reason) -> str:
    return short_name(ReasonCode.DESCRIPTOR, reason.code)


def _state(reservation: Reservation) -> str:
    return short_name(ReservationState.DESCRIPTOR, reservation.state)


def _status(account: Account) -> str:
    if account.HasField("block") and account.status != ACCOUNT_STATUS_CLOSED:
        return "BLOCKED"
    return short_name(AccountStatus.DESCRIPTOR, account.status)


def short_name(enum: EnumDescriptor, number: int) -> str:
    """Return a value's name without its enum's; a newer service may send a value that has no name here."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    value = enum.values_by_number.get(number)
    return str(number) if value is None else value.name.removeprefix(prefix)


def _styled(word: str) -> Text:
    return Text(word, style=_STYLES.get(word, ""))


def printable(text: str) -> str:
    """Return the text without what would move the cursor or change colours of a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def local_time(timestamp: Timestamp) -> str:
    """Return the time in the local zone, with its name."""
    return f"{timestamp.ToDatetime(UTC).astimezone():%Y-%m-%d %H:%M:%S %Z}"
