# The image of Velocity. For servers and builders, which are not root:
#
#   docker build --target velocity --tag velocity .
#
# Without --target it makes the stage for GitHub's runners, which build the last one
# and can give no options. Both builders of the Docker engine take this file. What
# may be chosen, each with --build-arg:
#
#   GO_IMAGE       the image with the Go toolchain that compiles
#   RUNTIME_IMAGE  the image that everything is put on: a Debian, or one like it
#   BINARY         an image with /out/velocity, instead of compiling: then what was
#                  released is in the image. BuildKit compiles nothing then
#   PACKAGES       what is installed unless RUNTIME_IMAGE has it
#   VERSION, COMMIT  what velocity version and the labels say
#
# docs/containers.md tells how to run it, CONTRIBUTING.md how the digests are renewed.
ARG GO_IMAGE=golang:1.26.9-bookworm@sha256:d9c68c2c51161e12fd77e4c6320687c9cd86e1af1e3ad6e6cd63ff970641453c
ARG RUNTIME_IMAGE=debian:bookworm-slim@sha256:7c7b2c966bc9ee8cedfeef67e0e279108992c77681fa595db4a9d65c06ccc587
ARG BINARY=build

FROM ${GO_IMAGE} AS build
WORKDIR /src
# The toolchain is the one of the image, whatever go.mod of a later day asks for.
ENV CGO_ENABLED=0 GOTOOLCHAIN=local
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
ARG COMMIT=
RUN go build -trimpath -buildvcs=false -o /out/velocity \
      -ldflags "-s -w -X github.com/velocity-ci/velocity/app.version=${VERSION} -X github.com/velocity-ci/velocity/app.commit=${COMMIT}" .

FROM ${BINARY} AS binary

FROM ${RUNTIME_IMAGE} AS runtime
# git and its ways out: certificates for https, ssh for submodules and publishing.
ARG PACKAGES="git ca-certificates openssh-client"
RUN lacking= && for package in ${PACKAGES}; do \
      [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || lacking="$lacking $package"; \
    done && \
    if [ -n "$lacking" ]; then \
      apt-get update && \
      DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $lacking && \
      rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin; \
    fi
# Volumes that are mounted on these folders begin as theirs.
RUN groupadd --gid 10001 velocity && \
    useradd --uid 10001 --gid 10001 --home-dir /var/lib/velocity --no-create-home --shell /usr/sbin/nologin velocity && \
    install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/velocity /var/lib/velocity/builder /srv/git
COPY --from=binary /out/velocity /usr/local/bin/velocity
ARG VERSION=
ARG COMMIT=
LABEL org.opencontainers.image.title="Velocity" \
      org.opencontainers.image.description="Continuous integration that lives in git" \
      org.opencontainers.image.source="https://github.com/velocity-ci/velocity" \
      org.opencontainers.image.documentation="https://github.com/velocity-ci/velocity/blob/main/docs/containers.md" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
ENTRYPOINT ["velocity"]

FROM runtime AS velocity
# One volume is enough: a server and a builder keep different files in it. The health
# is told in /tmp, which is a tmpfs where the root file system is read-only.
ENV HOME=/var/lib/velocity \
    VELOCITY_STATE=/var/lib/velocity \
    VELOCITY_BUILDER_STATE=/var/lib/velocity \
    VELOCITY_HEALTH=/tmp/velocity-health
WORKDIR /var/lib/velocity
VOLUME /var/lib/velocity
USER 10001:10001
STOPSIGNAL SIGTERM
# A server reads repositories and cleans up when it begins: that may take a while.
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 CMD ["velocity", "health"]

# GitHub's runner makes this one, and starts it as it documents: as root, in
# /github/workspace. velocity action goes on as the owner of that folder.
FROM runtime AS action
