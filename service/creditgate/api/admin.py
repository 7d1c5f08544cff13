"""Handlers of AdminService: set-up of accounts."""

from creditgate.api.context import CallContext
from creditgate.api.parse.admin import (
    parse_close_account,
    parse_list_accounts,
    parse_put_account,
    parse_verify_accounts,
)
from creditgate.api.render import fill_account
from creditgate.domain.ports import CreditStore
from creditgate.domain.verification import SumDifference, Verified
from creditgate.v1.admin_service_pb2 import (
    CloseAccountRequest,
    CloseAccountResponse,
    ListAccountsRequest,
    ListAccountsResponse,
    PutAccountRequest,
    PutAccountResponse,
    VerifyAccountsRequest,
    VerifyAccountsResponse,
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

    async def verify_accounts(self, request: VerifyAccountsRequest, context: CallContext) -> VerifyAccountsResponse:
        """Recompute the sums of accounts, and put them right when asked to."""
        asked = parse_verify_accounts(request)
        if asked.account_ids:
            found: list[SumDifference] = []
            for account_id in asked.account_ids:
                found += await self._store.verify_account(account_id, repair=asked.repair, deadline=context.deadline)
            verified = Verified(len(asked.account_ids), tuple(found), "")
        else:
            verified = await self._store.verify_accounts(
                page_size=asked.page_size, page_token=asked.page_token, repair=asked.repair, deadline=context.deadline
            )
        response = VerifyAccountsResponse(verified=verified.verified, next_page_token=verified.next_page_token)
        for difference in verified.differences:
            response.differences.add(
                account_id=difference.account_id,
                sum=difference.sum_name,
                kept_minor=difference.kept_minor,
                recomputed_minor=difference.recomputed_minor,
                repaired=difference.repaired,
            )
        return response

    async def list_accounts(self, request: ListAccountsRequest, context: CallContext) -> ListAccountsResponse:
        """Read a page of all accounts."""
        listing = parse_list_accounts(request)
        page = await self._store.list_accounts(*listing, context.deadline)
        response = ListAccountsResponse(next_page_token=page.next_page_token)
        for account in page.items:
            fill_account(response.accounts.add(), account)
        return response
