"""A process that carries out jobs: one a line on its standard input, what happens to each a line on its output.

It ends as soon as nobody is left at the other end, in the middle of a job as well: whoever repeats the job would find
it at work in the same folder. So it listens before it imports anything that takes time.
"""

from __future__ import annotations

import os
import sys
import threading
from queue import Queue


def _listen(jobs: Queue[str]) -> None:
    for line in sys.stdin:
        jobs.put(line)
    os._exit(0)


def main() -> None:
    """Carry out jobs until there is nobody to ask for more."""
    jobs = Queue[str]()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer

    from gancluster.bench.executor import News
    from gancluster.bench.worker import Job, carry_out

    def tell(news: News) -> None:
        print(news.model_dump_json(), file=answers, flush=True)

    while True:
        tell(carry_out(Job.model_validate_json(jobs.get()), tell))


if __name__ == "__main__":
    main()
