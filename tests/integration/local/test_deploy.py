"""A template of its own, deployed into the emulator: what functions get, may do, and how they follow edits."""

import hashlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from infra.local.deploy import Deployed, DeployFailed, Deployment
from infra.local.emulator import GATEWAY_HEADER, Emulator
from infra.local.packages import WorkingTree
from infra.local.template import Function
from tests.processes import alive, eventually

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters: { Stage: { Type: String, Default: dev } }
Globals:
  Function:
    Runtime: python3.13
    CodeUri: functions
    Layers: [ !Ref Layer ]
    Environment: { Variables: { STAGE: !Ref Stage, METRICS: "true", TABLE: !GetAtt Data.Outputs.Table } }
Resources:
  Layer: { Type: AWS::Serverless::LayerVersion, Properties: { ContentUri: layers/core } }
  Data: { Type: AWS::CloudFormation::Stack, Properties: { TemplateURL: data.yaml } }
  Api: { Type: AWS::Serverless::Api, Properties: { StageName: !Ref Stage } }
  OneFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: one.app.handler
      Policies:
        - Statement: { Effect: Allow, Action: dynamodb:PutItem, Resource: !GetAtt Data.Outputs.TableArn }
      Events:
        Any: { Type: Api, Properties: { RestApiId: !Ref Api, Path: "/one/{proxy+}", Method: ANY } }
  LaterFunction:
    Type: AWS::Serverless::Function
    Properties: { Handler: later.app.handler }
  LaterAlarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      MetricName: Errors
      Namespace: AWS/Lambda
      Dimensions: [ { Name: FunctionName, Value: !Ref LaterFunction } ]
      ComparisonOperator: GreaterThanThreshold
      EvaluationPeriods: 1
      Period: 60
      Statistic: Sum
      Threshold: 0
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machine.asl.yaml
      DefinitionSubstitutions: { Function: !GetAtt OneFunction.Arn }
      Policies: [ { LambdaInvokePolicy: { FunctionName: !Ref OneFunction } } ]
Outputs:
  ApiId: { Value: !Ref Api }
  Machine: { Value: !Ref Machine }
"""
DATA = """
Resources:
  Things:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [ { AttributeName: pk, AttributeType: S } ]
      KeySchema: [ { AttributeName: pk, KeyType: HASH } ]
      TimeToLiveSpecification: { AttributeName: gone_at, Enabled: true }
Outputs:
  Table: { Value: !Ref Things }
  TableArn: { Value: !GetAtt Things.Arn }
"""
MACHINE = """
StartAt: Fail
States:
  Fail:
    Type: Task
    Resource: "${Function}"
    Parameters: { say: raise }
    Catch: [ { ErrorEquals: [Forbidden], Next: Caught } ]
    End: true
  Caught: { Type: Succeed }
"""
FUNCTION = """
import os, time
import boto3

class Forbidden(Exception):
    pass

def handler(event, context):
    if event.get("say") == "raise":
        raise Forbidden("not you")
    if event.get("say") == "environment":
        return dict(os.environ)
    if event.get("say") == "sleep":
        with open(os.environ["PID_FILE"], "w") as file:
            file.write(str(os.getpid()))
        time.sleep(600)
    if event.get("say") == "put":
        boto3.client("dynamodb").put_item(TableName=os.environ["TABLE"], Item={"pk": {"S": "1"}})
    if event.get("say") == "delete":
        boto3.client("dynamodb").delete_item(TableName=os.environ["TABLE"], Key={"pk": {"S": "1"}})
    return {"statusCode": 200, "body": "first"}
"""


@dataclass(frozen=True)
class Small:
    """A deployed stack of two functions, one of which is not written yet."""

    root: Path
    emulator: Emulator
    deployment: Deployment
    deployed: Deployed
    said: list[str]

    def invoke(self, event: Any) -> Any:
        client = self.emulator.endpoint.client("lambda")
        answer = client.invoke(FunctionName=self.deployed.names["OneFunction"], Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read())


@pytest.fixture(scope="module")
def small(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Small:
    root = tmp_path_factory.mktemp("root")
    (root / "template.yaml").write_text(TEMPLATE)
    (root / "data.yaml").write_text(DATA)
    (root / "machine.asl.yaml").write_text(MACHINE)
    (root / "functions" / "one").mkdir(parents=True)
    (root / "functions" / "one" / "app.py").write_text(FUNCTION)
    said: list[str] = []
    deployment = Deployment(emulator.endpoint, WorkingTree(root), root=root, stack="small", say=said.append)
    return Small(root, emulator, deployment, deployment.deploy({"METRICS": "false"}, {"Stage": "test"}), said)


def test_a_function_without_code_is_left_out_and_named(small: Small) -> None:
    assert small.said[:1] == ["skipping LaterFunction: later.app is not written yet"]
    assert set(small.deployed.names) == {"OneFunction"}


def test_reads_back_what_the_function_was_given(small: Small) -> None:
    given = small.deployed.environments["OneFunction"]
    assert (given["STAGE"], given["METRICS"]) == ("test", "false")
    assert small.invoke({"say": "environment"}).items() >= given.items()


def test_functions_inherit_nothing_of_ours(small: Small) -> None:
    environment = small.invoke({"say": "environment"})
    assert "must not be inherited" not in environment.values()
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert small.emulator.endpoint.secret_key not in environment.values()
    assert small.emulator.endpoint.access_key not in environment.values()


def test_a_function_may_do_what_its_role_says_and_no_more(small: Small) -> None:
    assert small.invoke({"say": "put"}) == {"statusCode": 200, "body": "first"}
    assert "not authorized to perform: dynamodb:DeleteItem" in small.invoke({"say": "delete"})["errorMessage"]


def test_a_functions_credentials_cannot_be_derived_from_its_name(small: Small) -> None:
    environment = small.invoke({"say": "environment"})
    client = small.emulator.endpoint.client("lambda")
    told = client.get_function_configuration(FunctionName=small.deployed.names["OneFunction"])
    digest = hashlib.sha256(f"{told['FunctionArn']}:{told['Role']}".encode()).hexdigest()
    assert environment["AWS_ACCESS_KEY_ID"] != f"ASIA{digest[:16].upper()}"
    assert environment["AWS_SECRET_ACCESS_KEY"] != hashlib.sha256(f"secret:{digest}".encode()).hexdigest()


def test_a_table_expires_its_items(small: Small) -> None:
    table = small.deployed.environments["OneFunction"]["TABLE"]
    found = small.emulator.endpoint.client("dynamodb").describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert found == {"TimeToLiveStatus": "ENABLED", "AttributeName": "gone_at"}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH"])
def test_any_method_comes_through_the_gateway(small: Small, method: str) -> None:
    endpoint = small.emulator.endpoint
    url = endpoint.gateway(small.deployed.outputs["ApiId"], "test") + "/one/two"
    answer = requests.request(method, url, headers={GATEWAY_HEADER: endpoint.gateway_key}, timeout=30)
    assert (answer.status_code, answer.text) == (200, "first")


def test_an_exception_keeps_its_name_for_a_state_machine_to_catch(small: Small) -> None:
    assert small.invoke({"say": "raise"})["errorType"] == "Forbidden"
    machines = small.emulator.endpoint.client("stepfunctions")
    execution = machines.start_execution(stateMachineArn=small.deployed.outputs["Machine"])["executionArn"]
    until = time.monotonic() + 30
    while (status := machines.describe_execution(executionArn=execution)["status"]) == "RUNNING":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert status == "SUCCEEDED"


def test_a_warm_function_takes_edited_code(small: Small) -> None:
    assert small.invoke({})["body"] == "first"
    code = small.root / "functions" / "one" / "app.py"
    code.write_text(FUNCTION.replace("first", "second"))
    try:
        small.deployment.renew_code()
        assert small.invoke({})["body"] == "second"
    finally:
        code.write_text(FUNCTION)
        small.deployment.renew_code()


def test_deploying_again_brings_the_stack_up_to_date(small: Small) -> None:
    again = small.deployment.deploy({"METRICS": "false", "LOG_LEVEL": "DEBUG"}, {"Stage": "test"})
    assert again.names == small.deployed.names
    assert again.environments["OneFunction"]["LOG_LEVEL"] == "DEBUG"


def test_a_deploy_that_fails_says_why(small: Small, tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text("Resources: { Odd: { Type: AWS::Nowhere::Thing } }")
    deployment = Deployment(small.emulator.endpoint, WorkingTree(tmp_path), root=tmp_path, stack="odd")
    with pytest.raises(DeployFailed, match="AWS::Nowhere::Thing"):
        deployment.deploy({}, {})


def test_functions_that_disagree_cannot_share_a_process() -> None:
    functions = [Function(name, "m", "handler", 3, ()) for name in ("A", "B")]
    apart = Deployed({}, {}, {"A": {"X": "1", "Y": "1"}, "B": {"X": "1", "Y": "2"}})
    with pytest.raises(DeployFailed, match="Y differs"):
        apart.environment(functions)
    assert Deployed({}, {}, {"A": {"X": "1"}, "B": {"Z": "2"}}).environment(functions) == {"X": "1", "Z": "2"}


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_no_function_outlives_the_emulator(small: Small, tmp_path: Path, how: str) -> None:
    with Emulator(log=subprocess.DEVNULL) as emulator:
        deployment = Deployment(
            emulator.endpoint, WorkingTree(small.root), root=small.root, stack="small", say=small.said.append
        )
        name = deployment.deploy({"PID_FILE": str(tmp_path / "pid")}, {"Stage": "test"}).names["OneFunction"]
        event = json.dumps({"say": "sleep"}).encode()
        emulator.endpoint.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=event)
        pid = int(eventually(lambda: (tmp_path / "pid").read_text()))
        if how == "kill":
            os.kill(emulator.pid, signal.SIGKILL)
            eventually(lambda: not alive(pid))
    assert not alive(pid)
