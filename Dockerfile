# syntax=docker/dockerfile:1
# Two stages: what builds stays behind. Nothing is fetched when a container starts.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY verify_mcp verify_mcp
COPY prompts prompts
# Compiled here, because the file system of a running container is read-only.
RUN python -m venv /opt/verify-mcp \
 && /opt/verify-mcp/bin/pip install --no-cache-dir --compile ".[postgres,otel]"

FROM python:3.13-slim
# The registry of MCP servers takes an image only when it names the entry that it belongs to.
LABEL io.modelcontextprotocol.server.name="io.github.verify-mcp/verify-mcp" \
      org.opencontainers.image.source="https://github.com/verify-mcp/verify-mcp" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --system --gid 10001 verify \
 && useradd --system --uid 10001 --gid verify --home-dir /var/lib/verify-mcp --create-home verify
COPY --from=build /opt/verify-mcp /opt/verify-mcp
ENV PATH=/opt/verify-mcp/bin:$PATH \
    XDG_DATA_HOME=/var/lib/verify-mcp \
    VERIFY_MCP_LOG_FORMAT=json
USER 10001:10001
VOLUME /var/lib/verify-mcp
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["verify-mcp"]
CMD ["serve", "--http", "--host", "0.0.0.0", "--port", "8000"]
