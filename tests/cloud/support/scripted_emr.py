"""Two stand-ins for EMR that speak its JSON protocol.

`ScriptedEmr` puts clusters into any state and injects faults, as a test asks. `RecordingEmr` passes calls on
to another EMR and records them. A request that EMR would not understand is refused: its shape is checked
against botocore's model of the service.
"""

import datetime
import http.client
import itertools
import json
import threading
import time
import urllib.parse
from collections import defaultdict, deque

import botocore.session
from botocore.validate import ParamValidator

from support.http_server import LocalHttpServer, QuietHandler

LIVING = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING")
ENDED = ("TERMINATED", "TERMINATED_WITH_ERRORS")
TIMEOUT = 60.0

# The faults. A call that fails after EMR has done it leaves its cluster behind.
THROTTLED = "throttled"  # 400 ThrottlingException, not done
REFUSED = "refused"  # 400 ValidationException, not done
FAILED = "failed"  # 500 InternalServerError, not done, but the caller cannot know that
FAILED_AFTER = "failed after"  # 500 InternalServerError, but done
DROPPED = "dropped"  # not done, and the connection is closed without a response
LOST = "lost"  # done, and the connection is closed without a response
HELD = "held"  # done, and the connection stays open without a response until `release`

ANSWERS = {
    THROTTLED: (400, "ThrottlingException", "Rate exceeded"),
    REFUSED: (400, "ValidationException", "The subnet configuration was invalid"),
    FAILED: (500, "InternalServerError", "Something went wrong"),
    FAILED_AFTER: (500, "InternalServerError", "Something went wrong"),
}
NOT_DONE = (THROTTLED, REFUSED, FAILED, DROPPED)

SERVICE_MODEL = botocore.session.Session().get_service_model("emr")


def problems(operation, request):
    """Returns the errors that botocore's model of EMR finds in a request, none if it is valid."""
    shape = SERVICE_MODEL.operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape).generate_report()
    return [*report.splitlines(), *_unknown_values(shape, request, operation)]


def _unknown_values(shape, value, path):
    """Yields the values that are not in their enumeration. botocore leaves that check to the service."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in shape.members.items():
            if name in value:
                yield from _unknown_values(member, value[name], f"{path}.{name}")
    elif shape.type_name == "list" and isinstance(value, list):
        for number, item in enumerate(value):
            yield from _unknown_values(shape.member, item, f"{path}[{number}]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path}: {value!r} is none of {shape.enum}"


class ErrorResponse(Exception):
    """A call that is answered with an error."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Endpoint(LocalHttpServer):
    """Records the operation and request of every call in `calls`."""

    def __init__(self):
        self.calls = []
        super().__init__(_handler(self))

    @property
    def starts(self):
        """The requests to start a cluster."""
        return [request for operation, request in self.calls if operation == "RunJobFlow"]

    def answer(self, operation, body, headers):
        """Returns the status and body of the response, or `None` to close the connection without one."""
        raise NotImplementedError


class RecordingEmr(_Endpoint):
    """Passes every call on to another EMR."""

    def __init__(self, server):
        super().__init__()
        self._upstream = urllib.parse.urlsplit(server.endpoint)

    def answer(self, operation, body, headers):
        self.calls.append((operation, json.loads(body)))
        upstream = http.client.HTTPConnection(self._upstream.hostname, self._upstream.port, timeout=TIMEOUT)
        upstream.request("POST", "/", body, headers)
        response = upstream.getresponse()
        return response.status, response.read()


class ScriptedEmr(_Endpoint):
    """Simulates clusters and injects faults.

    `faults[operation]` are the faults of the next calls of an operation, in order. Later calls succeed.
    `on_start(cluster)` runs for each new cluster before the caller receives a response. `page_size` is the
    number of clusters on a page of `ListClusters`. `ids` are the ids of the next clusters.
    """

    def __init__(self):
        self.clusters = []
        self.faults = defaultdict(deque)
        self.on_start = lambda cluster: None
        self.page_size = 50
        self.ids = deque()
        self._numbers = itertools.count(1)
        self._adding = threading.Lock()
        self._held = threading.Event()
        self._released = threading.Event()
        super().__init__()

    def await_held(self):
        """Waits until a call is held."""
        assert self._held.wait(TIMEOUT), "no call was held"

    def release(self):
        """Closes the connections of held calls without a response."""
        self._released.set()

    def living(self):
        """Returns the clusters that have not ended."""
        return [cluster for cluster in self.clusters if cluster["Status"]["State"] in LIVING]

    def add(self, name, *, tags=(), age=0.0):
        """Adds a cluster that started `age` seconds ago."""
        cluster = {
            "Id": self.ids.popleft() if self.ids else f"j-{next(self._numbers):013}",
            "Name": name,
            "Tags": list(tags),
            "Status": {
                "State": "STARTING",
                "StateChangeReason": {},
                "Timeline": {"CreationDateTime": time.time() - age},
            },
        }
        with self._adding:
            self.clusters.append(cluster)
        self.on_start(cluster)
        return cluster

    def set_state(self, cluster, state, code=None, message=""):
        """Puts a cluster into a state, with a reason if `code` is given."""
        reason = {"Code": code, "Message": message} if code else {}
        cluster["Status"] = {**cluster["Status"], "State": state, "StateChangeReason": reason}

    def answer(self, operation, body, headers):
        request = json.loads(body)
        self.calls.append((operation, request))
        fault = self.faults[operation].popleft() if self.faults[operation] else None
        try:
            response = None if fault in NOT_DONE else self._perform(operation, request)
            if fault in ANSWERS:
                raise ErrorResponse(*ANSWERS[fault])
        except ErrorResponse as error:
            return error.status, json.dumps({"__type": error.code, "message": error.message}).encode()
        if fault == HELD:
            self._held.set()
            self._released.wait(TIMEOUT)
        if fault in (DROPPED, LOST, HELD):
            return None
        return 200, json.dumps(response).encode()

    def _perform(self, operation, request):
        # The protocol sends times as numbers, and botocore checks for datetime values.
        typed = {key: _time(value) if key.startswith("Created") else value for key, value in request.items()}
        if found := problems(operation, typed):
            raise ErrorResponse(400, "ValidationException", "; ".join(found))
        match operation:
            case "RunJobFlow":
                cluster = self.add(request["Name"], tags=request.get("Tags", ()))
                arn = f"arn:aws:elasticmapreduce:::cluster/{cluster['Id']}"
                return {"JobFlowId": cluster["Id"], "ClusterArn": arn}
            case "DescribeCluster":
                return {"Cluster": self._cluster(request["ClusterId"])}
            case "ListClusters":
                return self._list(request)
            case "TerminateJobFlows":
                for cluster in map(self._cluster, request["JobFlowIds"]):
                    if cluster["Status"]["State"] not in ENDED:
                        self.set_state(cluster, "TERMINATING", "USER_REQUEST", "Terminated by user request")
                return {}
        raise ErrorResponse(400, "UnknownOperationException", operation)

    def _cluster(self, cluster_id):
        for cluster in self.clusters:
            if cluster["Id"] == cluster_id:
                return cluster
        raise ErrorResponse(400, "InvalidRequestException", f"Cluster id '{cluster_id}' is not valid.")

    def _list(self, request):
        """Lists clusters as EMR does: the newest first, and without their tags."""
        states = request.get("ClusterStates") or (*LIVING, *ENDED)
        after, before = request.get("CreatedAfter", 0), request.get("CreatedBefore", time.time() + 60)
        found = [
            {name: value for name, value in cluster.items() if name != "Tags"}
            for cluster in reversed(self.clusters)
            if cluster["Status"]["State"] in states
            and after <= cluster["Status"]["Timeline"]["CreationDateTime"] < before
        ]
        start = int(request.get("Marker", 0))
        end = start + self.page_size
        return {"Clusters": found[start:end], **({"Marker": str(end)} if end < len(found) else {})}


def _time(number):
    return datetime.datetime.fromtimestamp(number, datetime.UTC)


def _handler(endpoint):
    class EmrHandler(QuietHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            service, _, operation = self.headers.get("X-Amz-Target", "").partition(".")
            assert service == "ElasticMapReduce", self.headers
            answer = endpoint.answer(operation, body, dict(self.headers))
            if answer is None:
                self.close_connection = True
                return
            self.reply(*answer, "application/x-amz-json-1.1")

    return EmrHandler
