# syntax=docker/dockerfile:1
# The bridge as an image. It wants host networking, or the media ports published one to one:
#
#   docker build -t bridge .
#   docker run --network host -e BRIDGE_LINES__MAIN__KEYS='["a-long-random-key-of-your-own"]' bridge
#
# Without a key it does not start, and says so: it listens on every address.

FROM python:3.11-slim-bookworm AS wheel
WORKDIR /app
# For the compiled packet path; the image itself has no compiler.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev
COPY locks/build.lock locks/build.lock
RUN python -m venv /app/.build
RUN /app/.build/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r locks/build.lock
COPY LICENSE README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md pyproject.toml ./
COPY .ci .ci
COPY bridge bridge
COPY deploy/push.md deploy/push.md
COPY deploy/systemd deploy/systemd
COPY docs docs
COPY web web
RUN /app/.build/bin/python -m pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -w /app/dist /app

FROM python:3.11-slim-bookworm AS packages
WORKDIR /app
# `--build-arg LOCK=telemetry` adds what traces need (docs/tracing.md).
ARG LOCK=run
COPY locks/${LOCK}.lock locks/${LOCK}.lock
RUN python -m venv /app/.venv
RUN /app/.venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r locks/${LOCK}.lock
COPY --from=wheel /app/dist /app/dist
RUN /app/.venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index --find-links /app/dist webrtc-media-bridge
RUN mkdir -p /app/data

FROM python:3.11-slim-bookworm
WORKDIR /app
COPY --from=packages /app/.venv /app/.venv
COPY --from=packages --chown=10001:10001 /app/data /app/data
ENV PYTHONUNBUFFERED=1 \
    BRIDGE_NODES=1 \
    BRIDGE_HTTP__HOST=0.0.0.0 \
    BRIDGE_HTTP__PORT=8080 \
    BRIDGE_DATA__DIR=/app/data
# A number, not a name: nothing has to be added to the image, and Kubernetes can tell it is not root.
USER 10001:10001
VOLUME /app/data
EXPOSE 8080/tcp 20000-20999/udp
STOPSIGNAL SIGTERM
# With TLS switched on this needs https: override it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/app/.venv/bin/python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['BRIDGE_HTTP__PORT'] + '/healthz', timeout=2)"]
# Under a supervisor, so that calls outlive a process that dies.
CMD ["/app/.venv/bin/media-bridge", "--supervised"]
