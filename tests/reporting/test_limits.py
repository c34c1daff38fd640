"""Limits follow from what the run is."""

from helpers.reporting.limits import describe_limits
from helpers.reporting.record import read_run


def limits_of(folder):
    return describe_limits(read_run(folder))


def test_simulated_cohort_is_told_what_it_does_not_show(make_run):
    limits = limits_of(make_run(notebooks=0))
    assert limits[0].startswith("Not a medical device")
    assert limits[1].startswith("The cohort is simulated. Every image of this cohort was made by a computer program")
    assert "burst fractures have never been checked on real CT" in limits[1]


def test_two_classes_of_a_users_cohort(make_run):
    names = {"N": "normal", "F": "fracture"}
    cohort = {"source": "images", "labels": "labels.csv", "class_names": names, "normal_class": "N"}
    limits = limits_of(make_run(notebooks=0, cohort=cohort))
    assert not any("simulated" in limit.split("Starting point")[0] or "AO Spine" in limit for limit in limits)


def test_what_the_audit_noted_is_a_limit(make_run):
    (noted,) = (limit for limit in limits_of(make_run(notebooks=0)) if limit.startswith("The audit found"))
    assert noted == "The audit found something to note: privacy; what it is stands under Study flow."


def test_only_a_run_without_an_external_test_is_told_so(make_run, change_json):
    folder = make_run(notebooks=0)
    assert any(limit.startswith("No external test") for limit in limits_of(folder))
    change_json(folder / "metrics.json", lambda metrics: metrics.update(external={"far": {}}))
    assert not any(limit.startswith("No external test") for limit in limits_of(folder))


def test_one_seed_is_a_limit_and_several_are_not(make_run):
    folder = make_run(notebooks=0, training={"seeds": [0, 1]})
    assert not any("One training seed" in limit for limit in limits_of(folder))


def test_an_external_test_that_was_repeated_is_no_untouched_one(make_run):
    cohorts = [{"name": "once", "source": "phantom"}, {"name": "often", "source": "phantom", "times_scored": 3}]
    (repeated,) = (text for text in limits_of(make_run(notebooks=0, external=cohorts)) if "untouched" in text)
    assert repeated.startswith("often was scored 3 times")
