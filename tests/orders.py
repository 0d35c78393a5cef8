"""What tests let the workers of a cluster do in the place of training: what a job's options say, and nothing else."""

import os
import signal
import threading
from pathlib import Path

from gancluster.bench.executor import News
from gancluster.bench.worker import Job, Tell
from gancluster.runs.run import Request

WENT = threading.Event()  # set when a job that waited has been stopped


def job(name: str, what: str, runs_dir: Path, device: str = "cpu", **fields: object) -> Job:
    """A job that asks for `what`: do, refuse, raise, wait, die, or die once."""
    asked = {"method": "none", "preset": "default", "options": {"what": what}, "dataset": name, "source": name}
    asked |= {"split": "all", "limit": None, "sha256": "", "n_samples": 2, "shape": (2,), "pixel_range": (0.0, 1.0)}
    asked |= {"flips": False, "n_clusters": 2, "seed": 0, "device": device, "precision": "float32", "threads": 1}
    request = Request.model_validate(asked | fields)
    return Job(request=request, runs_dir=runs_dir, data_dir=runs_dir, save_every=0)


def obey(job: Job, tell: Tell, stop: threading.Event) -> News:
    """Do what the job says."""
    key, what = job.request.key, job.request.options["what"]
    tell(News(job=key, state="running"))
    if what == "raise":
        raise ValueError("first line\nlast words")
    if what == "die" or (what == "die once" and not (job.runs_dir / key).exists()):
        job.runs_dir.joinpath(key).touch()
        stop.wait(0.2)  # until it has been heard that the job was begun
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "wait":
        while not stop.wait(0.02):
            tell(News(job=key, state="running", where="waits"))
        WENT.set()
        return News(job=key, state="stopped")
    return News(job=key, state="refused" if what == "refuse" else "ended")
