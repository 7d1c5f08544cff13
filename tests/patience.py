"""How long tests wait: a machine that is slow or busy must never fail one, and only a test that fails waits so long."""

from typing import Final

PATIENCE_S: Final = 60.0
"""Longest wait for what has to come."""

PATIENT_REDIS_S: Final = 30.0
"""What Redis may take where a test is not about its silence: a slow disk or a pause of the machine is no fault."""

PATIENT_SETTINGS: Final = {
    "redis_timeout": f"{PATIENT_REDIS_S:g}",
    "deadline_default": f"{PATIENCE_S:g}",
}
"""Settings of a service whose test is not about time-outs, by the ends of their names."""
