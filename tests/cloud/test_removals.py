"""Deletes in a bucket that keeps versions hide a photo only if it is really gone.

LocalStack sends the same notifications as S3: `ObjectRemoved:Delete` for a deleted version, with its id, and
`DeleteMarkerCreated` for a delete without a version.
"""

import hashlib
import time

import pytest

from support import sample_photos
from support.queue_poller import send, take


@pytest.fixture(scope="module")
def results(system):
    """The results bucket of these tests."""
    return system.create_results_bucket("fruitvec-removals")


@pytest.fixture
def bucket(cloud, results):
    """The photos bucket and a function that processes its events."""
    with cloud.embed(results=results) as embed:
        yield PhotosBucket(cloud, embed, results)
    cloud.assert_queues_empty()


class PhotosBucket:
    """Changes the photos bucket and reads the table."""

    last_number = 50_000

    def __init__(self, cloud, embed, results):
        self.cloud = cloud
        self.results = results
        self.poller = cloud.poller(embed)
        # The number of notifications that S3 sends for the changes so far.
        self.notifications = 0

    def new_photo(self):
        """Returns a photo that no other test uses."""
        PhotosBucket.last_number += 1
        return sample_photos.valid(PhotosBucket.last_number)

    def put(self, photo):
        """Uploads a photo and returns the id of its version."""
        response = self.cloud.s3.put_object(
            Bucket=self.cloud.photos_bucket, Key=photo.key, Body=photo.content
        )
        self.notifications += 1
        return response["VersionId"]

    def delete(self, photo, **version):
        """Deletes a photo and returns the id of the deleted version or the new delete marker."""
        response = self.cloud.s3.delete_object(Bucket=self.cloud.photos_bucket, Key=photo.key, **version)
        self.notifications += 1
        return response["VersionId"]

    def process_events(self):
        """Waits until the function has processed all notifications."""
        self.poller.drain(self.notifications)
        assert not self.poller.errors

    def current(self, photo):
        """Returns the photo's ETag in the table, or nothing if it has no current row."""
        self.process_events()
        row = self.cloud.results(self.results).current_rows().get(photo.key)
        return row and row["etag"]


def etag(photo):
    return hashlib.md5(photo.content).hexdigest()


def next_second():
    """Waits for the next second.

    S3 dates objects in whole seconds. A photo that is uploaded in the second of a removal counts as removed
    until the next backfill.
    """
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.01)


def test_a_deleted_photo_is_hidden_and_its_neighbours_are_not(bucket):
    gone, stays = bucket.new_photo(), bucket.new_photo()
    bucket.put(gone)
    bucket.put(stays)
    assert bucket.current(gone) == etag(gone)
    bucket.delete(gone)
    assert bucket.current(gone) is None
    assert bucket.current(stays) == etag(stays)


def test_a_photo_deleted_before_it_was_embedded_causes_neither_a_failure_nor_a_row(bucket):
    gone = bucket.new_photo()
    bucket.put(gone)
    bucket.delete(gone)
    assert bucket.current(gone) is None
    assert set(bucket.poller.received.values()) == {1}, "nothing is retried"


def test_deleting_an_old_version_hides_nothing(bucket):
    old = bucket.new_photo()
    new = sample_photos.Photo(old.key, bucket.new_photo().content)
    version = bucket.put(old)
    assert bucket.current(old) == etag(old)
    bucket.put(new)
    assert bucket.current(new) == etag(new)
    bucket.delete(old, VersionId=version)
    assert bucket.current(new) == etag(new)


def test_deleting_a_delete_marker_restores_the_photo(bucket):
    photo = bucket.new_photo()
    bucket.put(photo)
    bucket.process_events()
    marker = bucket.delete(photo)
    assert bucket.current(photo) is None
    bucket.delete(photo, VersionId=marker)
    assert bucket.current(photo) == etag(photo)


def test_deleting_the_only_version_hides_the_photo(bucket):
    photo = bucket.new_photo()
    version = bucket.put(photo)
    assert bucket.current(photo) == etag(photo)
    bucket.delete(photo, VersionId=version)
    assert bucket.current(photo) is None


def test_deleting_the_newest_version_restores_the_older_one(bucket):
    old = bucket.new_photo()
    new = sample_photos.Photo(old.key, bucket.new_photo().content)
    bucket.put(old)
    bucket.process_events()
    next_second()
    version = bucket.put(new)
    assert bucket.current(new) == etag(new)
    bucket.delete(new, VersionId=version)
    bucket.process_events()
    # The event reports a delete, but S3 still has an object, so the key stays in the table. The next backfill
    # finds out which version it is.
    assert bucket.current(old) is not None


def test_an_overwritten_photo_has_one_row_of_its_new_content(bucket):
    old = bucket.new_photo()
    new = sample_photos.Photo(old.key, bucket.new_photo().content)
    bucket.put(old)
    assert bucket.current(old) == etag(old)
    bucket.put(new)
    assert bucket.current(new) == etag(new)


def test_a_photo_uploaded_again_after_a_delete_is_back(bucket):
    photo = bucket.new_photo()
    bucket.put(photo)
    bucket.process_events()
    bucket.delete(photo)
    assert bucket.current(photo) is None
    next_second()
    bucket.put(photo)
    assert bucket.current(photo) == etag(photo)


@pytest.mark.parametrize("backwards", [False, True])
def test_events_of_a_delete_and_a_new_upload_may_arrive_in_either_order(bucket, backwards):
    photo = bucket.new_photo()
    bucket.put(photo)
    bucket.process_events()
    bucket.delete(photo)
    next_second()
    bucket.put(photo)
    bodies = take(bucket.cloud.sqs, bucket.poller.queue_url, 2)
    # One message per batch, so that they are processed in this order.
    bucket.poller.batch = 1
    for body in reversed(bodies) if backwards else bodies:
        send(bucket.cloud.sqs, bucket.poller.queue_url, [body])
        bucket.poller.drain()
    assert bucket.current(photo) == etag(photo)
