"""A proxy between a function and S3 that records every call and injects faults."""

import contextlib
import hashlib
import http.client
import socket
import threading
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field

from support.http_server import LocalHttpServer, QuietHandler

TIMEOUT = 60.0

# The faults.
REFUSED = "refused"  # answered with 503 SlowDown, not passed on
DROPPED = "dropped"  # the connection is closed before the call is passed on
LOST = "lost"  # passed on, but the connection is closed before the response
CUT = "cut"  # passed on, but the connection is closed in the middle of the response body
EXPIRED = "expired"  # answered with 400 ExpiredToken, not passed on
FAULTS = (REFUSED, DROPPED, LOST, CUT)

ANSWERS = {
    REFUSED: (503, "Slow Down", "SlowDown", "Please reduce your request rate."),
    EXPIRED: (400, "Bad Request", "ExpiredToken", "The provided token has expired."),
}


@dataclass(frozen=True)
class Call:
    """One request as S3 receives it. `attempt` counts the requests of this method and path."""

    method: str
    bucket: str
    key: str
    attempt: int
    headers: dict = field(compare=False, repr=False)

    @property
    def access_key(self):
        """The id of the access key in its signature."""
        return self.headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]

    def writes(self, prefix):
        """Returns whether it writes an object under a prefix."""
        return self.method == "PUT" and self.key.startswith(prefix)

    def reads(self, prefix):
        """Returns whether it reads the content of an object under a prefix."""
        return self.method == "GET" and self.key.startswith(prefix)


class FaultProxy(LocalHttpServer):
    """Forwards the calls to `endpoint` to a server.

    `on_call(call)` runs before a call is passed on and may return a fault. `on_response(call, status)` runs
    after the server has answered and before the caller receives the response. The caller waits for both.
    """

    def __init__(self, server):
        self.on_call = lambda call: None
        self.on_response = lambda call, status: None
        self.faults = Counter()
        self.calls = []
        self._upstream = urllib.parse.urlsplit(server.endpoint)
        self._attempts = Counter()
        self._changed = threading.Condition()
        self._connections = 0
        super().__init__(_handler(self))

    def await_no_connections(self):
        """Waits until every connection is closed, and with it every request of a killed process."""
        with self._changed:
            closed = self._changed.wait_for(lambda: not self._connections, TIMEOUT)
            assert closed, f"{self._connections} connections"

    def count_connections(self, change):
        """Adds to the number of open connections."""
        with self._changed:
            self._connections += change
            self._changed.notify_all()

    def record(self, method, target, headers):
        """Records a request and returns it as a call."""
        path = urllib.parse.unquote(urllib.parse.urlsplit(target).path)
        bucket, _, key = path.lstrip("/").partition("/")
        with self._changed:
            self._attempts[method, path] += 1
            call = Call(method, bucket, key, self._attempts[method, path], headers)
            self.calls.append(call)
        return call

    def fault_for(self, call):
        """Returns the fault for a call, if any, and counts it."""
        fault = self.on_call(call)
        if fault:
            with self._changed:
                self.faults[fault] += 1
        return fault

    def forward(self, method, target, headers, body):
        """Sends a request to the server. Returns the status, reason, headers and body of the response."""
        upstream = http.client.HTTPConnection(self._upstream.hostname, self._upstream.port, timeout=TIMEOUT)
        try:
            upstream.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                if name.lower() not in ("connection", "expect", "transfer-encoding"):
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            response = upstream.getresponse()
            return response.status, response.reason, response.getheaders(), response.read()
        finally:
            upstream.close()


def fail_a_third(seed):
    """Returns a rule for `on_call` that fails a third of all calls, each fault equally often.

    The fault depends only on the seed, the call and its attempt, so that every run injects the same ones.
    """

    def rule(call):
        text = f"{seed} {call.method} {call.bucket} {call.key} {call.attempt}"
        draw = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
        return FAULTS[int(draw * 3 * len(FAULTS))] if draw < 1 / 3 else None

    return rule


def _handler(proxy):
    class ProxyHandler(QuietHandler):
        def setup(self):
            proxy.count_connections(1)
            super().setup()

        def finish(self):
            try:
                super().finish()
            finally:
                proxy.count_connections(-1)

        def _serve(self):
            # S3 also reads the whole request before it refuses it.
            body = self._body()
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = proxy.record(self.command, self.path, headers)
            fault = proxy.fault_for(call)
            if fault in ANSWERS:
                self._send(*_error_response(fault, call))
                return
            if fault == DROPPED:
                self._hang_up()
                return
            status, reason, headers, content = proxy.forward(
                self.command, self.path, self.headers.items(), body
            )
            proxy.on_response(call, status)
            if fault == LOST or (fault == CUT and not content):
                self._hang_up()
                return
            self._send(status, reason, headers, content, cut=fault == CUT)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _serve

        def _body(self):
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                raise NotImplementedError("chunked requests are not supported")
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _send(self, status, reason, headers, body, cut=False):
            head = [f"HTTP/1.1 {status} {reason}"]
            hop_by_hop = ("connection", "transfer-encoding")
            head += [f"{name}: {value}" for name, value in headers if name.lower() not in hop_by_hop]
            names = {name.lower() for name, _ in headers}
            if "content-length" not in names and status not in (204, 304):
                head.append(f"content-length: {len(body)}")
            try:
                self.wfile.write("\r\n".join([*head, "", ""]).encode("latin-1"))
                self.wfile.write(body[: len(body) // 2] if cut else body)
            except OSError:
                cut = True  # The caller has closed the connection.
            if cut:
                self._hang_up()

        def _hang_up(self):
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    return ProxyHandler


def _error_response(fault, call):
    status, reason, code, message = ANSWERS[fault]
    # S3 repeats the expired token in its response.
    token = call.headers.get("x-amz-security-token")
    token = f"<Token-0>{token}</Token-0>" if fault == EXPIRED else ""
    error = f"<Error><Code>{code}</Code><Message>{message}</Message>{token}</Error>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{error}'
    return status, reason, [("content-type", "application/xml")], body.encode()
