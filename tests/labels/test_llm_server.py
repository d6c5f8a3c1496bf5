"""A real server that others wrote, `transformers serve`, with the demo's model behind it.

That model continues text and follows no instructions, so its chat template shows it the form of a
reply, and a line break ends what it says.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.corpus import passages
from backend.features import codes
from backend.labels import evidence, writers
from backend.labels.contract import Evidence, Message
from backend.labels.costs import Cap, capped
from backend.labels.explainers import EXPLAINERS, Context
from backend.labels.server import Server
from backend.labels.writers import OpenAiWriter, server_ref
from backend.schema import LlmUnavailableError
from backend.study import loading as studies

pytestmark = [pytest.mark.real, pytest.mark.slow]

NAME = "demo-chat"
PATIENCE = 120  # seconds until the server has to answer
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message.content }}\n\n{% endfor %}"
    "Reply: [EXPLANATION]: names of rivers\n\nReply: [EXPLANATION]: verbs in the past\n\nReply:"
)


@dataclass(frozen=True)
class Served:
    process: subprocess.Popen[bytes]
    server: Server


def with_template(model: Path, folder: Path) -> None:
    """The same model in another folder, with a chat template and line breaks that end a reply."""
    from transformers import AutoTokenizer

    folder.mkdir()
    for file in model.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    vocabulary = AutoTokenizer.from_pretrained(model).get_vocab()
    tools = json.loads((model / "generation_config.json").read_text())
    ends = [tools["eos_token_id"], vocabulary["\n"], vocabulary["\n\n"]]
    (folder / "generation_config.json").unlink()
    (folder / "generation_config.json").write_text(json.dumps(tools | {"eos_token_id": ends}))


@pytest.fixture(scope="module")
def served(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server, once it is up; a test may kill it."""
    [model] = (real / "cache" / "models").glob("gemma3-*")
    root = tmp_path_factory.mktemp("served")
    with_template(model, root / NAME)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = str(Path(sys.executable).with_name("transformers"))
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "serve", NAME, *options],
            cwd=root,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(process, f"http://127.0.0.1:{port}/health", root / "log")
        yield Served(process, Server(f"http://127.0.0.1:{port}/v1", NAME))
    finally:
        process.kill()
        process.wait()


def wait_for(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture
def excerpts(demo: str) -> Evidence:
    """Of the feature that fires most."""
    study = studies.load(demo)
    source = evidence.of_features(codes.index(study.reading, study.require_sae()))
    tokens = passages.tokens_of(study.model, study.corpus)
    often = max(source.frequent().tolist(), key=lambda number: len(source.column(number).rows))
    return evidence.draw(source, tokens, often, evidence.Sampling())


def test_a_label_is_written_once_and_read_from_disk_ever_after(
    served: Served, excerpts: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TESSERA_LLM_URL", served.server.base_url)
    monkeypatch.setenv("TESSERA_LLM_MODEL", NAME)
    explain = EXPLAINERS["eleuther_acts_top5"].explain
    writer = OpenAiWriter(server_ref(served.server))
    with capped(Cap(calls=2), None) as meter:
        label = explain(excerpts, Context(writer=writer))
    assert bool(label.text) != bool(label.failed)
    assert 1 <= meter.paid.calls <= 2  # a second attempt, where the form was not kept
    # the server counts tokens: five excerpts of up to 127, and a reply
    assert 5 * 20 < meter.paid.prompt_tokens < 2 * 5 * 400
    assert 0 < meter.paid.reply_tokens <= 2 * 600

    monkeypatch.setattr(writers, "TRIES", 2)
    monkeypatch.setenv("TESSERA_LLM_MODEL", "no-such-model")
    wrong = OpenAiWriter(server_ref(Server(served.server.base_url, "no-such-model")))
    with pytest.raises(LlmUnavailableError, match="does not know the model 'no-such-") as error:
        wrong.write([Message("user", "Hello")])
    assert "TESSERA_LLM_MODEL" in error.value.remedy

    served.process.kill()
    served.process.wait()
    monkeypatch.setenv("TESSERA_LLM_MODEL", NAME)
    with capped(Cap(calls=2), None) as meter:
        assert explain(excerpts, Context(writer=writer)) == label
        assert meter.paid.calls == 0
        with pytest.raises(LlmUnavailableError, match="cannot be reached"):
            writer.write([Message("user", "Hello")])
