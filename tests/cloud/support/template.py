"""The template as CloudFormation receives it, expanded by SAM's own translator without AWS."""

import base64
import copy
import os
import re
from functools import cache

from support.paths import ROOT

TEMPLATE = ROOT / "infra/template.yaml"
# The properties that give a resource its name. Ref returns that name.
NAME_PROPERTIES = ["BucketName", "FunctionName", "LogGroupName", "AlarmName", "DashboardName"]


class NoManagedPolicies:
    """Stands in for the lookup of managed policies, which SAM would do in AWS. The template names none."""

    def load(self):
        raise AssertionError("the template names a managed policy: write its statements out instead")


@cache
def _source():
    from samtranslator.yaml_helper import yaml_parse

    return yaml_parse(TEMPLATE.read_text())


def source():
    """Returns the template as it is written."""
    return copy.deepcopy(_source())


def expanded(**parameters):
    """Returns the template in plain CloudFormation.

    `parameters` override the defaults. Lists are strings with commas.
    """
    # SAM's translator builds ARNs for the region of this variable.
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-3")
    from samtranslator.translator.transform import transform

    template = source()
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # `sam deploy` does the same after it has uploaded the package.
            resource["Properties"]["CodeUri"] = "s3://packages/package.zip"
    values = {
        name: parameter["Default"]
        for name, parameter in template["Parameters"].items()
        if "Default" in parameter
    }
    return transform(template, {**values, **parameters}, NoManagedPolicies(), passthrough_metadata=True)


class ResolvedTemplate:
    """Evaluates the intrinsic functions of an expanded template as a stack would, without a stack.

    Where CloudFormation would make up a name, the logical id stands for it. `parameters` override the
    defaults. Lists are strings with commas.
    """

    def __init__(
        self, template, *, account="123456789012", region="eu-west-3", stack="fruitvec", **parameters
    ):
        self._template = template
        self._parameters = parameters
        self._pseudo_parameters = {
            "AWS::AccountId": account,
            "AWS::Partition": "aws",
            "AWS::Region": region,
            "AWS::StackName": stack,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": None,
        }

    def resolve(self, value):
        """Evaluates all functions in a value and leaves out what evaluates to AWS::NoValue."""
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
                return separator.join(self.resolve(parts))
            case {"Fn::Split": [separator, text]}:
                return self.resolve(text).split(separator)
            case {"Fn::Select": [index, parts]}:
                return self.resolve(parts)[int(index)]
            case {"Fn::If": [condition, yes, no]}:
                return self.resolve(yes if self.is_true({"Condition": condition}) else no)
            case {"Fn::Base64": text}:
                return base64.b64encode(self.resolve(text).encode()).decode()
            case dict():
                resolved = {name: self.resolve(part) for name, part in value.items()}
                return {name: part for name, part in resolved.items() if part is not None}
            case list():
                return [part for part in map(self.resolve, value) if part is not None]
        return value

    def is_true(self, condition):
        """Evaluates a condition."""
        match condition:
            case {"Condition": name}:
                return self.is_true(self._template["Conditions"][name])
            case {"Fn::Not": [inner]}:
                return not self.is_true(inner)
            case {"Fn::Equals": [one, other]}:
                return self.resolve(one) == self.resolve(other)
        raise AssertionError(f"this condition is not supported here: {condition}")

    def properties(self, name):
        """Returns the properties of a resource."""
        return self.resolve(self._template["Resources"][name]["Properties"])

    def arn(self, name):
        """Returns the ARN of a resource."""
        return self._attribute(name, "Arn")

    def ref(self, name):
        """Returns the value of `Ref` for a pseudo parameter, a parameter or a resource."""
        if name in self._pseudo_parameters:
            return self._pseudo_parameters[name]
        if parameter := self._template["Parameters"].get(name):
            value = str(self._parameters.get(name, parameter.get("Default", "")))
            is_list = parameter["Type"].startswith(("CommaDelimitedList", "List<"))
            return [part.strip() for part in value.split(",")] if is_list else value
        resource = self._template["Resources"][name]
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::SQS::Queue":
                account = self._pseudo_parameters["AWS::AccountId"]
                region = self._pseudo_parameters["AWS::Region"]
                queue = self.resolve(properties["QueueName"])
                return f"https://sqs.{region}.amazonaws.com/{account}/{queue}"
            case "AWS::SNS::Topic":
                return self._arn("sns", self.resolve(properties["TopicName"]))
        return self.resolve(next((properties[key] for key in NAME_PROPERTIES if key in properties), name))

    def _attribute(self, name, attribute):
        resource = self._template["Resources"][name]
        if (resource["Type"], attribute) == ("AWS::SQS::Queue", "QueueName"):
            return self.resolve(resource["Properties"]["QueueName"])
        assert attribute == "Arn", f"this attribute is not supported here: {name}.{attribute}"
        match resource["Type"]:
            case "AWS::S3::Bucket":
                return f"arn:aws:s3:::{self.ref(name)}"
            case "AWS::SQS::Queue":
                return self._arn("sqs", self.resolve(resource["Properties"]["QueueName"]))
            case "AWS::IAM::Role":
                return f"arn:aws:iam::{self._pseudo_parameters['AWS::AccountId']}:role/{self.ref(name)}"
            case "AWS::Lambda::Function":
                return self._arn("lambda", f"function:{self.ref(name)}")
            case "AWS::Logs::LogGroup":
                return self._arn("logs", f"log-group:{self.ref(name)}:*")
            case "AWS::Events::Rule":
                return self._arn("events", f"rule/{name}")
            case "AWS::CloudWatch::Alarm":
                return self._arn("cloudwatch", f"alarm:{self.ref(name)}")
        raise AssertionError(f"this attribute is not supported here: {name}.{attribute}")

    def _arn(self, service, resource):
        region, account = self._pseudo_parameters["AWS::Region"], self._pseudo_parameters["AWS::AccountId"]
        return f"arn:aws:{service}:{region}:{account}:{resource}"

    def _substituted(self, text):
        variables = {}
        if isinstance(text, list):
            text, variables = text

        def value(found):
            name = found[1]
            if name in variables:
                return self.resolve(variables[name])
            return self._attribute(*name.split(".", 1)) if "." in name else str(self.ref(name))

        return re.sub(r"\$\{([A-Za-z0-9:.]+)\}", value, text)
