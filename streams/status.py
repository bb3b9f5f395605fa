"""The worker's own small server: /metrics for Prometheus, /healthz and /readyz for whoever starts and watches it."""

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from schemas.errors import Fatal
from streams.health import Health
from streams.metrics import Metrics


def serve(host: str, port: int, health: Health, metrics: Metrics) -> Callable[[], None]:
    """Serve in a thread; return what stops it. Fatal when the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                metrics.obstacles.set(len(health.obstacles))
                self._answer(HTTPStatus.OK, generate_latest(metrics.registry), CONTENT_TYPE_LATEST)
            elif path == "/healthz":
                self._answer(HTTPStatus.OK, b"up\n")
            elif path == "/readyz":
                sentence = health.sentence()
                status = HTTPStatus.SERVICE_UNAVAILABLE if sentence else HTTPStatus.OK
                self._answer(status, f"{sentence or health.ready}\n".encode())
            else:
                self._answer(HTTPStatus.NOT_FOUND, b"There is /metrics, /healthz and /readyz.\n")

        def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing: a probe every second is no news."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise Fatal(
            f"Port {port} on {host} is taken ({error.strerror}); set GRIS_METRICS_PORT to a free one."
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="status", daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return stop
