"""What each rule does when it fires."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from creditgate.domain.decision import Action, ReasonCode


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled policy. Its version explains a decision for as long as the decision is kept."""

    version: str
    actions: Mapping[ReasonCode, Action]


DEFAULT_POLICY: Final = Policy("default", MappingProxyType(dict.fromkeys(ReasonCode, Action.REJECT)))
"""Every rule rejects: what the gate does unless it is told otherwise."""
