"""What is said of the images is true of this cohort."""

from helpers.reporting.answers import Status


def test_nothing_of_a_real_cohort_is_called_simulated(answers_of, real):
    answers = answers_of(cohort=real)
    assert [key for key, answer in answers.items() if "simulat" in answer.text.lower()] == []


def test_simulated_cohorts_point_to_their_datasheet(answers_of):
    answers = answers_of()
    assert "DATA.md" in answers["sources"].text
    assert "DATA.md" in answers["reference_standard"].text


def test_why_a_cohort_was_made_is_known_of_the_simulated_one(make_run, answers_of):
    folder = make_run(notebooks=0)
    assert answers_of(folder)["purpose"].text.startswith("The images of Yin et al. 2024 are private")
    assert answers_of(folder, card={"background": "Ours."})["purpose"].text == "Ours."


def test_why_a_real_cohort_was_made_is_left_to_the_author(answers_of, real):
    assert answers_of(cohort=real)["purpose"].status == Status.AUTHOR


def test_where_real_images_come_from_is_left_to_the_author(answers_of, real):
    assert answers_of(cohort=real)["sources"].status == Status.AUTHOR


def test_readers_and_their_rule_are_told_without_names(answers_of, real):
    readers = {"readers": ["anna", "ben"], "adjudication": "majority"}
    text = answers_of(cohort=real | readers)["reference_standard"].text
    assert text == "Labels of 2 readers became one by their majority."


def test_real_external_cohorts_need_a_reference_standard_of_their_own(answers_of, real):
    answer = answers_of(external=[{"name": "far", **real}])["reference_standard"]
    assert answer.status == Status.AUTHOR
    assert answer.text.startswith("Simulated images: ")
    assert answer.text.endswith("External cohorts: their reference standard.")


def test_the_words_on_external_cohorts_stand_beside_those_on_simulated_images(make_run, answers_of, real):
    folder = make_run(notebooks=0, external=[{"name": "far", **real}])
    answer = answers_of(folder, card={"reference_standard": "Read twice."})["reference_standard"]
    assert answer.status == Status.REPORTED
    assert answer.text.endswith("External cohorts: Read twice.")


def test_numbers_come_from_the_audit(answers_of):
    assert answers_of()["participants"].text == "130 files in the folder; 120 images of 60 patients used."


def test_identifiers_that_were_kept_are_not_called_removed(make_run, answers_of, real):
    assert "keyed hashes" in answers_of(make_run(notebooks=0, cohort=real))["deidentification"].text


def test_pseudonymisation_that_is_off_is_told(answers_of, real):
    answer = answers_of(cohort=real | {"pseudonymise": False})["deidentification"]
    assert answer.status == Status.AUTHOR
    assert "did not replace identifiers" in answer.text


def test_one_label_an_image_is_no_agreement(answers_of, real):
    assert answers_of(cohort=real)["agreement"].status == Status.ABSENT


def test_age_and_sex_are_reported_only_where_they_are_known(make_run, answers_of, change_json, real):
    folder = make_run(notebooks=0, cohort=real)

    def write(variables):
        rows = [{"variable": name} for name in variables]
        change_json(folder / "audit.json", lambda audit: audit.update(tables={"table_one_by_split": rows}))

    write(["images", "scanner"])
    assert answers_of(folder)["demographics"].status == Status.ABSENT
    write(["images", "sex", "scanner"])
    assert answers_of(folder)["demographics"].text == "By class and by part: sex and scanner."


def test_availability_is_complete_only_with_all_three(answers_of):
    shared = {"data_availability": "Zenodo.", "code_availability": "GitHub.", "model_availability": "On request."}
    answer = answers_of(card=shared)["availability"]
    assert (answer.status, answer.text) == (Status.REPORTED, "Data: Zenodo. Code: GitHub. Model: On request.")


def test_availability_lacks_what_is_not_said(answers_of):
    assert answers_of(card={"code_availability": "GitHub."})["availability"].status == Status.AUTHOR


def test_fewer_patients_of_a_learning_curve_are_told(answers_of):
    assert "20 of its training patients" in answers_of(training={"train_patients": 20})["subsets"].text
