"""Handlers of CreditDeskService: what credit analysts decide."""

from creditgate.api.context import CallContext
from creditgate.api.parse.desk import (
    parse_block_account,
    parse_clear_manual_limit,
    parse_clear_temporary_limit,
    parse_set_manual_limit,
    parse_set_temporary_limit,
    parse_unblock_account,
)
from creditgate.api.render import fill_account
from creditgate.domain.ports import CreditStore
from creditgate.v1.credit_desk_service_pb2 import (
    BlockAccountRequest,
    BlockAccountResponse,
    ClearManualLimitRequest,
    ClearManualLimitResponse,
    ClearTemporaryLimitRequest,
    ClearTemporaryLimitResponse,
    SetManualLimitRequest,
    SetManualLimitResponse,
    SetTemporaryLimitRequest,
    SetTemporaryLimitResponse,
    UnblockAccountRequest,
    UnblockAccountResponse,
)


class DeskHandlers:
    """The RPCs that credit analysts call."""

    def __init__(self, store: CreditStore) -> None:
        self._store = store

    async def block_account(self, request: BlockAccountRequest, context: CallContext) -> BlockAccountResponse:
        """Stop an account."""
        response = BlockAccountResponse()
        fill_account(response.account, await self._store.run(parse_block_account(request), context.deadline))
        return response

    async def unblock_account(self, request: UnblockAccountRequest, context: CallContext) -> UnblockAccountResponse:
        """End an account's block."""
        response = UnblockAccountResponse()
        fill_account(response.account, await self._store.run(parse_unblock_account(request), context.deadline))
        return response

    async def set_manual_limit(self, request: SetManualLimitRequest, context: CallContext) -> SetManualLimitResponse:
        """Set a limit that counts instead of the scorer's."""
        response = SetManualLimitResponse()
        fill_account(response.account, await self._store.run(parse_set_manual_limit(request), context.deadline))
        return response

    async def clear_manual_limit(
        self, request: ClearManualLimitRequest, context: CallContext
    ) -> ClearManualLimitResponse:
        """Take the manual limit away."""
        response = ClearManualLimitResponse()
        fill_account(response.account, await self._store.run(parse_clear_manual_limit(request), context.deadline))
        return response

    async def set_temporary_limit(
        self, request: SetTemporaryLimitRequest, context: CallContext
    ) -> SetTemporaryLimitResponse:
        """Set a limit that counts between two instants."""
        response = SetTemporaryLimitResponse()
        fill_account(response.account, await self._store.run(parse_set_temporary_limit(request), context.deadline))
        return response

    async def clear_temporary_limit(
        self, request: ClearTemporaryLimitRequest, context: CallContext
    ) -> ClearTemporaryLimitResponse:
        """Take the temporary limit away."""
        response = ClearTemporaryLimitResponse()
        fill_account(response.account, await self._store.run(parse_clear_temporary_limit(request), context.deadline))
        return response
