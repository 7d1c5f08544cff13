"""Where a process has its policy from."""

from typing import Final

from creditgate.bootstrap.start_errors import ServiceStartError
from creditgate.ops.metrics import Metrics
from creditgate.policies import FixedPolicy, PolicyError, PolicyFile
from creditgate.settings import Settings, variable_of

LAST_GOOD: Final = "_CREDITGATE_POLICY"
"""Variable by which a parent tells its workers the last good policy: one that starts anew must not need a good file."""


def policy_source(settings: Settings, metrics: Metrics, last_good: str | None = None) -> FixedPolicy | PolicyFile:
    """Return the policy that the settings name. Raises ServiceStartError when its file can't be used.

    With a last good policy, that one decides instead until the file can be used.
    """
    shadow = settings.mode == "shadow"
    if settings.policy_file is None:
        return FixedPolicy(shadow=shadow)
    try:
        return PolicyFile(settings.policy_file, shadow=shadow, on_read=metrics.policy_read, last_good=last_good)
    except PolicyError as error:
        where = f"{variable_of('policy_file')} is {settings.policy_file}, which can't be used"
        raise ServiceStartError(f"{where}: {error}") from None
