"""A model that is not what it was in the last run is named in a warning."""

import json

import pytest

from falserefusal.inference.changes import LAST, note_version


@pytest.fixture
def warnings(tmp_path, caplog):
    def note(model="m", **version):
        caplog.clear()
        note_version(tmp_path / "store/m", model, version)
        return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    return note


def test_a_change_is_told_once(warnings, tmp_path):
    assert warnings(revision="a" * 40, template="1") == []
    assert warnings(revision="a" * 40, template="1") == []
    (told,) = warnings(revision="b" * 40, template="1")
    assert "m: its revision changed since the last run" in told and "a" * 40 in told and "b" * 40 in told
    assert warnings(revision="b" * 40, template="1") == []
    assert "template" in warnings(revision="b" * 40, template="2")[0]
    assert "adapter" in warnings(revision="b" * 40, template="2", adapter="3")[0]
    assert "from 3 to none" in warnings(revision="b" * 40, template="2")[0]
    assert json.loads((tmp_path / "store/m" / LAST).read_text()) == {"m": {"revision": "b" * 40, "template": "2"}}


def test_two_rows_of_one_checkpoint_may_be_of_different_commits(warnings):
    for _ in range(2):
        assert warnings(model="old", revision="a") == []
        assert warnings(model="new", revision="b") == []


def test_a_server_whose_weights_are_not_known_is_not_recorded(warnings, tmp_path):
    assert warnings() == [] and not (tmp_path / "store").exists()


def test_a_damaged_record_is_replaced(warnings, tmp_path):
    warnings(revision="a")
    (tmp_path / "store/m" / LAST).write_text("{")
    assert warnings(revision="b") == []
    assert warnings(revision="c") != []
