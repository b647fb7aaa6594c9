"""What something costs: CPU time of this thread alone, without the garbage of the tests before it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of `work`.

    Other threads of a test process may be busy (an engine that merges), and the collector goes through whatever earlier
    tests have left: neither says anything of the work.
    """
    gc.collect()
    gc.disable()
    try:
        began = time.thread_time()
        work()
        return time.thread_time() - began
    finally:
        gc.enable()
