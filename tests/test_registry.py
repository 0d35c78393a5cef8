"""Names of plug-ins: built in or added by somebody's package, imported only when used, suggested when misspelt."""

import subprocess
import sys
from pathlib import Path

import pytest

from gancluster import registry
from gancluster.cli.app import run
from gancluster.critics import NonSaturating
from gancluster.errors import UnknownName

CODE = '''"""Somebody's plug-ins."""
from gancluster.critics import NonSaturating
class Softer(NonSaturating):
    pass
class ClusterGAN:
    name, paper, config_type, presets = "clustergan", "an impostor", None, None
'''
POINTS = """[gancluster.critics]
softer = somebodys_plugins:Softer
gone = somebodys_plugins:Gone

[gancluster.methods]
clustergan = somebodys_plugins:ClusterGAN
mine = somebodys_plugins:ClusterGAN
"""


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed distribution with entry points, as pip would have left it."""
    info = tmp_path / "somebodys_gans-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys-gans\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (tmp_path / "somebodys_plugins.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    registry._added.cache_clear()
    yield tmp_path
    registry._added.cache_clear()
    sys.modules.pop("somebodys_plugins", None)


@pytest.mark.usefixtures("added")
def test_a_plug_in_of_an_installed_package_is_found_by_its_name() -> None:
    critic = registry.find("critics", "softer")
    assert issubclass(critic, NonSaturating)
    assert critic.__module__ == "somebodys_plugins"


@pytest.mark.usefixtures("added")
def test_origins_name_the_package_that_adds_and_built_ins_win() -> None:
    assert registry.origins("critics")["softer"] == "somebodys-gans 1.0"
    assert registry.origins("critics")["gan"] == "gancluster"
    assert registry.origins("methods")["mine"] == "somebodys-gans 1.0"
    assert registry.origins("methods")["clustergan"] == "gancluster"
    assert registry.find("methods", "clustergan").__module__ == "gancluster.methods.clustergan"


@pytest.mark.usefixtures("added")
def test_listing_imports_no_plug_in() -> None:
    registry.origins("critics")
    registry.origins("methods")
    assert "somebodys_plugins" not in sys.modules


@pytest.mark.usefixtures("added")
def test_a_plug_in_is_suggested_like_a_built_in() -> None:
    with pytest.raises(UnknownName, match="there is no critic 'softr'; did you mean softer"):
        registry.find("critics", "softr")


@pytest.mark.usefixtures("added")
def test_a_plug_in_that_cannot_be_imported_is_reported_with_its_package() -> None:
    with pytest.raises(UnknownName) as caught:
        registry.find("critics", "gone")
    assert "somebodys-gans" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("added")
def test_a_plug_in_is_listed_by_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["methods"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if "mine" in line]
    assert len(rows) == 1
    assert "an impostor" in rows[0]
    assert "somebodys-gans" in rows[0]


@pytest.mark.parametrize("kind", registry.BUILT_IN)
def test_every_built_in_can_be_imported(kind: registry.Kind) -> None:
    for name in registry.BUILT_IN[kind]:
        assert registry.find(kind, name) is not None


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        ("methods", "clustergn", "there is no method 'clustergn'; did you mean clustergan"),
        ("methods", "qqq", "there is no method 'qqq'; known: "),
        ("critics", "wgangp", "there is no critic 'wgangp'; did you mean wgan-gp or wgan or wgan-lp?"),
        ("critics", "qqq", "there is no critic 'qqq'; known: frobenius, gan, kl-gan, meg, ns-gan, r1, sn-gan, wgan"),
        ("datasets", "minst", "there is no data set 'minst'; did you mean mnist"),
        ("datasets", "", "there is no data set ''; known: celeba, cifar10, "),
    ],
)
def test_an_unknown_name_gets_the_nearest_or_all(kind: registry.Kind, name: str, says: str) -> None:
    with pytest.raises(UnknownName) as caught:
        registry.find(kind, name)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_looking_names_up_imports_nothing_heavy() -> None:
    script = (
        "import sys; from gancluster import registry; [registry.origins(k) for k in registry.BUILT_IN]; "
        "print([m for m in ('torch', 'torchvision', 'pandas', 'sklearn', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
