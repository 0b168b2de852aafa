# The simulator as an image: one stage builds a virtual environment, the other only carries it.
#
#   docker build -t simulator .
#   docker run --rm -p 127.0.0.1:8080:8080 simulator
#
# Any base with Python 3.11+ and its venv module will do. Both stages use it: the environment points at its interpreter.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# For those who install from a mirror of their own; pip reads them from the environment. They stay in this stage.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
WORKDIR /build
# A virtual environment, since distributions do not let pip touch their own Python (PEP 668).
RUN python3 -m venv /opt/simulator
COPY pyproject.toml README.md LICENSE ./
COPY scenarios scenarios
COPY simulator simulator
# pip has done its work then: what is not in the image needs no updates.
RUN /opt/simulator/bin/python -m pip install --no-cache-dir . \
 && /opt/simulator/bin/python -m pip uninstall --yes pip \
 && /opt/simulator/bin/simulator --help >/dev/null

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/simulator /opt/simulator
COPY scenarios /scenarios
# A number, not a name: it needs no entry in the base's user list, and Kubernetes can see that it is not root.
RUN install -d -o 10001 -g 10001 /data
USER 10001:10001
# On a container's loopback nobody would hear it, whatever the command; who may reach the port is decided where it is
# published.
ENV PATH=/opt/simulator/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SIMULATOR_HOST=0.0.0.0
WORKDIR /scenarios
VOLUME /data
EXPOSE 8080
# No proxy: the address is our own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python3", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('SIMULATOR_PORT', '8080') + '/_simulator/health', timeout=2)"]
ENTRYPOINT ["simulator"]
CMD ["serve", "/scenarios/documents.yaml"]
