"""The policy as a credit manager writes it: a YAML file, checked, and read again when it changes."""

from creditgate.policies.document import PolicyDocument, PolicyError, PolicyMistake, parse_policy, render_policy
from creditgate.policies.source import FixedPolicy, PolicyFile

__all__ = [
    "FixedPolicy",
    "PolicyDocument",
    "PolicyError",
    "PolicyFile",
    "PolicyMistake",
    "parse_policy",
    "render_policy",
]
