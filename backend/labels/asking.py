"""How a writer is asked for a label, and once more where its first reply holds none."""

from __future__ import annotations

from collections.abc import Sequence

from backend.labels import prompts
from backend.labels.contract import Draw, Message, Writer
from backend.schema import LlmError, LlmUnavailableError

REPLY = 600  # tokens: some thoughts and a label
LINE = 32  # tokens: a label alone, and what a writer goes on with that does not stop there
REDRAWN = 0.7  # temperature of the second draw from a writer that does not obey


def ask(
    writer: Writer, told: Sequence[Message], continued: str, temperature: float
) -> tuple[str, bool]:
    """A label, and whether it took a second attempt: of what a writer that obeys is `told`, or of
    the line that one that does not goes on with after `continued`.

    Raises:
        LlmUnavailableError: it cannot be asked now.
        LlmError: neither attempt gave a label.
    """
    if writer.obeys:
        return _told(writer, told, temperature)
    return _continued(writer, continued, temperature)


def _told(writer: Writer, messages: Sequence[Message], temperature: float) -> tuple[str, bool]:
    """A reply without a label is answered with what was wrong about it."""
    draw = Draw(temperature, REPLY)
    reply = writer.write(messages, draw)
    try:
        return prompts.parse(reply), False
    except LlmError as error:
        reply = writer.write(prompts.again(messages, reply, error), draw)
    return prompts.parse(reply), True


def _continued(writer: Writer, text: str, temperature: float) -> tuple[str, bool]:
    """Where the first draw is no label there is another: what continues text does not listen."""

    def label(draw: Draw) -> str:
        reply = writer.write([Message("user", text)], draw)
        # the cases hold lists, so it may begin one
        return prompts.label(reply.split("\n")[0].strip().removeprefix("- "))

    try:
        return label(Draw(temperature, LINE)), False
    except LlmUnavailableError:
        raise
    except LlmError:
        return label(Draw(REDRAWN, LINE, attempt=1)), True
