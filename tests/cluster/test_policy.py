"""The installation's file: what it supplies, and mistakes in it."""

from decimal import Decimal

import pytest

from dataefficient.cluster.policy import Policy, PolicyError, read_policy


def written(tmp_path, text):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return path


def test_where_no_file_is_named_nothing_is_allowed():
    assert read_policy(None) == Policy()


def test_a_file_that_is_not_there_lifts_no_cap(tmp_path):
    with pytest.raises(PolicyError, match=r"none: cannot be read \(No such file or directory\)"):
        read_policy(tmp_path / "none")


def test_a_file_is_read(tmp_path):
    text = """
prometheus: {default: "http://p:9090", allowed: ["http://p:9090"], headers: {X-Scope-OrgID: ads}}
prices: {a100: "2.21"}
maxBudget: {money: "100", deviceHours: ""}
"""
    policy = read_policy(written(tmp_path, text))
    headers, prices = {"X-Scope-OrgID": "ads"}, {"a100": "2.21"}
    assert policy == Policy("http://p:9090", ("http://p:9090",), headers, prices, Decimal(100), None)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("prices: {a100: cheap}", "prices.a100"),
        ("maxBudget: {money: -1}", "maxBudget.money"),
        ("prometheus: {allowed: all}", "prometheus.allowed"),
        ("prometheus: {headers: ads}", "prometheus.headers"),
        ("prometheus: {headers: {X-Scope-OrgID: 7}}", "prometheus.headers.X-Scope-OrgID"),
        ('prometheus: {headers: {X-Scope-OrgID: "a\\nb"}}', "prometheus.headers.X-Scope-OrgID"),
        ('prometheus: {headers: {"X: y": ads}}', "prometheus.headers: found 'X: y'"),
        ("prometheus: {headers: {Authorization: Bearer s3cr3t}}", "secretName"),
        ("prices: 3", "prices"),
        ("[", "is no YAML"),
    ],
)
def test_a_mistake_names_its_field(tmp_path, text, field):
    with pytest.raises(PolicyError, match=field):
        read_policy(written(tmp_path, text))
