"""Which version of a model, a dataset or a folder is at hand: commits of the hub, digests of files;
and the first line of an error that another library raises."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from backend.schema import ModelError

TIMEOUT = 20  # seconds that a dataset's commit is waited for
LOCAL_COPY = "Check the name and the network, or give a local copy as folder:<path>."


def model_commit(repository: str, revision: str = "") -> str:
    """The commit that a model repository has now; where the hub cannot be reached, that of the
    local copy.

    Raises:
        Exception: the hub cannot be reached and there is no such copy. The hub client raises many
            kinds, so callers catch all and tell what they asked for.
    """
    from huggingface_hub import HfApi

    try:
        return str(HfApi().model_info(repository, revision=revision or None).sha)
    except Exception:
        if local := local_commit(repository, revision):
            return local
        raise


def dataset_commit(name: str) -> str:
    """The commit that a dataset of the hub has now; raises as `model_commit`."""
    from huggingface_hub import HfApi

    return str(HfApi().dataset_info(name, timeout=TIMEOUT).sha)


def local_commit(repository: str, revision: str = "") -> str:
    """The commit of the local copy of a model repository; empty where there is none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(repository, revision=revision or None, local_files_only=True)
    except LocalEntryNotFoundError:
        return ""
    return Path(folder).name


def sha256(path: Path) -> bytes:
    """The digest of a file, which is read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def files_digest(
    paths: Iterable[Path],
    name: Callable[[Path], str] | None = None,
    digest_of: Callable[[Path], bytes] = sha256,
) -> str:
    """16 hex digits that change with the files: their order, contents (`digest_of`) and, where
    `name` gives them, names."""
    digest = hashlib.sha256()
    for path in paths:
        if name is not None:
            digest.update(f"{name(path)}\0".encode())
        digest.update(digest_of(path))
    return digest.hexdigest()[:16]


def unreadable(source: str, error: Exception, remedy: str = LOCAL_COPY) -> ModelError:
    """`error`, which a library raised for a model, an SAE or an embedder."""
    return ModelError(f"{source} cannot be loaded: {first_line(error)}", remedy)


def first_line(error: Exception, limit: int = 300) -> str:
    """What an error says first; the name of its kind where it says nothing."""
    return (str(error).strip() or type(error).__name__).split("\n")[0][:limit]
