"""An account of the template's in moto: its buckets, queues and roles, where every call is asked who it is.

moto checks signatures and policies here. It knows the resource of calls to S3 and SQS, but for DeleteObjects, for which it asks the bucket
and not the objects. Of a call to EMR it knows none, and asks for all resources. There a statement with a name would refuse everything, so
`played` widens it, and that the name is right the test of the template alone says. Conditions, bucket policies and `iam:PassRole` moto does
not look at.
"""

import contextlib
import copy
import json
import urllib.request
from pathlib import Path

import deploy
import expand
import servers
from runtime import Function

ROOT = Path(__file__).resolve().parents[2]
PHOTO = (ROOT / "tests/photos/progressive.jpg").read_bytes()
ROLES = {"embed": "EmbedRole", "upload": "UploadRole", "launch": "LaunchRole", "job": "EmrInstanceRole", "schedule": "ScheduleRole"}
NEVER = "9999999"


@contextlib.contextmanager
def account():
    """The account, in a moto of its own."""
    # Until all is set up nobody is asked.
    with servers.moto(INITIAL_NO_AUTH_ACTION_COUNT=NEVER) as server:
        yield Account(server)


class Account:
    """moto with the template's buckets, queues and roles, and others beside them. Once it is closed it asks every call who it is."""

    OTHER_BUCKET = "others-photos"

    def __init__(self, server):
        self.server = server
        self.template = expand.expanded(**deploy.PARAMETERS)
        self.values = expand.Values(self.template, **deploy.PARAMETERS)
        self.photos, self.results = (self.values.properties(n)["BucketName"] for n in ("PhotosBucket", "ResultsBucket"))
        s3 = servers.client("s3", server)
        for bucket in (self.photos, self.results, self.OTHER_BUCKET):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": servers.REGION})
            s3.put_object(Bucket=bucket, Key="photos/Fig/there.jpg", Body=PHOTO)
        for key in ("embeddings/part.parquet", "pca/fit.json", "runs/run.json", "leases/other.json", "emr/worker", "removals/removal.json"):
            s3.put_object(Bucket=self.results, Key=key, Body=b"{}")
        sqs = servers.client("sqs", server)
        queues = ("PhotosQueue", "PhotosDeadLetters", "LaunchFailures")
        self.queues = {n: sqs.create_queue(QueueName=self.values.properties(n)["QueueName"])["QueueUrl"] for n in queues}
        self.credentials = {name: self._assumed(role) for name, role in ROLES.items()}
        self.close()

    def _assumed(self, role):
        """The credentials of the role, made with the policies that the template gives it."""
        iam, properties = servers.client("iam", self.server), self.values.properties(role)
        arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(properties["AssumeRolePolicyDocument"]))["Role"]["Arn"]
        for policy in properties["Policies"]:
            document = json.dumps(played(policy["PolicyDocument"]))
            iam.put_role_policy(RoleName=role, PolicyName=policy["PolicyName"], PolicyDocument=document)
        found = servers.client("sts", self.server).assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        return {"access_key": found["AccessKeyId"], "secret_key": found["SecretAccessKey"], "token": found["SessionToken"]}

    def close(self):
        """From now on every call is asked."""
        self._reset("0")

    @contextlib.contextmanager
    def open(self):
        """For the test itself to look at what there is."""
        self._reset(NEVER)
        try:
            yield
        finally:
            self.close()

    def _reset(self, count):
        # A form, which urllib would call it, moto would take apart.
        kind = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.server.endpoint}/moto-api/reset-auth", count.encode(), kind)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def client(self, service, role):
        """boto3's client under a role."""
        return servers.client(service, self.server, **self.credentials[role])

    def function(self, name, **variables):
        """The function under its role, with what the template tells it."""
        told = self.values.properties(f"{name.capitalize()}Function")["Environment"]["Variables"]
        return Function(name, {**told, **servers.environment(self.server, **self.credentials[name]), **variables})

    def keys(self, bucket, prefix):
        """What lies below a prefix."""
        with self.open():
            found = servers.client("s3", self.server).list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [listed["Key"] for listed in found.get("Contents", [])]


def played(document):
    """A policy as moto can play it."""
    document = copy.deepcopy(document)
    for statement in document["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        if all(action.startswith("elasticmapreduce:") for action in actions):
            statement["Resource"] = "*"
        elif "s3:DeleteObject" in actions:
            statement["Resource"] = resources + [resource.split("/")[0] for resource in resources]
    return document

