"""The deployed system: the template's buckets and queues on LocalStack, and the functions that use them."""

from concurrent.futures import ThreadPoolExecutor

from support import servers
from support.lambda_runtime import LambdaFunction
from support.paths import MODELS
from support.queue_poller import Poller, is_empty
from support.results_bucket import ResultsBucket


class DeployedSystem:
    """Starts the functions, uploads photos and reads the results."""

    def __init__(self, server, stack):
        self.server = server
        self.stack = stack
        self.s3 = servers.client("s3", server)
        self.sqs = servers.client("sqs", server)
        self.photos_bucket = stack.photos_bucket

    def embed(self, *, through=None, results=None, timeout=120.0, **variables):
        """Starts the function `embed`.

        `through` is a proxy in front of S3. `results` is a bucket other than the template's. A variable that
        is `None` is removed from the environment.
        """
        environment = {
            **self.variables("EmbedFunction"),
            **servers.environment(through or self.server),
            "FRUITVEC_RESULTS_BUCKET": results or self.stack.results_bucket,
            "FRUITVEC_MODELS_DIR": MODELS,
            **variables,
        }
        present = {name: value for name, value in environment.items() if value is not None}
        return LambdaFunction("embed", present, timeout)

    def upload(self, **variables):
        """Starts the function `upload`."""
        environment = {
            **self.variables("UploadFunction"),
            **servers.environment(self.server),
            **variables,
        }
        return LambdaFunction("upload", environment)

    def variables(self, function):
        """Returns the variables that the template sets for a function."""
        return self.stack.resolved.properties(function)["Environment"]["Variables"]

    def poller(self, function, **settings):
        """Returns a poller of the photos queue."""
        return Poller(self.sqs, self.stack.queue_url, function, **settings)

    def put(self, photos):
        """Uploads photos in parallel, so that their notifications come in any order."""

        def put_one(photo):
            self.s3.put_object(Bucket=self.photos_bucket, Key=photo.key, Body=photo.content)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put_one, photos))

    def create_results_bucket(self, name):
        """Creates another results bucket for one test and returns its name."""
        location = {"LocationConstraint": servers.REGION}
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration=location)
        return name

    def results(self, bucket=None):
        """Reads the whole results bucket."""
        return ResultsBucket(self.s3, bucket or self.stack.results_bucket)

    def purge_queues(self):
        """Deletes all messages."""
        for url in (self.stack.queue_url, self.stack.dead_letters_url):
            self.sqs.purge_queue(QueueUrl=url)

    def dead_letters(self):
        """Returns the bodies of the dead letters and leaves them in their queue."""
        response = self.sqs.receive_message(
            QueueUrl=self.stack.dead_letters_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            WaitTimeSeconds=1,
        )
        return [message["Body"] for message in response.get("Messages", [])]

    def assert_queues_empty(self):
        """Asserts that no message is waiting, in flight or a dead letter."""
        for url in (self.stack.queue_url, self.stack.dead_letters_url):
            assert is_empty(self.sqs, url), url
