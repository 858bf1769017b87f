FROM python:3.13-slim-trixie AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
COPY pyproject.toml uv.lock ./
COPY tools/bootstrap.py tools/
RUN python tools/bootstrap.py --uv-requirement > uv.txt \
 && pip install --require-hashes --no-deps -r uv.txt \
 && uv export --frozen --no-default-groups --no-emit-project -q -o requirements.txt \
 && uv export --frozen --only-group build -q -o build.txt \
 && python -m venv --without-pip /opt/venv \
 && uv pip install --require-hashes --compile-bytecode --python /opt/venv/bin/python -r requirements.txt \
 && pip install --require-hashes --no-deps -r build.txt
COPY README.md LICENSE ./
COPY platform/ lead_orchestrator/
COPY migrations/ migrations/
RUN python -m hatchling build -t wheel -d dist \
 && uv pip install --no-deps --compile-bytecode --python /opt/venv/bin/python dist/*.whl

FROM python:3.13-slim-trixie
RUN groupadd --gid 10001 lead \
 && useradd --uid 10001 --gid lead --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin lead
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ENVIRONMENT=production HOST=0.0.0.0 PORT=3000
WORKDIR /tmp
USER 10001:10001
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health', timeout=3)"]
CMD ["lead-orchestrator", "serve"]
