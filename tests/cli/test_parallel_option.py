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
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    said = ask(SMOKE)
    assert (said.code, said.out) == (2, "")
    line = "error: 2 processes are at the same run: add --engine parallel, or start one\n"
    assert said.err == (line if heard else "")


def test_a_rank_that_others_have_set_silences_nobody_and_one_alone_is_not_enough(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert "--seeds 0: input should be greater" in ask(SMOKE, "--seeds 0").err
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = ask(SMOKE, "--engine parallel")
    assert said.code == 2
    assert "wants LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT: start by torchrun -m" in said.err
