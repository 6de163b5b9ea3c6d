"""Acts as Lambda's event source mapping between a queue and a function.

It polls the queue, invokes the function, deletes the messages that succeeded and leaves the others.
Source: "Using Lambda with Amazon SQS" and its page on error handling, AWS Lambda Developer Guide.
"""

import time

from support.lambda_runtime import FunctionDied, FunctionFailed
from support.servers import REGION

ATTRIBUTES = ["ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp", "SenderId", "SentTimestamp"]
MESSAGE_COUNTS = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
]
# SQS accepts at most ten messages in one call.
PAGE_SIZE = 10
TIMEOUT = 240.0


class Poller:
    """Polls a queue for one instance of a function.

    `window` is the batching window in seconds. A failed message becomes visible again after `retry_after`
    seconds. In production that is the visibility time-out of the queue, which is too long for a test.
    """

    def __init__(self, sqs, queue_url, function, *, batch=10, window=0.2, retry_after=0):
        self.sqs = sqs
        self.queue_url = queue_url
        self.function = function
        self.batch = batch
        self.window = window
        self.retry_after = retry_after
        self.arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        # Called with the messages of each invocation before it starts.
        self.before_invoke = lambda messages: None
        # How often each message has been received, by its id.
        self.received = {}
        # The errors of the invocations that failed as a whole.
        self.errors = []

    def drain(self, messages=0, timeout=TIMEOUT):
        """Polls until the queue is empty and at least this number of different messages has arrived.

        S3 sends a notification some time after the change, so an empty queue alone proves nothing.
        """
        deadline = time.monotonic() + timeout
        while len(self.received) < messages or not is_empty(self.sqs, self.queue_url):
            self.poll()
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{len(self.received)} of {messages} messages arrived; last errors: {self.errors[-3:]}"
                )

    def poll(self):
        """Receives and processes one batch. Returns its messages."""
        messages = self.receive()
        if not messages:
            return []
        self.before_invoke(messages)
        try:
            failed = failures(self.function.invoke(self.event(messages)), messages)
        except (FunctionFailed, FunctionDied) as error:
            self.errors.append(error)
            failed = {message["MessageId"] for message in messages}
        self._delete_or_return(messages, failed)
        return messages

    def receive(self):
        """Receives the messages of one batch."""
        messages = self._receive(wait=1)
        deadline = time.monotonic() + self.window
        while messages and len(messages) < self.batch and time.monotonic() < deadline:
            messages += self._receive(wait=0)
        for message in messages:
            self.received[message["MessageId"]] = int(message["Attributes"]["ApproximateReceiveCount"])
        return messages

    def event(self, messages):
        """Returns the event that Lambda sends for these messages."""
        return {"Records": [self._record(message) for message in messages]}

    def _record(self, message):
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {},
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self.arn,
            "awsRegion": REGION,
        }

    def _receive(self, wait):
        response = self.sqs.receive_message(
            QueueUrl=self.queue_url,
            MaxNumberOfMessages=min(PAGE_SIZE, self.batch),
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=ATTRIBUTES,
        )
        return response.get("Messages", [])

    def _delete_or_return(self, messages, failed):
        succeeded = [message for message in messages if message["MessageId"] not in failed]
        for page in pages(succeeded):
            entries = [{"Id": str(n), "ReceiptHandle": it["ReceiptHandle"]} for n, it in enumerate(page)]
            not_deleted = self.sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=entries).get(
                "Failed"
            )
            assert not not_deleted, not_deleted
        for page in pages([message for message in messages if message["MessageId"] in failed]):
            self.sqs.change_message_visibility_batch(
                QueueUrl=self.queue_url,
                Entries=[
                    {
                        "Id": str(n),
                        "ReceiptHandle": it["ReceiptHandle"],
                        "VisibilityTimeout": self.retry_after,
                    }
                    for n, it in enumerate(page)
                ],
            )


def failures(response, messages):
    """Returns the ids that a response reports as failed.

    Lambda would fail the whole batch for an id that is not in it. Here that is a bug of the function.
    """
    reported = (response or {}).get("batchItemFailures") or []
    failed = {item["itemIdentifier"] for item in reported}
    known = {message["MessageId"] for message in messages}
    assert failed <= known, f"these messages are not in the batch: {failed - known}"
    return failed


def take(sqs, queue_url, count, timeout=TIMEOUT):
    """Receives and deletes `count` messages and returns their bodies."""
    bodies = []
    deadline = time.monotonic() + timeout
    while len(bodies) < count:
        assert time.monotonic() < deadline, f"{len(bodies)} of {count} messages arrived"
        response = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=PAGE_SIZE, WaitTimeSeconds=1)
        messages = response.get("Messages", [])
        bodies += [message["Body"] for message in messages]
        for message in messages:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def send(sqs, queue_url, bodies):
    """Sends messages to a queue, in this order."""
    for page in pages(bodies):
        entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(page)]
        not_sent = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed")
        assert not not_sent, not_sent


def is_empty(sqs, queue_url):
    """Returns whether a queue has no messages at all: waiting, in flight or delayed."""
    counts = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=MESSAGE_COUNTS)["Attributes"]
    return not any(int(counts[name]) for name in MESSAGE_COUNTS)


def pages(messages):
    """Splits messages into lists that fit into one call."""
    return [messages[start : start + PAGE_SIZE] for start in range(0, len(messages), PAGE_SIZE)]
