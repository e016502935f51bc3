import sys

import pytest

from dataefficient.api.load import parse_object
from dataefficient.local.command import command_of
from dataefficient.local.errors import WrongInputError
from local.fake_resource import resource_body


@pytest.fixture
def spec(tmp_path):
    def make(pod=None, **container):
        body = resource_body(tmp_path)
        template = {"spec": {"containers": [{"name": "trainer", **container}], **(pod or {})}}
        body["spec"]["trainer"]["template"] = template
        return parse_object(body, "test").spec

    return make


def test_without_a_command_the_reference_trainer_runs_in_this_environment(spec, tmp_path):
    command = command_of(spec(args=["--x"]), tmp_path)
    assert command.argv == (sys.executable, "-m", "dataefficient_trainer", "--x")
    assert command.folder == tmp_path


def test_python_is_the_interpreter_that_runs_this(spec, tmp_path):
    assert command_of(spec(command=["python", "t.py"]), tmp_path).argv == (sys.executable, "t.py")


def test_a_relative_program_starts_at_the_resources_folder(spec, tmp_path):
    program = tmp_path / "train.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert command_of(spec(command=["./train.sh"]), tmp_path).argv == (str(program),)


def test_what_only_a_cluster_has_is_said_in_one_notice(spec, tmp_path):
    command = command_of(
        spec(
            pod={"nodeSelector": {"a": "b"}, "volumes": []},
            image="i",
            volumeMounts=[],
            env=[{"name": "A", "value": "1"}, {"name": "SECRET", "valueFrom": {}}],
        ),
        tmp_path,
    )
    assert command.env == {"A": "1"}
    assert command.notice() == (
        "Without a cluster these parts of spec.trainer.template are not used: containers.trainer.image, "
        "containers.trainer.volumeMounts, containers.trainer.env.SECRET, nodeSelector, volumes."
    )
    assert command_of(spec(), tmp_path).notice() is None


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"command": "python t.py"}, "command: found 'python t.py'; allowed: a list of strings"),
        ({"command": ["python"], "args": [1]}, r"args: found \[1\]; allowed: a list of strings"),
        ({"command": ["no-such-program"]}, "the program 'no-such-program' is not found on this machine"),
        ({"env": {"A": "1"}}, "env: found .* allowed: a list of"),
        ({"env": [{"name": "A", "value": 1}]}, r"env\[0\].value: found 1; allowed: a string"),
    ],
)
def test_what_is_no_command_is_named_by_its_field(spec, tmp_path, container, message):
    with pytest.raises(WrongInputError, match=message):
        command_of(spec(**container), tmp_path)
