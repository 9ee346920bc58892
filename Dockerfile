FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin crosspage --config 'profile.release.strip="symbols"'

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=build /build/target/release/crosspage /usr/local/bin/crosspage
USER 10001:10001
ENV DATABASE_URL=sled:///data/crosspage
VOLUME /data
EXPOSE 5001
STOPSIGNAL SIGTERM
ENTRYPOINT ["crosspage"]
