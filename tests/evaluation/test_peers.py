from helpers.evaluation.peers import WHY_NOT_COMPARABLE, peers


def test_every_system_has_a_result_and_a_source():
    table = peers()
    assert list(table.columns) == ["study", "question", "data", "result", "source"]
    assert table.notna().all(axis=None)
    assert table["source"].is_unique
    assert table["source"].str.contains(r"^doi 10\.\d{4,}/|^arXiv \d{4}\.\d{5}$|\d+\(\d+\):\d+$").all()


def test_reader_is_told_not_to_rank():
    assert "cannot be ranked" in WHY_NOT_COMPARABLE
