"""An executor that is this process: what is to be run need not be importable elsewhere, and nothing has to start."""

import threading
from collections.abc import Iterator, Mapping

from gancluster.bench import worker
from gancluster.bench.executor import News


class Here:
    """Carries jobs out one after the other, in as few processes as can be; counts them."""

    def __init__(self, n: int = 1) -> None:
        self.n, self.begun = n, 0

    def run(self, jobs: Mapping[str, str], stop: threading.Event) -> Iterator[News]:
        for job in jobs.values():
            self.begun += 1
            news = list[News]()
            last = worker.carry_out(worker.Job.model_validate_json(job), news.append)
            yield from [*news, last]
            if last.state == "stopped":
                return
