import numpy as np
import pandas as pd

from helpers.preprocessing import cache_external, cache_images
from helpers.study import ExternalCohort, PreprocessingParams, Run
from helpers.study.schemas import EXTERNAL_INDEX

PARAMS = PreprocessingParams(spacing_mm=1.0, image_size=32)


def test_each_cohort_has_its_own_cache_that_equals_that_of_a_cohort(cohort, run):
    params = cohort.source.params.model_dump()
    cohorts = [ExternalCohort(name=name, **params) for name in ("one", "two")]
    tables = [cohort.table.assign(cohort="one"), cohort.table.head(2).assign(cohort="two")]
    writer = Run(run.folder, stage="01_data_audit")
    writer.write_table("external", pd.concat(tables, ignore_index=True))
    index = EXTERNAL_INDEX.validate(cache_external(cohorts, PARAMS, run=run))
    assert index.groupby("cohort").size().to_dict() == {"one": 6, "two": 2}
    cache_images(cohort.table, PARAMS, source=cohort.source, run=run)
    own = run.read_array("images")
    np.testing.assert_array_equal(run.read_array("external_images/one.npy"), own)
    np.testing.assert_array_equal(run.read_array("external_images/two.npy"), own[:2])
