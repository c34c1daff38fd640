"""What every notebook stands on: parameters, the run folder, provenance, the papermill runner."""

from helpers.study.artefacts import ArtefactError, Run, open_run
from helpers.study.parameter_files import load_study, read_parameters
from helpers.study.params import (
    CohortParams,
    ErrorAnalysisParams,
    EvaluationParams,
    ExternalCohort,
    ExternalParams,
    ParameterError,
    PreprocessingParams,
    SplitParams,
    Study,
    StudyParams,
    TrainingParams,
)

__all__ = [
    "ArtefactError",
    "CohortParams",
    "ErrorAnalysisParams",
    "EvaluationParams",
    "ExternalCohort",
    "ExternalParams",
    "ParameterError",
    "PreprocessingParams",
    "Run",
    "SplitParams",
    "Study",
    "StudyParams",
    "TrainingParams",
    "load_study",
    "open_run",
    "read_parameters",
]
