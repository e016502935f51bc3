"""A real Prometheus on loopback, and the exporter that it scrapes."""

import contextlib
import json
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DEADLINE = 20.0
"""Seconds that anything here may take on a busy machine."""
SCRAPE = "250ms"
"""A scrape that takes longer, on a busy machine, hides its series until the next."""
EVALUATION = "1s"


@dataclass
class Exporter:
    """Serves lines of the text format under /metrics until it is stopped."""

    lines: dict[str, str] = field(default_factory=dict)
    server: ThreadingHTTPServer | None = None

    def set(self, series, value, at=None):
        """Expose ``series``; ``at`` is an own time stamp in Unix seconds."""
        self.lines[series] = f"{series} {value}" + ("" if at is None else f" {round(at * 1000)}")

    def start(self):
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = "".join(f"{line}\n" for line in exporter.lines.values()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                """Silent."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *args):
                """A scrape that is broken off is no error of the test."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        return self

    @property
    def address(self):
        return f"127.0.0.1:{self.server.server_port}"

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


def scrape_config(targets, rules, labels):
    jobs = "".join(
        f"- job_name: {name}\n  honor_labels: true\n"
        f"  static_configs: [{{targets: ['{address}'], labels: {json.dumps(labels.get(name, {}))}}}]\n"
        for name, address in targets.items()
    )
    return (
        f"global: {{scrape_interval: {SCRAPE}, scrape_timeout: {SCRAPE}, "
        f"evaluation_interval: {EVALUATION}}}\n"
        f"rule_files: [{', '.join(map(str, rules))}]\n"
        f"scrape_configs:\n{jobs}"
    )


@contextlib.contextmanager
def prometheus(
    binary, folder: Path, targets, *, rules=(), labels=None, web_config=None, scheme="http"
) -> Iterator[str]:
    """The base address of a Prometheus that scrapes ``targets`` (job: address) and evaluates rule files; it
    ends with the block. ``labels`` are given to what is scraped, by job."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(scrape_config(targets, rules, labels or {}))
    command = [
        binary,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--query.max-concurrency=4",
    ]
    if web_config is not None:
        (folder / "web.yml").write_text(web_config)
        command.append(f"--web.config.file={folder / 'web.yml'}")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    log, listening, ready = deque(maxlen=50), threading.Event(), threading.Event()
    found = {}

    def read():
        for line in process.stderr:
            log.append(line)
            if "Listening on" in line and (match := re.search(r"address=\"?(127\.0\.0\.1:\d+)", line)):
                found["address"] = match[1]
                listening.set()
            if "Server is ready" in line:
                ready.set()
        listening.set()
        ready.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert listening.wait(DEADLINE), "".join(log)
        assert ready.wait(DEADLINE), "".join(log)
        assert process.poll() is None, "".join(log)
        yield f"{scheme}://{found['address']}"
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        process.stderr.close()


def eventually(look, holds):
    """What ``look`` gives once it ``holds``; looks again until the deadline."""
    end = time.monotonic() + DEADLINE
    while True:
        seen = look()
        if holds(seen):
            return seen
        assert time.monotonic() < end, f"still {seen} after {DEADLINE} s"
        time.sleep(0.05)
