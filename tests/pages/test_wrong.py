"""What pages say when a link is wrong, or something fails."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from backend import queries, settings
from backend.schema import CorpusError, Job
from tests.helpers.pages import html_of, opened, param, text_of

PAGES = ("overview", "regions", "features", "document", "jobs", "queue", "tiers")


# ---------------------------------------------------------------- links that are wrong


@pytest.mark.parametrize(
    ("page", "params", "text"),
    [
        ("regions", {"region": 99999}, "There is no region 99999"),
        ("regions", {"region": "abc"}, "region = 'abc', not a region's number"),
        ("regions", {"p": 3.3}, "not a stop of this study"),
        ("regions", {"colour": "mauve"}, "colour = 'mauve'"),
        ("regions", {"area": "1_2_3"}, "an area that cannot be read"),
        ("regions", {"study": "nowhere"}, "There is no study 'nowhere'."),
        ("features", {"feature": 99999}, "There is no feature 99999"),
        ("features", {"draw": "best"}, "draw = 'best'"),
        ("document", {"document": 99999}, "99999"),
        ("document", {"document": 0, "feature": 99999}, "There is no feature 99999"),
        ("jobs", {"job": "nothing"}, "nothing"),
        ("benchmarks", {"which": "mmlu"}, "which = 'mmlu'"),
        ("benchmarks", {"tau": "2"}, "tau = '2'"),
        ("benchmarks", {"pairs": "/nowhere.jsonl"}, "/nowhere.jsonl"),
    ],
)
def test_a_link_to_what_does_not_exist_says_so(
    ready: str, page: str, params: dict[str, Any], text: str
) -> None:
    app = opened(page, False, **params)
    assert 'class="problem"' in html_of(app)
    assert text in text_of(app).replace("&#x27;", "'")


@pytest.mark.parametrize("which", ["ce_bench", "expert_lens", "sage"])
def test_a_benchmark_waits_to_be_asked_and_can_be_cancelled(no_worker: str, which: str) -> None:
    app = opened("benchmarks", which=which)
    assert "Not computed yet" in text_of(app)
    assert queries.jobs() == []
    next(button for button in app.button if button.label.startswith("Run ")).click()
    app.run()
    assert "waiting for its turn" in text_of(app)
    assert [job.query for job in queries.jobs()] == [which]
    next(button for button in app.button if button.label == "Cancel").click()
    app.run()
    assert "cancelled" in text_of(app)


def test_a_study_without_an_sae_says_which_benchmarks_need_one(
    no_worker: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (world / "studies" / "small.toml").read_text()
    begin, end = text.index("[sae]"), text.index("[partition]")
    (tmp_path / "bare.toml").write_text(text[:begin] + text[end:])
    monkeypatch.setenv("TESSERA_STUDIES", str(tmp_path))
    assert "has no SAE" in text_of(opened("benchmarks", False, which="ce_bench"))
    assert "Not computed yet" in text_of(opened("benchmarks", which="expert_lens"))
    assert "Not computed yet" in text_of(opened("benchmarks", which="sage"))


def test_a_link_from_elsewhere_does_no_harm(ready: str) -> None:
    app = opened("regions", region=0, utm_source="newsletter")
    assert "exemplar, d = 0" in text_of(app)


# ---------------------------------------------------------------- what goes wrong


def test_a_broken_study_file_is_named_with_its_remedy(
    ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.toml").write_text("title = [unclosed")
    monkeypatch.setenv("TESSERA_STUDIES", str(tmp_path))
    for page in PAGES:
        assert 'class="problem"' in html_of(opened(page, False))


def test_without_studies_the_page_says_where_to_put_one(
    ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_STUDIES", str(tmp_path))
    assert "There are no studies." in text_of(opened("regions", False))


def test_an_error_that_a_person_can_mend_has_its_remedy_and_no_traceback(
    ready: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise CorpusError("The corpus has <gone>.", "Fetch it again.")

    monkeypatch.setattr(queries, "region_members", fail)
    app = opened("regions", False, region=0)
    assert "The corpus has &lt;gone&gt;." in html_of(app)
    assert "Fetch it again." in text_of(app)
    assert not any(box.label == "Traceback" for box in app.expander)
    assert app.dataframe


def test_what_nobody_foresaw_leaves_the_rest_of_the_page_alive(
    ready: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(queries, "region", fail)
    app = opened("regions", False, region=0)
    assert "ZeroDivisionError: surprise" in text_of(app)
    assert app.dataframe


def test_a_failed_job_shows_reason_traceback_and_a_second_try(
    ready: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Job(
        **{
            "id": "j1", "query": "regions", "study": ready, "arguments": "{}", "state": "failed",
            "device": "cpu", "done": 10, "total": 90, "unit": "tokens", "message": "",
            "rate": None, "eta": None, "created": time.time(), "started": time.time(),
            "finished": time.time(), "heartbeat": None, "attempts": 1,
            "error": "The worker ran out of memory.", "traceback": "Traceback: <b>here</b>",
        }
    )  # fmt: skip
    tried: list[str] = []
    monkeypatch.setattr(queries, "regions", lambda *_: failed)
    monkeypatch.setattr(queries, "job", lambda _: failed)
    monkeypatch.setattr(queries, "jobs", lambda limit=50: [failed])
    monkeypatch.setattr(queries, "retry", tried.append)
    app = opened("regions", False)
    assert "The worker ran out of memory." in text_of(app)
    assert "Traceback: <b>here</b>" in [code.value for code in app.code]
    next(button for button in app.button if button.label == "Try again").click().run()
    assert tried == ["j1"]
    jobs_page = opened("jobs", False, job="j1")
    assert "The worker ran out of memory." in text_of(jobs_page)
    assert jobs_page.dataframe[0].value["state"].tolist() == ["failed"]


@pytest.mark.parametrize("kind", ["feature", "region"])
def test_a_search_by_meaning_counts_labels_only_when_asked_and_can_be_left(
    ready: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uncounted = shutil.ignore_patterns("jobs-*", "worker-*", "labels.token_frequency")
    shutil.copytree(settings.current().cache, tmp_path / "copy", ignore=uncounted)
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "copy"))
    monkeypatch.setattr("backend.store.jobs.launch", lambda lane: None)
    app = opened(f"{kind}s", search="boats at sea", by="meaning")
    assert queries.live_jobs() == []
    assert "on this machine" in text_of(app)
    buttons = {button.label: button for button in app.button}
    buttons[f"Label all {kind}s by counting"].click().run()
    assert [job.query for job in queries.live_jobs()] == ["count_labels"]
    app.run()
    assert [job.query for job in queries.live_jobs()] == ["count_labels"], "asked for once"
    next(button for button in app.button if button.label == "By words").click().run()
    app.run()
    assert "by" not in app.query_params
    assert param(app, "search") == "boats at sea"
    queries.cancel(queries.live_jobs()[0].id)


def test_an_empty_search_is_one_by_words_again(ready: str) -> None:
    app = opened("features", search="boats at sea", by="meaning")
    app.text_input(key=next(w.key for w in app.text_input if w.label == "Search")).set_value("")
    app.run()
    assert "by" not in app.query_params
    assert "search" not in app.query_params
