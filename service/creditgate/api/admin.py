"""Handlers of AdminService: set-up of accounts."""

from creditgate.api.context import CallContext
from creditgate.api.parse.admin import parse_close_account, parse_list_accounts, parse_put_account
from creditgate.api.render import fill_account
from creditgate.domain.ports import CreditStore
from creditgate.v1.admin_service_pb2 import (
    CloseAccountRequest,
    CloseAccountResponse,
    ListAccountsRequest,
    ListAccountsResponse,
    PutAccountRequest,
    PutAccountResponse,
)


class AdminHandlers:
    """The RPCs that set accounts up."""

    def __init__(self, store: CreditStore) -> None:
        self._store = store

    async def put_account(self, request: PutAccountRequest, context: CallContext) -> PutAccountResponse:
        """Create an account, or change its settings."""
        put = await self._store.run(parse_put_account(request), context.deadline)
        response = PutAccountResponse(created=put.created)
        fill_account(response.account, put.account)
        return response

    async def close_account(self, request: CloseAccountRequest, context: CallContext) -> CloseAccountResponse:
        """Close an account to new orders."""
        account = await self._store.run(parse_close_account(request), context.deadline)
        response = CloseAccountResponse()
        fill_account(response.account, account)
        return response

    async def list_accounts(self, request: ListAccountsRequest, context: CallContext) -> ListAccountsResponse:
        """Read a page of all accounts."""
        listing = parse_list_accounts(request)
        page = await self._store.list_accounts(*listing, context.deadline)
        response = ListAccountsResponse(next_page_token=page.next_page_token)
        for account in page.items:
            fill_account(response.accounts.add(), account)
        return response
