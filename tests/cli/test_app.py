"""The program as a whole: what it costs to ask, what an error looks like, and how it ends."""

import subprocess
import sys

import pytest
from asking import Ask, Said

from gancluster import __version__
from gancluster.cli import app, methods
from gancluster.errors import Diverged, RunError

HEAVY = ("torch", "torchvision", "numpy", "pandas", "sklearn", "scipy", "matplotlib")


@pytest.mark.parametrize(
    "line", ["--help", "--version", "", "data --help", "eval --help", "train clustergn", "runs --x"]
)
def test_asking_for_help_or_asking_wrongly_imports_nothing_heavy(line: str) -> None:
    script = (
        "import sys; from gancluster.cli.app import run; code = run(sys.argv[1:]); "
        f"print(code, [name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script, *line.split()], capture_output=True, text=True, check=True)
    code, _, imported = done.stdout.splitlines()[-1].partition(" ")
    assert imported == "[]"
    assert code == ("0" if line.endswith(("help", "version")) else "2")


def test_help_names_every_verb(ask: Ask) -> None:
    said = ask("--help")
    assert (said.code, said.err) == (0, "")
    for verb in ("train", "eval", "runs", "methods", "sample", "predict", "embed", "data"):
        assert f" {verb} " in said.out


def test_the_version_is_the_package_s(ask: Ask) -> None:
    assert ask("--version") == Said(0, f"{__version__}\n", "")


def test_every_verb_has_help(ask: Ask) -> None:
    verbs = "train", "train clustergan", "eval", "runs", "methods", "sample", "predict", "embed", "data", "data info"
    for verb in verbs:
        said = ask(verb, "--help")
        assert (said.code, said.err) == (0, ""), verb
        assert f"Usage: gancluster {verb}" in said.out


def test_an_error_of_several_lines_is_said_in_one(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RunError("one\n  two\n\nthree")

    monkeypatch.setattr(methods.registry, "origins", fails)
    assert ask("methods") == Said(2, "", "error: one two three\n")


def test_ctrl_c_outside_of_training_is_one_line_too(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(methods.registry, "origins", pressed)
    said = ask("methods")
    assert said.code == 130
    assert said.err.strip().count("\n") == 0
    assert "Traceback" not in said.err


def test_a_defect_of_our_own_is_not_hidden(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the user can mend is said in a line: anything else keeps its traceback."""

    def defect(*_: object) -> None:
        raise Diverged("a loss", 1, 0)

    monkeypatch.setattr(methods.registry, "origins", defect)
    with pytest.raises(Diverged):
        ask("methods")


def test_the_program_exits_with_the_code_of_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for words, code in {("--version",): 0, ("nonsense",): 2, ("methods", "none"): 2}.items():
        monkeypatch.setattr(sys, "argv", ["gancluster", *words])
        with pytest.raises(SystemExit) as ended:
            app.main()
        assert ended.value.code == code


def test_a_pipe_that_is_closed_early_is_no_traceback() -> None:
    """`gancluster methods clustergan | head -1`."""
    script = "from gancluster.cli.app import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", script, "data", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert "Traceback" not in said


def test_a_path_that_the_system_refuses_is_named_in_one_line(ask: Ask) -> None:
    said = ask("eval", "a" * 300)
    assert said.code == 2
    assert said.err.count("\n") == 1
    said = ask("train kmeans --dataset ~nobody-of-this-name/x.npz")
    assert said.code == 2
    assert "~nobody-of-this-name/x.npz does not exist: give the path of one" in said.err
    said = ask("eval --codes", "b" * 300 + ".npz")
    assert said.code == 2
    assert "file name too long" in said.err.lower()
