"""Resources and work folders for the local driver's tests."""

import pytest
import yaml

from local.fake_resource import resource_body


@pytest.fixture
def write(tmp_path):
    """Writes a resource file; keyword arguments as for ``resource_body``."""

    def write_file(**changes):
        path = tmp_path / "fake.yaml"
        path.write_text(yaml.safe_dump(resource_body(tmp_path, **changes)))
        return path

    return write_file


@pytest.fixture
def launches(tmp_path):
    """Reads the launches that the fake trainer noted, as ``start RUN`` and ``end RUN``."""

    def read():
        path = tmp_path / "launches"
        return path.read_text().splitlines() if path.exists() else []

    return read
