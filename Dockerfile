# One file, two images (BuildKit or buildah):
#   docker build -t larimar-service:0.1.0-cpu .
#   docker build -t larimar-service:0.1.0-cuda --build-arg VARIANT=cuda .
# Base weights are baked in; WEIGHTS=mounted leaves them out (chart: weights.persistence). PyTorch's
# CUDA wheels bring their libraries, so both images stand on the same small base: a GPU needs only
# the driver, which the container runtime brings.
ARG BASE_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${BASE_IMAGE} AS python
# Debian's stable release moves only for fixes, which an image should have: no versions pinned.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/*
ENV PATH=/opt/larimar/venv/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

FROM python AS build
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /opt/larimar/venv
ARG VARIANT=cpu
ARG TORCH=2.13.0
# PyPI's wheel brings gigabytes of CUDA; this index has the one without. Empty: pip's own index.
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
RUN case "$VARIANT" in \
      cpu) [ -z "$TORCH_CPU_INDEX" ] || export PIP_INDEX_URL="$TORCH_CPU_INDEX" ;; \
      cuda) ;; \
      *) echo "VARIANT is cpu or cuda, not $VARIANT" >&2; exit 1 ;; \
    esac; \
    pip install "torch==$TORCH"
WORKDIR /src
COPY . .
# hadolint ignore=DL3013
RUN pip install ".[otel]" \
 && python -P -m memory_store.scan \
 && python -P -m memory_store.update \
 && python -P -m service.engine.native.library

FROM build AS weights
ARG WEIGHTS=baked
RUN case "$WEIGHTS" in \
      baked) LARIMAR_CACHE_DIR=/opt/larimar/weights python -m service.model.weights ;; \
      mounted) mkdir -p /opt/larimar/weights ;; \
      *) echo "WEIGHTS is baked or mounted, not $WEIGHTS" >&2; exit 1 ;; \
    esac

FROM python
COPY --from=build /opt/larimar/venv /opt/larimar/venv
COPY --from=weights /opt/larimar/weights /opt/larimar/weights
COPY docker/entrypoint.sh docker/healthcheck.py docker/smoke.py /opt/larimar/docker/

# Nothing is written outside /tmp: the root file system may be read-only.
ENV HOME=/tmp \
    LARIMAR_CACHE_DIR=/opt/larimar/weights \
    LARIMAR_EMBEDDED=false \
    LARIMAR_HOST=0.0.0.0 \
    LARIMAR_LOG_FORMAT=json \
    LARIMAR_PORT=8000 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_VISIBLE_DEVICES=all \
    PYTHONUNBUFFERED=1
WORKDIR /opt/larimar
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "/opt/larimar/docker/healthcheck.py"]
ENTRYPOINT ["/opt/larimar/docker/entrypoint.sh"]
CMD ["serve"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Larimar Service" \
      org.opencontainers.image.description="Edit what a language model knows while it runs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
