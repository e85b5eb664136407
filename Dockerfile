# SPDX-License-Identifier: Apache-2.0
# tact on the CPU, with video and simulated tasks: docker build -t tact . && docker run --rm -v "$PWD:/work" tact help
# (packaging/README.md). The packages of the first stage say what the second needs.
FROM debian:bookworm-slim AS build
WORKDIR /tact
COPY scripts/setup scripts/setup
RUN apt-get update && scripts/setup && apt-get install -y --no-install-recommends dpkg-dev file
COPY . .
RUN scripts/build && cd build && cpack -B deb && rm -r deb/_CPack_Packages

FROM debian:bookworm-slim
COPY --from=build /tact/build/deb /tmp/packages
RUN apt-get update && \
    apt-get install -y --no-install-recommends /tmp/packages/tact_*.deb /tmp/packages/tact-sim_*.deb \
        ca-certificates libegl-mesa0 libgl1-mesa-dri && \
    rm -rf /tmp/packages /var/lib/apt/lists/* && \
    useradd --create-home tact && mkdir /work && chown tact: /work
USER tact
WORKDIR /work
ENTRYPOINT ["tact"]
CMD ["help"]
