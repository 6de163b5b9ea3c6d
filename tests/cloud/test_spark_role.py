"""What a run does with S3, beside what the template's role of a cluster's machines may do.

Some calls do not say what they delete, and moto does not ask: here it is what is gone afterwards. Conditions are not looked at.
"""

from fnmatch import fnmatchcase

import deploy
import expand
import photos
import servers
from proxy import Proxy
from spark_place import Place

FEW = [photos.good(number, "role") for number in range(20)]
BAD = photos.bad(1, "role")
# By method, and whether there is a key.
ACTIONS = {
    ("GET", False): "s3:ListBucket",
    ("GET", True): "s3:GetObject",
    ("HEAD", True): "s3:GetObject",
    ("PUT", True): "s3:PutObject",
    ("DELETE", True): "s3:DeleteObject",
}
DELETE_SEVERAL = ("POST", False)


def test_the_role_of_a_cluster_allows_what_runs_do(worker):
    with servers.embedded() as server, Proxy(server) as proxy:
        place = Place(server, worker)
        results = place.bucket("table")
        place.photos("fruits", [*FEW, BAD], days=2)
        did = done(place, results, proxy)
    deleted = {key.partition("/")[0] for action, _, key in did if action == "s3:DeleteObject"}
    # Replaced parts, removals that are taken back, older fits.
    assert deleted >= {"embeddings", "reduced", "removals", "pca"}
    role = Role({"fruits": "PhotosBucket", results: "ResultsBucket"})
    assert not [call for call in sorted(did) if not role.allows(*call)]
    # It is not that it may do anything.
    for refused in [("s3:DeleteObject", "fruits", FEW[0].key), ("s3:PutObject", "fruits", "a"), ("s3:PutObject", results, "emr/fruitvec")]:
        assert not role.allows(*refused), refused


def done(place, results, proxy):
    """All that four runs did, between which photos come and go: actions, buckets, keys."""
    did = set()
    for number, gone in enumerate([[], [FEW[0], BAD], [FEW[1]], [FEW[2]]]):
        place.delete("fruits", gone)
        if number == 2:
            # What was deleted first is undeleted.
            place.put("fruits", FEW[:1])
            place.date("fruits", days=2)
        before = set(place.objects(results))
        place.one_machine("rebuild", "--yes", "--grace-hours=0", photos="fruits", results=results, through=proxy)
        did |= {("s3:DeleteObject", results, key) for key in before - set(place.objects(results))}
    others = [call for call in proxy.calls if (call.method, bool(call.key)) != DELETE_SEVERAL]
    return did | {(ACTIONS[call.method, bool(call.key)], call.bucket, call.key) for call in others}


class Role:
    """The role of a cluster's machines. `buckets`: which buckets stand for which of the template's."""

    def __init__(self, buckets):
        values = expand.Values(expand.expanded(**deploy.PARAMETERS), **deploy.PARAMETERS)
        self._names = {bucket: values.properties(name)["BucketName"] for bucket, name in buckets.items()}
        (policy,) = values.properties("EmrInstanceRole")["Policies"]
        self._statements = policy["PolicyDocument"]["Statement"]
        assert {statement["Effect"] for statement in self._statements} == {"Allow"}

    def allows(self, action, bucket, key):
        """Whether a statement names the action and what it is done to."""
        asked = "arn:aws:s3:::" + "/".join(filter(None, [self._names[bucket], key]))
        return any(
            action in several(statement["Action"]) and any(fnmatchcase(asked, named) for named in several(statement["Resource"]))
            for statement in self._statements
        )


def several(one_or_more):
    """A list, where a policy may have a single thing."""
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]
