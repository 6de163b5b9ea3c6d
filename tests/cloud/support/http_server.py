"""An HTTP server for one test, on a free port of 127.0.0.1, with a thread for each connection."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LocalHttpServer:
    """Starts serving when it is created and stops at the end of its `with` block."""

    def __init__(self, handler):
        self._server = _Server(("127.0.0.1", 0), handler)
        # The default poll interval of half a second would delay every shutdown.
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self):
        """The URL of the server."""
        return f"http://127.0.0.1:{self._server.server_port}"


class QuietHandler(BaseHTTPRequestHandler):
    """Keeps connections open and logs nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def reply(self, status, body, content_type="application/json"):
        """Sends a complete response."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        # Tests kill callers in the middle of a request, so a broken connection is expected.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
