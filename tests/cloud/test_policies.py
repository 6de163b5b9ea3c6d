"""Least privilege: each function at work under its role of the template, and what the role is refused.

What moto makes of policies, and what it does not look at, is said in `account.py`.
"""

import base64
import json
import urllib.error
import urllib.request

import account as accounts
import pytest
import servers
from account import PHOTO, ROOT
from botocore.exceptions import ClientError


@pytest.fixture(scope="module")
def account():
    with accounts.account() as account:
        yield account


def message(number, account, name, key):
    """A message of the queue: one thing happened to one key."""
    record = json.loads((ROOT / "events/s3-put.json").read_text())["Records"][0]
    record |= {"eventName": name}
    record["s3"]["bucket"] |= {"name": account.photos, "arn": f"arn:aws:s3:::{account.photos}"}
    record["s3"]["object"] |= {"key": key}
    batch = json.loads((ROOT / "events/sqs-batch.json").read_text())["Records"][0]
    return {**batch, "messageId": str(number), "body": json.dumps({"Records": [record]})}


def test_embed_embeds_rejects_and_removes_under_its_role(account):
    with account.open():
        s3 = servers.client("s3", account.server)
        s3.put_object(Bucket=account.photos, Key="photos/Fig/good.jpg", Body=PHOTO)
        s3.put_object(Bucket=account.photos, Key="photos/Fig/bad.jpg", Body=b"no photo")
    messages = [
        message(1, account, "ObjectCreated:Put", "photos/Fig/good.jpg"),
        message(2, account, "ObjectCreated:Put", "photos/Fig/bad.jpg"),
        message(3, account, "ObjectRemoved:Delete", "photos/Fig/gone.jpg"),
        message(4, account, "ObjectCreated:Put", "photos/Fig/gone.jpg"),
    ]
    with account.function("embed", FRUITVEC_MODELS_DIR=str(ROOT / "models")) as embed:
        answer = embed.invoke({"Records": messages})
        assert answer == {"batchItemFailures": []}, (answer, embed.log)
        # There again: the removal is taken back, a right of its own.
        (removal,) = [key for key in account.keys(account.results, "removals/") if not key.endswith("/removal.json")]
        with account.open():
            servers.client("s3", account.server).put_object(Bucket=account.photos, Key="photos/Fig/gone.jpg", Body=PHOTO)
            servers.client("s3", account.server).put_object(
                Bucket=account.results,
                Key=removal,
                Body=json.dumps({"bucket": account.photos, "key": "photos/Fig/gone.jpg", "up_to": "2100-01-01T00:00:00Z"}),
            )
        assert embed.invoke({"Records": messages[2:3]}) == {"batchItemFailures": []}, embed.log
    assert len([key for key in account.keys(account.results, "embeddings/model=")]) == 1
    assert len(account.keys(account.results, "rejects/model=")) == 1
    assert removal not in account.keys(account.results, "removals/")


def test_embed_hands_back_what_lies_where_its_role_does_not_reach(account):
    elsewhere = message(1, account, "ObjectCreated:Put", "photos/Fig/there.jpg")
    body = json.loads(elsewhere["body"].replace(account.photos, account.OTHER_BUCKET))
    with account.function("embed", FRUITVEC_MODELS_DIR=str(ROOT / "models")) as embed:
        answer = embed.invoke({"Records": [{**elsewhere, "body": json.dumps(body)}]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}


def test_upload_presigns_under_its_role_and_its_signature_carries_no_further_right(account):
    with account.function("upload") as upload:
        answer = upload.invoke(json.loads((ROOT / "events/upload-jpeg.json").read_text()))
    assert answer["statusCode"] == 201, answer
    body = answer["body"]
    given = json.loads(base64.b64decode(body) if answer.get("isBase64Encoded") else body)
    assert given["url"].startswith(f"{account.server.endpoint}/{account.photos}/uploads/")
    # What S3 asks of who has signed: the right to put just this key.
    s3 = account.client("s3", "upload")
    s3.put_object(Bucket=account.photos, Key=given["key"], Body=PHOTO, ContentType="image/jpeg")
    assert account.keys(account.photos, given["key"]) == [given["key"]]


def test_launch_takes_the_lease_and_starts_one_cluster_under_its_role(account):
    event = json.loads((ROOT / "events/launch-backfill.json").read_text())
    with account.function("launch") as launch:
        first = launch.invoke(event)
        again = launch.invoke(event)
    assert first["outcome"] == "launched", first
    assert again == {**first, "outcome": "already_launched"}
    with account.open():
        clusters = servers.client("emr", account.server).list_clusters()["Clusters"]
        cluster = servers.client("emr", account.server).describe_cluster(ClusterId=first["cluster_id"])["Cluster"]
        lease = servers.client("s3", account.server).get_object(Bucket=account.results, Key="leases/cluster.json")
        lease = json.loads(lease["Body"].read())
    assert [(c["Id"], c["Name"]) for c in clusters] == [(first["cluster_id"], "fruitvec-backfill-20261124T030000Z")]
    assert lease["cluster_id"] == first["cluster_id"]
    # The tags that the policies of LaunchRole and EmrServiceRole ask for, and the roles that may be passed on.
    tags = {tag["Key"]: tag["Value"] for tag in cluster["Tags"]}
    assert tags["fruitvec-results"] == account.results and tags["for-use-with-amazon-emr-managed-policies"] == "true"
    assert cluster["ServiceRole"] == account.values.arn("EmrServiceRole")
    assert cluster["Ec2InstanceAttributes"]["IamInstanceProfile"] == "EmrInstanceProfile"


def get(bucket, key):
    return lambda account, role: account.client("s3", role).get_object(Bucket=named(account, bucket), Key=key)


def put(bucket, key):
    return lambda account, role: account.client("s3", role).put_object(Bucket=named(account, bucket), Key=key, Body=b"{}")


def delete(bucket, key):
    return lambda account, role: account.client("s3", role).delete_object(Bucket=named(account, bucket), Key=key)


def listing(bucket):
    return lambda account, role: account.client("s3", role).list_objects_v2(Bucket=named(account, bucket))


def receive(queue):
    return lambda account, role: account.client("sqs", role).receive_message(QueueUrl=account.queues[queue])


def send(queue):
    return lambda account, role: account.client("sqs", role).send_message(QueueUrl=account.queues[queue], MessageBody="{}")


def emr(call, **arguments):
    return lambda account, role: getattr(account.client("emr", role), call)(**arguments)


def named(account, bucket):
    return {"photos": account.photos, "results": account.results, "others": account.OTHER_BUCKET}[bucket]


THERE = "photos/Fig/there.jpg"
ALLOWED = {
    "embed": [
        get("photos", THERE), listing("photos"), listing("results"), put("results", "embeddings/x"), put("results", "rejects/x"),
        put("results", "removals/x"), get("results", "removals/x"), delete("results", "removals/x"), receive("PhotosQueue"),
    ],
    "upload": [put("photos", "uploads/2026-11-24/x.jpg")],
    "launch": [
        listing("photos"), listing("results"), get("results", "runs/run.json"), get("results", "pca/fit.json"),
        put("results", "leases/cluster.json"), get("results", "leases/cluster.json"), emr("list_clusters"), send("LaunchFailures"),
    ],
    "job": [
        get("photos", THERE), listing("photos"), listing("results"), put("results", "embeddings/x"), delete("results", "embeddings/x"),
        put("results", "moments/x"), delete("results", "moments/x"), put("results", "reduced/x"), put("results", "pca/x"), delete("results", "pca/x"),
        put("results", "runs/x"), put("results", "rejects/x"), put("results", "removals/x"), get("results", "emr/worker"),
        put("results", "emr-logs/x"),
    ],
    "schedule": [send("LaunchFailures")],
}  # fmt: skip
DENIED = {
    "embed": [
        get("others", THERE), listing("others"), put("photos", THERE), delete("photos", THERE), get("results", "embeddings/part.parquet"),
        delete("results", "embeddings/part.parquet"), put("results", "pca/fit.json"), put("results", "leases/cluster.json"),
        put("results", "x"), put("others", "embeddings/x"), receive("PhotosDeadLetters"), receive("LaunchFailures"),
        send("PhotosQueue"), emr("list_clusters"),
    ],
    "upload": [
        put("photos", THERE), put("photos", "x.jpg"), put("others", "uploads/2026-11-24/x.jpg"), put("results", "uploads/x.jpg"),
        get("photos", THERE), listing("photos"), delete("photos", THERE), receive("PhotosQueue"), send("PhotosQueue"),
    ],
    "launch": [
        get("photos", THERE), put("photos", THERE), delete("photos", THERE), get("results", "embeddings/part.parquet"),
        put("results", "pca/fit.json"), put("results", "leases/other.json"), get("results", "leases/other.json"),
        delete("results", "leases/cluster.json"), put("results", "emr/worker"), listing("others"), receive("PhotosQueue"),
        send("PhotosQueue"), receive("LaunchFailures"), emr("list_security_configurations"),
        emr("add_job_flow_steps", JobFlowId="j-1", Steps=[{"Name": "x", "HadoopJarStep": {"Jar": "x"}}]),
        emr("set_termination_protection", JobFlowIds=["j-1"], TerminationProtected=True),
    ],
    "job": [
        put("photos", THERE), delete("photos", THERE), get("others", THERE), listing("others"), put("results", "leases/cluster.json"),
        get("results", "leases/other.json"), put("results", "emr/worker"), delete("results", "leases/cluster.json"),
        delete("results", "runs/run.json"), get("results", "emr-logs/x"), put("others", "embeddings/x"), receive("PhotosQueue"),
        emr("list_clusters"),
    ],
    "schedule": [send("PhotosQueue"), receive("LaunchFailures"), get("photos", THERE), put("results", "x"), emr("list_clusters")],
}  # fmt: skip


@pytest.mark.parametrize("role", ALLOWED)
def test_a_role_may_do_what_its_work_needs(account, role):
    for call in ALLOWED[role]:
        call(account, role)


@pytest.mark.parametrize(("role", "number"), [(role, number) for role in DENIED for number in range(len(DENIED[role]))])
def test_a_role_is_refused_other_buckets_prefixes_queues_and_calls(account, role, number):
    with pytest.raises(ClientError) as refused:
        DENIED[role][number](account, role)
    assert refused.value.response["Error"]["Code"] in ("AccessDenied", "403"), refused.value


def test_nobody_gets_in_without_a_role(account):
    with pytest.raises(ClientError) as refused:
        servers.client("s3", account.server).list_buckets()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{account.server.endpoint}/{account.photos}/{THERE}", timeout=10)
