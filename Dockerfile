# The service as one static binary, run by a user without rights, with git, ssh and Helm at fixed versions.
#
#   docker buildx build --sbom=true --tag fleetwright .      # the SBOM lists every package of the image
#   docker run --rm fleetwright --version

# Helm, whose content Go's checksum database pins with its version; the SBOM knows it by what Go writes into the binary.
FROM golang:1.26.8-bookworm AS helm
RUN CGO_ENABLED=0 GOBIN=/out go install -trimpath -ldflags '-s -w' helm.sh/helm/v4/cmd/helm@v4.1.4

FROM rust:1.95.0-bookworm AS build
# A C compiler for musl: libgit2, zlib and ring are C.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends 'musl-tools=1.2.3-*' \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY rust-toolchain.toml ./
RUN rustup target add "$(uname -m)-unknown-linux-musl"
COPY . .
RUN cargo build --profile dist --locked --package fleetwright --features otlp --target "$(uname -m)-unknown-linux-musl" \
 && install -m 0755 "target/$(uname -m)-unknown-linux-musl/dist/fleetwright" /fleetwright

FROM debian:bookworm-slim
# ssh refuses to run as a user without a name.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
      'ca-certificates=20230311*' 'git=1:2.39.5-*' 'openssh-client=1:9.2p1-*' \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 65532 --user-group --home-dir /tmp --no-create-home --shell /usr/sbin/nologin fleetwright \
 && chmod 1777 /var/cache
COPY --from=helm /out/helm /usr/bin/helm
COPY --from=build /fleetwright /usr/bin/fleetwright
USER 65532:65532
# The mirror of the upstream lies below; mount a volume there to keep it from one start to the next.
ENV XDG_CACHE_HOME=/var/cache
ENTRYPOINT ["/usr/bin/fleetwright"]
CMD ["--help"]
