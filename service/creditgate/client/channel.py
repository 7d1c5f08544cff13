"""How the clients connect: target, deadlines, retries, sizes."""

import json
from typing import Final, TypeAlias

from creditgate.v1.admin_service_pb2 import DESCRIPTOR as ADMIN
from creditgate.v1.credit_desk_service_pb2 import DESCRIPTOR as DESK
from creditgate.v1.credit_service_pb2 import DESCRIPTOR as CREDIT
from creditgate.v1.limit_feed_service_pb2 import DESCRIPTOR as LIMIT_FEED
from creditgate.v1.receivables_service_pb2 import DESCRIPTOR as RECEIVABLES

DEFAULT_TARGET: Final = "127.0.0.1:50051"
DEFAULT_TIMEOUT_S: Final = 2.0

Metadata: TypeAlias = tuple[tuple[str, str], ...]
"""What a call says beside its request."""

_LANGUAGE_KEY: Final = "accept-language"
_RECONNECT_AFTER_MS: Final = 50
_RECONNECT_AFTER_MAX_MS: Final = 400
_KEEPALIVE_AFTER_MS: Final = 30_000
_KEEPALIVE_TIMEOUT_MS: Final = 5_000
_MESSAGE_MAX_BYTES: Final = 16 * 1024 * 1024

_SERVICES: Final = [
    service for file in (CREDIT, RECEIVABLES, LIMIT_FEED, DESK, ADMIN) for service in file.services_by_name.values()
]

_SERVICE_CONFIG: Final = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": service.full_name} for service in _SERVICES],
                # Every call may be repeated. UNAVAILABLE invites it; CANCELLED is what gRPC itself answers for a call
                # that reached a stopping server too late to be handled. Five attempts are the most that gRPC
                # makes; the waits between them are 50, 100, 200 and 400 ms (each ± 20 %), never past the deadline.
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.4s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
                },
            },
            # A method's own entry comes first, and this one has no policy: gRPC repeats a stream only until its first
            # answer, and keeps all that was sent until then. The clients know what is not answered, and send just that.
            {
                "name": [
                    {"service": service.full_name, "method": method.name}
                    for service in _SERVICES
                    for method in service.methods
                    if method.client_streaming
                ]
            },
        ],
        # While a service stays away its callers stop repeating: a failed attempt takes a token; with half of them gone
        # gRPC repeats nothing, and every two answers give one back.
        "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.5},
    }
)

CHANNEL_OPTIONS: Final[tuple[tuple[str, str | int], ...]] = (
    ("grpc.service_config", _SERVICE_CONFIG),
    # By default a broken connection is not tried again for a second, and every attempt within that second fails unsent.
    ("grpc.initial_reconnect_backoff_ms", _RECONNECT_AFTER_MS),
    ("grpc.min_reconnect_backoff_ms", _RECONNECT_AFTER_MS),
    ("grpc.max_reconnect_backoff_ms", _RECONNECT_AFTER_MAX_MS),
    # Finds a connection that died without a word: what was sent must be acknowledged within the keepalive timeout.
    ("grpc.keepalive_time_ms", _KEEPALIVE_AFTER_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    ("grpc.max_receive_message_length", _MESSAGE_MAX_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_MAX_BYTES),
    # The gate stands in its callers' own network; an http_proxy in the environment is for the way out of it.
    ("grpc.enable_http_proxy", 0),
)


def metadata_of(language: str) -> Metadata:
    """Return what tells a service which language a caller reads; nothing when the text is empty."""
    return ((_LANGUAGE_KEY, language),) if language else ()
