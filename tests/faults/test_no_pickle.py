"""Nothing in the package can run code that stands in a file: no pickle, no eval, no shell."""

import ast
from collections.abc import Iterator
from pathlib import Path

import gancluster

MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {"eval", "exec", "compile", "os.system", "os.popen", "torch.load", "pd.read_pickle", "pandas.read_pickle"}
OPTIONS = {"allow_pickle": False, "weights_only": True, "shell": False}  # the only values that these may have


def wrong_in(tree: ast.AST) -> Iterator[str]:
    """What runs what it reads, with its line."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""] if (node.module or "").partition(".")[0] in MODULES else []
        elif isinstance(node, ast.Call):
            names = [ast.unparse(node.func)] if ast.unparse(node.func) in CALLS else []
            for option in node.keywords:
                if option.arg in OPTIONS and ast.unparse(option.value) != str(OPTIONS[option.arg]):
                    names.append(ast.unparse(option))
        yield from (f"line {node.lineno}: {name}" for name in names)  # type: ignore[attr-defined]


def test_nothing_runs_what_it_reads() -> None:
    paths = list(Path(gancluster.__file__).parent.rglob("*.py"))
    assert len(paths) > 100
    assert {str(path): found for path in paths if (found := list(wrong_in(ast.parse(path.read_text()))))} == {}


def test_the_search_would_find_it() -> None:
    """The control."""
    lines = ["import pickle", "from joblib import load", "torch.load(p)", "np.load(p, allow_pickle=True)", "eval(x)"]
    for line in [*lines, "f(shell=True)", "load(weights_only=False)", "import dill.x"]:
        assert len(list(wrong_in(ast.parse(line)))) == 1, line
    assert list(wrong_in(ast.parse("np.load(p, allow_pickle=False); re.compile(x); model.eval()"))) == []
