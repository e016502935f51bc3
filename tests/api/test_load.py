import json
from pathlib import Path

import pytest
import yaml

from dataefficient.api.load import InvalidResource, load_resource, parse_object, parse_resource
from dataefficient.api.spec import Mode
from dataefficient.contract import Policy

FIXTURES = Path(__file__).parent / "fixtures"
MINIMAL = (FIXTURES / "accept" / "minimal.yaml").read_text()


def errors(text: str) -> dict[str, str]:
    with pytest.raises(InvalidResource) as caught:
        parse_resource(text, "file.yaml")
    return {error.path: str(error) for error in caught.value.errors}


def with_spec(old: str, new: str) -> str:
    assert old in MINIMAL
    return MINIMAL.replace(old, new)


def test_a_minimal_file_gets_every_default():
    spec = load_resource(FIXTURES / "accept" / "minimal.yaml").spec
    assert spec.mode is Mode.RECOMMEND
    assert spec.sampling.policies == (Policy.UNIFORM, Policy.NEGATIVES)
    assert str(spec.knobs.sampling_rate.min) == "0.05"
    assert spec.accelerators[0].price_per_device_hour is None
    assert spec.checkpoints.keep > spec.control.lookback_cycles
    assert spec.budget.total is None


def test_a_decimal_string_keeps_its_exact_value():
    spec = parse_resource(with_spec('tolerance: "0.001"', 'tolerance: "0.00100000000000000001"'), "f").spec
    assert str(spec.kpi.tolerance) == "0.00100000000000000001"


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file():
    text = """\
apiVersion: dataefficient.training/v1alpha1
kind: DataEfficientTraining
metadata: {name: Late_flights}
spec:
  mode: enforce
  schedule: {historyFrom: "2001-05-01T00:00:00Z", startTime: "2001-03-01T00:00:00Z", everySeconds: "10"}
  data: {uri: x, time: t, label: y, key: [a]}
  kpi: {maxRegression: 0.2}
  knobs: {modelSize: {values: [0]}, samplingRate: {min: "0.5", max: "0.2"}}
  control: {lookbackCycles: 9}
  budget: {total: {money: "10"}}
  trainer: {template: {spec: {containers: [{name: main}]}}}
"""
    assert list(errors(text)) == [
        "metadata.name",
        "spec.checkpoints.keep",
        "spec.accelerators[0].pricePerDeviceHour",
        "spec.mode",
        "spec.schedule.everySeconds",
        "spec.schedule.historyFrom",
        "spec.kpi.maxRegression",
        "spec.kpi.tolerance",
        "spec.knobs.samplingRate.min",
        "spec.knobs.modelSize.values[0]",
        "spec.trainer.template.spec.containers[0].name",
    ]


def test_a_line_names_the_file_the_line_the_value_what_is_allowed_and_what_to_do():
    with pytest.raises(InvalidResource) as caught:
        parse_resource(with_spec('"0.001"', "0.001"), "late.yaml")
    assert str(caught.value) == (
        "late.yaml:7: spec.kpi.tolerance: found the number 0.001; allowed: a fraction above 0 and below 1, "
        'such as "0.002" for 0.2 %; write it in quotes: it must be a string, not a YAML number'
    )


@pytest.mark.parametrize(
    ("old", "new", "path", "suggestion"),
    [
        ("tolerance:", "tolerence:", "spec.kpi.tolerence", "did you mean tolerance?"),
        ("historyFrom:", "history_from:", "spec.schedule.history_from", "did you mean historyFrom?"),
        ("spec:\n", "spec:\n  mode: enforced\n", "spec.mode", "did you mean Enforce?"),
        ("metadata: {", "metadata: {namespce: x, ", "metadata.namespce", "did you mean namespace?"),
        ("spec:\n", "spec:\n  zebra: 1\n", "spec.zebra", "this field is unknown; remove it"),
    ],
)
def test_a_misspelt_word_gets_the_word_that_was_meant(old, new, path, suggestion):
    assert suggestion in errors(with_spec(old, new))[path]


def test_a_missing_field_is_explained_by_its_own_description():
    message = errors(with_spec("label: late, ", ""))["spec.data.label"]
    assert "found nothing" in message
    assert "Column of the label, 0 or 1" in message


def test_a_value_that_was_left_out_after_the_colon_is_told():
    found = errors(with_spec('kpi: {tolerance: "0.001"}', "kpi: {tolerance: , target: }"))
    assert set(found) == {"spec.kpi.tolerance", "spec.kpi.target"}
    assert "remove the line for the default" in found["spec.kpi.target"]


def test_another_kind_of_resource_is_told_in_one_line():
    assert list(errors("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n")) == ["apiVersion"]


def test_a_repeated_key_is_told_beside_other_mistakes():
    text = with_spec('kpi: {tolerance: "0.001"}', 'kpi: {tolerance: "0.1", tolerance: "0.2", overCycles: 0}')
    found = errors(text)
    assert set(found) == {"spec.kpi.tolerance", "spec.kpi.overCycles"}
    assert "each key once" in found["spec.kpi.tolerance"]


def test_a_number_that_is_not_finite_is_refused_in_the_trainers_config():
    text = with_spec("    template:", "    config: {a: .nan, b: [1, -.inf]}\n    template:")
    assert set(errors(text)) == {"spec.trainer.config.a", "spec.trainer.config.b[1]"}


@pytest.mark.parametrize(("part", "limit"), [("config", 16), ("template", 32)])
def test_a_trainer_part_may_fill_its_limit_and_no_more(part, limit):
    def resource(size: int) -> dict[str, object]:
        body = yaml.safe_load(MINIMAL)
        holder = body["spec"]["trainer"].setdefault(part, {})
        holder["filler"] = ""
        holder["filler"] = "x" * (size - len(json.dumps(holder, separators=(",", ":"))))
        return body

    parse_object(resource(limit * 1024), "server")
    with pytest.raises(InvalidResource, match=f"at most {limit * 1024} bytes"):
        parse_object(resource(limit * 1024 + 1), "server")


def test_config_values_reach_the_trainer_untouched():
    text = with_spec(
        "    template:", "    config: {rate: 1e-3, none: null, time: 1:30, zeros: '007'}\n    template:"
    )
    config = parse_resource(text, "f").spec.trainer.config
    assert config == {"rate": 0.001, "none": None, "time": "1:30", "zeros": "007"}


def test_a_resource_from_the_server_is_read_without_its_status():
    body = yaml.safe_load(MINIMAL) | {"status": {"cycle": "nonsense"}}
    body["metadata"] |= {"uid": "1", "generation": 2, "managedFields": [{"manager": "x"}], "finalizers": []}
    assert parse_object(body, "server").metadata.generation == 2


def test_the_same_resource_is_read_from_json():
    assert parse_resource(json.dumps(yaml.safe_load(MINIMAL)), "f") == parse_resource(MINIMAL, "f")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InvalidResource, match="no such file"):
        load_resource(tmp_path / "absent.yaml")


def test_a_folder_is_told(tmp_path):
    with pytest.raises(InvalidResource, match='found "a folder"'):
        load_resource(tmp_path)


def test_a_binary_file_is_told(tmp_path):
    (tmp_path / "model.bin").write_bytes(bytes(range(256)))
    with pytest.raises(InvalidResource, match="not UTF-8 text"):
        load_resource(tmp_path / "model.bin")


def test_a_byte_order_mark_does_no_harm(tmp_path):
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    load_resource(tmp_path / "bom.yaml")


def test_the_resource_cannot_be_changed():
    resource = parse_resource(MINIMAL, "f")
    with pytest.raises(ValueError, match="frozen"):
        resource.spec.mode = Mode.ENFORCE
