import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.error_analysis.browser import SIDE_PX, ErrorBrowser, cases_png

NAMES = {"A": "compression", "C": "normal"}


def ranked(kinds: str) -> pd.DataFrame:
    """Predictions such as "AC", reference and prediction, in order of confidence."""
    rows = [
        {"sample_id": f"s{i}", "y_true": kind[0], "y_pred": kind[1], "kind": f"{kind[0]} → {kind[1]}"}
        for i, kind in enumerate(kinds.split())
    ]
    table = pd.DataFrame(rows).assign(PatientID="p0", p_A=0.75, p_C=0.25)
    return table.assign(is_error=table["y_true"] != table["y_pred"])


@pytest.fixture
def drawn() -> list[str]:
    return []


@pytest.fixture
def browser(drawn) -> ErrorBrowser:
    def draw(sample):
        drawn.append(sample)
        return np.zeros((8, 8)), np.ones((8, 8))

    return ErrorBrowser(ranked("AC AA CA AC AA CC"), draw=draw, class_names=NAMES)


def test_the_most_frequent_kind_comes_first_with_a_right_case_beside_it(browser, drawn):
    assert [value for _, value in browser.kind.options] == ["A → C", "C → A"]
    assert drawn == ["s0", "s1"]
    assert browser.position.value == "1 of 2"
    assert "Wrong</b>: reference A compression, prediction C normal" in browser.text.value
    assert "Right</b>: reference A compression, prediction A compression" in browser.text.value
    assert "A 0.75, C 0.25" in browser.text.value


def test_patient_and_acquisition_are_text_and_only_what_is_known():
    known = ranked("AC AA").assign(level="L1", ConvolutionKernel="<b>sharp</b>", SliceThickness=[1.25, np.nan])
    browser = ErrorBrowser(known, draw=lambda _: (np.zeros((8, 8)),) * 2, class_names=NAMES)
    assert "Patient p0<br>level: L1<br>" in browser.text.value
    assert "&lt;b&gt;sharp&lt;/b&gt;<br>slice thickness (mm): 1.25" in browser.text.value
    assert browser.text.value.count("slice thickness") == 1


def test_buttons_step_through_the_errors_and_stop_at_the_ends(browser, drawn):
    assert (browser.previous.disabled, browser.following.disabled) == (True, False)
    browser.following.click()
    assert drawn[2:] == ["s3", "s4"]
    assert (browser.previous.disabled, browser.following.disabled) == (False, True)
    browser.previous.click()
    assert browser.position.value == "1 of 2"


def test_a_kind_is_chosen_from_its_start(browser, drawn):
    browser.following.click()
    browser.kind.value = "C → A"
    assert drawn[-2:] == ["s2", "s5"]
    assert browser.position.value == "1 of 1"


def test_a_class_that_is_never_right_has_its_error_alone(drawn):
    browser = ErrorBrowser(ranked("AC CC"), draw=lambda _: (np.zeros((8, 8)),) * 2, class_names=NAMES)
    assert Image.open(io.BytesIO(browser.image.value)).size[1] < 1.5 * SIDE_PX
    assert "Right" not in browser.text.value


def test_no_errors_at_all_are_said_in_words():
    browser = ErrorBrowser(ranked("AA CC"), draw=pytest.fail, class_names=NAMES)
    assert "No held-out sample is wrong" in browser.text.value
    assert browser.following.disabled
    assert browser.image.layout.display == "none"


def test_outside_a_notebook_it_is_a_sentence(browser):
    assert repr(browser) == "Browser of 3 errors: open the notebook to step through them."
    assert browser._repr_mimebundle_()["text/plain"] == repr(browser)


def test_saliency_covers_the_second_picture_only():
    image, saliency = np.full((8, 8), 0.5), np.zeros((8, 8))
    saliency[:, :4] = 1
    page = np.asarray(Image.open(io.BytesIO(cases_png([(image, saliency)]))))
    first, second = page[100, 20], page[100, -300]
    assert first.tolist() == [128] * 3
    assert second[0] > second[2] + 50
    assert page[100, -20].tolist() == [128] * 3
