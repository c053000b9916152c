"""A directory of generated files holds what it should, and what is not the generator's stays."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.sortie.platform.plugins.module_utils._files import write

LINE = "# generated"


def test_files_are_written_behind_the_generators_line(tmp_path: Path) -> None:
    outcome = write(tmp_path / "acme", {"a.yaml": "a: 1\n"}, LINE)
    assert outcome.written == ["a.yaml"]
    assert (tmp_path / "acme" / "a.yaml").read_text() == "# generated\na: 1\n"


def test_a_second_time_nothing_is_written(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "a: 1\n"}, LINE)
    outcome = write(tmp_path, {"a.yaml": "a: 1\n"}, LINE)
    assert (outcome.written, outcome.removed) == ([], [])


def test_a_file_that_is_no_longer_given_is_removed(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "", "b.yaml": ""}, LINE)
    assert write(tmp_path, {"a.yaml": ""}, LINE).removed == ["b.yaml"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


def test_a_file_of_someone_else_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("mine\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    assert write(tmp_path, {}, LINE).removed == []
    assert (tmp_path / "notes.md").read_text() == "mine\n"


def test_a_dry_run_tells_and_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "a: 1\n", "b.yaml": ""}, LINE)
    outcome = write(tmp_path, {"a.yaml": "a: 2\n"}, LINE, dry_run=True)
    assert (outcome.written, outcome.removed) == (["a.yaml"], ["b.yaml"])
    assert outcome.before["a.yaml"] == "# generated\na: 1\n"
    assert outcome.after["a.yaml"] == "# generated\na: 2\n"
    assert (tmp_path / "a.yaml").read_text() == "# generated\na: 1\n"
    assert (tmp_path / "b.yaml").exists()
