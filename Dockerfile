# The service as one static binary, run by a user without rights, in an image with nothing else in it.
#
#   docker build --tag fleetwright .
#   docker run --rm fleetwright --version

FROM rust:1.95.0-bookworm AS build
# A C compiler for musl (libgit2, zlib and ring are C), and the certificates that the image will trust.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates musl-tools \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY rust-toolchain.toml ./
RUN rustup target add "$(uname -m)-unknown-linux-musl"
COPY . .
RUN cargo build --profile dist --locked --package fleetwright --target "$(uname -m)-unknown-linux-musl" \
 && mkdir -p /image/etc/ssl/certs /image/usr/bin /image/tmp /image/var/cache \
 && install -m 0755 "target/$(uname -m)-unknown-linux-musl/dist/fleetwright" /image/usr/bin/fleetwright \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && chmod 1777 /image/tmp /image/var/cache

FROM scratch
COPY --from=build /image/ /
# The number that images without a user database agree on for "nobody in particular".
USER 65532:65532
# The mirror of the upstream lies below; mount a volume there to keep it from one start to the next.
ENV XDG_CACHE_HOME=/var/cache
ENTRYPOINT ["/usr/bin/fleetwright"]
CMD ["--help"]
