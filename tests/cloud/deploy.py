"""The template's buckets, queues, notifications, policies, alarms, schedules and roles, created on LocalStack.

LocalStack has no EMR, Glue, HTTP API or dashboards, and must never be given a Lambda function: it would try to download what runs
it. These are left out, and what refers to them is given the name or ARN that they would have.
"""

import json
import urllib.parse
from dataclasses import dataclass, field

import expand
import servers

STACK = "fruitvec"
ACCOUNT = "000000000000"
# What LocalStack can create of what the template has.
CREATED = {
    "AWS::CloudWatch::Alarm",
    "AWS::Events::Rule",
    "AWS::IAM::InstanceProfile",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::Schedule",
}
LEFT_OUT = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Authorizer",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Dashboard",
    "AWS::EMR::SecurityConfiguration",
    "AWS::Glue::Database",
    "AWS::Glue::Table",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
}
PARAMETERS = {
    "JwtIssuer": "https://login.fruits.example/",
    "JwtAudience": "fruits-app",
    "AppOrigins": "https://app.fruits.example,http://localhost:3000",
    "EmrVpc": "vpc-0a1b2c3d4e5f60718",
    "EmrSubnets": "subnet-0a1b2c3d4e5f60718,subnet-1a1b2c3d4e5f60718",
    "AlarmEmail": "team@fruits.example",
    "Schedules": "ENABLED",
}


@dataclass(frozen=True)
class Stack:
    """What was created."""

    photos_bucket: str
    results_bucket: str
    queue_url: str
    dead_letters_url: str
    # The expanded template, whole.
    template: dict = field(repr=False)
    # What its values come to here.
    values: expand.Values = field(repr=False)


def deploy(localstack):
    """Creates a stack of the template."""
    template = expand.expanded(**PARAMETERS)
    values = expand.Values(template, account=ACCOUNT, region=servers.REGION, stack=STACK, **PARAMETERS)
    cloudformation = servers.client("cloudformation", localstack)
    body = json.dumps(reduced(template, values), separators=(",", ":"))
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in PARAMETERS.items()]
    cloudformation.create_stack(StackName=STACK, TemplateBody=body, Parameters=parameters, Capabilities=["CAPABILITY_IAM"])
    await_created(cloudformation)
    complete_buckets(localstack, template, values)
    (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return Stack(
        photos_bucket=outputs["PhotosBucketName"],
        results_bucket=outputs["ResultsBucketName"],
        queue_url=here(outputs["PhotosQueueUrl"], localstack),
        dead_letters_url=here(outputs["PhotosDeadLettersUrl"], localstack),
        template=template,
        values=values,
    )


def here(url, localstack):
    """The URL of a queue at the server's own address: its host name asks the internet where this machine is."""
    return localstack.endpoint + urllib.parse.urlsplit(url).path


def reduced(template, values):
    """The template with what LocalStack can create, and no more."""
    resources = template["Resources"]
    kinds = {resource["Type"] for resource in resources.values()}
    assert kinds <= CREATED | LEFT_OUT, f"neither created nor left out: {kinds - CREATED - LEFT_OUT}"
    left_out = {name for name, resource in resources.items() if resource["Type"] in LEFT_OUT}
    kept = {name: resource for name, resource in resources.items() if name not in left_out}
    outputs = {name: output for name, output in template["Outputs"].items() if not refers(output, left_out)}
    return {
        "AWSTemplateFormatVersion": template["AWSTemplateFormatVersion"],
        "Parameters": template["Parameters"],
        "Conditions": template["Conditions"],
        "Resources": {name: worked_out(without_metadata(resource), left_out, values) for name, resource in kept.items()},
        "Outputs": outputs,
    }


def without_metadata(resource):
    return {key: value for key, value in resource.items() if key != "Metadata"}


def worked_out(value, left_out, values):
    """A value in which no function refers to what was left out."""
    match value:
        case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::Sub": _}:
            return values.of(value) if refers(value, left_out) else value
        case dict():
            return {key: worked_out(part, left_out, values) for key, part in value.items()}
        case list():
            return [worked_out(part, left_out, values) for part in value]
    return value


def refers(value, names):
    """Whether a value refers to one of these resources."""
    match value:
        case {"Ref": name}:
            return name in names
        case {"Fn::GetAtt": [name, _]}:
            return name in names
        case {"Fn::Sub": str(text)}:
            return any(f"${{{name}}}" in text or f"${{{name}." in text for name in names)
        case dict():
            return any(refers(part, names) for part in value.values())
        case list():
            return any(refers(part, names) for part in value)
    return False


def await_created(cloudformation):
    """Waits for the stack; tells of each resource that could not be created."""
    from botocore.exceptions import WaiterError

    try:
        cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    except WaiterError as error:
        events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
        reasons = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED")
        ]
        raise AssertionError("\n".join(reasons)) from error


def complete_buckets(localstack, template, values):
    """CloudFormation of LocalStack passes over some properties of a bucket: they are put by S3's own calls, which check them."""
    s3 = servers.client("s3", localstack)
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::S3::Bucket":
            continue
        bucket = values.properties(name)
        named = {"Bucket": bucket["BucketName"]}
        s3.put_public_access_block(**named, PublicAccessBlockConfiguration=bucket["PublicAccessBlockConfiguration"])
        s3.put_bucket_ownership_controls(**named, OwnershipControls=bucket["OwnershipControls"])
        encryption = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        rules = [{"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]} for rule in encryption]
        s3.put_bucket_encryption(**named, ServerSideEncryptionConfiguration={"Rules": rules})
        rules = [lifecycle_rule(rule) for rule in bucket["LifecycleConfiguration"]["Rules"]]
        s3.put_bucket_lifecycle_configuration(**named, LifecycleConfiguration={"Rules": rules})


def lifecycle_rule(rule):
    """A rule of CloudFormation as S3's API writes it."""
    rule = {"ID": rule["Id"], "Filter": {"Prefix": rule.get("Prefix", "")}, **rule}
    del rule["Id"]
    rule.pop("Prefix", None)
    expiration = {}
    if "ExpirationInDays" in rule:
        expiration["Days"] = rule.pop("ExpirationInDays")
    if "ExpiredObjectDeleteMarker" in rule:
        expiration["ExpiredObjectDeleteMarker"] = rule.pop("ExpiredObjectDeleteMarker")
    return {**rule, "Expiration": expiration} if expiration else rule
