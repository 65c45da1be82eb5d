"""Writing whole files or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.files import atomic_path, check_writable, write_text_atomically


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def umask():
    """Sets the umask; the test's end restores it."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def test_text_is_written_as_utf8(tmp_path):
    write_text_atomically(tmp_path / "a.txt", "5 µm, 乳腺\n")
    assert (tmp_path / "a.txt").read_bytes() == "5 µm, 乳腺\n".encode()
    assert everything_in(tmp_path) == ["a.txt"]


def test_missing_folders_are_made(tmp_path):
    write_text_atomically(tmp_path / "a" / "b" / "c.txt", "x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_file_name_without_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_text_atomically("c.txt", "x")
    assert everything_in(tmp_path) == ["c.txt"]


def test_old_file_is_whole_until_the_new_one_is(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and everything_in(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("name", ["region.nrrd", "lesion.seg.nrrd", "scan.nii.gz", "case.1__image.nrrd", "plain"])
def test_temporary_file_is_beside_the_target_and_keeps_its_suffix(tmp_path, name):
    with atomic_path(tmp_path / name) as temporary:
        assert temporary.parent == tmp_path
        assert "".join(temporary.suffixes[-2:]).endswith("".join(Path(name).suffixes[-2:]))
        assert temporary.name != name and temporary.name.startswith(".")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, InputError, SystemExit])
def test_interrupted_writing_leaves_nothing_behind(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error("stop")
    assert path.read_text() == "old" and everything_in(tmp_path) == ["a.txt"]


def test_interrupted_writing_of_a_new_file_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert everything_in(tmp_path) == []


def test_full_disk_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"a\.txt' cannot be written \(No space left on device\)"):
        with atomic_path(tmp_path / "a.txt"):
            raise OSError(28, "No space left on device")
    assert everything_in(tmp_path) == []


def test_failure_of_the_last_step_is_an_input_error(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        write_text_atomically(tmp_path / "a.txt", "x")
    monkeypatch.undo()
    assert everything_in(tmp_path) == []


def both(path: Path) -> list[str]:
    """Messages with which writing and the check before it refuse a path."""
    messages = []
    for attempt in (lambda: write_text_atomically(path, "x"), lambda: check_writable(path)):
        with pytest.raises(InputError, match="cannot be written") as caught:
            attempt()
        messages.append(str(caught.value))
        assert "\n" not in messages[-1] and str(path) in messages[-1]
    return messages


@pytest.mark.parametrize("below", ["a.txt", "deeper/a.txt"])
def test_file_in_place_of_the_folder(tmp_path, below):
    # Not chmod: these tests may run as root, who may write everywhere.
    (tmp_path / "file").write_text("mine")
    both(tmp_path / "file" / below)
    assert (tmp_path / "file").read_text() == "mine" and everything_in(tmp_path) == ["file"]


def test_folder_in_place_of_the_file(tmp_path):
    (tmp_path / "out").mkdir()
    assert all("no file" in message for message in both(tmp_path / "out"))
    assert everything_in(tmp_path) == ["out"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_device_or_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    both(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo() and everything_in(tmp_path) == ["pipe"]


def test_check_leaves_nothing_and_touches_nothing(tmp_path):
    (tmp_path / "a.txt").write_text("mine")
    check_writable(tmp_path / "a.txt")
    check_writable(tmp_path / "new.txt")
    assert everything_in(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_text() == "mine"


def test_check_makes_the_folder(tmp_path):
    check_writable(tmp_path / "new" / "a.txt")
    assert everything_in(tmp_path) == ["new"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_those_of_any_new_file(tmp_path, umask, mask, mode):
    umask(mask)
    write_text_atomically(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode
    assert umask(mask) == mask  # and the umask itself is as it was
