"""How well opt-outs are recognised, on sentences labelled by hand."""

from __future__ import annotations

import string
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_orchestrator.messaging.opt_out import Intent, classify

EXPECTED = {
    "keyword": {Intent.STOP},
    "clear": {Intent.STOP, Intent.LIKELY_STOP},
    "ordinary": {Intent.NONE},
    "start": {Intent.START},
    "yes": {Intent.START},
    "help": {Intent.HELP},
}
STOPS = {"keyword", "clear"}
DISGUISES = str.maketrans("aceopsxyi", "\u0430\u0441\u0435\u043e\u0440\u0455\u0445\u0443\u0456")  # Cyrillic


@dataclass(frozen=True)
class Sentence:
    label: str
    language: str
    text: str


def read_corpus() -> list[Sentence]:
    lines = Path(__file__).with_name("opt_out_corpus.tsv").read_text("utf-8").splitlines()
    return [Sentence(*line.split("\t")) for line in lines if line and not line.startswith("#")]


CORPUS = read_corpus()
CLEAR = [sentence.text for sentence in CORPUS if sentence.label in STOPS]
WORDY = [text for text in CLEAR if any(letter.isalpha() for letter in text)]


def test_the_corpus_is_large_and_has_both_languages() -> None:
    assert len(CORPUS) >= 300
    for label in ("clear", "unclear", "ordinary"):
        assert {sentence.language for sentence in CORPUS if sentence.label == label} == {"en", "es"}
    assert len({(sentence.language, sentence.text) for sentence in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("sentence", [s for s in CORPUS if s.label in EXPECTED], ids=lambda s: s.text[:50])
def test_a_labelled_sentence_is_read_as_its_label_says(sentence: Sentence) -> None:
    reading = classify(sentence.text)

    assert reading.intent in EXPECTED[sentence.label]
    assert reading.soft == (sentence.label == "yes")


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_clear_opt_out_is_recognised_and_the_figures_are_printed(
    language: str, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    sentences = [sentence for sentence in CORPUS if sentence.language == language]
    stopped = [sentence for sentence in sentences if classify(sentence.text).stops]
    clear = [sentence for sentence in sentences if sentence.label in STOPS]
    ordinary = [sentence for sentence in stopped if sentence.label not in {*STOPS, "unclear"}]
    unclear = [sentence for sentence in sentences if sentence.label == "unclear"]
    recall = sum(sentence in stopped for sentence in clear) / len(clear)
    precision = 1 - len(ordinary) / (len(ordinary) + sum(sentence in stopped for sentence in clear))
    erring = sum(sentence in stopped for sentence in unclear) / len(unclear)

    for name, value in (("recall", recall), ("precision", precision), ("unclear_stopped", erring)):
        record_property(f"opt_out_{name}_{language}", f"{value:.3f}")
    with capsys.disabled():
        print(  # noqa: T201 - the figures are to be seen
            f"\nopt-out, {language}, {len(sentences)} sentences: recall {recall:.3f}, precision {precision:.3f},"
            f" unclear ones stopped {erring:.2f}"
        )
    assert recall == 1.0
    assert precision >= 0.98


VARIANTS: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "lower case": str.lower,
    "title case": str.title,
    "spread out": lambda text: f"\n  {text.replace(' ', '   ')}\t ",
    "signature of a phone": lambda text: f"{text}\u200d\u200b ",
    "zero width in every word": "\u200b".join,
    "emoji": lambda text: f"😡 {text} 🙄🙄",
    "exclamation": lambda text: f"{text.rstrip('.!')}!!!",
    "quotes": lambda text: f"\u201c{text}\u201d",
    "curly apostrophes": lambda text: text.replace("'", "\u2019"),
    "decomposed accents": lambda text: unicodedata.normalize("NFD", text),
    "no accents": lambda text: "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)),
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if c in string.ascii_letters else c for c in text),
    "letters of another alphabet": lambda text: text.lower().translate(DISGUISES),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_clear_opt_out_stays_one_however_it_is_typed(variant: str) -> None:
    missed = [text for text in WORDY if not classify(VARIANTS[variant](text)).stops]

    assert missed == []


@settings(max_examples=400, deadline=None)
@given(
    text=st.sampled_from(WORDY),
    variants=st.lists(st.sampled_from(sorted(VARIANTS)), min_size=2, max_size=3, unique=True),
    before=st.text(" \n.!😀🙏\u200b", max_size=4),
    after=st.text(" \n.!?😀🙏\u200b", max_size=4),
)
def test_a_clear_opt_out_survives_several_of_these_at_once(
    text: str, variants: list[str], before: str, after: str
) -> None:
    typed = text
    for variant in variants:
        typed = VARIANTS[variant](typed)

    assert classify(before + typed + after).stops


@settings(max_examples=300, deadline=None)
@given(
    clear=st.sampled_from([text for text in WORDY if len(text.split()) > 2]),
    ordinary=st.sampled_from([s.text for s in CORPUS if s.label == "ordinary" and not s.text.startswith(("L", "👍"))]),
    first=st.booleans(),
)
def test_a_clear_opt_out_among_other_sentences_is_found(clear: str, ordinary: str, first: bool) -> None:
    text = f"{clear}. {ordinary}" if first else f"{ordinary}. {clear}"

    assert classify(text).stops


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=300))
def test_any_text_at_all_is_read(text: str) -> None:
    reading = classify(text)

    assert reading.why
    assert text.strip() == "" or len(text) < 8 or text not in reading.why


@pytest.mark.parametrize(
    "unit",
    ["stop ", "not interested in ", "no me ", "please ", "dont want to ", "> ", "on ", "remove me ", "a ", "no "],
)
def test_a_hostile_text_is_read_in_no_time(unit: str) -> None:
    text = unit * (20_000 // len(unit)) + "x"
    started = time.perf_counter()

    classify(text)

    assert time.perf_counter() - started < 1.0
