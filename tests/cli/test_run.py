import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from dataefficient import cli
from dataefficient.api.crd import render_crd
from dataefficient.cycle.machine import advance, begin
from dataefficient.cycle.model import FailureKind, Memory, Step, Stopped
from dataefficient.local.errors import Exit
from dataefficient.local.store import Store
from local.fake_resource import resource_body

EXAMPLES = Path(__file__).parents[2] / "examples"
DETCTL = Path(sys.executable).with_name("detctl")


@pytest.fixture
def write(tmp_path):
    def write_file(**changes):
        path = tmp_path / "fake.yaml"
        path.write_text(yaml.safe_dump(resource_body(tmp_path, **changes)))
        return path

    return write_file


@pytest.fixture
def detctl(capfd, monkeypatch, tmp_path):
    """Runs a command in this process; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = cli.run([str(a) for a in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A work folder in which ``detctl run --control`` has finished, its resource file and its output."""
    folder = tmp_path_factory.mktemp("finished")
    file = folder / "fake.yaml"
    file.write_text(yaml.safe_dump(resource_body(folder)))
    done = subprocess.run(
        [DETCTL, "run", "-f", file, "--workdir", folder / "w", "--control"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, done


def launches(folder):
    path = folder / "launches"
    return path.read_text().splitlines() if path.exists() else []


def test_a_resource_runs_to_its_end_and_the_report_is_printed_and_written(finished):
    folder, done = finished
    assert f"The whole report: {folder / 'w' / 'report.html'}" in done.stdout
    assert "<html" in (folder / "w" / "report.html").read_text()
    assert "c002-candidate: " in done.stderr
    assert "Traceback" not in done.stderr
    assert Store.open(folder / "w").memory().step is Step.FINISHED
    assert any("ctl-c002" in line for line in launches(folder))


def test_the_same_command_on_a_finished_folder_launches_nothing(finished, detctl):
    folder, _ = finished
    before = launches(folder)
    code, out, _ = detctl("run", "-f", folder / "fake.yaml", "--workdir", folder / "w", "--control", "--json")
    assert code == 0
    assert json.loads(out)["resource"] == "default/fake"
    assert launches(folder) == before


def test_every_recorded_decision_made_again_is_identical(finished, detctl):
    folder, _ = finished
    for cycle in range(3):
        code, out, _ = detctl("replay", folder / "w", "--cycle", cycle)
        assert (code, out.endswith("made again, identical\n")) == (0, True)
    code, out, _ = detctl("replay", folder / "w", "--cycle", 0, "--json")
    assert json.loads(out)["identical"] is True


def test_a_decision_that_differs_has_its_own_exit_code_and_is_named(finished, detctl, monkeypatch):
    folder, _ = finished

    def other(spec, memory, observation):
        decision = advance(spec, memory, observation)
        return replace(decision, events=(*decision.events, "another"))

    monkeypatch.setattr("dataefficient.cycle.machine.advance", other)
    code, out, _ = detctl("replay", folder / "w", "--cycle", 1)
    assert code == Exit.DIFFERENT == 1
    assert out.startswith("Different: cycle 1, decision 1: decision.events")
    code, out, _ = detctl("replay", folder / "w", "--cycle", 1, "--json")
    assert json.loads(out)["difference"]["path"] == "decision.events"


def test_why_tells_the_choice_and_every_option_with_its_reason(finished, detctl):
    folder, _ = finished
    code, out, _ = detctl("why", folder / "w", "--cycle", 1)
    assert code == 0
    for words in (
        "Cycle 1, 2001-02-01 00:00 to 2001-02-08 00:00 UTC.",
        "Chosen: ",
        "forecast",
        "Options weighed",
    ):
        assert words in out
    code, out, _ = detctl("why", folder / "w", "--cycle", 1, "--json")
    told = json.loads(out)
    assert len(told["sentences"]) > 5
    assert told["finished"] is True
    assert told["plan"]["cycle"] == 1
    assert all(option["verdict"] for option in told["plan"]["options"])


@pytest.mark.parametrize("command", ["why", "replay"])
def test_a_cycle_that_never_was_is_refused_with_those_that_were(finished, detctl, command):
    folder, _ = finished
    code, _, err = detctl(command, folder / "w", "--cycle", 7)
    assert code == Exit.WRONG_INPUT
    assert "cycle 7" in err
    assert "0 to " in err


def test_report_prints_what_run_printed(finished, detctl):
    folder, done = finished
    code, out, _ = detctl("report", folder / "w")
    assert code == 0
    assert out.splitlines()[-1] == done.stdout.splitlines()[-1]


def test_a_later_end_time_goes_on_where_the_schedule_ended(write, detctl, tmp_path):
    assert detctl("run", "-f", write(cycles=2), "--workdir", "w")[0] == 0
    before = launches(tmp_path)
    assert detctl("run", "-f", write(cycles=3), "--workdir", "w")[0] == 0
    assert "end c002-candidate" in launches(tmp_path)
    assert launches(tmp_path)[: len(before)] == before
    assert max(Counter(launches(tmp_path)).values()) == 1


def test_a_trainer_that_is_not_the_reference_runs_a_resource(detctl, tmp_path):
    body = yaml.safe_load((EXAMPLES / "minimal-trainer" / "table.yaml").read_text())
    schedule = {"historyFrom": "2001-02-26", "startTime": "2001-03-01", "endTime": "2001-03-02"}
    schedule = {name: f"{day}T00:00:00Z" for name, day in schedule.items()}
    body["spec"]["schedule"] = {**schedule, "everySeconds": 86400}
    body["spec"]["exploration"] = {"share": "0"}
    body["spec"]["data"]["uri"] = str(EXAMPLES / "flights" / "flights.parquet")
    body["spec"]["trainer"]["template"]["spec"]["containers"][0]["command"][1] = str(
        EXAMPLES / "minimal-trainer" / "trainer.py"
    )
    (tmp_path / "table.yaml").write_text(yaml.safe_dump(body))
    code, out, err = detctl("run", "-f", "table.yaml", "--workdir", "w")
    assert code == 0, err
    assert "report.html" in out
    champion = Store.open(tmp_path / "w").memory().champion
    assert champion.cycle == 1
    assert Path(champion.checkpoint.uri).is_file()


def test_sigkill_of_the_program_itself_loses_nothing(write, tmp_path):
    file, folder = write(seconds="0.3"), tmp_path / "w"
    command = [DETCTL, "run", "-f", file, "--workdir", folder]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 60
        while "start c000-candidate" not in launches(tmp_path) and time.monotonic() < end:
            assert process.poll() is None
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    ends = Counter(line for line in launches(tmp_path) if line.startswith("end"))
    assert max(ends.values()) == 1
    assert Store.open(folder).memory().step is Step.FINISHED


# Mistakes


def test_a_wrong_resource_names_every_mistake_and_costs_nothing(write, detctl):
    file = write(mode="Enforced", horizonCycles="x")
    for command in (("run", "-f", file), ("validate", file)):
        code, _, err = detctl(*command)
        assert code == Exit.WRONG_INPUT == 64
        assert "spec.mode" in err
        assert "spec.horizonCycles" in err
        assert "Traceback" not in err
    code, out, _ = detctl("validate", file, "--json")
    assert code == 64
    assert [e["path"] for e in json.loads(out)["errors"]] == ["spec.horizonCycles", "spec.mode"]


def test_a_right_resource_is_called_valid(write, detctl):
    assert detctl("validate", write())[:2] == (0, f"{write()}: valid; it declares default/fake\n")


def test_data_that_is_not_there_is_found_before_anything_is_spent(write, detctl, tmp_path):
    data = {"uri": "clicks.parquet", "time": "t", "label": "y", "key": ["k"]}
    code, _, err = detctl("run", "-f", write(data=data))
    assert code == Exit.DATA == 65
    assert "spec.data.uri: found 'clicks.parquet', but there is no" in err
    assert not launches(tmp_path)


def test_more_cores_than_there_are_is_said(write, detctl):
    accelerators = [{"name": "cpu", "perPod": 1000}]
    code, _, err = detctl("run", "-f", write(accelerators=accelerators), "--workdir", "w", "--cycles", 1)
    assert code == 0
    assert "spec.accelerators[0] asks for 1000 cores and this machine has" in err


def test_a_suspended_resource_starts_nothing_and_says_so(write, detctl, tmp_path):
    code, _, err = detctl("run", "-f", write(suspend=True), "--workdir", "w")
    assert code == 0
    assert "spec.suspend is true" in err
    assert not launches(tmp_path)


def test_a_field_that_cannot_be_changed_stops_the_run_and_keeps_the_work(write, detctl, tmp_path):
    assert detctl("run", "-f", write(cycles=2), "--workdir", "w", "--cycles", 1)[0] == 0
    state = (tmp_path / "w" / "state.json").read_bytes()
    code, _, err = detctl("run", "-f", write(checkpoints={"uri": "elsewhere"}), "--workdir", "w")
    assert code == 64
    assert "spec.checkpoints.uri cannot be changed (nothing -> elsewhere)" in err
    assert (tmp_path / "w" / "state.json").read_bytes() == state
    code, _, err = detctl("run", "-f", write(cycles=2, horizonCycles=9), "--workdir", "w")
    assert code == 0
    assert "The resource has changed: spec.horizonCycles: 20 -> 9" in err


@pytest.mark.parametrize(
    ("code_name", "code"),
    [
        ("BudgetExhausted", 73),
        (FailureKind.USER_ERROR.value, 64),
        (FailureKind.DATA_ERROR.value, 65),
        (FailureKind.CRASHED.value, 69),
        ("RejectedTooOften", 69),
    ],
)
def test_a_resource_that_stops_says_why_by_exit_code(write, detctl, monkeypatch, code_name, code):
    stopped = Memory(
        "default/fake", step=Step.STOPPED, stopped=Stopped(code_name, "for a reason", Step.WAITING)
    )
    monkeypatch.setattr("dataefficient.cli_run.begin", lambda _: stopped)
    found, _, err = detctl("run", "-f", write())
    assert found == code
    assert "stopped: for a reason" in err
    assert "same command goes on" in err


def test_a_damaged_state_is_told_with_the_way_out(write, detctl, tmp_path):
    folder = tmp_path / "w"
    Store.create(folder).save(begin("default/fake"))
    (folder / "state.json").write_text("{")
    code, _, err = detctl("run", "-f", write(), "--workdir", folder)
    assert code == 64
    assert "damaged" in err
    assert (folder / "state.json").read_text() == "{"


def test_a_full_disk_has_its_own_exit_code(write, detctl, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dataefficient.local.files.os.write", full)
    code, _, err = detctl("run", "-f", write(), "--workdir", "w")
    assert code == Exit.DISK == 74
    assert "no space left. Nothing was lost" in err


def test_a_fault_of_the_program_is_one_line_and_a_trace_in_the_work_folder(
    write, detctl, monkeypatch, tmp_path
):
    def broken(*_, **__):
        raise RuntimeError("a fault")

    monkeypatch.setattr("dataefficient.cli_run.command_of", broken)
    code, _, err = detctl("run", "-f", write(), "--workdir", "w")
    assert code == Exit.INTERNAL == 70
    assert len(err.splitlines()) == 1
    assert "RuntimeError: a fault" in (tmp_path / "w" / "crash.log").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run",), "Missing option '-f'"),
        (("run", "-f", "x.yaml", "--cycles", "0"), "--cycles"),
        (("rum",), "No such command 'rum'"),
        (("why",), "give WORKDIR"),
        (("why", ".", "--name", "x"), "--name x"),
        (("replay", ".", "--namespace", "x"), "--namespace x without --name"),
        (("why", "--name", "Not/one"), "--name: found 'Not/one'; allowed"),
        (("report", "--name", "x", "-n", ".."), "--namespace: found '..'; allowed"),
        (("report", "."), "not a work folder of detctl run"),
        (("run", "-f", "nowhere.yaml"), "no such file"),
    ],
)
def test_wrong_usage_is_exit_code_64_and_says_what_is_wrong(detctl, arguments, words):
    code, _, err = detctl(*arguments)
    assert code == 64
    assert words in err


# Help


def test_help_lists_every_command_and_exit_code(detctl):
    code, out, _ = detctl("--help")
    assert code == 0
    for name in cli.COMMANDS:
        assert f"\n  {name} " in out
    for exit_code in Exit:
        assert f"\n  {int(exit_code)} " in out
    assert detctl()[:2] == (code, out)


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_explains_itself(name):
    answer = CliRunner().invoke(cli.detctl, [name, "--help"])
    assert answer.exit_code == 0, answer.output
    assert "Usage: " in answer.output
    assert len(answer.output) > 150


def test_help_imports_nothing_heavy():
    heavy = {"numpy", "scipy", "pydantic", "rich", "yaml"}
    code = "import sys; from dataefficient import cli; cli.run(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & set(done.stdout.splitlines()[-1].split())


def test_the_crd_is_printed_as_generated(detctl):
    assert detctl("crd")[:2] == (0, render_crd())


def test_a_reader_that_had_enough_is_no_error():
    done = subprocess.run(f"{DETCTL} crd | head -1", shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""


RECOMMEND = {
    "mode": "Recommend",
    "exploration": {"share": "1"},
    "kpi": {"tolerance": "0.2", "maxRegression": "0.5"},
    "knobs": {"samplingRate": {"min": "0.25", "max": "1"}, "modelSize": {"values": [8]}},
}


def asked_in(workdir):
    return Store.open(workdir).memory().proposal


def test_in_mode_recommend_what_waits_is_printed_and_done_once_it_is_approved(write, detctl, tmp_path):
    file, work = write(riders="1", **RECOMMEND), tmp_path / "w"
    code, _, err = detctl("run", "-f", file, "--workdir", work, "--cycles", 2)
    asked = asked_in(work)
    assert code == 0
    assert f"The digest that approves it is {asked.digest}" in err
    assert f"the same command with --approve {asked.digest} approves it" in err
    _, told, _ = detctl("why", work, "--cycle", asked.since)
    assert asked.digest in told
    code, _, err = detctl("run", "-f", file, "--workdir", work, "--cycles", 3, "--approve", asked.digest)
    assert code == 0
    assert f"Approved: {asked.digest}" in err
    again, _, err = detctl("run", "-f", file, "--workdir", work, "--cycles", 3, "--approve", asked.digest)
    assert again == 0
    assert "Approved" not in err
    assert Store.open(work).memory().approvals == (asked.digest,)
    for cycle in range(3):
        assert detctl("replay", work, "--cycle", cycle)[0] == 0


@pytest.mark.parametrize("mode", ["Recommend", "Enforce"])
def test_a_digest_that_approves_nothing_is_refused_before_anything_runs(write, detctl, tmp_path, mode):
    file, work = write(**{**RECOMMEND, "mode": mode}), tmp_path / "w"
    detctl("run", "-f", file, "--workdir", work, "--cycles", 1)
    before = launches(tmp_path)
    code, _, err = detctl("run", "-f", file, "--workdir", work, "--cycles", 2, "--approve", "0123456789ab")
    assert code == Exit.WRONG_INPUT
    assert "--approve: 0123456789ab" in err
    assert launches(tmp_path) == before


def test_a_cycle_that_waits_for_approval_ends_the_command_and_says_so(write, detctl, tmp_path):
    file = write(**RECOMMEND, approval={"aboveMoney": "0.000000001"}, accelerators=PRICED)
    code, _, err = detctl("run", "-f", file, "--workdir", tmp_path / "w")
    assert code == 0
    assert (
        f"cycle 0 waits for approval; the same command with --approve {asked_in(tmp_path / 'w').digest}"
        in err
    )


PRICED = [{"name": "cpu", "resource": "cpu", "pricePerDeviceHour": "2"}]
