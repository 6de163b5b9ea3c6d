"""The template as CloudFormation gets it: SAM's own translator at work, with no AWS."""

import base64
import copy
import os
import re
from functools import cache
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[2] / "infra/template.yaml"
# The properties by which resources are named, where Ref gives that name.
NAMES = ["BucketName", "FunctionName", "LogGroupName", "AlarmName", "DashboardName"]


class NoManagedPolicies:
    """SAM asks AWS for the ARNs of managed policies that a template names. Ours names none."""

    def load(self):
        raise AssertionError("the template names a managed policy: write its statements out instead")


@cache
def _source():
    from samtranslator.yaml_helper import yaml_parse

    return yaml_parse(TEMPLATE.read_text())


def source():
    """The template as it is written."""
    return copy.deepcopy(_source())


def expanded(**parameters):
    """The template in plain CloudFormation. `parameters`: values beyond the defaults; lists as texts with commas."""
    # SAM's translator makes ARNs of the region that it believes to be in.
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-3")
    from samtranslator.translator.transform import transform

    template = source()
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # What `sam deploy` does once it has uploaded the package.
            resource["Properties"]["CodeUri"] = "s3://packages/package.zip"
    values = {name: parameter["Default"] for name, parameter in template["Parameters"].items() if "Default" in parameter}
    return transform(template, {**values, **parameters}, NoManagedPolicies(), passthrough_metadata=True)


class Values:
    """What the values of an expanded template come to in a stack, without a stack. Names that CloudFormation would make up are the
    logical ids. `parameters`: values beyond the defaults; lists as texts with commas."""

    def __init__(self, template, *, account="123456789012", region="eu-west-3", stack="fruitvec", **parameters):
        self._template = template
        self._parameters = parameters
        self._pseudo = {
            "AWS::AccountId": account,
            "AWS::Partition": "aws",
            "AWS::Region": region,
            "AWS::StackName": stack,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": None,
        }

    def of(self, value):
        """A value with all its functions worked out; what is AWS::NoValue is left out."""
        match value:
            case {"Ref": name}:
                return self.ref(name)
            case {"Fn::GetAtt": [name, attribute]}:
                return self._attribute(name, attribute)
            case {"Fn::GetAtt": str(path)}:
                return self._attribute(*path.split(".", 1))
            case {"Fn::Sub": text}:
                return self._substituted(text)
            case {"Fn::Join": [separator, parts]}:
                return separator.join(self.of(parts))
            case {"Fn::Split": [separator, text]}:
                return self.of(text).split(separator)
            case {"Fn::Select": [index, parts]}:
                return self.of(parts)[int(index)]
            case {"Fn::If": [condition, yes, no]}:
                return self.of(yes if self.holds({"Condition": condition}) else no)
            case {"Fn::Base64": text}:
                return base64.b64encode(self.of(text).encode()).decode()
            case dict():
                worked_out = {name: self.of(part) for name, part in value.items()}
                return {name: part for name, part in worked_out.items() if part is not None}
            case list():
                return [part for part in map(self.of, value) if part is not None]
        return value

    def holds(self, condition):
        """Whether a condition is met."""
        match condition:
            case {"Condition": name}:
                return self.holds(self._template["Conditions"][name])
            case {"Fn::Not": [inner]}:
                return not self.holds(inner)
            case {"Fn::Equals": [one, other]}:
                return self.of(one) == self.of(other)
        raise AssertionError(f"not worked out here: {condition}")

    def properties(self, name):
        """The properties of a resource."""
        return self.of(self._template["Resources"][name]["Properties"])

    def arn(self, name):
        """The ARN of a resource."""
        return self._attribute(name, "Arn")

    def ref(self, name):
        """What Ref gives."""
        if name in self._pseudo:
            return self._pseudo[name]
        if parameter := self._template["Parameters"].get(name):
            value = str(self._parameters.get(name, parameter.get("Default", "")))
            is_list = parameter["Type"].startswith(("CommaDelimitedList", "List<"))
            return [part.strip() for part in value.split(",")] if is_list else value
        resource = self._template["Resources"][name]
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::SQS::Queue":
                account, region = self._pseudo["AWS::AccountId"], self._pseudo["AWS::Region"]
                return f"https://sqs.{region}.amazonaws.com/{account}/{self.of(properties['QueueName'])}"
            case "AWS::SNS::Topic":
                return self._arn("sns", self.of(properties["TopicName"]))
        return self.of(next((properties[key] for key in NAMES if key in properties), name))

    def _attribute(self, name, attribute):
        resource = self._template["Resources"][name]
        if (resource["Type"], attribute) == ("AWS::SQS::Queue", "QueueName"):
            return self.of(resource["Properties"]["QueueName"])
        assert attribute == "Arn", f"not worked out here: {name}.{attribute}"
        match resource["Type"]:
            case "AWS::S3::Bucket":
                return f"arn:aws:s3:::{self.ref(name)}"
            case "AWS::SQS::Queue":
                return self._arn("sqs", self.of(resource["Properties"]["QueueName"]))
            case "AWS::IAM::Role":
                return f"arn:aws:iam::{self._pseudo['AWS::AccountId']}:role/{self.ref(name)}"
            case "AWS::Lambda::Function":
                return self._arn("lambda", f"function:{self.ref(name)}")
            case "AWS::Logs::LogGroup":
                return self._arn("logs", f"log-group:{self.ref(name)}:*")
            case "AWS::Events::Rule":
                return self._arn("events", f"rule/{name}")
            case "AWS::CloudWatch::Alarm":
                return self._arn("cloudwatch", f"alarm:{self.ref(name)}")
        raise AssertionError(f"not worked out here: {name}.{attribute}")

    def _arn(self, service, resource):
        return f"arn:aws:{service}:{self._pseudo['AWS::Region']}:{self._pseudo['AWS::AccountId']}:{resource}"

    def _substituted(self, text):
        variables = {}
        if isinstance(text, list):
            text, variables = text

        def value(found):
            name = found[1]
            if name in variables:
                return self.of(variables[name])
            return self._attribute(*name.split(".", 1)) if "." in name else str(self.ref(name))

        return re.sub(r"\$\{([A-Za-z0-9:.]+)\}", value, text)
