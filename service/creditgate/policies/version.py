"""The version of a policy: made of all that could change a decision, and of nothing else."""

import hashlib
import json
from typing import Final

from creditgate.domain.policy import ClassPolicy, Policy

_DIGITS: Final = 12


def version_of(policy: Policy) -> str:
    """Return the same for policies that decide alike, however they are written. The policy's own is not looked at."""
    content = [
        policy.shadow,
        policy.time_zone,
        policy.hold_default_s,
        policy.hold_longest_s,
        {name: _content_of(each) for name, each in policy.classes.items()},
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def _content_of(class_policy: ClassPolicy) -> list[object]:
    rules = {
        code.name: [setting.action.name, setting.number, setting.share_bps, dict(setting.amounts)]
        for code, setting in class_policy.rules.items()
        if setting.action
    }
    return [class_policy.credit_balance_raises_headroom, class_policy.limit_rise_releases_reviews, rules]
