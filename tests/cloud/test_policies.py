"""Least privilege: each function works with its role, and the role is refused everything else.

`support/moto_account.py` documents how moto evaluates policies and what it ignores.
"""

import base64
import json
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

from support import moto_account, servers
from support.moto_account import PHOTO
from support.paths import EVENTS, MODELS


@pytest.fixture(scope="module")
def account():
    with moto_account.account() as account:
        yield account


def message(number, account, name, key):
    """Returns an SQS message with one S3 event."""
    record = json.loads((EVENTS / "s3-put.json").read_text())["Records"][0]
    record |= {"eventName": name}
    record["s3"]["bucket"] |= {"name": account.photos, "arn": f"arn:aws:s3:::{account.photos}"}
    record["s3"]["object"] |= {"key": key}
    batch = json.loads((EVENTS / "sqs-batch.json").read_text())["Records"][0]
    return {**batch, "messageId": str(number), "body": json.dumps({"Records": [record]})}


def test_embed_embeds_rejects_and_removes_with_its_role(account):
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
    with account.function("embed", FRUITVEC_MODELS_DIR=MODELS) as embed:
        response = embed.invoke({"Records": messages})
        assert response == {"batchItemFailures": []}, (response, embed.log)
        # The photo returns, so the function deletes the removal, which needs another permission.
        removals = account.keys(account.results, "removals/")
        (removal,) = [key for key in removals if not key.endswith("/removal.json")]
        gone = {"bucket": account.photos, "key": "photos/Fig/gone.jpg", "up_to": "2100-01-01T00:00:00Z"}
        with account.open():
            s3.put_object(Bucket=account.photos, Key="photos/Fig/gone.jpg", Body=PHOTO)
            s3.put_object(Bucket=account.results, Key=removal, Body=json.dumps(gone))
        assert embed.invoke({"Records": messages[2:3]}) == {"batchItemFailures": []}, embed.log
    assert len(account.keys(account.results, "embeddings/model=")) == 1
    assert len(account.keys(account.results, "rejects/model=")) == 1
    assert removal not in account.keys(account.results, "removals/")


def test_embed_reports_photos_its_role_cannot_read_as_failed(account):
    elsewhere = message(1, account, "ObjectCreated:Put", "photos/Fig/there.jpg")
    body = json.loads(elsewhere["body"].replace(account.photos, account.OTHER_BUCKET))
    with account.function("embed", FRUITVEC_MODELS_DIR=MODELS) as embed:
        response = embed.invoke({"Records": [{**elsewhere, "body": json.dumps(body)}]})
    assert response == {"batchItemFailures": [{"itemIdentifier": "1"}]}


def test_upload_presigns_with_a_role_that_may_put_this_key(account):
    with account.function("upload") as upload:
        response = upload.invoke(json.loads((EVENTS / "upload-jpeg.json").read_text()))
    assert response["statusCode"] == 201, response
    body = response["body"]
    granted = json.loads(base64.b64decode(body) if response.get("isBase64Encoded") else body)
    assert granted["url"].startswith(f"{account.server.endpoint}/{account.photos}/uploads/")
    # A presigned put works only if the signer itself may put that key.
    s3 = account.client("s3", "upload")
    s3.put_object(Bucket=account.photos, Key=granted["key"], Body=PHOTO, ContentType="image/jpeg")
    assert account.keys(account.photos, granted["key"]) == [granted["key"]]


def test_launch_acquires_the_lease_and_starts_one_cluster_with_its_role(account):
    event = json.loads((EVENTS / "launch-backfill.json").read_text())
    with account.function("launch") as launch:
        first = launch.invoke(event)
        again = launch.invoke(event)
    assert first["outcome"] == "launched", first
    assert again == {**first, "outcome": "already_launched"}
    with account.open():
        emr_client = servers.client("emr", account.server)
        clusters = emr_client.list_clusters()["Clusters"]
        cluster = emr_client.describe_cluster(ClusterId=first["cluster_id"])["Cluster"]
        lease = servers.client("s3", account.server).get_object(
            Bucket=account.results, Key="leases/cluster.json"
        )
        lease = json.loads(lease["Body"].read())
    found = [(listed["Id"], listed["Name"]) for listed in clusters]
    assert found == [(first["cluster_id"], "fruitvec-backfill-20261124T030000Z")]
    assert lease["cluster_id"] == first["cluster_id"]
    # The policies of LaunchRole and EmrServiceRole require these tags and roles, which moto does not check.
    tags = {tag["Key"]: tag["Value"] for tag in cluster["Tags"]}
    assert tags["fruitvec-results"] == account.results
    assert tags["for-use-with-amazon-emr-managed-policies"] == "true"
    assert cluster["ServiceRole"] == account.template.arn("EmrServiceRole")
    assert cluster["Ec2InstanceAttributes"]["IamInstanceProfile"] == "EmrInstanceProfile"


# Each of these returns a call, made later with the credentials of a role.


def get(bucket, key):
    return lambda account, role: account.client("s3", role).get_object(
        Bucket=bucket_name(account, bucket), Key=key
    )


def put(bucket, key):
    return lambda account, role: account.client("s3", role).put_object(
        Bucket=bucket_name(account, bucket), Key=key, Body=b"{}"
    )


def delete(bucket, key):
    return lambda account, role: account.client("s3", role).delete_object(
        Bucket=bucket_name(account, bucket), Key=key
    )


def listing(bucket):
    return lambda account, role: account.client("s3", role).list_objects_v2(
        Bucket=bucket_name(account, bucket)
    )


def receive(queue):
    return lambda account, role: account.client("sqs", role).receive_message(QueueUrl=account.queues[queue])


def send(queue):
    return lambda account, role: account.client("sqs", role).send_message(
        QueueUrl=account.queues[queue], MessageBody="{}"
    )


def emr(call, **arguments):
    return lambda account, role: getattr(account.client("emr", role), call)(**arguments)


def bucket_name(account, bucket):
    return {"photos": account.photos, "results": account.results, "others": account.OTHER_BUCKET}[bucket]


THERE = "photos/Fig/there.jpg"
ALLOWED = {
    "embed": [
        get("photos", THERE),
        listing("photos"),
        listing("results"),
        put("results", "embeddings/x"),
        put("results", "rejects/x"),
        put("results", "removals/x"),
        get("results", "removals/x"),
        delete("results", "removals/x"),
        receive("PhotosQueue"),
    ],
    "upload": [put("photos", "uploads/2026-11-24/x.jpg")],
    "launch": [
        listing("photos"),
        listing("results"),
        get("results", "runs/run.json"),
        get("results", "pca/fit.json"),
        put("results", "leases/cluster.json"),
        get("results", "leases/cluster.json"),
        emr("list_clusters"),
        send("LaunchFailures"),
    ],
    "job": [
        get("photos", THERE),
        listing("photos"),
        listing("results"),
        put("results", "embeddings/x"),
        delete("results", "embeddings/x"),
        put("results", "moments/x"),
        delete("results", "moments/x"),
        put("results", "reduced/x"),
        put("results", "pca/x"),
        delete("results", "pca/x"),
        put("results", "runs/x"),
        put("results", "rejects/x"),
        put("results", "removals/x"),
        get("results", "emr/worker"),
        put("results", "emr-logs/x"),
    ],
    "schedule": [send("LaunchFailures")],
}
DENIED = {
    "embed": [
        get("others", THERE),
        listing("others"),
        put("photos", THERE),
        delete("photos", THERE),
        get("results", "embeddings/part.parquet"),
        delete("results", "embeddings/part.parquet"),
        put("results", "pca/fit.json"),
        put("results", "leases/cluster.json"),
        put("results", "x"),
        put("others", "embeddings/x"),
        receive("PhotosDeadLetters"),
        receive("LaunchFailures"),
        send("PhotosQueue"),
        emr("list_clusters"),
    ],
    "upload": [
        put("photos", THERE),
        put("photos", "x.jpg"),
        put("others", "uploads/2026-11-24/x.jpg"),
        put("results", "uploads/x.jpg"),
        get("photos", THERE),
        listing("photos"),
        delete("photos", THERE),
        receive("PhotosQueue"),
        send("PhotosQueue"),
    ],
    "launch": [
        get("photos", THERE),
        put("photos", THERE),
        delete("photos", THERE),
        get("results", "embeddings/part.parquet"),
        put("results", "pca/fit.json"),
        put("results", "leases/other.json"),
        get("results", "leases/other.json"),
        delete("results", "leases/cluster.json"),
        put("results", "emr/worker"),
        listing("others"),
        receive("PhotosQueue"),
        send("PhotosQueue"),
        receive("LaunchFailures"),
        emr("list_security_configurations"),
        emr("add_job_flow_steps", JobFlowId="j-1", Steps=[{"Name": "x", "HadoopJarStep": {"Jar": "x"}}]),
        emr("set_termination_protection", JobFlowIds=["j-1"], TerminationProtected=True),
    ],
    "job": [
        put("photos", THERE),
        delete("photos", THERE),
        get("others", THERE),
        listing("others"),
        put("results", "leases/cluster.json"),
        get("results", "leases/other.json"),
        put("results", "emr/worker"),
        delete("results", "leases/cluster.json"),
        delete("results", "runs/run.json"),
        get("results", "emr-logs/x"),
        put("others", "embeddings/x"),
        receive("PhotosQueue"),
        emr("list_clusters"),
    ],
    "schedule": [
        send("PhotosQueue"),
        receive("LaunchFailures"),
        get("photos", THERE),
        put("results", "x"),
        emr("list_clusters"),
    ],
}


@pytest.mark.parametrize("role", ALLOWED)
def test_a_role_may_make_the_calls_its_work_needs(account, role):
    for call in ALLOWED[role]:
        call(account, role)


@pytest.mark.parametrize(
    ("role", "number"), [(role, number) for role in DENIED for number in range(len(DENIED[role]))]
)
def test_a_role_is_refused_other_buckets_prefixes_queues_and_calls(account, role, number):
    with pytest.raises(ClientError) as refused:
        DENIED[role][number](account, role)
    assert refused.value.response["Error"]["Code"] in ("AccessDenied", "403"), refused.value


def test_calls_without_a_role_are_refused(account):
    with pytest.raises(ClientError) as refused:
        servers.client("s3", account.server).list_buckets()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{account.server.endpoint}/{account.photos}/{THERE}", timeout=10)
