"""The presigned URL works as told, and in no other way; whatever is not allowed is refused with what is.

Against two servers that check signatures: LocalStack, with the template's bucket, and the S3 that is built into the command line.
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timezone

import photos
import pytest
import servers
from conftest import ROOT
from runtime import Function, FunctionDied, FunctionFailed

CONTENT = photos.encoded(photos.picture("upload"), "JPEG")
ALLOWED = {"content_types": ["image/jpeg", "image/png", "image/webp"], "method": "POST", "path": "/uploads", "max_size_bytes": 25 << 20}


class Place:
    """A bucket to upload to, and the function that gives uploads to it."""

    def __init__(self, server, bucket, variables, **credentials):
        self.s3 = servers.client("s3", server, **credentials)
        self.bucket = bucket
        self._variables = {**variables, **servers.environment(server, **credentials)}

    def function(self, **variables):
        return Function("upload", {**self._variables, **variables})

    def keys(self):
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix="uploads/").get("Contents", [])
        return {item["Key"] for item in listed}


@pytest.fixture(scope="module", params=["localstack", "embedded"])
def place(request):
    if request.param == "localstack":
        system = request.getfixturevalue("system")
        yield Place(system.server, system.photos, system.variables("UploadFunction"), token="of a role")
    else:
        with servers.embedded() as server:
            yield Place(server, "photos", {"FRUITVEC_PHOTOS_BUCKET": "photos"}, **server.credentials)


@pytest.fixture(scope="module")
def upload(place):
    with place.function() as function:
        yield function


def event(name):
    return json.loads((ROOT / "events" / f"upload-{name}.json").read_text())


def grant(upload, content_type="image/jpeg", size=len(CONTENT)):
    """What the app is given for such a photo."""
    asking = event("jpeg")
    asking["body"] = json.dumps({"content_type": content_type, "size_bytes": size})
    answer = upload.invoke(asking)
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (201, "application/json"), answer
    return json.loads(answer["body"])


def put(url, content=CONTENT, content_type="image/jpeg"):
    """The status that a client sees that knows nothing of AWS; it counts the length itself."""
    request = urllib.request.Request(url, content, {"content-type": content_type}, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


def test_the_url_works_as_told(place, upload):
    granted = grant(upload)
    assert granted["method"] == "PUT"
    assert granted["headers"] == {"content-type": "image/jpeg", "content-length": str(len(CONTENT))}
    assert put(granted["url"]) == 200
    stored = place.s3.get_object(Bucket=place.bucket, Key=granted["key"])
    assert (stored["ContentType"], stored["Body"].read()) == ("image/jpeg", CONTENT)


def test_the_key_has_the_day_and_ends_as_its_type_does(upload):
    today = datetime.now(timezone.utc)
    for content_type, extension in [("image/jpeg", "jpg"), ("image/png", "png"), ("image/webp", "webp")]:
        folder, day, name = grant(upload, content_type)["key"].split("/")
        assert folder == "uploads"
        assert abs((datetime.strptime(day, "%Y-%m-%d").date() - today.date()).days) <= 1
        ulid, _, found = name.partition(".")
        assert (len(ulid), found) == (26, extension)


def test_the_url_ends_when_it_says_and_asks_for_no_checksum(upload):
    before = time.time()
    granted = grant(upload)
    ends = datetime.fromisoformat(granted["expires_at"]).timestamp()
    assert before + 299 <= ends <= time.time() + 300
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(granted["url"]).query)
    assert asked["X-Amz-Expires"] == ["300"]
    assert asked["X-Amz-SignedHeaders"] == ["content-length;content-type;host"]
    assert not [name for name in asked if "checksum" in name.lower()]


@pytest.mark.parametrize(
    "other",
    [
        {"content_type": "text/html"},
        {"content_type": "image/png"},
        {"content": CONTENT + b"!"},
        {"content": CONTENT[:-1]},
        {"content": b""},
    ],
    ids=["no picture", "another picture", "one byte more", "one byte less", "nothing"],
)
def test_another_type_or_length_is_refused(place, upload, other):
    granted = grant(upload)
    assert put(granted["url"], **other) == 403
    assert granted["key"] not in place.keys()


def tampered(granted):
    """URLs that are nearly the one that was given."""
    url = granted["url"]
    name, _, signature = url.partition("X-Amz-Signature=")
    yield "signature", f"{name}X-Amz-Signature={'1' if signature[0] == '0' else '0'}{signature[1:]}"
    yield "key", url.replace(granted["key"], "photos/Kiwi/1.jpg")
    yield "expiry", url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000")
    yield "length no longer signed", url.replace("content-length%3B", "")
    yield "type no longer signed", url.replace("content-type%3B", "")


def test_a_tampered_url_is_refused(place, upload):
    before = place.keys()
    granted = grant(upload)
    for what, url in tampered(granted):
        assert url != granted["url"], what
        assert put(url) == 403, what
    assert place.keys() == before
    assert put(granted["url"]) == 200, "the one that was given works"


def test_an_expired_url_is_refused(place):
    with place.function(FRUITVEC_UPLOAD_EXPIRY_SECONDS=1) as upload:
        granted = grant(upload)
    ends = datetime.fromisoformat(granted["expires_at"]).timestamp()
    while time.time() < ends + 1:
        time.sleep(0.05)
    assert put(granted["url"]) == 403
    assert granted["key"] not in place.keys()


@pytest.mark.parametrize(
    ("name", "status", "title", "says"),
    [
        ("heic", 415, "Unsupported Media Type", "convert the photo to JPEG"),
        ("too-large", 413, "Content Too Large", "at most 26214400"),
        ("not-json", 400, "Bad Request", "must be JSON"),
    ],
)
def test_what_is_not_allowed_is_a_problem_that_says_what_is(upload, name, status, title, says):
    answer = upload.invoke(event(name))
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (status, "application/problem+json")
    problem = json.loads(answer["body"])
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", title, status)
    assert says in problem["detail"]
    assert problem["allowed"] == ALLOWED


def test_no_signature_is_logged_and_each_request_is_counted(place):
    with place.function() as upload:
        granted = grant(upload)
        upload.invoke(event("heic"))
        counted = [line for line in upload.metrics]
        log = "\n".join(upload.log)
    assert [(line.get("presigned"), line.get("refused")) for line in counted] == [(1, None), (None, 1)]
    assert {line["function"] for line in counted} == {"upload"}
    assert granted["key"] in log
    signature = urllib.parse.parse_qs(urllib.parse.urlsplit(granted["url"]).query)["X-Amz-Signature"][0]
    assert signature not in log and "Security-Token" not in log


def test_a_function_without_its_bucket_does_not_start_and_says_why(place):
    with pytest.raises(FunctionDied, match="FRUITVEC_PHOTOS_BUCKET is not set"):
        place.function(FRUITVEC_PHOTOS_BUCKET="").__exit__()


def test_what_no_http_api_sends_fails_loudly(upload):
    with pytest.raises(FunctionFailed):
        upload.invoke({"Records": []})
