"""A presigned URL accepts exactly the announced upload, and a refused request gets an explanation.

The tests run against two servers that check signatures: LocalStack, with the template's bucket, and the
embedded S3.
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, date, datetime

import pytest

from support import sample_photos, servers
from support.lambda_runtime import FunctionDied, FunctionFailed, LambdaFunction
from support.paths import EVENTS

CONTENT = sample_photos.encode(sample_photos.picture("upload"), "JPEG")
ALLOWED = {
    "content_types": ["image/jpeg", "image/png", "image/webp"],
    "method": "POST",
    "path": "/uploads",
    "max_size_bytes": 25 << 20,
}


class UploadBucket:
    """A bucket that receives uploads, and the function that grants them."""

    def __init__(self, server, name, variables, **credentials):
        self.s3 = servers.client("s3", server, **credentials)
        self.name = name
        self._variables = {**variables, **servers.environment(server, **credentials)}

    def function(self, **variables):
        return LambdaFunction("upload", {**self._variables, **variables})

    def uploaded_keys(self):
        listed = self.s3.list_objects_v2(Bucket=self.name, Prefix="uploads/").get("Contents", [])
        return {item["Key"] for item in listed}


@pytest.fixture(scope="module", params=["localstack", "embedded"])
def bucket(request):
    if request.param == "localstack":
        system = request.getfixturevalue("system")
        variables = system.variables("UploadFunction")
        yield UploadBucket(system.server, system.photos_bucket, variables, token="of a role")
    else:
        with servers.embedded() as server:
            variables = {"FRUITVEC_PHOTOS_BUCKET": "photos"}
            yield UploadBucket(server, "photos", variables, **server.credentials)


@pytest.fixture(scope="module")
def upload(bucket):
    with bucket.function() as function:
        yield function


def event(name):
    return json.loads((EVENTS / f"upload-{name}.json").read_text())


def request_upload(upload, content_type="image/jpeg"):
    """Requests an upload as the app does and returns the response body."""
    request = event("jpeg")
    request["body"] = json.dumps({"content_type": content_type, "size_bytes": len(CONTENT)})
    response = upload.invoke(request)
    assert response["statusCode"] == 201, response
    assert response["headers"]["content-type"] == "application/json", response
    return json.loads(response["body"])


def put(url, content=CONTENT, content_type="image/jpeg"):
    """Uploads without an AWS SDK and returns the status. urllib sends the length of the content."""
    request = urllib.request.Request(url, content, {"content-type": content_type}, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_url_accepts_the_announced_upload(bucket, upload):
    granted = request_upload(upload)
    assert granted["method"] == "PUT"
    assert granted["headers"] == {"content-type": "image/jpeg", "content-length": str(len(CONTENT))}
    assert put(granted["url"]) == 200
    stored = bucket.s3.get_object(Bucket=bucket.name, Key=granted["key"])
    assert (stored["ContentType"], stored["Body"].read()) == ("image/jpeg", CONTENT)


def test_the_key_has_the_date_and_the_extension_of_the_type(upload):
    today = datetime.now(UTC).date()
    for content_type, extension in [("image/jpeg", "jpg"), ("image/png", "png"), ("image/webp", "webp")]:
        folder, day, name = request_upload(upload, content_type)["key"].split("/")
        assert folder == "uploads"
        assert abs((date.fromisoformat(day) - today).days) <= 1, "a test may run at midnight"
        ulid, _, found = name.partition(".")
        assert (len(ulid), found) == (26, extension)


def test_the_url_expires_at_the_announced_time_and_requires_no_checksum(upload):
    before = time.time()
    granted = request_upload(upload)
    expires_at = datetime.fromisoformat(granted["expires_at"]).timestamp()
    assert before + 299 <= expires_at <= time.time() + 300
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(granted["url"]).query)
    assert query["X-Amz-Expires"] == ["300"]
    assert query["X-Amz-SignedHeaders"] == ["content-length;content-type;host"]
    assert not [name for name in query if "checksum" in name.lower()]


@pytest.mark.parametrize(
    "other",
    [
        {"content_type": "text/html"},
        {"content_type": "image/png"},
        {"content": CONTENT + b"!"},
        {"content": CONTENT[:-1]},
        {"content": b""},
    ],
    ids=["not a picture", "another format", "one byte more", "one byte less", "empty"],
)
def test_another_type_or_length_is_refused(bucket, upload, other):
    granted = request_upload(upload)
    assert put(granted["url"], **other) == 403
    assert granted["key"] not in bucket.uploaded_keys()


def tampered(granted):
    """Yields URLs with one change each, and the name of the change."""
    url = granted["url"]
    name, _, signature = url.partition("X-Amz-Signature=")
    yield "signature", f"{name}X-Amz-Signature={'1' if signature[0] == '0' else '0'}{signature[1:]}"
    yield "key", url.replace(granted["key"], "photos/Kiwi/1.jpg")
    yield "expiry", url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000")
    yield "length no longer signed", url.replace("content-length%3B", "")
    yield "type no longer signed", url.replace("content-type%3B", "")


def test_a_tampered_url_is_refused(bucket, upload):
    before = bucket.uploaded_keys()
    granted = request_upload(upload)
    for what, url in tampered(granted):
        assert url != granted["url"], what
        assert put(url) == 403, what
    assert bucket.uploaded_keys() == before
    assert put(granted["url"]) == 200, "the unchanged URL works"


def test_an_expired_url_is_refused(bucket):
    with bucket.function(FRUITVEC_UPLOAD_EXPIRY_SECONDS=1) as upload:
        granted = request_upload(upload)
    expires_at = datetime.fromisoformat(granted["expires_at"]).timestamp()
    while time.time() < expires_at + 1:
        time.sleep(0.05)
    assert put(granted["url"]) == 403
    assert granted["key"] not in bucket.uploaded_keys()


@pytest.mark.parametrize(
    ("name", "status", "title", "detail"),
    [
        ("heic", 415, "Unsupported Media Type", "convert the photo to JPEG"),
        ("too-large", 413, "Content Too Large", "at most 26214400"),
        ("not-json", 400, "Bad Request", "must be JSON"),
    ],
)
def test_a_refused_request_gets_a_problem_document_with_what_is_allowed(upload, name, status, title, detail):
    response = upload.invoke(event(name))
    content_type = response["headers"]["content-type"]
    assert (response["statusCode"], content_type) == (status, "application/problem+json")
    problem = json.loads(response["body"])
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", title, status)
    assert detail in problem["detail"]
    assert problem["allowed"] == ALLOWED


def test_no_signature_is_logged_and_each_request_is_counted(bucket):
    with bucket.function() as upload:
        granted = request_upload(upload)
        upload.invoke(event("heic"))
        metrics = upload.metrics
        log = "\n".join(upload.log)
    assert [(line.get("presigned"), line.get("refused")) for line in metrics] == [(1, None), (None, 1)]
    assert {line["function"] for line in metrics} == {"upload"}
    assert granted["key"] in log
    signature = urllib.parse.parse_qs(urllib.parse.urlsplit(granted["url"]).query)["X-Amz-Signature"][0]
    assert signature not in log and "Security-Token" not in log


def test_a_function_without_a_bucket_does_not_start_and_logs_why(bucket):
    with pytest.raises(FunctionDied, match="FRUITVEC_PHOTOS_BUCKET is not set"):
        bucket.function(FRUITVEC_PHOTOS_BUCKET="").__exit__()


def test_an_event_that_no_http_api_sends_fails_the_invocation(upload):
    with pytest.raises(FunctionFailed):
        upload.invoke({"Records": []})
