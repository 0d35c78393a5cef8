"""Several processes are at a run only where both `torchrun` and `--engine parallel` say so."""

import pytest
from asking import Ask

SMOKE = "train catgan --preset smoke --limit 240"


def test_a_lone_process_shares_nothing(ask: Ask) -> None:
    said = ask(SMOKE, "--engine parallel")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "error: --engine parallel is played by several processes: "
        "start them with torchrun --nproc-per-node 2 -m gancluster …\n"
    )


@pytest.mark.parametrize(("rank", "heard"), [("0", True), ("1", False)])
def test_several_processes_share_when_told_and_one_speaks(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, rank: str, heard: bool
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    said = ask(SMOKE)
    assert (said.code, said.out) == (2, "")
    line = "error: 2 processes are at the same run: add --engine parallel, or start one\n"
    assert said.err == (line if heard else "")
