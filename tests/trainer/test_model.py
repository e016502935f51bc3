from functools import cache

import numpy as np
import pytest
import torch

from dataefficient_trainer.batch import Batch
from dataefficient_trainer.growth import grow
from dataefficient_trainer.model import Model
from dataefficient_trainer.pooling import Bag
from dataefficient_trainer.rules import Pace
from dataefficient_trainer.shrinking import least_squares, low_rank, shrink

PACE = Pace(batch=64, sparse=0.05, dense=1e-3)


@pytest.fixture(autouse=True)
def _no_autograd():
    with torch.no_grad():
        yield


def make(size=4, seed=3, numbers=2):
    return Model(fields=3, table_rows=60, numbers=numbers, size=size, seed=seed, device="cpu")


def batch(rows=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    indices = torch.randint(0, 20, (rows, 3), generator=generator) + torch.tensor([0, 20, 40])
    values = torch.randn((rows, 2), generator=generator)
    values[0, 0] = float("nan")
    label = (torch.rand(rows, generator=generator) < 0.3).float()
    return indices, values, label


def step(model, rows, *, offset=0.4):
    label = rows[2]
    batch = Batch(*rows, torch.full_like(label, offset), torch.full_like(label, 1.5), label * 1.2)
    return model.train_step(batch, PACE)


def trained(size, steps=30):
    model = make(size)
    model.observe_numbers(batch()[1])
    for seed in range(steps):
        step(model, batch(seed=seed))
    return model


@pytest.mark.parametrize("size", [1, 4])
def test_the_written_out_gradient_equals_autograd(size):
    model = trained(size)
    indices, values, label = batch(seed=99)
    offset = 0.4
    seen = model.forward(indices, values)
    g = torch.sigmoid(seen.logit_B + offset) - label
    embedding = model.dense_gradient(seen, g)
    with torch.enable_grad():
        model.dense.requires_grad_(True)
        model.p = model.views(model.dense)
        model.embedding.requires_grad_(True)
        logit = model.logits(indices, values, finished=False) + offset
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, label, reduction="sum")
        wanted = torch.autograd.grad(loss, [model.dense, model.embedding] if size > 1 else [model.dense])
    torch.testing.assert_close(model.gradient, wanted[0], rtol=1e-4, atol=1e-5)
    if size > 1:
        table = torch.zeros_like(wanted[1]).index_add_(0, indices.reshape(-1), embedding)
        torch.testing.assert_close(table, wanted[1], rtol=1e-4, atol=1e-5)


BAG = Bag(places=4, padding=60)
"""Beside three plain fields; its values have the rows 41 to 59, and 40 is the missing one."""


def with_list(size=4, seed=3):
    return Model(fields=3, table_rows=61, numbers=0, bags=(BAG,), size=size, seed=seed, device="cpu")


def listed(rows=64, seed=0):
    """Rows of two plain fields and a list of up to four values; the label hangs on all of these."""
    generator = torch.Generator().manual_seed(seed)
    plain = torch.randint(0, 20, (rows, 2), generator=generator) + torch.tensor([0, 20])
    values = torch.randint(41, 60, (rows, 4), generator=generator)
    length = torch.randint(0, 5, (rows, 1), generator=generator)
    places = torch.where(torch.arange(4) < length, values, 60)
    places[:, 0] = torch.where(length[:, 0] == 0, 40, places[:, 0])
    logit = (
        torch.where(places < 60, places % 3 - 1.0, 0.0).sum(1) + (plain[:, 0] % 2 == plain[:, 1] % 2).float()
    )
    label = (torch.rand(rows, generator=generator) < torch.sigmoid(logit - 0.5)).float()
    return torch.cat([plain, places], 1), torch.empty((rows, 0)), label


def taught_lists(size, steps=300):
    model = with_list(size)
    for seed in range(steps):
        step(model, listed(rows=256, seed=seed), offset=0.0)
    return model


@pytest.mark.parametrize("size", [1, 4])
def test_a_list_counts_as_the_sum_of_its_values_over_the_root_of_their_number(size):
    model = taught_lists(size, steps=5)
    indices = torch.tensor([[0, 20, 41, 42, 43, 60], [1, 21, 40, 60, 60, 60]])
    seen = model.forward(indices, torch.empty((2, 0)))
    for row, values in enumerate(([41, 42, 43], [40])):
        root = len(values) ** 0.5
        if size > 1:
            wanted = model.embedding[values].sum(0) / root
            torch.testing.assert_close(seen.x0_Bd[row, -model.widths.embedding :], wanted)
        else:
            linear = model.wide[indices[row, :2]].sum() + model.wide[values].sum() / root
            torch.testing.assert_close(seen.logit_B[row], linear + model.bias[0])


@pytest.mark.parametrize("size", [1, 4])
def test_the_written_out_gradient_of_lists_equals_autograd(size):
    model = taught_lists(size, steps=30)
    indices, values, label = listed(seed=99)
    seen = model.forward(indices, values)
    g = torch.sigmoid(seen.logit_B) - label
    embedding = model.dense_gradient(seen, g)
    wide = model.linear_gradient(seen, g)
    with torch.enable_grad():
        parameters = [model.wide, model.dense, model.embedding] if size > 1 else [model.wide]
        for parameter in parameters:
            parameter.requires_grad_(True)
        model.p = model.views(model.dense)
        logit = model.logits(indices, values, finished=False)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, label, reduction="sum")
        wanted = torch.autograd.grad(loss, parameters)
    flat = indices.reshape(-1)
    torch.testing.assert_close(torch.zeros(61).index_add_(0, flat, wide), wanted[0], rtol=1e-4, atol=1e-5)
    if size > 1:
        torch.testing.assert_close(model.gradient, wanted[1], rtol=1e-4, atol=1e-5)
        table = torch.zeros_like(wanted[2]).index_add_(0, flat, embedding)
        torch.testing.assert_close(table, wanted[2], rtol=1e-4, atol=1e-5)


def test_an_empty_place_is_never_trained():
    before, after = with_list(), taught_lists(4)
    assert torch.equal(after.wide[60], before.wide[60])
    assert torch.equal(after.embedding[60], before.embedding[60])


@pytest.mark.parametrize(("small", "large"), [(1, 4), (4, 6)])
def test_growing_a_model_with_lists_changes_no_prediction(small, large):
    model, grown = taught_lists(small), with_list(large, seed=8)
    grow(model, grown)
    rows = listed(seed=50)[:2]
    before, after = (m.logits(*rows, finished=True) for m in (model, grown))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("large", "small", "lost"), [(8, 6, 0.02), (8, 2, 0.1), (8, 1, 0.2)])
def test_shrinking_a_model_with_lists_keeps_nearly_all_predictions(large, small, lost):
    model, shrunk = taught_lists(large), with_list(small, seed=8)
    shrink(model, shrunk, FIRST_ROWS)
    rows = listed(rows=4_096, seed=900)[:2]
    mine, theirs = (m.logits(*rows, finished=True) for m in (shrunk, model))
    assert 0.0 < float((mine - theirs).var() / theirs.var()) < lost


@pytest.mark.parametrize("size", [1, 4])
def test_the_gradient_norm_is_of_the_newest_batch_s_mean_loss(size):
    model = make(size)
    assert model.gradient_norm() is None
    step(model, batch(seed=1))
    indices, values, label = batch(seed=2)
    with torch.enable_grad():
        before = make(size)
        before.load(model.tensors())
        before.dense.requires_grad_(True)
        before.bias.requires_grad_(True)
        before.p = before.views(before.dense)
        logit = before.logits(indices, values, finished=False) + 0.4
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, label)
        gradients = torch.autograd.grad(loss, [before.dense, before.bias])
    step(model, (indices, values, label))
    assert model.gradient_norm() == pytest.approx(float(torch.cat(gradients).norm()), rel=1e-4)


def test_repeated_rows_of_a_batch_are_updated_once_with_their_summed_gradient():
    model = make(size=1, numbers=0)
    step(model, (torch.tensor([[0, 20, 40], [0, 21, 40]]), torch.empty((2, 0)), torch.ones(2)), offset=0.0)
    # Both rows have d loss / d logit = -0.5: rows 0 and 40 sum to -1, the others to -0.5.
    assert model.wide[0].item() == pytest.approx(0.05 * 1.0 / np.sqrt(1 + 1.0))
    assert model.wide[20].item() == pytest.approx(0.05 * 0.5 / np.sqrt(1 + 0.25))
    assert model.wide[1].item() == 0.0


@pytest.mark.parametrize("size", [1, 4])
def test_rows_that_take_their_steps_at_every_occurrence_end_as_those_that_are_brought_together(size):
    together, apart = make(size), make(size)
    apart.compacts = False
    for seed in range(20):
        for model in (together, apart):
            step(model, batch(seed=seed))
    for name, tensor in together.tensors().items():
        torch.testing.assert_close(apart.tensors()[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


def test_the_linear_part_has_its_own_accumulator():
    model = trained(4)
    assert (model.wide_sum[:20] > 5 * model.embedding_sum[:20]).all()


def test_a_loss_that_is_not_finite_changes_nothing():
    model = trained(4)
    before = {k: v.clone() for k, v in model.tensors().items()}
    assert not np.isfinite(step(model, batch(), offset=float("inf")))
    for name, tensor in model.tensors().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(("small", "large"), [(1, 4), (4, 6), (4, 4)])
def test_growing_changes_no_prediction_and_the_grown_model_learns(small, large, finished):
    model, grown = trained(small), make(large, seed=8)
    grow(model, grown)
    rows = batch(seed=50)
    before, after = (m.logits(*rows[:2], finished=finished) for m in (model, grown))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)
    start = step(grown, rows)
    for _ in range(50):
        end = step(grown, rows)
    assert end < start
    assert grown.step == model.step + 51


FIRST_ROWS = torch.tensor([0, 20, 40])


def telling(rows=256, seed=0):
    """As ``batch``, with labels that hang on a field, a number, and two fields together."""
    indices, values, _ = batch(rows, seed)
    together = (indices[:, 0] % 2 == indices[:, 1] % 2).float()
    logit = (indices[:, 2] % 3).float() - 2.0 + together + torch.nan_to_num(values[:, 1])
    random = torch.Generator().manual_seed(seed + 1)
    return indices, values, (torch.rand(rows, generator=random) < torch.sigmoid(logit)).float()


@cache
def _taught(size):
    model = make(size)
    for seed in range(400):
        rows = telling(seed=seed)
        model.observe_numbers(rows[1])
        step(model, rows, offset=0.0)
    return model


def taught(size):
    """A model that has learned from many rows."""
    return _taught(size).copy()


def unlike(model, other):
    """Variance of the difference of two models' log-odds, relative to that of the second."""
    rows = telling(rows=4_096, seed=900)
    mine, theirs = (m.logits(*rows[:2], finished=True) for m in (model, other))
    return float((mine - theirs).var() / theirs.var())


@pytest.mark.parametrize(("large", "small", "lost"), [(8, 6, 0.02), (8, 2, 0.05), (8, 1, 0.2)])
def test_shrinking_keeps_nearly_all_predictions_and_the_shrunk_model_learns_on(large, small, lost):
    model, shrunk = taught(large), make(small, seed=8)
    shrink(model, shrunk, FIRST_ROWS)
    assert 0.0 < unlike(shrunk, model) < lost
    before = unlike(shrunk, model)
    assert shrunk.step == model.step
    for seed in range(400, 600):
        step(shrunk, telling(seed=seed), offset=0.0)
    assert torch.isfinite(shrunk.logits(*telling()[:2], finished=True)).all()
    assert unlike(shrunk, model) < 2 * before + 0.1


def test_the_more_is_left_of_a_model_the_nearer_it_is_where_values_act_together():
    model = taught(8)
    model.embedding.mul_(6.0)
    found = []
    for size in (1, 2, 4, 7):
        smaller = make(size, seed=8)
        shrink(model, smaller, FIRST_ROWS)
        found.append(unlike(smaller, model))
    assert found == sorted(found, reverse=True), found
    assert found[-1] < 0.5 * found[0]


def test_a_model_without_numbers_and_one_that_saw_no_row_can_be_shrunk():
    for size in (1, 2):
        model, shrunk = make(8, numbers=0), make(size, seed=8, numbers=0)
        shrink(model, shrunk, FIRST_ROWS)
        indices, values = batch()[0], torch.empty((64, 0))
        before, after = (m.logits(indices, values, finished=True) for m in (model, shrunk))
        torch.testing.assert_close(after, before, atol=0.05, rtol=0.0)


def test_a_model_of_numbers_alone_can_be_shrunk():
    model = Model(fields=0, table_rows=0, numbers=3, size=8, seed=3, device="cpu")
    values = torch.randn((512, 3), generator=torch.Generator().manual_seed(0))
    model.observe_numbers(values)
    none = torch.empty((512, 0), dtype=torch.int64)
    for size in (1, 2):
        smaller = Model(fields=0, table_rows=0, numbers=3, size=size, seed=8, device="cpu")
        shrink(model, smaller, torch.empty(0, dtype=torch.int64))
        before, after = (m.logits(none, values, finished=True) for m in (model, smaller))
        assert float((after - before).var() / before.var()) < 0.7


def test_few_rows_and_many_inputs_are_fitted_by_the_same_formula():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn((40, 39), generator=generator)
    wanted = inputs[:, :2] * 3.0 + 1.0
    few = least_squares(inputs, wanted)
    none = torch.zeros((40, 10))
    many = least_squares(torch.cat([inputs, none], 1), wanted)
    torch.testing.assert_close(many[0][:39], few[0], atol=0.02, rtol=0.02)
    torch.testing.assert_close(many[0][39:], torch.zeros((10, 2)), atol=1e-5, rtol=0.0)


def test_a_matrix_oflow_rank_is_found_again_from_its_factors():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn((30, 4), generator=generator) @ torch.randn((4, 20), generator=generator)
    left, right = low_rank(matrix, 4)
    torch.testing.assert_close(left @ right, matrix, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(left.t() @ left, torch.eye(4), atol=1e-5, rtol=0.0)


def test_numbers_are_standardised_by_what_was_seen():
    model = make()
    values = torch.randn((1000, 2), generator=torch.Generator().manual_seed(0)) * 3 + 5
    for part in values.split(100):
        model.observe_numbers(part)
    torch.testing.assert_close(model.number_stats[0].float(), values.mean(0), rtol=1e-4, atol=1e-4)
    spread = (model.number_stats[1] - model.number_stats[0].square()).sqrt().float()
    torch.testing.assert_close(spread, values.std(0, correction=0), rtol=1e-4, atol=1e-4)
