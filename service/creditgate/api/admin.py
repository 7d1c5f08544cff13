"""Handlers of AdminService: set-up of accounts."""

from creditgate.api.context import CallContext
from creditgate.api.parse.admin import (
    parse_close_account,
    parse_get_group,
    parse_listing,
    parse_put_account,
    parse_put_exchange_rates,
    parse_put_group,
    parse_verify_accounts,
)
from creditgate.api.render import fill_account, fill_group
from creditgate.domain.ports import CreditStore, PolicySource
from creditgate.domain.verification import SumDifference, Verified
from creditgate.v1.admin_service_pb2 import (
    CloseAccountRequest,
    CloseAccountResponse,
    GetGroupRequest,
    GetGroupResponse,
    GetPolicyRequest,
    GetPolicyResponse,
    ListAccountsRequest,
    ListAccountsResponse,
    ListGroupsRequest,
    ListGroupsResponse,
    PutAccountRequest,
    PutAccountResponse,
    PutExchangeRatesRequest,
    PutExchangeRatesResponse,
    PutGroupRequest,
    PutGroupResponse,
    VerifyAccountsRequest,
    VerifyAccountsResponse,
)


class AdminHandlers:
    """The RPCs that set accounts, groups, rates and the policy up."""

    def __init__(self, store: CreditStore, policy: PolicySource) -> None:
        self._store = store
        self._policy = policy

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

    async def put_group(self, request: PutGroupRequest, context: CallContext) -> PutGroupResponse:
        """Create a credit group, or change its settings."""
        put = await self._store.run(parse_put_group(request), context.deadline)
        response = PutGroupResponse(created=put.created)
        fill_group(response.group, put.group)
        return response

    async def get_group(self, request: GetGroupRequest, context: CallContext) -> GetGroupResponse:
        """Read one credit group with its exposure."""
        response = GetGroupResponse()
        fill_group(response.group, await self._store.run(parse_get_group(request), context.deadline))
        return response

    async def list_groups(self, request: ListGroupsRequest, context: CallContext) -> ListGroupsResponse:
        """Read a page of all credit groups."""
        page = await self._store.list_groups(*parse_listing(request), context.deadline)
        response = ListGroupsResponse(next_page_token=page.next_page_token)
        for group in page.items:
            fill_group(response.groups.add(), group)
        return response

    async def put_exchange_rates(
        self, request: PutExchangeRatesRequest, context: CallContext
    ) -> PutExchangeRatesResponse:
        """Replace exchange rates."""
        table = parse_put_exchange_rates(request)
        applied = await self._store.put_rates(table.rates, table.version, table.expire_time_s, context.deadline)
        return PutExchangeRatesResponse(applied=applied, ignored=len(table.rates) - applied)

    async def get_policy(self, _request: GetPolicyRequest, _context: CallContext) -> GetPolicyResponse:
        """Read the policy that decides."""
        policy = self._policy.policy
        return GetPolicyResponse(
            policy_version=policy.version,
            document=self._policy.document,
            shadow=policy.shadow,
            problem=self._policy.problem,
        )

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
                group_id=difference.group_id,
            )
        return response

    async def list_accounts(self, request: ListAccountsRequest, context: CallContext) -> ListAccountsResponse:
        """Read a page of all accounts."""
        listing = parse_listing(request)
        page = await self._store.list_accounts(*listing, context.deadline)
        response = ListAccountsResponse(next_page_token=page.next_page_token)
        for account in page.items:
            fill_account(response.accounts.add(), account)
        return response
