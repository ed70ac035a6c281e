# One target per kind of image; docs/adr/0090 says why these. `make images` builds them all.
# Every container runs as user 65532 with a read-only root; it writes to /tmp and to the volumes it is given.
# Optional secrets of a build: `pip` (pip.conf), `ca` (certificates, PEM), `maven` (settings.xml).
ARG BASE=docker.io/library/python:3.11-slim-bookworm
ARG DEBIAN=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS base
RUN useradd --uid 65532 --user-group --home-dir /tmp --no-create-home --shell /usr/sbin/nologin didymos \
    && rm -rf /usr/local/lib/python3*/site-packages/* /usr/local/bin/pip* /usr/local/lib/python3*/ensurepip \
       /usr/lib/python3/dist-packages/pip* /usr/lib/python3*/ensurepip /usr/share/python-wheels \
    && rm -rf /root/.cache /var/cache/apt/* /var/lib/apt/lists/*
ENV PATH=/opt/didymos/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /tmp

FROM ${BASE} AS code
COPY deploy/images/code.sh /build/
COPY libs /src/libs
COPY services /src/services
COPY cli /src/cli
RUN /build/code.sh

FROM ${BASE} AS wheels-runtime
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils >/dev/null
COPY deploy/images/python.sh /build/
COPY requirements/runtime.txt /build/requirements/
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca /build/python.sh /build/requirements/runtime.txt

FROM base AS service
COPY --from=wheels-runtime /opt/didymos /opt/didymos
COPY deploy/images/didymos /usr/local/bin/
COPY --from=code /opt/code /opt/code
USER 65532:65532
CMD ["python", "-c", "raise SystemExit('name a service: python -m didymos_identity')"]

FROM service AS cli
ENTRYPOINT ["/usr/local/bin/didymos"]
CMD ["--help"]

FROM ${DEBIAN} AS debian
RUN useradd --uid 65532 --user-group --home-dir /tmp --no-create-home --shell /usr/sbin/nologin didymos \
    && printf 'path-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n' >/etc/dpkg/dpkg.cfg.d/small
ENV DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 HOME=/tmp
WORKDIR /tmp

FROM debian AS jars
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends maven default-jre-headless ca-certificates >/dev/null
COPY deploy/images/kafka /build
RUN --mount=type=secret,id=ca --mount=type=secret,id=maven /build/jars.sh /opt/kafka/libs

FROM debian AS kafka
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends default-jre-headless >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY --from=jars /opt/kafka/libs /opt/kafka/libs
COPY deploy/images/kafka/log4j2.properties /opt/kafka/
USER 65532:65532
CMD ["java", "-Dlog4j2.configurationFile=/opt/kafka/log4j2.properties", "-cp", "/opt/kafka/libs/*", "kafka.Kafka", "/etc/kafka/server.properties"]

# Without its compiler of queries (a third of the whole): the server goes on without when the library is not there.
FROM debian AS postgresql
RUN mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \
    && apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql-15 >/dev/null \
    && rm -rf /usr/lib/postgresql/15/lib/bitcode /usr/lib/postgresql/15/lib/llvmjit* /usr/lib/*/libLLVM* /usr/lib/*/libz3* \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
ENV PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin
USER 65532:65532
CMD ["postgres", "-D", "/var/lib/postgresql/data", "-k", "/tmp"]

FROM debian AS redis
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
USER 65532:65532
CMD ["redis-server", "--save", "", "--appendonly", "no", "--dir", "/tmp"]

FROM debian AS gateway
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
USER 65532:65532
CMD ["nginx", "-e", "stderr", "-g", "daemon off;", "-c", "/etc/gateway/nginx.conf"]

# The last, as it is large. ACCELERATOR=cuda keeps the libraries for graphics cards, 2.3 GB more.
FROM ${BASE} AS wheels-learner
ARG ACCELERATOR=none
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils >/dev/null
COPY deploy/images/python.sh deploy/images/prune.py /build/
COPY requirements/learner.txt requirements/torch.txt /build/requirements/
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca \
    ACCELERATOR=${ACCELERATOR} /build/python.sh /build/requirements/learner.txt /build/requirements/torch.txt

FROM base AS learner
COPY --from=wheels-learner /opt/didymos /opt/didymos
COPY deploy/images/didymos /usr/local/bin/
COPY --from=code /opt/code /opt/code
USER 65532:65532
CMD ["python", "-c", "raise SystemExit('name a process: python -m didymos_training_orchestration')"]
