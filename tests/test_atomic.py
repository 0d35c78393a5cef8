"""Every file is whole or absent, whatever call of the system fails while it is written."""

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gancluster import atomic
from gancluster.errors import RunError

NEW, OLD = b"new" * 1000, b"old"


class Faults:
    """Counts what is asked of the system, and lets call `at` fail with `code` (a write: halfway)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, code: int = errno.ENOSPC) -> None:
        self.at, self.code, self.calls = at, code, list[str]()
        monkeypatch.setattr(atomic, "open", self._open, raising=False)
        for name in ("open", "fsync", "replace", "close"):
            monkeypatch.setattr(atomic.os, name, self._counted(name, getattr(os, name)))

    def _count(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) == self.at:
            raise OSError(self.code, os.strerror(self.code))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self._count(name)
            return real(*arguments)

        return call

    def _open(self, path: Path, mode: str) -> "FailingFile":
        self._count("open file")
        file = FailingFile(path, mode)
        file.count = self._count
        return file


class FailingFile(io.FileIO):
    count: Callable[[str], None]

    def write(self, content: bytes) -> int:
        half = super().write(content[: len(content) // 2])
        self.count("write")
        return half + super().write(content[half:])

    def flush(self) -> None:
        if not self.closed and hasattr(self, "count"):
            self.count("flush")


def attempt(path: Path, at: int, code: int = errno.ENOSPC) -> tuple[str | None, list[str]]:
    """What `write_bytes` says when call `at` fails, if anything, and which calls it made."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        faults = Faults(monkeypatch, at, code)
        try:
            atomic.write_bytes(path, NEW)
        except RunError as error:
            return str(error), faults.calls
        return None, faults.calls


@pytest.mark.parametrize("before", [OLD, None])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_whatever_call_fails_the_old_file_or_the_new_one_is_there(
    tmp_path: Path, code: int, before: bytes | None
) -> None:
    path = tmp_path / "file"
    _, calls = attempt(tmp_path / "other", at=0)
    assert calls[:6] == ["open file", "write", "flush", "fsync", "flush", "replace"]  # closing flushes too
    assert (tmp_path / "other").read_bytes() == NEW
    for at, name in enumerate(calls, 1):
        path.unlink(missing_ok=True)
        if before is not None:
            path.write_bytes(before)
        said, _ = attempt(path, at, code)
        there = path.read_bytes() if path.exists() else None
        assert {file.name for file in tmp_path.iterdir()} <= {"file", "other"}, f"{name} left something behind"
        if said is None:
            assert there == NEW
        else:
            assert there == before, f"{name} failed and was reported, but the file changed"
            assert said.startswith(f"cannot write {path} ({os.strerror(code).lower()}); ")
            assert "\n" not in said
        assert (said is not None) == (at <= 6), f"after the renaming the file is there: {name}"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^cannot write .*/none/file \(no such file or directory\); "):
        atomic.write_bytes(tmp_path / "none" / "file", NEW)


def test_a_real_full_device_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setattr(atomic, "open", lambda path, mode: io.FileIO("/dev/full", "w"), raising=False)
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with pytest.raises(RunError, match="no space left on device"):
        atomic.write_bytes(path, NEW)
    assert path.read_bytes() == OLD


def test_an_interruption_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "file"
    path.write_bytes(OLD)
    monkeypatch.setattr(atomic.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic.write_bytes(path, NEW)
    assert path.read_bytes() == OLD
    atomic.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_sweeping_removes_what_was_left_and_nothing_else(tmp_path: Path) -> None:
    kept = ["config.json", ".hidden", "part", "a.part", "folder"]
    for name in (*kept[:-1], ".config.json.0a1b2c3d.part", ".checkpoint.safetensors.ffffffff.part"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / ".deeper.part").write_text("x")
    atomic.sweep(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == set(kept)
    assert (tmp_path / "folder" / ".deeper.part").exists()


def test_text_is_utf_8_and_line_ends_are_kept(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "text", "± Ω\n\r\n")
    assert (tmp_path / "text").read_bytes() == "± Ω\n\r\n".encode()


def test_two_writers_at_once_do_not_share_a_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, replace = tmp_path / "file", os.replace

    def meanwhile(*arguments: Any) -> None:
        monkeypatch.setattr(atomic.os, "replace", replace)
        atomic.write_bytes(path, OLD)
        replace(*arguments)

    monkeypatch.setattr(atomic.os, "replace", meanwhile)
    atomic.write_bytes(path, NEW)
    assert path.read_bytes() == NEW
    assert list(tmp_path.iterdir()) == [path]
