"""What Lambda's event source mapping does between a queue and a function: long poll, invoke, delete what succeeded, leave the rest.

Source: "Using Lambda with Amazon SQS" and its page on error handling, AWS Lambda Developer Guide.
"""

import time

from runtime import FunctionDied, FunctionFailed
from servers import REGION

ATTRIBUTES = ["ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp", "SenderId", "SentTimestamp"]
SEEN = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
MOST_IN_ONE_CALL = 10
PATIENCE = 240.0


class Poller:
    """One poller of a queue with one instance of a function.

    `window`: seconds that a batch may be waited for. `retry_after`: seconds after which what failed is visible again; in production
    that is the queue's visibility time-out, for which no test can wait.
    """

    def __init__(self, sqs, queue_url, function, *, batch=10, window=0.2, retry_after=0):
        self.sqs = sqs
        self.queue_url = queue_url
        self.function = function
        self.batch = batch
        self.window = window
        self.retry_after = retry_after
        self.arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        # Told what is about to be invoked with.
        self.about_to_invoke = lambda messages: None
        # How often each message was handed out.
        self.received = {}
        # The invocations that failed as a whole.
        self.errors = []

    def drain(self, messages=0, patience=PATIENCE):
        """Polls until the queue is empty and at least so many different messages came: they come some time after what they tell."""
        deadline = time.monotonic() + patience
        while len(self.received) < messages or not is_empty(self.sqs, self.queue_url):
            self.poll()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.received)} of {messages} messages came; {self.errors[-3:]}")

    def poll(self):
        """One batch: what was received, if anything was, and is dealt with."""
        messages = self.receive()
        if not messages:
            return []
        self.about_to_invoke(messages)
        try:
            failed = failures(self.function.invoke(self.event(messages)), messages)
        except (FunctionFailed, FunctionDied) as error:
            self.errors.append(error)
            failed = {message["MessageId"] for message in messages}
        self._settle(messages, failed)
        return messages

    def receive(self):
        """The messages of one batch."""
        messages = self._receive(wait=1)
        deadline = time.monotonic() + self.window
        while messages and len(messages) < self.batch and time.monotonic() < deadline:
            messages += self._receive(wait=0)
        for message in messages:
            self.received[message["MessageId"]] = int(message["Attributes"]["ApproximateReceiveCount"])
        return messages

    def event(self, messages):
        """The event that Lambda makes of them."""
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
        answer = self.sqs.receive_message(
            QueueUrl=self.queue_url,
            MaxNumberOfMessages=min(MOST_IN_ONE_CALL, self.batch),
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=ATTRIBUTES,
        )
        return answer.get("Messages", [])

    def _settle(self, messages, failed):
        succeeded = [message for message in messages if message["MessageId"] not in failed]
        for page in pages(succeeded):
            entries = [{"Id": str(n), "ReceiptHandle": it["ReceiptHandle"]} for n, it in enumerate(page)]
            refused = self.sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=entries).get("Failed")
            assert not refused, refused
        for page in pages([message for message in messages if message["MessageId"] in failed]):
            self.sqs.change_message_visibility_batch(
                QueueUrl=self.queue_url,
                Entries=[
                    {"Id": str(n), "ReceiptHandle": it["ReceiptHandle"], "VisibilityTimeout": self.retry_after}
                    for n, it in enumerate(page)
                ],
            )


def failures(response, messages):
    """The ids that a response reports as failed. What Lambda takes for the failure of the whole batch is a bug here."""
    reported = (response or {}).get("batchItemFailures") or []
    failed = {item["itemIdentifier"] for item in reported}
    known = {message["MessageId"] for message in messages}
    assert failed <= known, f"no messages of this batch: {failed - known}"
    return failed


def take(sqs, queue_url, count, patience=PATIENCE):
    """Takes the bodies of so many messages out of a queue."""
    bodies = []
    deadline = time.monotonic() + patience
    while len(bodies) < count:
        assert time.monotonic() < deadline, f"{len(bodies)} of {count} messages came"
        messages = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=MOST_IN_ONE_CALL, WaitTimeSeconds=1).get("Messages", [])
        bodies += [message["Body"] for message in messages]
        for message in messages:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def send(sqs, queue_url, bodies):
    """Puts messages into a queue, in this order."""
    for page in pages(bodies):
        entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(page)]
        refused = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed")
        assert not refused, refused


def is_empty(sqs, queue_url):
    """Whether nothing is in a queue: not waiting, not in flight, not delayed."""
    counts = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=SEEN)["Attributes"]
    return not any(int(counts[name]) for name in SEEN)


def pages(messages):
    """Ten at a time, as SQS takes them."""
    return [messages[start : start + MOST_IN_ONE_CALL] for start in range(0, len(messages), MOST_IN_ONE_CALL)]
