"""Creates the template's buckets, queues, notifications, policies, alarms, schedules and roles on LocalStack.

LocalStack has no EMR, Glue, HTTP API or dashboards, so these are left out. Lambda functions are left out
too, because LocalStack would try to download a runtime for them. A reference to such a resource is
replaced by the name or ARN that the resource would have.
"""

import json
import urllib.parse
from dataclasses import dataclass, field

from support import servers
from support.template import ResolvedTemplate, expanded

STACK = "fruitvec"
ACCOUNT = "000000000000"
# The resource types of the template that LocalStack can create.
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
    """The created stack."""

    photos_bucket: str
    results_bucket: str
    queue_url: str
    dead_letters_url: str
    # The whole expanded template, including the resources that were left out.
    template: dict = field(repr=False)
    # The same template with its functions evaluated for this stack.
    resolved: ResolvedTemplate = field(repr=False)


def create_stack(localstack):
    """Creates a stack from the template and waits until it is complete."""
    template = expanded(**PARAMETERS)
    resolved = ResolvedTemplate(template, account=ACCOUNT, region=servers.REGION, stack=STACK, **PARAMETERS)
    cloudformation = servers.client("cloudformation", localstack)
    body = json.dumps(reduced(template, resolved), separators=(",", ":"))
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in PARAMETERS.items()]
    cloudformation.create_stack(
        StackName=STACK, TemplateBody=body, Parameters=parameters, Capabilities=["CAPABILITY_IAM"]
    )
    await_created(cloudformation)
    complete_buckets(localstack, template, resolved)
    (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return Stack(
        photos_bucket=outputs["PhotosBucketName"],
        results_bucket=outputs["ResultsBucketName"],
        queue_url=local_url(outputs["PhotosQueueUrl"], localstack),
        dead_letters_url=local_url(outputs["PhotosDeadLettersUrl"], localstack),
        template=template,
        resolved=resolved,
    )


def local_url(url, localstack):
    """Returns the URL of a queue with the server's address in place of its host name.

    The host name would have to be looked up in public DNS to find this very machine.
    """
    return localstack.endpoint + urllib.parse.urlsplit(url).path


def reduced(template, resolved):
    """Returns the part of the template that LocalStack can create."""
    resources = template["Resources"]
    types = {resource["Type"] for resource in resources.values()}
    unknown = types - CREATED - LEFT_OUT
    assert not unknown, f"add these types to CREATED or to LEFT_OUT: {unknown}"
    left_out = {name for name, resource in resources.items() if resource["Type"] in LEFT_OUT}
    kept = {name: resource for name, resource in resources.items() if name not in left_out}
    return {
        "AWSTemplateFormatVersion": template["AWSTemplateFormatVersion"],
        "Parameters": template["Parameters"],
        "Conditions": template["Conditions"],
        "Resources": {
            name: without_references(without_metadata(resource), left_out, resolved)
            for name, resource in kept.items()
        },
        "Outputs": {
            name: output for name, output in template["Outputs"].items() if not refers(output, left_out)
        },
    }


def without_metadata(resource):
    return {key: value for key, value in resource.items() if key != "Metadata"}


def without_references(value, left_out, resolved):
    """Evaluates the functions in a value that refer to a resource that was left out."""
    match value:
        case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::Sub": _}:
            return resolved.resolve(value) if refers(value, left_out) else value
        case dict():
            return {key: without_references(part, left_out, resolved) for key, part in value.items()}
        case list():
            return [without_references(part, left_out, resolved) for part in value]
    return value


def refers(value, names):
    """Returns whether a value refers to one of these resources."""
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
    """Waits for the stack. The error lists each resource that could not be created."""
    from botocore.exceptions import WaiterError

    waiter = cloudformation.get_waiter("stack_create_complete")
    try:
        waiter.wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    except WaiterError as error:
        events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
        reasons = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED")
        ]
        raise AssertionError("\n".join(reasons)) from error


def complete_buckets(localstack, template, resolved):
    """Sets the bucket properties that LocalStack's CloudFormation ignores.

    They go through S3's own API, which validates them.
    """
    s3 = servers.client("s3", localstack)
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::S3::Bucket":
            continue
        bucket = resolved.properties(name)
        bucket_name = bucket["BucketName"]
        s3.put_public_access_block(
            Bucket=bucket_name,
            PublicAccessBlockConfiguration=bucket["PublicAccessBlockConfiguration"],
        )
        s3.put_bucket_ownership_controls(Bucket=bucket_name, OwnershipControls=bucket["OwnershipControls"])
        encryption = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        rules = [
            {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
            for rule in encryption
        ]
        s3.put_bucket_encryption(Bucket=bucket_name, ServerSideEncryptionConfiguration={"Rules": rules})
        rules = [lifecycle_rule(rule) for rule in bucket["LifecycleConfiguration"]["Rules"]]
        s3.put_bucket_lifecycle_configuration(Bucket=bucket_name, LifecycleConfiguration={"Rules": rules})


def lifecycle_rule(rule):
    """Converts a lifecycle rule from CloudFormation's form to that of S3's API."""
    rule = {"ID": rule["Id"], "Filter": {"Prefix": rule.get("Prefix", "")}, **rule}
    del rule["Id"]
    rule.pop("Prefix", None)
    expiration = {}
    if "ExpirationInDays" in rule:
        expiration["Days"] = rule.pop("ExpirationInDays")
    if "ExpiredObjectDeleteMarker" in rule:
        expiration["ExpiredObjectDeleteMarker"] = rule.pop("ExpiredObjectDeleteMarker")
    return {**rule, "Expiration": expiration} if expiration else rule
