"""The template's role of a cluster's machines allows every S3 call that a run makes.

A call that deletes several objects does not list them in its URL, and moto does not check them. This test
therefore compares the objects before and after a run. Conditions of the policy are ignored.
"""

from fnmatch import fnmatchcase

from support import sample_photos, servers
from support.cluster.rebuild_fixture import RebuildFixture
from support.fault_proxy import FaultProxy
from support.template import ResolvedTemplate, expanded
from support.template_stack import PARAMETERS

VALID = [sample_photos.valid(number, "role") for number in range(20)]
INVALID = sample_photos.invalid(1, "role")
# The action of a call, by its method and by whether it names a key.
ACTIONS = {
    ("GET", False): "s3:ListBucket",
    ("GET", True): "s3:GetObject",
    ("HEAD", True): "s3:GetObject",
    ("PUT", True): "s3:PutObject",
    ("DELETE", True): "s3:DeleteObject",
}
DELETE_OBJECTS = ("POST", False)


def test_the_role_of_a_cluster_allows_what_runs_do(worker):
    with servers.embedded() as server, FaultProxy(server) as proxy:
        rebuilds = RebuildFixture(server, worker)
        results = rebuilds.create_results_bucket("table")
        rebuilds.create_photos_bucket("fruits", [*VALID, INVALID], days=2)
        calls = run_four_rebuilds(rebuilds, results, proxy)
    deleted = {key.partition("/")[0] for action, _, key in calls if action == "s3:DeleteObject"}
    assert deleted >= {"embeddings", "reduced", "removals", "pca"}
    role = MachineRole({"fruits": "PhotosBucket", results: "ResultsBucket"})
    assert not [call for call in sorted(calls) if not role.allows(*call)]
    # The role does not simply allow everything.
    for refused in [
        ("s3:DeleteObject", "fruits", VALID[0].key),
        ("s3:PutObject", "fruits", "a"),
        ("s3:PutObject", results, "emr/fruitvec"),
    ]:
        assert not role.allows(*refused), refused


def run_four_rebuilds(rebuilds, results, proxy):
    """Runs rebuilds and changes photos between them. Returns the action, bucket and key of every call."""
    calls = set()
    for number, deleted in enumerate([[], [VALID[0], INVALID], [VALID[1]], [VALID[2]]]):
        rebuilds.delete("fruits", deleted)
        if number == 2:
            # This photo was deleted before the second run, so now its removal is deleted.
            rebuilds.put("fruits", VALID[:1])
            rebuilds.set_dates("fruits", days=2)
        before = set(rebuilds.objects(results))
        options = ["--yes", "--grace-hours=0"]
        rebuilds.run_locally("rebuild", *options, photos="fruits", results=results, through=proxy)
        calls |= {("s3:DeleteObject", results, key) for key in before - set(rebuilds.objects(results))}
    others = [call for call in proxy.calls if (call.method, bool(call.key)) != DELETE_OBJECTS]
    return calls | {(ACTIONS[call.method, bool(call.key)], call.bucket, call.key) for call in others}


class MachineRole:
    """The template's role of a cluster's machines.

    `buckets` maps the buckets of the test to the template's resources.
    """

    def __init__(self, buckets):
        template = ResolvedTemplate(expanded(**PARAMETERS), **PARAMETERS)
        self._names = {bucket: template.properties(name)["BucketName"] for bucket, name in buckets.items()}
        (policy,) = template.properties("EmrInstanceRole")["Policies"]
        self._statements = policy["PolicyDocument"]["Statement"]
        assert {statement["Effect"] for statement in self._statements} == {"Allow"}

    def allows(self, action, bucket, key):
        """Returns whether a statement allows an action on an object, or on a bucket if the key is empty."""
        arn = "arn:aws:s3:::" + "/".join(filter(None, [self._names[bucket], key]))
        return any(
            action in as_list(statement["Action"])
            and any(fnmatchcase(arn, pattern) for pattern in as_list(statement["Resource"]))
            for statement in self._statements
        )


def as_list(one_or_more):
    """Returns a list. A policy may have a single string in its place."""
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]
