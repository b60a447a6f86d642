"""Taking one permission out of the templates takes that one, and nothing else."""

from pathlib import Path

from infra.local.template import Template
from tests.roles.permissions import documents, permissions, without, written


def test_every_permission_can_be_taken_and_only_it_is_gone(repository: Path) -> None:
    parts = documents(Template(repository / "template.yaml"))
    every = permissions(parts)
    assert len(every) > 200
    assert {each.nest for each in every} == {"", "Data"}
    known = {(each.nest, each.holder, each.action, each.resource) for each in every}
    assert len(known) == len(every), "a holder is given the same twice"
    for one in every:
        left = permissions(without(parts, one))
        told = {(each.nest, each.holder, each.action, each.resource) for each in left if each.sid != "Nothing"}
        assert known - told == {(one.nest, one.holder, one.action, one.resource)}
    assert permissions(parts) == every


def test_what_is_deployed_without_it_is_the_rest_of_the_templates(repository: Path, tmp_path: Path) -> None:
    template = Template(repository / "template.yaml")
    one = next(each for each in permissions(documents(template)) if each.nest == "Data")
    deployed = Template(written(without(documents(template), one), template, tmp_path))
    assert deployed.nested.keys() == template.nested.keys()
    assert deployed.resources.keys() == template.resources.keys()
    assert len(permissions(documents(deployed))) == len(
        permissions(documents(template))
    )  # one that denies in its place
