"""Verifies sums while orders run: those of accounts (`audit.py`), and those of groups against their accounts'."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.verification import SumDifference
from creditgate.store.answers import unpack_account, unpack_group
from creditgate.store.audit import audit_account
from creditgate.store.directory import Directory
from creditgate.store.function_calls import FunctionCalls
from creditgate.store.lane import Argument, Reply

MEMBERS_TRIES_MAX: Final = 3
"""How often the accounts of a group are listed for verifying it, when some join or leave meanwhile."""


class Verifier:
    """Verifies, and with `repair` puts right what differs. Every method raises `CreditError`."""

    def __init__(self, calls: FunctionCalls, directory: Directory) -> None:
        self._calls = calls
        self._directory = directory

    async def verify_account(
        self, account_id: str, *, repair: bool, deadline: float
    ) -> tuple[SumDifference, ...] | None:
        """Return what differs in an account, None when there is none."""

        async def ask(arguments: Sequence[Argument]) -> Reply:
            async def ask_at(partition: int) -> Reply:
                return await self._calls.call("creditgate_audit", partition, tuple(arguments), deadline, read_only=True)

            return await self._calls.at_account(account_id, ask_at)

        try:
            finding = await audit_account(account_id, ask)
        except CreditError as error:
            if error.reason is ErrorReason.ACCOUNT_NOT_FOUND:
                return None
            raise
        told = {difference.sum_name: difference for difference in finding.differences}
        while repair and finding.differences:
            partition = self._directory.partition_of(account_id)
            arguments = (account_id, *finding.repair)
            done = await self._calls.call("creditgate_repair", partition, arguments, deadline)
            if done and not finding.more:
                break
            finding = await audit_account(account_id, ask)
            told |= {difference.sum_name: difference for difference in finding.differences}
        return tuple(replace(difference, repaired=repair) for difference in told.values())

    async def verify_groups(self, partition: int, *, repair: bool, deadline: float) -> list[SumDifference]:
        """Return what differs between the sums of a partition's groups and those of their accounts."""
        group_ids = [
            unpack_group(item)[0].group_id
            for item in await self._calls.list_partition("creditgate_list_groups", partition, deadline)
        ]
        differences: list[SumDifference] = []
        tries = MEMBERS_TRIES_MAX if group_ids else 0
        while group_ids and tries:
            members: defaultdict[str, list[str]] = defaultdict(list)
            for item in await self._calls.list_partition("creditgate_list_accounts", partition, deadline):
                account, _ = unpack_account(item)
                members[account.group_id].append(account.account_id)
            unsettled = []
            for group_id in group_ids:
                found = await self._verify_group(
                    partition, group_id, members[group_id], repair=repair, deadline=deadline
                )
                if found is None:
                    unsettled.append(group_id)  # an account has joined or left meanwhile
                differences += found or ()
            group_ids, tries = unsettled, tries - 1
        return differences

    async def _verify_group(
        self, partition: int, group_id: str, account_ids: Sequence[str], *, repair: bool, deadline: float
    ) -> list[SumDifference] | None:
        """Return what differs between a group's sums and its accounts', or None when these are not all of them."""
        function = "creditgate_repair_group" if repair else "creditgate_audit_group"
        reply = await self._calls.call(function, partition, (group_id, *account_ids), deadline, read_only=not repair)
        flat = cast("list[bytes]", reply)
        if not flat:
            return None
        names, kept, recomputed = flat[3::3], flat[4::3], flat[5::3]
        return [
            SumDifference("", name.decode(), int(kept_minor), int(should_minor), repair, group_id)
            for name, kept_minor, should_minor in zip(names, kept, recomputed, strict=True)
        ]
