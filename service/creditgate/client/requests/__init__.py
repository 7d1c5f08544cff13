"""Builds the request of every call: both clients take their parameters, defaults and documentation from here.

Amounts are integers in minor units of `currency_code` (1250.00 USD is 125000). The service checks every bound and names
the field that breaks one; nothing is checked twice here.
"""

from creditgate.client.requests.admin import (
    ClearableField,
    close_account,
    get_group,
    get_policy,
    list_accounts,
    list_groups,
    put_account,
    put_exchange_rates,
    put_group,
)
from creditgate.client.requests.credit import (
    amend_reservation,
    check_credit,
    commit_reservation,
    get_account,
    get_reservation,
    list_reservations,
    release_reservation,
    reserve_credit,
)
from creditgate.client.requests.desk import (
    block_account,
    clear_manual_limit,
    clear_temporary_limit,
    set_manual_limit,
    set_temporary_limit,
    unblock_account,
)
from creditgate.client.requests.limit_feed import (
    activate_limit_batch,
    cancel_limit_batch,
    get_limit_batch,
    limit_batch_header,
    limit_update,
    list_limit_batches,
    rollback_limit_batch,
    unreadable_row,
)
from creditgate.client.requests.receivables import (
    open_item,
    post_receivable,
    record_credit_note,
    record_payment,
    update_aging,
)

__all__ = [
    "ClearableField",
    "activate_limit_batch",
    "amend_reservation",
    "block_account",
    "cancel_limit_batch",
    "check_credit",
    "clear_manual_limit",
    "clear_temporary_limit",
    "close_account",
    "commit_reservation",
    "get_account",
    "get_group",
    "get_limit_batch",
    "get_policy",
    "get_reservation",
    "limit_batch_header",
    "limit_update",
    "list_accounts",
    "list_groups",
    "list_limit_batches",
    "list_reservations",
    "open_item",
    "post_receivable",
    "put_account",
    "put_exchange_rates",
    "put_group",
    "record_credit_note",
    "record_payment",
    "release_reservation",
    "reserve_credit",
    "rollback_limit_batch",
    "set_manual_limit",
    "set_temporary_limit",
    "unblock_account",
    "unreadable_row",
    "update_aging",
]
