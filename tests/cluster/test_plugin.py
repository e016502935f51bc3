"""``kubectl det`` with the real kubectl, API server and operator: every verb, and what people get wrong."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from cluster.plugin import Plugin
from cluster.running import RESUMING_TRAINER, Watched, eventually, quick
from dataefficient.contract import format_time

ANSI = re.compile(r"\x1b\[[0-9;]*m")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]")


@pytest.fixture
def det(cluster, kind, namespace, tmp_path):
    return Plugin(cluster, tmp_path, namespace)


@pytest.fixture
def apply(cluster, node, namespace, tmp_path):
    def given(**changes):
        cluster.apply(quick(namespace, tmp_path, **changes))
        return Watched(cluster, namespace, changes.get("name", "quick"))

    return given


def recommending(apply, **changes):
    return apply(
        cycles=2,
        mode="Recommend",
        kpi={"tolerance": "0.2", "maxRegression": "0.5"},
        exploration={"share": "1"},
        accelerators=[{"name": "cpu", "resource": "cpu", "pricePerDeviceHour": "2"}],
        approval={"aboveMoney": "0.0000001"},
        **changes,
    )


def test_what_waits_is_shown_and_approved_under_its_digest_alone(apply, det, operator, namespace):
    watched = recommending(apply)
    digest = eventually(lambda: watched.status().get("recommendation"), of=operator)["digest"]
    eventually(lambda: watched.condition("Progressing")["reason"] == "AwaitingApproval")
    assert digest in det.good("status")
    shown = det.good("status", "quick")
    assert f"kubectl det approve quick {digest} -n {namespace}" in shown
    plan = det.good("plan", "det/quick")
    assert "approval.aboveMoney is 1E-7" in plan or "approval.aboveMoney is 0.0000001" in plan

    code, _, err = det("approve", "quick")
    assert code == 64
    assert "name what you approve. It waits for: Run: Waits for approval: cycle 0" in err
    assert err.rstrip().endswith(f"kubectl det approve quick {digest} -n {namespace}")
    code, _, err = det("approve", "quick", "0123456789ab")
    assert code == 64
    assert "0123456789ab is not, or no longer, what waits for approval" in err
    assert digest in err
    assert "Would be done: Approved" in det.good("approve", "quick", digest, "--dry-run")
    assert digest not in watched.status().get("handledRequests", [])

    out = det.good("approve", "quick", digest, "--wait")
    assert out.startswith(f"Approved {digest}: cycle 0 goes on at once.\nThe operator has heard it.")
    code, _, err = det("approve", "quick", digest)
    assert (code, err) == (4, f"kubectl det: {digest} was approved already\n")
    watched.patch({"spec": {"mode": "Enforce"}})
    code, _, err = det("approve", "quick", "0123456789ab")
    assert (code, "mode Enforce, which acts without approval" in err) == (4, True)


def test_suspending_and_resuming_say_what_they_do_and_that_it_is_so_already(apply, det, operator, namespace):
    watched = apply(program=RESUMING_TRAINER, env={"SLOW_RUN": "c001-candidate"})
    eventually(
        lambda: [r for r in watched.status().get("runs", []) if r["name"] == "c001-candidate"], of=operator
    )
    eventually(lambda: [p for p in watched.pods() if p["status"]["phase"] == "Running"], of=operator)
    code, _, err = det("resume", "quick")
    assert (code, err) == (4, f"kubectl det: {namespace}/quick is neither suspended nor stopped\n")
    out = det.good("suspend", "quick", "--wait")
    assert "c001-candidate ends at once, keeps its state, and goes on when you resume it." in out
    assert "quick is Suspended: spec.suspend is true" in out
    code, _, err = det("suspend", "quick")
    assert (code, err) == (4, f"kubectl det: {namespace}/quick is suspended already\n")
    assert "Suspended" in det.good("status")
    body = json.loads(det.good("resume", "quick", "--wait", "-o", "json"))
    assert (body["verb"], body["heard"], body["written"]) == ("resume", True, True)
    eventually(watched.finished, of=operator)


def test_what_stopped_goes_on_when_it_is_resumed(apply, det, operator):
    watched = apply(env={"FAKE_FAULTS": "*=data"}, limits={"maxAttempts": 1}, cycles=1)
    eventually(lambda: watched.condition("Ready")["reason"] == "RunFailed", of=operator)
    assert "NotReady:RunFailed" in det.good("status")
    out = det.good("resume", "quick", "--wait")
    assert "It goes on at once, past what stopped it. That was: c000-pilot" in out


def test_a_champion_is_rolled_back_once_and_serving_reads_the_older_one(apply, det, operator, namespace):
    watched = apply(cycles=3)
    eventually(watched.finished, of=operator)
    eventually(lambda: watched.status().get("champion", {}).get("cycle") == 3, of=operator)
    older = next(c for c in watched.status()["previousChampions"] if c["cycle"] == 1)
    code, _, err = det("rollback", "quick", "--to-cycle", 9)
    assert (code, "no champion of cycle 9 is kept; kept are those of 0, 1, 2" in err) == (64, True)
    code, _, err = det("rollback", "quick", "--to-cycle", 3)
    assert (code, err) == (4, "kubectl det: the champion of cycle 3 is the one that serves\n")
    assert "The champion of cycle 2 " in det.good("rollback", "quick", "--dry-run")
    out = det.good("rollback", "quick", "--to-cycle", 1, "--wait")
    assert "The champion of cycle 1 (" in out
    assert "serves again, in place of that of cycle 3; before cycle 14 nothing cheaper is run" in out
    assert watched.config_map("quick-champion")["data"]["digest"] == older["digest"]
    assert watched.status()["champion"]["cycle"] == 1
    (event,) = [message for reason, message in watched.events() if reason == "RolledBack"]
    assert "the champion of cycle 1" in event


def test_a_cycle_that_waits_for_late_labels_is_run_now(apply, det, operator):
    now = datetime.now(UTC).replace(microsecond=0)
    schedule = {
        "historyFrom": format_time(now - timedelta(days=40)),
        "startTime": format_time(now - timedelta(days=2)),
        "everySeconds": 30 * 86_400,
        "labelDelaySeconds": 10 * 86_400,
    }
    watched = apply(schedule=schedule)
    eventually(lambda: watched.condition("Progressing")["reason"] == "WaitingForInterval", of=operator)
    out = det.good("run-now", "quick", "--wait")
    assert "Cycle 0 begins at once, before schedule.labelDelaySeconds is over." in out
    eventually(lambda: watched.memory().cycle == 1, of=operator)
    code, _, err = det("run-now", "quick")
    assert code == 4
    assert "would run sooner: the interval of cycle 1 ends at " in err


def test_why_history_replay_and_report_tell_of_a_life(apply, det, operator, tmp_path):
    watched = apply(cycles=2)
    eventually(watched.finished, of=operator)
    eventually(lambda: watched.status().get("step") == "Finished")
    assert "Chosen: " in det.good("why", "quick", 1)
    assert json.loads(det.good("why", "quick", "-o", "json"))["cycle"] == 2
    code, _, err = det("why", "quick", 17)
    assert (code, "cycle 17 is unknown; known are 0 to 2" in err) == (64, True)
    assert det.good("replay", "quick", 2).endswith("made again, identical\n")
    assert "The whole report: quick-report.html" in det.good("report", "quick")
    assert (tmp_path / "quick-report.html").exists()
    lines = det.good("history", "quick").splitlines()
    assert lines[0].split()[:3] == ["CYCLE", "UNTIL", "OUTCOME"]
    assert [line.split()[0] for line in lines[1:]] == ["0", "1", "2"]
    assert all("Published" in line for line in lines[1:])
    cycles = yaml.safe_load(det.good("history", "quick", "--last", 1, "-o", "yaml"))["cycles"]
    assert [one["cycle"] for one in cycles] == [2]
    listed = json.loads(det.good("status", "-o", "json"))["items"]
    assert [one["name"] for one in listed] == ["quick"]
    assert listed[0]["status"]["step"] == "Finished"
    assert yaml.safe_load(det.good("plan", "quick", "-o", "yaml"))["plan"]["cycle"] == 2


def test_a_terminal_gets_colours_and_as_many_columns_as_it_has(apply, det, operator):
    watched = apply(cycles=1)
    eventually(watched.finished, of=operator)
    eventually(lambda: watched.status().get("step") == "Finished")
    plain = det.good("status")
    assert not ANSI.search(plain)
    for columns, verb in ((60, ("status",)), (160, ("status",)), (60, ("status", "quick"))):
        shown = det.on_a_terminal(*verb, columns=columns)
        assert COLOUR.search(shown)
        assert max(len(line) for line in ANSI.sub("", shown).splitlines()) <= columns
        assert "quick" in shown
    assert not COLOUR.search(det.on_a_terminal("status", columns=60, NO_COLOR="1"))


def test_all_namespaces_are_listed_and_an_empty_one_is_said_to_be(cluster, det, apply, namespace):
    code, out, err = det("status")
    assert (code, out) == (0, "")
    assert f"No DataEfficientTraining in namespace {namespace}" in err
    apply()
    rows = [line.split()[:2] for line in det.good("status", "-A").splitlines()]
    assert rows[0] == ["NAMESPACE", "NAME"]
    assert [namespace, "quick"] in rows
