import pytest

from helpers.cohort.labels.split_words import named_split


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("train", "train"),
        ("TRAINING", "train"),
        (" val ", "validation"),
        ("dev", "validation"),
        ("validation public", "validation"),
        ("test secret", "test"),
        ("test_set", "test"),
        ("Test2", "test"),
        ("testicle", None),
        ("tests", None),
        ("burst", None),
        ("1 train", None),
        ("", None),
    ],
)
def test_words_for_the_parts(word, part):
    assert named_split(word) == part
