"""Devices and threads, by the names a user gives them."""

import os

import pytest
import torch

from gancluster.engine import device
from gancluster.errors import UserError


def with_cuda(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_auto_takes_a_cuda_device_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with_cuda(monkeypatch, 0)
    assert device.pick("auto") == torch.device("cpu")
    with_cuda(monkeypatch, 2)
    assert device.pick("auto") == torch.device("cuda")
    assert device.pick("cpu") == torch.device("cpu")
    assert device.pick("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize(
    ("name", "count", "says"),
    [
        ("gpu", 0, "there is no device 'gpu'; use auto, cpu, cuda or cuda:N"),
        ("", 0, "there is no device ''"),
        ("cuda", 0, "this machine has 0 CUDA devices, not 'cuda'; use --device cpu"),
        ("cuda:2", 2, "this machine has 2 CUDA devices, not 'cuda:2'"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, count: int, says: str
) -> None:
    with_cuda(monkeypatch, count)
    with pytest.raises(UserError) as caught:
        device.pick(name)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["meta", "xla", "mps", "cpu:3"])
def test_devices_that_nothing_is_played_on_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="use auto, cpu, cuda or cuda:N"):
        device.pick(name)


def test_threads_are_what_was_asked_for_and_the_machine_says_so() -> None:
    before = torch.get_num_threads()
    try:
        device.use_threads(2)
        assert torch.get_num_threads() == 2
        assert device.machine(torch.device("cpu")).endswith(
            f" CPU, {os.cpu_count()} cores, 2 threads, torch {torch.__version__}"
        )
    finally:
        torch.set_num_threads(before)
