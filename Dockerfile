# Build: docker build -t crosspage .
# Run:   see docs/deploy.md; it needs no root, no shell, and no file system but /data that it can write to.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin crosspage --config 'profile.release.strip="symbols"' \
    && install --directory --mode=0700 /build/data

# The C library and the root certificates, and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12
COPY --from=build /build/target/release/crosspage /usr/local/bin/crosspage
# A new volume takes its owner and mode from here.
COPY --from=build --chown=10001:10001 /build/data /data
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
ENV DATABASE_URL=sled:///data/crosspage
VOLUME /data
# Webhooks. Operators are served on 127.0.0.1:5002 inside the container, unless ADMIN_ADDR says otherwise.
EXPOSE 5001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/crosspage", "health"]
ENTRYPOINT ["/usr/local/bin/crosspage"]
