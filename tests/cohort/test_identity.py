import stat

import pytest

from helpers.cohort.identity import Pseudonyms, load_or_create_key


def test_key_is_made_once_and_only_its_owner_reads_it(tmp_path):
    path = tmp_path / "data" / "pseudonym.key"
    key = load_or_create_key(path)
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_key(path) == key
    assert load_or_create_key(tmp_path / "other.key") != key


def test_pseudonyms_are_stable_and_depend_on_the_key():
    one, other = Pseudonyms(b"one"), Pseudonyms(b"other")
    assert one.patient("MRN 4711") == Pseudonyms(b"one").patient("MRN 4711")
    assert one.patient("MRN 4711") != other.patient("MRN 4711")
    assert one.patient("MRN 4711") != one.patient("MRN 4712")
    assert "4711" not in one.patient("MRN 4711")


def test_a_known_value():
    """HMAC-SHA256 of `patient:x` under the key `k`, computed with OpenSSL."""
    assert Pseudonyms(b"k").patient("x") == "Pce63e8ad71d2"


def test_kinds_do_not_collide():
    names = Pseudonyms(b"k")
    assert len({names.patient("x")[1:], names.uid("x")[1:], names.sample("x")[1:]}) == 3


def test_without_a_key_patients_stay_and_samples_are_hashed():
    names = Pseudonyms()
    assert names.patient("SIM0001") == "SIM0001"
    assert names.uid("1.2.3") == "1.2.3"
    assert names.sample("a.dcm", None) == Pseudonyms().sample("a.dcm", None)
    assert names.sample("a.dcm", None) != names.sample("a.dcm", (0, 0, 1, 1))


@pytest.mark.parametrize("names", [Pseudonyms(), Pseudonyms(b"k")])
def test_a_missing_uid_has_no_name(names):
    assert names.uid(None) is None
