# The server with its embedded session pool.
#
#   docker run -i --rm IMAGE                                             stdio
#   docker run -i --rm -v FOLDER:/data IMAGE --work-dir /data            the same, with a folder
#   docker run --rm -p 8000:8000 -e ACA_MCP_AUTH_TOKENS=me=TOKEN IMAGE \
#     serve --transport http --host 0.0.0.0                              http://localhost:8000/mcp
#
# Sessions are held by the `landlock` isolation here: a container's own system call filter leaves
# no namespaces to make, and no privilege is asked for.

FROM python:3.11-slim-bookworm AS build
WORKDIR /source
RUN ["python", "-m", "venv", "/opt/aca-mcp"]
COPY pyproject.toml README.md LICENSE ./
# Dependencies are a layer of their own, made again only when pyproject.toml changes.
RUN mkdir aca_mcp && touch aca_mcp/__init__.py && \
    /opt/aca-mcp/bin/python -m pip install --no-cache-dir '.[local]'
COPY aca_mcp ./aca_mcp
RUN /opt/aca-mcp/bin/python -m pip install --no-cache-dir --no-deps --force-reinstall . && \
    /opt/aca-mcp/bin/python -m pip uninstall --yes pip setuptools
# What sessions import, apart from what the server does: minimal, or data, which is larger.
ARG ENVIRONMENT=minimal
RUN /opt/aca-mcp/bin/aca-mcp env create "$ENVIRONMENT" --data-dir /opt/aca-mcp-data

FROM python:3.11-slim-bookworm
LABEL io.modelcontextprotocol.server.name="io.github.aca-mcp/aca-mcp" \
      org.opencontainers.image.title="aca-mcp" \
      org.opencontainers.image.description="An MCP server that gives a language model a stateful, isolated Python interpreter." \
      org.opencontainers.image.source="https://github.com/aca-mcp/aca-mcp" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
# For what matplotlib's own font has no glyphs for: Chinese, Japanese, Korean, in 7 MB. The release
# of Debian pins its version.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install --yes --no-install-recommends fonts-droid-fallback && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/aca-mcp /opt/aca-mcp
COPY --from=build /opt/aca-mcp-data /opt/aca-mcp-data
ENV PATH="/opt/aca-mcp/bin:$PATH" ACA_MCP_DATA_DIR=/opt/aca-mcp-data
# Numbered, so that Kubernetes can see that it is not root. A folder of the user's is mounted at
# /data: a volume takes its owner from here, and one that belongs to somebody else is written to
# with --user and its owner's numbers.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin aca-mcp && \
    install --directory --owner=10001 --group=10001 /data
USER 10001:10001
WORKDIR /home/aca-mcp
EXPOSE 8000
# Of the service. Over stdio the client is the judge, and nothing listens.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as http; http.urlopen(f\"http://127.0.0.1:{os.environ.get('ACA_MCP_PORT', 8000)}/healthz\", timeout=4)"]
ENTRYPOINT ["aca-mcp"]
CMD ["serve"]
