"""Which version of a model, a dataset or a folder is at hand: commits of the hub, digests of files;
and the first line of an error that another library raises."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from backend.schema import ModelError

TIMEOUT = 20  # seconds that a dataset's commit is waited for
LOCAL_COPY = "Check the name and the network, or give a local copy as folder:<path>."


def model_commit(repository: str, revision: str = "", file: str = "") -> str:
    """The commit that a model repository has now; where the hub cannot be reached, that of the
    local copy: of its `file` where one is named, else of its main branch.

    Raises:
        Exception: the hub cannot be reached and there is no such copy. The hub client raises many
            kinds, so callers catch all and tell what they asked for.
    """
    from huggingface_hub import HfApi

    try:
        return str(HfApi().model_info(repository, revision=revision or None).sha)
    except Exception:
        local = _commit_of_file(repository, revision, file) if file else local_commit(repository)
        if local and (file or revision in ("", local)):
            return local
        raise


def dataset_commit(name: str) -> str:
    """The commit that a dataset of the hub has now; raises as `model_commit`."""
    from huggingface_hub import HfApi

    return str(HfApi().dataset_info(name, timeout=TIMEOUT).sha)


def local_commit(repository: str) -> str:
    """The commit of the local copy of a model repository; empty where there is none."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=repository, repo_type="model")
    main = Path(HF_HUB_CACHE) / folder / "refs" / "main"
    return main.read_text().strip() if main.is_file() else ""


def _commit_of_file(repository: str, revision: str, file: str) -> str:
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repository, file, revision=revision or None)
    return Path(cached).parent.name if isinstance(cached, str) else ""


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
