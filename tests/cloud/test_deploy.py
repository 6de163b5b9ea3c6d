"""The stack on LocalStack has the resources of the template.

The end-to-end tests use its buckets and queues.
"""

import json

import pytest

from support import servers
from support.paths import EVENTS


@pytest.fixture(scope="module")
def s3(localstack):
    return servers.client("s3", localstack)


def test_the_photos_bucket_notifies_its_queue(s3, stack):
    found = s3.get_bucket_notification_configuration(Bucket=stack.photos_bucket)["QueueConfigurations"]
    assert {event for configuration in found for event in configuration["Events"]} == {
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
        "s3:LifecycleExpiration:*",
    }
    assert {configuration["QueueArn"].rpartition(":")[2] for configuration in found} == {"fruitvec-photos"}


def test_web_pages_of_the_app_may_only_put_objects(s3, stack):
    (rule,) = s3.get_bucket_cors(Bucket=stack.photos_bucket)["CORSRules"]
    assert (rule["AllowedMethods"], rule["AllowedHeaders"]) == (["PUT"], ["content-type"])
    assert rule["AllowedOrigins"] == ["https://app.fruits.example", "http://localhost:3000"]


def test_only_the_photos_bucket_keeps_versions(s3, stack):
    assert s3.get_bucket_versioning(Bucket=stack.photos_bucket)["Status"] == "Enabled"
    assert "Status" not in s3.get_bucket_versioning(Bucket=stack.results_bucket)


def test_both_buckets_are_private_and_encrypted(s3, stack):
    for bucket in (stack.photos_bucket, stack.results_bucket):
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert list(block.values()) == [True] * 4
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
        (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        assert statement["Effect"] == "Deny" and statement["Condition"] == {
            "Bool": {"aws:SecureTransport": "false"}
        }
        assert statement["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]


def test_s3_accepts_the_lifecycle_rules_of_both_buckets(s3, stack):
    photos, results = (
        {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
        for bucket in (stack.photos_bucket, stack.results_bucket)
    )
    assert photos["old-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}
    assert photos["old-versions"]["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert (results["runs"]["Filter"], results["runs"]["Expiration"]) == ({"Prefix": "runs/"}, {"Days": 30})
    for rules in photos, results:
        assert "AbortIncompleteMultipartUpload" in rules["broken-off-uploads"]


def test_the_queue_hides_messages_long_enough_and_gives_up_after_ten_attempts(localstack, stack):
    sqs = servers.client("sqs", localstack)
    found = sqs.get_queue_attributes(QueueUrl=stack.queue_url, AttributeNames=["All"])["Attributes"]
    assert int(found["VisibilityTimeout"]) == 600 and found["SqsManagedSseEnabled"] == "true"
    response = sqs.get_queue_attributes(QueueUrl=stack.dead_letters_url, AttributeNames=["QueueArn"])
    dead_letters = response["Attributes"]["QueueArn"]
    redrive = json.loads(found["RedrivePolicy"])
    assert redrive == {"deadLetterTargetArn": dead_letters, "maxReceiveCount": 10}
    allow, deny = json.loads(found["Policy"])["Statement"]
    assert allow["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allow["Condition"]["ArnEquals"] == {"aws:SourceArn": f"arn:aws:s3:::{stack.photos_bucket}"}
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_alarms_watch_the_stack_s_own_queues_and_functions(localstack, stack):
    alarms = servers.client("cloudwatch", localstack).describe_alarms()["MetricAlarms"]
    alarms = {alarm["AlarmName"].removeprefix("fruitvec-"): alarm for alarm in alarms}
    assert len(alarms) == 13
    watched = {
        name: (alarm["MetricName"], alarm["Dimensions"][0]["Value"])
        for name, alarm in alarms.items()
        if alarm.get("MetricName")
    }
    visible = "ApproximateNumberOfMessagesVisible"
    assert watched["photos-in-the-dead-letter-queue"] == (visible, "fruitvec-photos-dead-letters")
    assert watched["photos-wait"] == ("ApproximateAgeOfOldestMessage", "fruitvec-photos")
    assert watched["embed-fails"] == ("Errors", "fruitvec-embed")
    assert watched["launch-gave-up"] == (visible, "fruitvec-launch-failures")
    assert watched["step-failed"] == ("failed_steps", "launch")
    assert alarms["many-rejects"]["Threshold"] == 20.0
    topics = servers.client("sns", localstack)
    (topic,) = {action for alarm in alarms.values() for action in alarm["AlarmActions"]}
    (subscription,) = topics.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "team@fruits.example")


def test_schedules_invoke_launch(localstack, stack):
    scheduler = servers.client("scheduler", localstack)
    found = {}
    for listed in scheduler.list_schedules()["Schedules"]:
        schedule = scheduler.get_schedule(Name=listed["Name"])
        job = json.loads(schedule["Target"]["Input"])["job"]
        found[listed["Name"]] = (schedule["ScheduleExpression"], job, schedule["State"])
        assert schedule["Target"]["Arn"] == stack.resolved.arn("LaunchFunction")
        assert ":role/fruitvec-ScheduleRole-" in schedule["Target"]["RoleArn"]
    assert found == {
        "fruitvec-backfill": ("cron(0 3 * * ? *)", "backfill", "ENABLED"),
        "fruitvec-pca": ("cron(0 8 ? * SUN *)", "pca", "ENABLED"),
        "fruitvec-sweep": ("rate(15 minutes)", "sweep", "ENABLED"),
    }


def test_each_role_has_the_policies_of_the_template(localstack, stack):
    iam = servers.client("iam", localstack)
    found = {}
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        if name.startswith("fruitvec-"):
            found[name.split("-")[1]] = iam.list_role_policies(RoleName=name)["PolicyNames"]
    assert found == {
        name: [policy["PolicyName"] for policy in resource["Properties"]["Policies"]]
        for name, resource in stack.template["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
    }
    (profile,) = iam.list_instance_profiles()["InstanceProfiles"]
    assert profile["Roles"][0]["RoleName"].startswith("fruitvec-EmrInstanceRole-")


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("launch-terminated.json", "ClusterStateRule"),
        ("launch-bootstrap-failed.json", "ClusterStateRule"),
        ("launch-step-failed.json", "StepStateRule"),
        ("launch-step-cancelled.json", "StepStateRule"),
    ],
)
def test_rules_match_the_events_of_our_clusters_only(localstack, stack, name, rule):
    events = servers.client("events", localstack)
    patterns = {
        listed["Name"].split("-")[1]: listed["EventPattern"]
        for listed in events.list_rules()["Rules"]
        if "EventPattern" in listed
    }

    def matches(which, event):
        return events.test_event_pattern(EventPattern=patterns[which], Event=json.dumps(event))["Result"]

    event = json.loads((EVENTS / name).read_text())
    assert [which for which in ("ClusterStateRule", "StepStateRule") if matches(which, event)] == [rule]
    others = json.loads(json.dumps(event).replace("fruitvec-", "nightly-"))
    assert not matches(rule, others)
    running = {**event, "detail": {**event["detail"], "state": "RUNNING"}}
    assert not matches(rule, running)
