"""What a function's code may come to ask of AWS, read from its source: the symbols it can reach and what those name.

A symbol is a function, a class or a value at the top of a module. One reaches another by naming it. Whoever is reached
counts whole: what a test makes of this errs on the side of too much, never of too little.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

Symbol = tuple[str, str]  # module, name
Use = tuple[str, str]  # what it is done to, what is done

# PynamoDB's and our transactions' methods, by what IAM calls it.
_METHODS = {
    "batch_get": {"BatchGetItem"},
    "batch_write": {"BatchWriteItem"},
    "condition_check": {"ConditionCheckItem"},
    "count": {"Query"},
    "create": {"PutItem"},
    "delete": {"DeleteItem"},
    "delete_item": {"DeleteItem"},
    "get": {"GetItem"},
    "get_item": {"GetItem"},
    "put_item": {"PutItem"},
    "query": {"Query"},
    "refresh": {"GetItem"},
    "save": {"PutItem"},
    "update": {"UpdateItem"},
    "update_item": {"UpdateItem"},
}
_PARTS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
_OPERATION = re.compile(r"(?:Batch(?:Get|Write)|Get|Put|Update|Delete)Item|Query|Scan")
# botocore's methods, by the IAM action behind each.
# What we sign ourselves, by the service.
_SIGNED = {
    "execute-api": "execute-api:ManageConnections",
    "s3": "s3:GetObject",
    "secretsmanager": "secretsmanager:GetSecretValue",
}
ANY = "*"  # a table that comes as a value
_CLIENT_METHODS = {
    "converse": "bedrock:InvokeModel",
    "converse_stream": "bedrock:InvokeModelWithResponseStream",
    "create_schedule": "scheduler:CreateSchedule",
    "decrypt": "kms:Decrypt",
    "encrypt": "kms:Encrypt",
    "describe_execution": "states:DescribeExecution",
    "get_metric_data": "cloudwatch:GetMetricData",
    "get_object": "s3:GetObject",
    "get_public_key": "kms:GetPublicKey",
    "get_queue_attributes": "sqs:GetQueueAttributes",
    "get_queue_url": "sqs:GetQueueUrl",
    "get_secret_value": "secretsmanager:GetSecretValue",
    "put_object": "s3:PutObject",
    "send_message": "sqs:SendMessage",
    "send_message_batch": "sqs:SendMessage",
    "send_task_success": "states:SendTaskSuccess",
    "start_execution": "states:StartExecution",
    "stop_execution": "states:StopExecution",
}


@dataclass(slots=True)
class Module:
    name: str
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)  # alias -> module, symbol of it
    bodies: dict[str, list[ast.AST]] = field(default_factory=dict)


class Code:
    """`roots` are the folders that modules are named from, `known` the tables that there are."""

    def __init__(self, *roots: Path, known: frozenset[str]) -> None:
        self._known = known
        self._paths = {
            ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
            for root in roots
            for path in root.rglob("*.py")
        }

    def modules(self, package: str) -> list[str]:
        return [name for name in self._paths if name == package or name.startswith(f"{package}.")]

    @cache  # noqa: B019 - lives as long as its test
    def module(self, name: str) -> Module:
        found = Module(name)
        for node in ast.walk(ast.parse(self._paths[name].read_text())):
            if isinstance(node, ast.Import):
                for each in node.names:
                    found.imports[each.asname or each.name] = (each.name, None)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for each in node.names:
                    whole = f"{node.module}.{each.name}"
                    target = (whole, None) if whole in self._paths else (node.module, each.name)
                    found.imports[each.asname or each.name] = target
        for statement in ast.parse(self._paths[name].read_text()).body:
            for defined in _defined(statement):
                found.bodies.setdefault(defined, []).append(statement)
        return found

    @cache  # noqa: B019
    def reachable(self, package: str) -> frozenset[Symbol]:
        """From everything that lies in the function's folder."""
        todo = [(name, symbol) for name in self.modules(package) for symbol in self.module(name).bodies]
        found = set(todo)
        while todo:
            for symbol in self._reached(todo.pop()):
                if symbol not in found:
                    found.add(symbol)
                    todo.append(symbol)
        return frozenset(found)

    def uses(self, package: str) -> frozenset[Use]:
        return frozenset(use for symbol in self.reachable(package) for use in self._used(symbol))

    @cache  # noqa: B019
    def _used(self, symbol: Symbol) -> frozenset[Use]:
        return frozenset(self._uses(symbol))

    def _uses(self, symbol: Symbol) -> Iterator[Use]:
        """What the symbol does to tables (of its module, if it names none itself), and to services."""
        module = self.module(symbol[0])
        nodes = [node for body in module.bodies[symbol[1]] for node in ast.walk(body)]
        tables = set(_tables(nodes)) or self.tables(symbol[0])
        tables |= {table for each in self._reached(symbol) for table in self._model(each)}
        for node in nodes:
            for action in _actions(node):
                service, _, name = action.rpartition(":")
                if service:
                    yield service, name
                else:
                    yield from ((table, name) for table in tables)

    def _model(self, symbol: Symbol) -> Iterator[str]:
        """The table that a class describes."""
        for body in self.module(symbol[0]).bodies[symbol[1]]:
            if isinstance(body, ast.ClassDef):
                yield from _tables(ast.walk(body))

    @cache  # noqa: B019
    def tables(self, module: str) -> frozenset[str]:
        """Those that a module names; where it names none, those of the modules that it imports things from."""
        if module == "quintet.store.pages":
            return frozenset({ANY})  # reads whatever index it is given
        own = self.module(module)
        nodes = [node for bodies in own.bodies.values() for body in bodies for node in ast.walk(body)]
        found = frozenset(_tables(nodes))
        if ".store" in module:  # a table that is passed to whoever reads any
            found |= {node.value for node in nodes if isinstance(node, ast.Constant) and node.value in self._known}
        if found:
            return found
        named = {target for target, _ in own.imports.values() if target in self._paths and "store" in target}
        return frozenset(
            table
            for name in named
            for bodies in self.module(name).bodies.values()
            for table in _tables(node for body in bodies for node in ast.walk(body))
        )

    @cache  # noqa: B019
    def _reached(self, symbol: Symbol) -> frozenset[Symbol]:
        return frozenset(self._named(symbol))

    def _named(self, symbol: Symbol) -> Iterator[Symbol]:
        module = self.module(symbol[0])
        for body in module.bodies[symbol[1]]:
            chained = {id(node.value) for node in ast.walk(body) if isinstance(node, ast.Attribute)}
            for node in ast.walk(body):
                if isinstance(node, ast.Name):
                    if node.id == "import_module":  # one of those beside it, by a name that is not known here
                        yield from self._beside(module)
                    yield from self._resolved(module, node.id)
                    if id(node) not in chained:
                        yield from self._passed_on(module, node.id)
                elif isinstance(node, ast.Attribute):
                    chain = _chain(node)
                    if chain:
                        yield from self._attribute(module, chain)

    def _beside(self, module: Module) -> Iterator[Symbol]:
        for name in self.modules(module.name.rpartition(".")[0]):
            yield from ((name, each) for each in self.module(name).bodies)

    def _passed_on(self, module: Module, name: str) -> Iterator[Symbol]:
        """A module that is handed over as a port: whoever gets it may do all that it can."""
        target, symbol = module.imports.get(name, ("", ""))
        if symbol is None and target in self._paths:
            yield from ((target, each) for each in self.module(target).bodies)

    def _resolved(self, module: Module, name: str) -> Iterator[Symbol]:
        if name in module.bodies:
            yield module.name, name
        elif name in module.imports:
            target, symbol = module.imports[name]
            if target in self._paths and symbol is not None:
                yield from self._resolved(self.module(target), symbol)

    def _attribute(self, module: Module, chain: list[str]) -> Iterator[Symbol]:
        first, second = chain[:2]
        if first in module.imports:
            target, symbol = module.imports[first]
            if symbol is None and target in self._paths:
                yield from self._resolved(self.module(target), second)


def _defined(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name
        case ast.Assign():
            for target in statement.targets:
                yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _chain(node: ast.Attribute) -> list[str]:
    names = [node.attr]
    inner = node.value
    while isinstance(inner, ast.Attribute):
        names.append(inner.attr)
        inner = inner.value
    return [inner.id, *reversed(names)] if isinstance(inner, ast.Name) else []


def _tables(nodes: Iterator[ast.AST] | list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(attr="table"), args=[ast.Constant(value=str(name))]):
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="settings")), attr="table")):
                yield ANY
            case ast.Call(func=ast.Name(id="TableName"), args=[ast.Constant(value=str(name))]):
                yield name


def _actions(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)) if _OPERATION.fullmatch(text):
            yield text
        case ast.Constant(value=str(text)) if text in _PARTS:
            yield _PARTS[text]
        case ast.Attribute(attr=name) | ast.Constant(value=str(name)) if name in _CLIENT_METHODS:
            yield _CLIENT_METHODS[name]
        case ast.Call(func=ast.Name(id="sign"), args=[_, ast.Constant(value=str(service)), *_]) if service in _SIGNED:
            yield _SIGNED[service]
        case ast.Attribute(attr=name) if name in _METHODS:
            yield from _METHODS[name]
