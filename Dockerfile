# The service as one static binary, run by a user without rights, with what it runs itself: git and ssh.
#
#   docker buildx build --sbom=true --tag fleetwright .      # the SBOM lists every package of the image
#   docker run --rm fleetwright --version

FROM rust:1.95.0-bookworm AS build
# A C compiler for musl: libgit2, zlib and ring are C.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends musl-tools \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY rust-toolchain.toml ./
RUN rustup target add "$(uname -m)-unknown-linux-musl"
COPY . .
RUN cargo build --profile dist --locked --package fleetwright --target "$(uname -m)-unknown-linux-musl" \
 && install -m 0755 "target/$(uname -m)-unknown-linux-musl/dist/fleetwright" /fleetwright

FROM debian:bookworm-slim
# ssh refuses to run as a user without a name.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git openssh-client \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 65532 --user-group --home-dir /tmp --no-create-home --shell /usr/sbin/nologin fleetwright \
 && chmod 1777 /var/cache
COPY --from=build /fleetwright /usr/bin/fleetwright
USER 65532:65532
# The mirror of the upstream lies below; mount a volume there to keep it from one start to the next.
ENV XDG_CACHE_HOME=/var/cache
ENTRYPOINT ["/usr/bin/fleetwright"]
CMD ["--help"]
