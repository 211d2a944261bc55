# The image of Slipway: the locked packages and the service, without build tools.
#   packages  the virtual environment, from requirements.txt
#   wheel     the service as a wheel; the build backend is pinned by hash in requirements-dev.txt
#   (last)    the runtime image
# The base is pinned: the digest is that of the index over all platforms. `make image` takes the tag alone instead, so that
# it works with a local image.
ARG PYTHON_IMAGE=python:3.13-slim
ARG PYTHON_DIGEST=sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${PYTHON_IMAGE}${PYTHON_DIGEST:+@${PYTHON_DIGEST}} AS packages
WORKDIR /build
ENV PIP_CACHE_DIR=/cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1 UV_CACHE_DIR=/cache/uv UV_LINK_MODE=copy
COPY requirements-uv.txt ./
# hadolint ignore=DL3042  # the cache is a mount, which no layer contains
RUN --mount=type=cache,target=/cache \
    python -m pip install --quiet --root-user-action=ignore --no-deps --require-hashes \
    --requirement requirements-uv.txt
COPY requirements.txt ./
RUN --mount=type=cache,target=/cache \
    python -m venv --without-pip /opt/slipway \
 && uv pip install --quiet --python /opt/slipway/bin/python --only-binary :all: --require-hashes \
    --compile-bytecode --requirement requirements.txt

FROM packages AS wheel
COPY requirements-dev.txt pyproject.toml README.md ./
COPY service ./service
RUN --mount=type=cache,target=/cache \
    uv build --quiet --wheel --require-hashes --build-constraints requirements-dev.txt --out-dir /wheels

FROM ${PYTHON_IMAGE}${PYTHON_DIGEST:+@${PYTHON_DIGEST}}
# A name for the numeric user, which some libraries look up, and a writable home.
RUN groupadd --gid 10001 slipway \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin slipway
# With a read-only root, Python cannot write bytecode, and every start would compile the standard library.
RUN python -m compileall -q -j 0 -x '/(test|tests|idlelib|ensurepip|lib2to3|turtledemo|site-packages)/' \
    "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=packages /opt/slipway /opt/slipway
# Remove the installers of the base image after use: a running container must not install packages.
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    python -m pip --python /opt/slipway/bin/python install --quiet --no-cache-dir --disable-pip-version-check \
    --root-user-action=ignore --no-index --no-deps /wheels/*.whl \
 && python -m pip uninstall --quiet --yes --root-user-action=ignore pip \
 && rm -r "$(python -c 'import ensurepip; print(ensurepip.__path__[0])')" \
 && dpkg --purge --force-depends --force-remove-protected apt >/dev/null \
 && rm -rf /var/lib/apt /var/cache/apt /etc/apt

# A fixed threshold, because glibc's dynamic one lets buffers of large bodies fragment the heap.
ENV PATH=/opt/slipway/bin:$PATH \
    MALLOC_MMAP_THRESHOLD_=131072 \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SLIPWAY_SERVER__HOST=0.0.0.0 \
    SLIPWAY_SERVER__ADMIN_HOST=0.0.0.0
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000 9000
ENTRYPOINT ["slipway"]
CMD ["serve"]

ARG PYTHON_IMAGE
ARG PYTHON_DIGEST
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="slipway" \
      org.opencontainers.image.description="From a SQLModel class to an observable, audited, zero-downtime API on Kubernetes." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.authors="The developers of Slipway" \
      org.opencontainers.image.vendor="Slipway" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}" \
      org.opencontainers.image.base.digest="${PYTHON_DIGEST}"
