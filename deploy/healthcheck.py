"""The image's HEALTHCHECK: exit code 0 when /readyz of the service in this container answers 200, else 1.

The address is the service's own, from CREDITGATE_METRICS_LISTEN. Only the standard library, since it starts every few
seconds.
"""  # noqa: INP001 - one file beside the image's other parts, not a package

import http.client
import os
import sys

ADDRESS_DEFAULT = "127.0.0.1:9464"
TIMEOUT_S = 3.0
WHY_LENGTH_MAX = 500
_LOOPBACK = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - replaced, not bound


def probe_address(listen: str) -> tuple[str, int]:
    """Return host and port at which a service listening on HOST:PORT is reached from its own host.

    Raises:
        ValueError: the text has no port.

    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    return _LOOPBACK.get(host, host), int(port)


def why_not_ready(host: str, port: int) -> str | None:
    """Return None when the service is ready, else one line saying why it is not."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        text = response.read(WHY_LENGTH_MAX).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"no answer from {host}:{port}: {error}"
    finally:
        connection.close()
    return None if response.status == http.client.OK else f"/readyz answers {response.status}: {text}"


def main() -> int:
    """Print why the service is not ready, if it is not, and return the exit code."""
    why = why_not_ready(*probe_address(os.environ.get("CREDITGATE_METRICS_LISTEN", ADDRESS_DEFAULT)))
    if why is not None:
        sys.stdout.write(f"{why}\n")
    return 0 if why is None else 1


if __name__ == "__main__":
    sys.exit(main())
