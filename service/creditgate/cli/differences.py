"""Sums that differ from what they sum up, for people and for programs."""

import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from rich import box
from rich.table import Table

from creditgate.cli.tables import OutputConsole, counted
from creditgate.client import VerifiedAccounts
from creditgate.domain.money import format_amount
from creditgate.v1.admin_service_pb2 import SumDifference

SHOWN_MAX: Final = 1000

_NEXT_DUE: Final = "next_due"
_CURRENCIES_KEPT: Final = 1000


class Differences:
    """What verifying has found so far: counts, and the first differences.

    Attributes:
        verified: accounts that were verified.
        accounts: accounts with a sum that differs.
        groups: credit groups with a sum that differs.
        sums: sums that differ.
        repaired: those of them that were put right.

    """

    def __init__(self) -> None:
        self.verified = self.accounts = self.groups = self.sums = self.repaired = 0
        self._first: list[SumDifference] = []

    def add(self, page: VerifiedAccounts) -> None:
        """Count what one call has found."""
        self.verified += page.verified
        self.accounts += len({difference.account_id for difference in page.differences if difference.account_id})
        self.groups += len({difference.group_id for difference in page.differences if difference.group_id})
        self.sums += len(page.differences)
        self.repaired += sum(difference.repaired for difference in page.differences)
        self._first += page.differences[: SHOWN_MAX - len(self._first)]

    def print_json(self) -> None:
        """Print one document; money is in minor units."""
        document = {
            "verified": self.verified,
            "differing_accounts": self.accounts,
            "differing_groups": self.groups,
            "differing_sums": self.sums,
            "repaired_sums": self.repaired,
            "differences": [
                {
                    "account_id": difference.account_id,
                    "group_id": difference.group_id,
                    "sum": difference.sum,
                    "kept_minor": difference.kept_minor,
                    "recomputed_minor": difference.recomputed_minor,
                    "repaired": difference.repaired,
                }
                for difference in self._first
            ],
        }
        sys.stdout.write(json.dumps(document, indent=2) + "\n")

    def print_tables(self, currency_of: Callable[[str], str]) -> None:
        """Print a row for each difference, and how many there are; `currency_of` tells an account's currency."""
        console = OutputConsole()
        if self._first:
            console.print(_table(self._first, lru_cache(_CURRENCIES_KEPT)(currency_of)))
        if self.sums > len(self._first):
            console.print(f"… and {self.sums - len(self._first):,} more")
        accounts = counted(self.verified, "account")
        if not self.sums:
            console.print(f"{accounts} verified: every sum is what its orders and entries add up to")
            return
        owners = ((self.accounts, "account"), (self.groups, "group"))
        of = " and ".join(counted(count, word) for count, word in owners if count)
        differ = f"{counted(self.sums, 'sum')} of {of} differed"
        console.print(f"{accounts} verified: {differ}, {self.repaired:,} put right", style="bold red")


def _table(differences: Sequence[SumDifference], currency_of: Callable[[str], str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("account or group", "sum"):
        table.add_column(heading, overflow="fold")
    for heading in ("kept", "should be", "too much"):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("currency")
    table.add_column("")
    for difference in differences:
        kept, recomputed = difference.kept_minor, difference.recomputed_minor
        owner, name, currency_code = difference.account_id, difference.sum, ""
        if difference.group_id:
            owner = f"group {difference.group_id}"
            name, _, currency_code = name.rpartition(":")
        if name == _NEXT_DUE:
            figures = [_time(kept), _time(recomputed), "", ""]
        else:
            currency_code = currency_code or currency_of(difference.account_id)
            amounts = (kept, recomputed, kept - recomputed)
            figures = [*(format_amount(amount, currency_code) for amount in amounts), currency_code]
        repaired = "put right" if difference.repaired else ""
        table.add_row(owner, _sum_name(name), *figures, repaired)
    return table


def _sum_name(name: str) -> str:
    kind, at, second = name.partition("@")
    if at:
        return f"{kind.replace('_', ' ')} {_time(int(second))}"
    return "next due second" if name == _NEXT_DUE else name.replace("_", " ")


def _time(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC).astimezone():%Y-%m-%d %H:%M:%S %Z}" if second else "none"
