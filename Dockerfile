# Two images out of one context:
#   docker build --target operator -t data-efficient-training/operator:0.2.0 .
#   docker build --target trainer  -t data-efficient-training/trainer:0.2.0 .
#
# BASE         any image with Python 3.11 or newer and pip
# TORCH_INDEX  trainer only: take torch from this package index in place of the pinned build, such as
#              an index of CPU builds, which are twenty times smaller
#
# Both run as user 65532, need no writable place but /tmp, and bring no package manager's cache.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS wheel
COPY requirements-bootstrap.lock /src/
RUN python3 -m pip install --quiet --no-cache-dir --require-hashes --target /tools -r /src/requirements-bootstrap.lock
COPY pyproject.toml README.md LICENSE /src/
COPY operator /src/operator
COPY trainer /src/trainer
RUN PYTHONPATH=/tools python3 -m pip wheel --quiet --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel /src

FROM ${BASE} AS common
# Where a home or a cache is wanted, it is in the one place that may be written.
ENV PATH=/opt/app/bin:$PATH \
    PYTHONPATH=/opt/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
WORKDIR /tmp

FROM common AS operator
COPY requirements-operator.lock /opt/
# Left out: the packages' own tests, and the calls and models of the Kubernetes client's synchronous half,
# which are loaded on use, and the operator uses the other half.
RUN python3 -m pip install --quiet --no-cache-dir --no-compile --require-hashes --target /opt/app \
        -r /opt/requirements-operator.lock \
    && find /opt/app -name tests -type d -prune -exec rm -rf {} + \
    && rm -rf /opt/app/kubernetes/client/api/*_api.py /opt/app/kubernetes/client/models/[a-z]*.py
COPY --from=wheel /wheel /opt/wheel
# Compiled is what the operator loads when it starts: it cannot write there later, and would need seconds more.
RUN python3 -m pip install --quiet --no-cache-dir --no-compile --no-deps --upgrade --target /opt/app /opt/wheel/*.whl \
    && env -u PYTHONDONTWRITEBYTECODE python3 -c 'import dataefficient.cli, dataefficient.cluster.process, dataefficient.cycle.machine'
USER 65532:65532
ENTRYPOINT ["detctl"]
CMD ["operator"]

FROM common AS trainer
ARG TORCH_INDEX=
COPY requirements-bootstrap.lock requirements.lock /opt/
# uv installs several times faster; it is gone again in the same layer.
RUN python3 -m pip install --quiet --no-cache-dir --require-hashes --target /tmp/uv -r /opt/requirements-bootstrap.lock \
    && uv() { PYTHONPATH=/tmp/uv /tmp/uv/bin/uv pip install --quiet --no-cache --target /opt/app --python "$(command -v python3)" "$@"; } \
    && if [ -z "$TORCH_INDEX" ]; then uv --require-hashes -r /opt/requirements.lock; else \
        python3 -c 'import re; parts = re.split(r"\n(?=\S)", open("/opt/requirements.lock").read().strip()); \
drop = re.compile(r"(torch|triton|nvidia-|cuda-)"); \
open("/tmp/rest.lock", "w").write("\n".join(p for p in parts if not drop.match(p)) + "\n"); \
open("/tmp/torch.txt", "w").write(next(p.split()[0] for p in parts if p.startswith("torch==")) + "\n")' \
        && uv --require-hashes -r /tmp/rest.lock \
        && uv --index-url "$TORCH_INDEX" -r /tmp/torch.txt; fi \
    && rm -rf /tmp/uv /tmp/rest.lock /tmp/torch.txt
COPY --from=wheel /wheel /opt/wheel
# Compiled is what a run loads, for the same reason: torch alone would take each pod seconds more.
RUN python3 -m pip install --quiet --no-cache-dir --no-compile --no-deps --upgrade --target /opt/app /opt/wheel/*.whl \
    && env -u PYTHONDONTWRITEBYTECODE python3 -c 'import dataefficient_trainer.__main__, dataefficient_trainer.preload'
USER 65532:65532
ENTRYPOINT ["dataefficient-trainer"]
