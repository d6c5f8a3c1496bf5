"""A study of more than ten thousand features to label, and the app on it, as slow as asked for."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests import conftest
from tests.browser.visits import ROOT

FEATURES, ACTIVE = 10_800, 800
# root may write where modes forbid it; without this capability it is held to them like anybody
FREE = "-dac_override,-dac_read_search"
BOUND = ["setpriv", f"--bounding-set={FREE}", f"--inh-caps={FREE}"] if os.geteuid() == 0 else []
SLOW = """
import sys, time
from backend import queries
keep = queries.decide
def decide(*args):
    time.sleep({delay})
    return keep(*args)
queries.decide = decide
from streamlit.web import cli
sys.argv = ["streamlit", "run", "app.py", "--server.port={port}"]
sys.exit(cli.main())
"""


def build(root: Path) -> Path:
    """Writes the world and computes its features."""
    import torch
    from sae_lens import TopKSAE, TopKSAEConfig

    from backend import run
    from backend.models import language_model
    from backend.regions.feature_answers import features
    from backend.schema import Progress
    from backend.study import loading as studies

    conftest.write_world(root)
    config = TopKSAEConfig(
        d_in=conftest.WIDTH, d_sae=FEATURES, k=ACTIVE, dtype="float32", device="cpu"
    )
    sae = TopKSAE(config)
    torch.manual_seed(2)
    directions = torch.nn.functional.normalize(torch.randn(FEATURES, conftest.WIDTH), dim=1)
    sae.W_dec.data, sae.W_enc.data = directions, directions.T.contiguous()
    sae.b_enc.data.zero_()
    sae.b_dec.data.zero_()
    sae.cfg.metadata.hook_name = f"model.layers.{conftest.LAYER}"
    sae.cfg.metadata.model_name = str(root / "model")
    sae.save_model(root / "sae")
    with conftest.environment(root):
        language_model.vocabulary(studies.load("small").model)
        with run.computing("cpu", Progress()):
            features("small")
    return root


class Server:
    """The app as a process of its own, at one address through any number of starts."""

    def __init__(self, root: Path, annotations: Path, delay: float = 0.0) -> None:
        self.root, self.annotations, self.delay = root, annotations, delay
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        folders = {"STUDIES": self.root / "studies", "CACHE": self.root / "cache"}
        folders["ANNOTATIONS"] = self.annotations
        environment = os.environ | {
            f"TESSERA_{name}": str(folder) for name, folder in folders.items()
        }
        code = SLOW.format(delay=self.delay, port=self.port)
        with (self.root / "app.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*BOUND, sys.executable, "-c", code],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.5)
        raise AssertionError("the app does not start")

    def stop(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(30)


@contextlib.contextmanager
def serving(root: Path, annotations: Path, delay: float = 0.0) -> Iterator[Server]:
    server = Server(root, annotations, delay)
    server.start()
    try:
        yield server
    finally:
        server.stop(signal.SIGKILL)
