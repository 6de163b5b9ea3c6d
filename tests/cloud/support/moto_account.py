"""An AWS account in moto with the template's buckets, queues and roles, which authorises every call.

moto checks signatures and policies here. For a call to S3 or SQS it knows the resource, except that for
DeleteObjects it checks the bucket and not the objects. For a call to EMR it knows no resource and checks for
all of them. A statement that names a resource would refuse every such call, so `for_moto` widens it. Only the
test of the template checks that the names are right. moto ignores conditions, bucket policies and
`iam:PassRole`.
"""

import contextlib
import copy
import json
import urllib.request

from support import servers
from support.lambda_runtime import LambdaFunction
from support.paths import ROOT
from support.template import ResolvedTemplate, expanded
from support.template_stack import PARAMETERS

PHOTO = (ROOT / "tests/photos/progressive.jpg").read_bytes()
ROLES = {
    "embed": "EmbedRole",
    "upload": "UploadRole",
    "launch": "LaunchRole",
    "job": "EmrInstanceRole",
    "schedule": "ScheduleRole",
}
# moto starts to authorise calls after this number of them, which is never.
NEVER = "9999999"


@contextlib.contextmanager
def account():
    """Runs moto with the account in it."""
    # The set-up itself must not need any permission.
    with servers.moto(INITIAL_NO_AUTH_ACTION_COUNT=NEVER) as server:
        yield Account(server)


class Account:
    """The template's buckets, queues and roles, and another bucket.

    Every call is authorised, except inside an `open` block.
    """

    OTHER_BUCKET = "others-photos"

    def __init__(self, server):
        self.server = server
        self.template = ResolvedTemplate(expanded(**PARAMETERS), **PARAMETERS)
        self.photos, self.results = (
            self.template.properties(name)["BucketName"] for name in ("PhotosBucket", "ResultsBucket")
        )
        s3 = servers.client("s3", server)
        for bucket in (self.photos, self.results, self.OTHER_BUCKET):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": servers.REGION})
            s3.put_object(Bucket=bucket, Key="photos/Fig/there.jpg", Body=PHOTO)
        for key in (
            "embeddings/part.parquet",
            "pca/fit.json",
            "runs/run.json",
            "leases/other.json",
            "emr/worker",
            "removals/removal.json",
        ):
            s3.put_object(Bucket=self.results, Key=key, Body=b"{}")
        sqs = servers.client("sqs", server)
        queues = ("PhotosQueue", "PhotosDeadLetters", "LaunchFailures")
        self.queues = {
            name: sqs.create_queue(QueueName=self.template.properties(name)["QueueName"])["QueueUrl"]
            for name in queues
        }
        self.credentials = {name: self._assume(role) for name, role in ROLES.items()}
        self.close()

    def _assume(self, role):
        """Creates a role with the template's policies and returns its credentials."""
        iam, properties = servers.client("iam", self.server), self.template.properties(role)
        trust = json.dumps(properties["AssumeRolePolicyDocument"])
        arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        for policy in properties["Policies"]:
            document = json.dumps(for_moto(policy["PolicyDocument"]))
            iam.put_role_policy(RoleName=role, PolicyName=policy["PolicyName"], PolicyDocument=document)
        sts = servers.client("sts", self.server)
        assumed = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        return {
            "access_key": assumed["AccessKeyId"],
            "secret_key": assumed["SecretAccessKey"],
            "token": assumed["SessionToken"],
        }

    def close(self):
        """Authorises every call from now on."""
        self._authorise_after("0")

    @contextlib.contextmanager
    def open(self):
        """Authorises no call in the meantime, so that the test itself can read and write."""
        self._authorise_after(NEVER)
        try:
            yield
        finally:
            self.close()

    def _authorise_after(self, count):
        # urllib would send the body as a form, and moto would parse it as one.
        headers = {"Content-Type": "text/plain"}
        url = f"{self.server.endpoint}/moto-api/reset-auth"
        request = urllib.request.Request(url, count.encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            assert response.status == 200

    def client(self, service, role):
        """Returns boto3's client of a service with the credentials of a role."""
        return servers.client(service, self.server, **self.credentials[role])

    def function(self, name, **variables):
        """Starts a function with its role and the variables of the template."""
        function = self.template.properties(f"{name.capitalize()}Function")
        environment = {
            **function["Environment"]["Variables"],
            **servers.environment(self.server, **self.credentials[name]),
            **variables,
        }
        return LambdaFunction(name, environment)

    def keys(self, bucket, prefix):
        """Returns the keys under a prefix."""
        with self.open():
            found = servers.client("s3", self.server).list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [listed["Key"] for listed in found.get("Contents", [])]


def for_moto(document):
    """Returns a policy that moto evaluates as AWS evaluates the original.

    moto checks calls to EMR against all resources, and DeleteObjects against the bucket.
    """
    document = copy.deepcopy(document)
    for statement in document["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        resources = (
            statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        )
        if all(action.startswith("elasticmapreduce:") for action in actions):
            statement["Resource"] = "*"
        elif "s3:DeleteObject" in actions:
            statement["Resource"] = [*resources, *(resource.split("/")[0] for resource in resources)]
    return document
