"""What the service says of a request, in the words of the command line: options for fields, money for minor units."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from creditgate.domain.money import say_money

SAID_AS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "account.base_limit_minor": "--limit",
        "account.block.actor": "--actor",
        "account.block.reason": "--block",
        "account.currency_code": "the account's currency (--currency)",
        "account.display_name": "--name",
        "account.group_id": "--group",
        "account.limit_expire_time": "--limit-until",
        "account.risk_class": "--risk-class",
        "account_id": "ACCOUNT",
        "amount_minor": "AMOUNT",
        "as_of": "--as-of",
        "currency_code": "the currency",
        "disputed_minor": "--disputed",
        "document_id": "DOCUMENT",
        "group.currency_code": "the group's currency (--currency)",
        "group.display_name": "--name",
        "group.limit_minor": "--limit",
        "group_id": "GROUP",
        "hold_duration": "--hold",
        "oldest_due_date": "--oldest-due",
        "order_id": "ORDER",
        "overdue_minor": "OVERDUE",
        "payment_id": "PAYMENT",
        "payment_terms_days": "--terms-days",
        "request_id": "--request-id",
        "secured_minor": "--secured",
    }
)
"""By field of a request, what a person types for it; a command may say it otherwise."""

_SUBJECTS: Final[Mapping[str, str]] = MappingProxyType(
    {word: f"--{word}" for word in ("actor", "comment", "etag", "reason", "source")}
)
"""Fields with the name of a common word: only what a bound follows on is meant."""

_AS_DETAILS: Final = "(amount_minor, order_id, final, or the other sign)"
_DETAILS: Final = "(another amount, another order, --final, or the other sign)"


def as_typed(text: str, said_as: Mapping[str, str], currency_code: str = "") -> str:
    """Return a sentence of the service, or a field's name, as the command line says it.

    Args:
        text: what the service said.
        said_as: by field, what this command says otherwise than `SAID_AS`.
        currency_code: the currency of the amounts; empty: unknown, and they stay in minor units.

    """
    words = {**SAID_AS, **said_as}
    fields = "|".join(re.escape(field) for field in sorted(words, key=len, reverse=True))
    said = re.sub(rf"(?<![\w.])({fields})(?![\w.])", lambda found: words[found[1]], text.replace(_AS_DETAILS, _DETAILS))
    subjects = "|".join(_SUBJECTS)
    said = re.sub(rf"(?<![\w.])({subjects})(?= must\b|$)", lambda found: _SUBJECTS[found[1]], said)
    return say_money(said, currency_code) if currency_code else said
