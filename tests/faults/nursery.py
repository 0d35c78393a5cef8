"""A process that has imported all it needs and forks a child for each command line, so that kills are cheap to try.

`Nursery` speaks to it by lines of JSON. No GPU is visible there: what has used one cannot be forked.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

FAST = "--preset smoke --limit 240 --epochs 2 --batch-size 60 --warmup-batch-size 120 --code-size 20 --quiet"


class Ending(NamedTuple):
    """How a child ended: its exit code, or the negative number of the signal that killed it, and what it printed."""

    code: int
    out: str
    err: str


class Nursery:
    """Starts `gancluster` command lines in children of a warmed-up process; `peak`: MiB that the last one came to."""

    peak = 0.0

    def __init__(self) -> None:
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def _ask(self, **question: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(question), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def begin(self, line: str, draw: bool = False, **fault: Any) -> int:
        """Carry out a command line in a child and return its process number; for `fault` see `suffer`."""
        return int(self._ask(line=line.split(), fault=fault, draw=draw))

    def start(self, runs_dir: Path, options: str = "", draw: bool = False, **fault: Any) -> int:
        """Begin a small training of ClusterGAN."""
        return self.begin(f"train clustergan {FAST} --runs-dir {runs_dir} {options}", draw, **fault)

    def until_stopped(self, child: int) -> None:
        """Wait until a child has been sent SIGSTOP."""
        assert self._ask(stopped=child)

    def wait(self, child: int) -> Ending:
        *ending, self.peak = self._ask(wait=child)
        return Ending(*ending)

    def ask(self, line: str, **fault: Any) -> Ending:
        """How a command line ends."""
        return self.wait(self.begin(line, **fault))

    def train(self, runs_dir: Path, options: str = "", draw: bool = False, **fault: Any) -> Ending:
        return self.wait(self.start(runs_dir, options, draw, **fault))

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def suffer(
    kill_at: int = 0,
    signal_at: int = signal.SIGKILL,
    kill_after: float = 0.0,
    full_after: int = -1,
    limit: int = 0,
    copy: str = "",
    of: str = "",
) -> None:
    """Let this process meet a fault, counted in renamings of files, of which every file has one when it is written.

    `kill_at`: killed, or sent `signal_at`, just before that renaming, when the new content lies beside the old.
    `kill_after`: killed after so many seconds. `full_after`: after so many renamings no file can grow beyond `limit`
    bytes, and the folder `of` is copied to `copy` first.
    """
    if kill_after:
        threading.Timer(kill_after, os.kill, (os.getpid(), signal.SIGKILL)).start()
    replace, count = os.replace, 0

    def fill_up() -> None:
        if of:
            shutil.copytree(of, copy)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    def counted(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal_at)
        replace(*arguments)
        if count == full_after:
            fill_up()

    os.replace = counted
    if full_after == 0:
        fill_up()


def serve() -> None:
    """Answer questions until there are no more."""
    outputs: dict[int, tuple[int, int]] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            _, status, used = os.wait4(question["wait"], 0)
            texts = [os.fdopen(end).read() for end in outputs.pop(question["wait"])]
            answer: Any = [os.waitstatus_to_exitcode(status), *texts, used.ru_maxrss / 1024]
        elif "stopped" in question:
            answer = os.WIFSTOPPED(os.waitpid(question["stopped"], os.WUNTRACED)[1])
        else:
            answer, outputs[answer] = fork(**question)
        print(json.dumps(answer), flush=True)


def fork(line: list[str], fault: dict[str, Any], draw: bool) -> tuple[int, tuple[int, int]]:
    """Carry out a command line in a child; its number, and where its output can be read."""
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(out_end, 1)
        os.dup2(err_end, 2)
        code = 99
        try:
            suffer(**fault)
            code = carry_out(line, draw)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(out_end)
    os.close(err_end)
    return child, (out, err)


def carry_out(line: list[str], draw: bool) -> int:
    """The command line's exit code; without `draw` no pictures, which take longer than these trainings.

    The cells of a table are run by the process itself, so that whatever kills it kills them all.
    """
    from here import Here

    from gancluster.bench import local
    from gancluster.cli.app import run
    from gancluster.report import pictures

    local.Processes = Here  # type: ignore[misc, assignment]
    drawing, pictures.draw = pictures.draw, pictures.draw if draw else lambda *_: None
    try:
        return run(line)
    finally:
        pictures.draw = drawing


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[1]))
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        for line in (f"train clustergan {FAST}", "eval", "train infogan --preset smoke --limit 240"):
            carry_out([*line.split(), "--runs-dir", folder], draw=False)  # imports what it uses
    serve()
