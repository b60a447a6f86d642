"""The reader of template.yaml."""

from pathlib import Path

import pytest

from infra.local.template import Route, Template

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: { Timeout: 29 }
Resources:
  Data:
    Type: AWS::CloudFormation::Stack
    Properties: { TemplateURL: data.yaml, Parameters: { Prefix: !Sub "${AWS::StackName}-" } }
  TasksFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: tasks.app.handler
      Events:
        One: { Type: Api, Properties: { RestApiId: !Ref Api, Path: "/v1/tasks/{id}", Method: get } }
        Clock: { Type: ScheduleV2, Properties: { ScheduleExpression: rate(1 hour) } }
  SocketsFunction:
    Type: AWS::Serverless::Function
    Properties: { Handler: sockets.app.handler, Timeout: 60, Role: !GetAtt Role.Arn }
  SocketsIntegration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      IntegrationUri: !Sub arn:aws:apigateway:${AWS::Region}:lambda:path/functions/${SocketsFunction.Arn}/invocations
"""
DATA = "Resources: { Things: { Type: AWS::DynamoDB::Table, Properties: { TableName: !Sub '${Prefix}things' } } }"


@pytest.fixture
def template(tmp_path: Path) -> Template:
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "data.yaml").write_text(DATA)
    return Template(tmp_path / "template.yaml")


def test_reads_a_functions_routes_and_where_its_handler_is(template: Template) -> None:
    tasks = template.functions["TasksFunction"]
    assert (tasks.module, tasks.attribute, tasks.timeout) == ("tasks.app", "handler", 29)
    assert tasks.routes == (Route("GET", "/v1/tasks/{id}"),)


def test_short_forms_become_the_long_ones(template: Template) -> None:
    assert template.resources["SocketsFunction"]["Properties"]["Role"] == {"Fn::GetAtt": ["Role", "Arn"]}


def test_finds_the_function_behind_the_websocket_api(template: Template) -> None:
    assert template.sockets is template.functions["SocketsFunction"]


def test_reads_the_nested_templates(template: Template) -> None:
    nested = template.nested["Data"]
    assert [name for name, _ in nested.of_type("AWS::DynamoDB::Table")] == ["Things"]
    assert not nested.serverless


def test_a_function_is_written_once_its_module_is_there(template: Template, tmp_path: Path) -> None:
    tasks = template.functions["TasksFunction"]
    assert not tasks.written(tmp_path)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "app.py").touch()
    assert tasks.written(tmp_path)
