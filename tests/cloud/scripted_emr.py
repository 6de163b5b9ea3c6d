"""An EMR that does what a test wants: it speaks the JSON protocol of the real one, lets clusters come to any state, and breaks what it
is told to break. And a recorder, that passes calls on to another EMR and keeps what was asked.

A request that EMR would not understand is refused: its shape is checked against botocore's model of the service.
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
from listening import Handler, Listening

LIVING = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING")
ENDED = ("TERMINATED", "TERMINATED_WITH_ERRORS")
PATIENCE = 60.0

# What can happen to a call. A start that is broken off after it, has made its cluster.
THROTTLED = "throttled"  # 400 ThrottlingException: nothing was done
REFUSED = "refused"  # 400 ValidationException: nothing was done
FAILED = "failed"  # 500 InternalServerError: nothing was done, but who asks can't know
FAILED_AFTER = "failed after"  # it was done, then 500 InternalServerError
DROPPED = "dropped"  # nothing was done, and the connection ends without a reply
LOST = "lost"  # it was done, and the connection ends without a reply
HELD = "held"  # it was done, and there is no reply until `release`

ANSWERS = {
    THROTTLED: (400, "ThrottlingException", "Rate exceeded"),
    REFUSED: (400, "ValidationException", "The subnet configuration was invalid"),
    FAILED: (500, "InternalServerError", "Something went wrong"),
    FAILED_AFTER: (500, "InternalServerError", "Something went wrong"),
}
UNDONE = (THROTTLED, REFUSED, FAILED, DROPPED)

MODEL = botocore.session.Session().get_service_model("emr")


def problems(operation, request):
    """What botocore's model of EMR says against a request as it came over the wire; empty when it is fine."""
    shape = MODEL.operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape).generate_report()
    return [*report.splitlines(), *_unknown_values(shape, request, operation)]


def _unknown_values(shape, value, path):
    """What botocore leaves to the service: values that no enumeration has."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in shape.members.items():
            if name in value:
                yield from _unknown_values(member, value[name], f"{path}.{name}")
    elif shape.type_name == "list" and isinstance(value, list):
        for number, item in enumerate(value):
            yield from _unknown_values(shape.member, item, f"{path}[{number}]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path}: {value!r} is none of {shape.enum}"


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Endpoint(Listening):
    """Listens at `endpoint`, keeps in `calls` what is asked, operation and request; a context manager."""

    def __init__(self):
        self.calls = []
        super().__init__(_handler(self))

    @property
    def starts(self):
        """The requests for clusters so far."""
        return [request for operation, request in self.calls if operation == "RunJobFlow"]

    def answer(self, operation, body, headers):
        """Status and body of the answer to a call, or none when the connection is to end without."""
        raise NotImplementedError


class Recorder(_Endpoint):
    """Passes every call on to another EMR."""

    def __init__(self, server):
        super().__init__()
        self._upstream = urllib.parse.urlsplit(server.endpoint)

    def answer(self, operation, body, headers):
        self.calls.append((operation, json.loads(body)))
        upstream = http.client.HTTPConnection(self._upstream.hostname, self._upstream.port, timeout=PATIENCE)
        upstream.request("POST", "/", body, headers)
        reply = upstream.getresponse()
        return reply.status, reply.read()


class ScriptedEmr(_Endpoint):
    """Has clusters of its own.

    `faults[operation]`: what happens to the next calls of an operation, one after the other; then they work. `made(cluster)` is called
    when there is a new cluster, while who asked for it still waits. `page`: clusters on a page of a list.
    """

    def __init__(self):
        self.clusters = []
        self.faults = defaultdict(deque)
        self.made = lambda cluster: None
        self.page = 50
        self.ids = deque()
        self._numbers = itertools.count(1)
        self._changing = threading.Lock()
        self._holding = threading.Event()
        self._released = threading.Event()
        super().__init__()

    def await_held(self):
        """Returns when a call is held."""
        assert self._holding.wait(PATIENCE), "no call was held"

    def release(self):
        """Lets held calls go, without a reply."""
        self._released.set()

    def living(self):
        """The clusters that cost money."""
        return [cluster for cluster in self.clusters if cluster["Status"]["State"] in LIVING]

    def add(self, name, *, tags=(), age=0.0):
        """A new cluster, that is `age` seconds old."""
        cluster = {
            "Id": self.ids.popleft() if self.ids else f"j-{next(self._numbers):013}",
            "Name": name,
            "Tags": list(tags),
            "Status": {"State": "STARTING", "StateChangeReason": {}, "Timeline": {"CreationDateTime": time.time() - age}},
        }
        with self._changing:
            self.clusters.append(cluster)
        self.made(cluster)
        return cluster

    def turn(self, cluster, state, code=None, message=""):
        """Lets a cluster come to a state."""
        reason = {"Code": code, "Message": message} if code else {}
        cluster["Status"] = {**cluster["Status"], "State": state, "StateChangeReason": reason}

    def answer(self, operation, body, headers):
        request = json.loads(body)
        self.calls.append((operation, request))
        fault = self.faults[operation].popleft() if self.faults[operation] else None
        try:
            answer = None if fault in UNDONE else self._done(operation, request)
            if fault in ANSWERS:
                raise Refusal(*ANSWERS[fault])
        except Refusal as refusal:
            return refusal.status, json.dumps({"__type": refusal.code, "message": refusal.message}).encode()
        if fault == HELD:
            self._holding.set()
            self._released.wait(PATIENCE)
        if fault in (DROPPED, LOST, HELD):
            return None
        return 200, json.dumps(answer).encode()

    def _done(self, operation, request):
        # Over the wire, times are numbers.
        typed = {key: _time(value) if key.startswith("Created") else value for key, value in request.items()}
        if found := problems(operation, typed):
            raise Refusal(400, "ValidationException", "; ".join(found))
        match operation:
            case "RunJobFlow":
                cluster = self.add(request["Name"], tags=request.get("Tags", ()))
                return {"JobFlowId": cluster["Id"], "ClusterArn": f"arn:aws:elasticmapreduce:::cluster/{cluster['Id']}"}
            case "DescribeCluster":
                return {"Cluster": self._cluster(request["ClusterId"])}
            case "ListClusters":
                return self._listed(request)
            case "TerminateJobFlows":
                for cluster in map(self._cluster, request["JobFlowIds"]):
                    if cluster["Status"]["State"] not in ENDED:
                        self.turn(cluster, "TERMINATING", "USER_REQUEST", "Terminated by user request")
                return {}
        raise Refusal(400, "UnknownOperationException", operation)

    def _cluster(self, cluster_id):
        for cluster in self.clusters:
            if cluster["Id"] == cluster_id:
                return cluster
        raise Refusal(400, "InvalidRequestException", f"Cluster id '{cluster_id}' is not valid.")

    def _listed(self, request):
        """The newest first; a list has no tags."""
        states = request.get("ClusterStates") or (*LIVING, *ENDED)
        after, before = request.get("CreatedAfter", 0), request.get("CreatedBefore", time.time() + 60)
        found = [
            {name: value for name, value in cluster.items() if name != "Tags"}
            for cluster in reversed(self.clusters)
            if cluster["Status"]["State"] in states and after <= cluster["Status"]["Timeline"]["CreationDateTime"] < before
        ]
        begin = int(request.get("Marker", 0))
        end = begin + self.page
        return {"Clusters": found[begin:end], **({"Marker": str(end)} if end < len(found) else {})}


def _time(number):
    return datetime.datetime.fromtimestamp(number, datetime.UTC)


def _handler(endpoint):
    class EmrHandler(Handler):
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
