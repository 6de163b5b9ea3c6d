"""An HTTP server of a test's own: on a free port of 127.0.0.1, each connection in a thread, for as long as a `with` lasts."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Listening:
    """Serves with this handler from the start; a context manager, that ends it."""

    def __init__(self, handler):
        self._listener = _Listener(("127.0.0.1", 0), handler)
        threading.Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown()
        self._listener.server_close()

    @property
    def endpoint(self):
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Keeps connections open, says nothing of its own."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def reply(self, status, body, kind="application/json"):
        """The whole of a reply."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A caller that is killed breaks its connections: that is what this is for."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
