"""What is removed from a bucket that keeps versions: only what is really gone is hidden.

LocalStack tells of each removal as S3 does: `ObjectRemoved:Delete` with the id of the version that went, `DeleteMarkerCreated` for a
delete without one.
"""

import hashlib
import time

import photos
import pytest
from poller import send, take


@pytest.fixture(scope="module")
def results(system):
    """A bucket for the results of these tests."""
    return system.bucket("fruitvec-removals")


@pytest.fixture
def bucket(cloud, results):
    """The photos bucket, and a function that keeps up with it."""
    with cloud.embed(results=results) as embed:
        yield Bucket(cloud, embed, results)
    cloud.assert_nothing_is_left()


class Bucket:
    """Changes the photos bucket, and reads what the table makes of it."""

    number = 50_000

    def __init__(self, cloud, embed, results):
        self.cloud = cloud
        self.results = results
        self.poller = cloud.poller(embed)
        self.told = 0

    def photo(self):
        """A photo that no other test has."""
        Bucket.number += 1
        return photos.good(Bucket.number)

    def put(self, photo):
        """Its version."""
        answer = self.cloud.s3.put_object(Bucket=self.cloud.photos, Key=photo.key, Body=photo.content)
        self.told += 1
        return answer["VersionId"]

    def delete(self, photo, **version):
        """The version that went, or the delete marker that came."""
        answer = self.cloud.s3.delete_object(Bucket=self.cloud.photos, Key=photo.key, **version)
        self.told += 1
        return answer["VersionId"]

    def settle(self):
        """The function has dealt with all that S3 told."""
        self.poller.drain(self.told)
        assert not self.poller.errors

    def current(self, photo):
        """The photo's ETag in the table, if it has a row."""
        self.settle()
        row = self.cloud.results(self.results).current_rows().get(photo.key)
        return row and row["etag"]


def etag(photo):
    return hashlib.md5(photo.content).hexdigest()


def next_second():
    """S3 dates objects in whole seconds: what is put in the second of a removal passes for removed, until the next backfill."""
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.01)


def test_a_deleted_photo_is_hidden_and_its_neighbours_are_not(bucket):
    gone, stays = bucket.photo(), bucket.photo()
    bucket.put(gone)
    bucket.put(stays)
    assert bucket.current(gone) == etag(gone)
    bucket.delete(gone)
    assert bucket.current(gone) is None
    assert bucket.current(stays) == etag(stays)


def test_a_photo_deleted_before_it_was_embedded_is_no_failure_and_no_row(bucket):
    gone = bucket.photo()
    bucket.put(gone)
    bucket.delete(gone)
    assert bucket.current(gone) is None
    assert set(bucket.poller.received.values()) == {1}, "nothing is tried again"


def test_an_old_version_that_is_deleted_hides_nothing(bucket):
    old = bucket.photo()
    new = photos.Photo(old.key, bucket.photo().content)
    version = bucket.put(old)
    assert bucket.current(old) == etag(old)
    bucket.put(new)
    assert bucket.current(new) == etag(new)
    bucket.delete(old, VersionId=version)
    assert bucket.current(new) == etag(new)


def test_a_delete_marker_that_is_undone_gives_the_photo_back(bucket):
    photo = bucket.photo()
    bucket.put(photo)
    bucket.settle()
    marker = bucket.delete(photo)
    assert bucket.current(photo) is None
    bucket.delete(photo, VersionId=marker)
    assert bucket.current(photo) == etag(photo)


def test_the_last_version_that_is_deleted_is_gone_for_good(bucket):
    photo = bucket.photo()
    version = bucket.put(photo)
    assert bucket.current(photo) == etag(photo)
    bucket.delete(photo, VersionId=version)
    assert bucket.current(photo) is None


def test_the_newest_version_that_is_deleted_brings_the_older_one_back(bucket):
    old = bucket.photo()
    new = photos.Photo(old.key, bucket.photo().content)
    bucket.put(old)
    bucket.settle()
    next_second()
    version = bucket.put(new)
    assert bucket.current(new) == etag(new)
    bucket.delete(new, VersionId=version)
    bucket.settle()
    # The event says that something went, S3 that something is there: the key stays. Which of its versions it is, the next backfill
    # finds out.
    assert bucket.current(old) is not None


def test_an_overwritten_photo_has_one_row_of_its_new_content(bucket):
    old = bucket.photo()
    new = photos.Photo(old.key, bucket.photo().content)
    bucket.put(old)
    assert bucket.current(old) == etag(old)
    bucket.put(new)
    assert bucket.current(new) == etag(new)


def test_a_photo_put_again_after_it_was_deleted_is_back(bucket):
    photo = bucket.photo()
    bucket.put(photo)
    bucket.settle()
    bucket.delete(photo)
    assert bucket.current(photo) is None
    next_second()
    bucket.put(photo)
    assert bucket.current(photo) == etag(photo)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_removal_and_the_photo_put_again_after_it_may_come_in_either_order(bucket, backwards):
    photo = bucket.photo()
    bucket.put(photo)
    bucket.settle()
    bucket.delete(photo)
    next_second()
    bucket.put(photo)
    bodies = take(bucket.cloud.sqs, bucket.poller.queue_url, 2)
    # One by one, so that the order is the one they come in.
    bucket.poller.batch = 1
    for body in reversed(bodies) if backwards else bodies:
        send(bucket.cloud.sqs, bucket.poller.queue_url, [body])
        bucket.poller.drain()
    assert bucket.current(photo) == etag(photo)
