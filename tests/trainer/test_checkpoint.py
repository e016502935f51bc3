"""Checkpoints as files and as objects of a store."""

import errno
import resource

import pytest
import torch

from dataefficient_trainer import checkpoint

TENSORS = {"table": torch.arange(4096.0).reshape(512, 8), "step": torch.tensor(3), "none": torch.zeros(0)}
FACTS = {"size": 8, "position": "2001-01-01T00:00:00Z"}


def test_equal_contents_give_equal_bytes_on_disk_and_in_a_store(tmp_path):
    disk = checkpoint.save(str(tmp_path / "new" / "checkpoint"), TENSORS, FACTS)
    store = checkpoint.save("memory://checkpoints/checkpoint", TENSORS, FACTS)
    assert disk.digest == store.digest
    for ref in (disk, store):
        tensors, facts = checkpoint.load(ref, "start")
        assert facts == FACTS
        assert tensors.keys() == TENSORS.keys()
        assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_a_disk_that_takes_no_more_says_so_and_keeps_what_was_there(tmp_path):
    before = checkpoint.save(str(tmp_path / "checkpoint"), TENSORS, FACTS)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large") as found:
            checkpoint.save(before.uri, TENSORS, {**FACTS, "size": 9})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert found.value.errno == errno.EFBIG
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
    assert checkpoint.load(before, "start")[1] == FACTS
