"""A proxy between a function and S3 that breaks what it is told to break, and says what passes."""

import hashlib
import http.client
import socket
import threading
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field

from listening import Handler, Listening

PATIENCE = 60.0

# What can happen to a call.
REFUSED = "refused"  # answered 503 SlowDown, not passed on
DROPPED = "dropped"  # the connection ends before the call is passed on
LOST = "lost"  # passed on, but the connection ends before the reply
CUT = "cut"  # passed on, but the connection ends in the middle of the reply's body
EXPIRED = "expired"  # answered 400 ExpiredToken, not passed on
FAULTS = (REFUSED, DROPPED, LOST, CUT)

ANSWERS = {
    REFUSED: (503, "Slow Down", "SlowDown", "Please reduce your request rate."),
    EXPIRED: (400, "Bad Request", "ExpiredToken", "The provided token has expired."),
}


@dataclass(frozen=True)
class Call:
    """One request, as S3 gets it."""

    method: str
    bucket: str
    key: str
    attempt: int
    headers: dict = field(compare=False, repr=False)

    @property
    def access_key(self):
        """The id of the key that it is signed with."""
        return self.headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]

    def writes(self, prefix):
        """Whether it writes an object below this prefix."""
        return self.method == "PUT" and self.key.startswith(prefix)

    def reads(self, prefix):
        """Whether it reads an object's bytes below this prefix."""
        return self.method == "GET" and self.key.startswith(prefix)


class Proxy(Listening):
    """Stands at `endpoint` in front of a server; a context manager.

    `arriving(call)` is asked before a call is passed on and may name a fault; `answered(call, status)` is told when the server has
    replied, before the caller is. Both run while the caller waits.
    """

    def __init__(self, server):
        self.arriving = lambda call: None
        self.answered = lambda call, status: None
        self.faults = Counter()
        self.calls = []
        self._upstream = urllib.parse.urlsplit(server.endpoint)
        self._attempts = Counter()
        self._counting = threading.Condition()
        self._connections = 0
        super().__init__(_handler(self))

    def await_silence(self):
        """Returns when nobody is connected: what a killed process had on the wire is then done with."""
        with self._counting:
            assert self._counting.wait_for(lambda: not self._connections, PATIENCE), f"{self._connections} connections"

    def connected(self, change):
        """Counts connections."""
        with self._counting:
            self._connections += change
            self._counting.notify_all()

    def call(self, method, target, headers):
        """The call that a request is, counted."""
        path = urllib.parse.unquote(urllib.parse.urlsplit(target).path)
        bucket, _, key = path.lstrip("/").partition("/")
        with self._counting:
            self._attempts[method, path] += 1
            call = Call(method, bucket, key, self._attempts[method, path], headers)
            self.calls.append(call)
        return call

    def fault(self, call):
        """What is to happen to it, noted."""
        fault = self.arriving(call)
        if fault:
            with self._counting:
                self.faults[fault] += 1
        return fault

    def pass_on(self, method, target, headers, body):
        """The server's reply: status, reason, headers, body."""
        upstream = http.client.HTTPConnection(self._upstream.hostname, self._upstream.port, timeout=PATIENCE)
        try:
            upstream.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                if name.lower() not in ("connection", "expect", "transfer-encoding"):
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            reply = upstream.getresponse()
            return reply.status, reply.reason, reply.getheaders(), reply.read()
        finally:
            upstream.close()


def a_third(seed):
    """A rule for `arriving`: of all calls a third fails, each in one of four ways. Which, depends on the call and its attempt alone."""

    def rule(call):
        text = f"{seed} {call.method} {call.bucket} {call.key} {call.attempt}"
        draw = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
        return FAULTS[int(draw * 3 * len(FAULTS))] if draw < 1 / 3 else None

    return rule


def _handler(proxy):
    class ProxyHandler(Handler):
        def setup(self):
            proxy.connected(1)
            super().setup()

        def finish(self):
            try:
                super().finish()
            finally:
                proxy.connected(-1)

        def _serve(self):
            # All of the request is taken first: S3 too reads what it then refuses.
            body = self._body()
            call = proxy.call(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
            fault = proxy.fault(call)
            if fault in ANSWERS:
                return self._reply(*_refusal(fault, call))
            if fault == DROPPED:
                return self._hang_up()
            status, reason, headers, reply = proxy.pass_on(self.command, self.path, self.headers.items(), body)
            proxy.answered(call, status)
            if fault == LOST or (fault == CUT and not reply):
                return self._hang_up()
            self._reply(status, reason, headers, reply, cut=fault == CUT)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _serve

        def _body(self):
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                raise NotImplementedError("a chunked request")
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _reply(self, status, reason, headers, body, cut=False):
            head = [f"HTTP/1.1 {status} {reason}"]
            told = {name.lower() for name, _ in headers}
            head += [f"{name}: {value}" for name, value in headers if name.lower() not in ("connection", "transfer-encoding")]
            if "content-length" not in told and status not in (204, 304):
                head.append(f"content-length: {len(body)}")
            try:
                self.wfile.write("\r\n".join([*head, "", ""]).encode("latin-1"))
                self.wfile.write(body[: len(body) // 2] if cut else body)
            except OSError:
                cut = True  # The caller is gone.
            if cut:
                self._hang_up()

        def _hang_up(self):
            self.close_connection = True
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    return ProxyHandler


def _refusal(fault, call):
    status, reason, code, message = ANSWERS[fault]
    # S3 repeats the token that has expired.
    token = f"<Token-0>{call.headers.get('x-amz-security-token')}</Token-0>" if fault == EXPIRED else ""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{token}</Error>'
    return status, reason, [("content-type", "application/xml")], body.encode()
