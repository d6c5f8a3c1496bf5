"""Worker processes that earlier tests have started."""

from __future__ import annotations

import contextlib

import psutil

from backend import settings


def end_workers() -> None:
    """Ends those that serve this cache, so that what is queued stays queued."""
    cache, ours = str(settings.current().cache), []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_worker = {"backend", "worker"} <= set(process.cmdline())
            if is_worker and process.environ().get("TESSERA_CACHE") == cache:
                process.terminate()
                ours.append(process)
    psutil.wait_procs(ours, timeout=30)
