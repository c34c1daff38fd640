"""Verdicts in words, and the six checks of the first screen."""

import pytest

from helpers.reporting.markup import Heading
from helpers.reporting.record import read_run
from helpers.reporting.verdicts import ASKS, CHECKS, audit_verdicts, first_sentence, section_for, six_checks


def verdicts_of(folder):
    return audit_verdicts(read_run(folder), headings=())


def checks_of(folder):
    return {check.name: check for check in six_checks(read_run(folder), headings=())}


def verdict(status, *, detail="Why. More."):
    return {"status": status, "checked": "It holds.", "found": 0, "detail": detail, "examples": []}


def calibrated(note, *, of_burst="no more than chance: x", estimate=0.026, n_patients=60):
    def asked(said):
        error = {"estimate": estimate, "note": said, "n_samples": n_patients, "n_patients": n_patients}
        return {"calibration_error": error}

    ordinary = asked("no more than chance: x")
    return {"after scaling": {"answer given": asked(note), "A": ordinary, "B": asked(of_burst), "C": ordinary}}


def test_leakage_stands_first_then_problems_then_notes_then_what_holds(make_run):
    verdicts = verdicts_of(make_run(notebooks=0))
    assert [found.name for found in verdicts] == ["leakage", "privacy", "simulated", "duplicates"]
    words = ["no problem found", "problem found", "to note", "no problem found"]
    assert [found.word for found in verdicts] == words
    assert [found.is_loud for found in verdicts] == [True, True, True, False]


def test_unknown_status_is_shown_and_not_taken_for_a_pass(make_run, change_json):
    folder = make_run(notebooks=0)
    change_json(folder / "audit.json", lambda audit: audit["verdicts"]["duplicates"].update(status="not_run"))
    (found,) = (found for found in verdicts_of(folder) if found.name == "duplicates")
    assert (found.word, found.is_loud) == ("not_run", True)


def test_what_could_not_be_tested_is_neither_passed_nor_loud(make_run, change_json):
    folder = make_run(notebooks=0)
    change_json(folder / "audit.json", lambda audit: audit["verdicts"].update(agreement=verdict("untested")))
    (found,) = (found for found in verdicts_of(folder) if found.name == "agreement")
    assert (found.word, found.is_loud) == ("not tested", False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("leakage", "#n-4"),
        ("duplicates", "#n-2"),
        ("class_balance", "#n-3"),
        ("graphics", "#n-5"),
        ("verdicts", "#n-5"),
    ],
)
def test_verdict_links_to_the_section_that_shares_its_words(name, expected):
    titles = ["1 · Data audit", "1 · Duplicate files", "2 · Balance of classes", "3 · Leakage", "4 · All verdicts"]
    headings = [Heading(3, title, f"n-{number}") for number, title in enumerate(titles, start=1)]
    assert section_for(name, headings=headings) == expected


def test_verdict_without_a_fitting_section_links_to_the_notebook():
    assert section_for("graphics", headings=[Heading(2, "Data audit", "n"), Heading(3, "Limits", "n-l")]) == "#n"
    assert section_for("graphics", headings=[]) == ""


class TestSixChecks:
    def test_their_names_and_what_is_not_known_is_not_tested(self, make_run):
        checks = checks_of(make_run(notebooks=0))
        assert list(checks) == ["leakage", "privacy", "confounds", "labels", "calibration", "external test"]
        assert checks["leakage"].text == "No patient, study, series or image lies in two parts of one fold."
        assert checks["confounds"].status == "untested"
        assert checks["privacy"].text == "Attributes: InstitutionName."

    @pytest.mark.parametrize(
        ("statuses", "status"),
        [(("pass", "pass"), "pass"), (("pass", "untested"), "untested"), (("warn", "untested"), "warn"),
         (("fail", "warn"), "fail"), (("pass", "strange"), "strange")],
    )  # fmt: skip
    def test_the_worst_verdict_decides(self, make_run, change_json, statuses, status):
        folder = make_run(notebooks=0)
        named = dict(zip(("agreement", "label_conflicts"), map(verdict, statuses), strict=True))
        change_json(folder / "audit.json", lambda audit: audit["verdicts"].update(named))
        check = checks_of(folder)["labels"]
        assert check.status == status
        said = {"pass": "Readers agree, and no image carries two labels.", "untested": "It holds. Not tested: "}
        assert check.text.startswith(said.get(status, "Why."))

    def test_what_was_not_tested_is_named_beside_what_holds(self, make_run, change_json):
        folder = make_run(notebooks=0)
        named = {"confounds": verdict("pass"), "demographics": verdict("untested")}
        change_json(folder / "audit.json", lambda audit: audit["verdicts"].update(named))
        check = checks_of(folder)["confounds"]
        assert (check.word, check.mark) == ("partly tested", "?")
        assert check.text == "It holds. Not tested: whether age and sex tell the class."

    def test_every_verdict_behind_a_check_has_words(self):
        assert set(ASKS) == {member for members, _ in CHECKS.values() for member in members}

    def test_one_verdict_of_two_does_not_speak_for_both(self, make_run, change_json):
        folder = make_run(notebooks=0)
        change_json(folder / "audit.json", lambda audit: audit["verdicts"].update(label_conflicts=verdict("pass")))
        assert checks_of(folder)["labels"].text == "It holds."

    @pytest.mark.parametrize(
        ("note", "status", "words"),
        [("no more than chance: x", "pass", "2.6 points on average, no more than chance explains."),
         ("more than chance: x", "warn", "2.6 points on average, more than chance explains.")],
    )  # fmt: skip
    def test_calibration_is_held_against_chance(self, make_run, change_json, note, status, words):
        folder = make_run(notebooks=0)
        change_json(folder / "metrics.json", lambda metrics: metrics.update(calibration=calibrated(note)))
        check = checks_of(folder)["calibration"]
        assert (check.status, check.href) == (status, "#results-calibration")
        assert check.text.endswith(words)

    def test_a_class_whose_probabilities_are_off_is_named(self, make_run, change_json):
        folder = make_run(notebooks=0)
        found = calibrated("no more than chance: x", of_burst="more than chance: y")
        change_json(folder / "metrics.json", lambda metrics: metrics.update(calibration=found))
        check = checks_of(folder)["calibration"]
        assert check.status == "warn"
        assert check.text.endswith("Asked of single classes, those of burst are off by more than chance.")

    def test_few_patients_do_not_show_that_calibration_holds(self, make_run, change_json):
        folder = make_run(notebooks=0)
        few = calibrated("no more than chance: x", n_patients=1)
        change_json(folder / "metrics.json", lambda metrics: metrics.update(calibration=few))
        check = checks_of(folder)["calibration"]
        assert (check.status, check.text) == (
            "untested",
            "1 image of 1 patient: too few to tell miscalibration from chance.",
        )

    def test_calibration_without_a_value_is_not_tested(self, make_run, change_json):
        folder = make_run(notebooks=0)
        nothing = calibrated("no sample", estimate=None)
        change_json(folder / "metrics.json", lambda metrics: metrics.update(calibration=nothing))
        assert (checks_of(folder)["calibration"].status, checks_of(folder)["calibration"].text) == (
            "untested",
            "no sample",
        )

    def test_an_external_test_is_named_with_its_size(self, make_run, change_json):
        folder = make_run(notebooks=0)
        change_json(folder / "metrics.json", lambda metrics: metrics.update(external={"far": {"n_samples": 40}}))
        check = checks_of(folder)["external test"]
        assert (check.word, check.text) == ("done", "Scored on 40 images of far: its numbers stand under Results.")


@pytest.mark.parametrize(("text", "expected"), [("A. B.", "A."), ("0.51 of 2", "0.51 of 2"), ("", "")])
def test_first_sentence(text, expected):
    assert first_sentence(text) == expected
