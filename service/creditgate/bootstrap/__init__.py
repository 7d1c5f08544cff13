"""Wiring: from settings to a running service, and its stop in the right order."""

from creditgate.bootstrap.run import run
from creditgate.bootstrap.service import RunningService, running_service
from creditgate.bootstrap.start_errors import ServiceStartError

__all__ = ["RunningService", "ServiceStartError", "run", "running_service"]
