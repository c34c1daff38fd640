"""Parameters of a study: one pydantic model per section. `parameter_files` reads them.

A section is flat on purpose: its fields are the papermill parameters of the notebook that it belongs to.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Optional, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_serializer, model_validator

from helpers.study.errors import StudyError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
ANY_FRACTURE = "fracture"
CLASS_KEY_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9]*")


class ParameterError(StudyError, ValueError):
    """A parameter file or value that cannot be used; the message names each field and the way out."""


def _text_keys(value: Any) -> Any:
    """YAML reads a bare `0:` as a number; labels in tables are text, so whole numbers become text."""
    if not isinstance(value, Mapping):
        return value
    return {_as_text(k): _as_text(v) for k, v in value.items()}


def _as_text(value: Any) -> Any:
    return str(value) if type(value) is int else value  # a bool is an int too, but `no` must not become "False"


TextMap = Annotated[dict[str, str], BeforeValidator(_text_keys)]


class Section(BaseModel):
    """Strict base of every section: unknown names, wrong types and values out of range are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class StudyParams(Section):
    """What the run is called."""

    name: str = Field("default", pattern=NAME_PATTERN, description="names the run folder runs/<name>")
    title: str = Field("Thoracolumbar fractures on CT", description="heading of the report")
    engine: Literal["local", "dask"] = Field("local", description="where fits are computed; the results are the same")
    jobs: int = Field(1, ge=1, le=256, description="processes of the local engine")
    devices: int = Field(1, ge=1, le=64, description="GPUs that share each fit, where the local engine has one job")
    scheduler: Optional[str] = Field(None, description="address of the Dask scheduler, such as tcp://10.0.0.1:8786")
    ablation: Optional[str] = Field(None, description="sweep.parquet of a sweep that the report is to show")
    card: Optional[str] = Field(
        None,
        description="YAML file of what only the authors know, for the checklists: see params/study_card.example.yaml",
    )
    language: Literal["en", "zh"] = Field("en", description="zh puts a summary in Chinese above the English one")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.devices > 1 and (self.jobs > 1 or self.engine == "dask"):
            raise ValueError("devices above 1 share one fit: choose them, or several jobs, or dask")
        return self


class CohortParams(Section):
    """Where the images and labels come from (notebook 01)."""

    source: Literal["phantom", "dicom", "images", "verse", "rsna"] = Field(
        "phantom",
        description="simulated cohort, DICOM tree, folder of image files, VerSe (NIfTI and centroids), or RSNA 2022",
    )
    folder: str = Field("data", description="folder of the images; for `phantom` where the simulated files are kept")
    labels: Optional[str] = Field(
        None, description="labels table, CSV, Excel or Parquet; `images` without one takes the folders as classes"
    )
    columns: TextMap = Field({}, description="study column -> name of that column in the labels table")
    label_values: TextMap = Field({}, description="value in the labels table -> class key; keys and names need no line")
    class_names: TextMap = Field(
        {"A": "compression", "B": "burst", "C": "normal"}, description="class key -> name, in order"
    )
    normal_class: Optional[str] = Field("C", description="class without fracture, for the fracture-or-not question")
    readers: list[str] = Field([], description="columns of the labels table with one reader's label each")
    adjudication: Literal["label", "majority", "unanimous", "first"] = Field(
        "label", description="how readers' labels become one: the column `label`, their majority, unanimity, the first"
    )
    plane: Literal["sagittal", "coronal", "axial"] = Field("sagittal", description="plane that is cut from a volume")
    n_planes: Literal[1, 3] = Field(1, description="3 takes the neighbouring planes as channels; only from volumes")
    plane_distance_mm: float = Field(2.0, gt=0, le=20, description="from plane to plane where n_planes is 3")
    image_window_center: Optional[float] = Field(None, description="HU; window that 8-bit images were exported with")
    image_window_width: Optional[float] = Field(None, gt=0, description="HU; without it 8-bit images stay grey values")
    mm_per_px: Optional[float] = Field(None, gt=0, description="pixel size of images whose files and table give none")
    pseudonymise: bool = Field(
        True, description="replace identifiers of labels and headers by keyed hashes (never needed for `phantom`)"
    )
    workers: int = Field(2, ge=1, le=64, description="processes that read files; the result does not depend on it")
    phantom_images: dict[str, int] = Field({"A": 279, "B": 295, "C": 124}, description="simulated images per class")
    phantom_patients: int = Field(350, ge=2, description="simulated patients")
    phantom_seed: int = Field(2024, ge=0, description="seed of the simulated cohort")
    phantom_plane: Literal["sagittal", "coronal", "axial"] = Field("sagittal", description="plane of simulated images")
    phantom_levels: Optional[list[str]] = Field(
        None, description="simulated levels, each as often as the others; by default T11 to L5, the junction most often"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        bad = [key for key in self.class_names if not CLASS_KEY_PATTERN.fullmatch(key)]
        if bad or len(self.class_names) < 2:
            raise ValueError(f"class_names needs two or more keys of letters and digits, got {list(self.class_names)}")
        if self.normal_class is not None and self.normal_class not in self.class_names:
            raise ValueError(f"normal_class {self.normal_class!r} is not a key of class_names {list(self.class_names)}")
        unknown = sorted(set(self.label_values.values()) - set(self.class_names))
        if unknown:
            raise ValueError(f"label_values maps to {unknown}, not keys of class_names {list(self.class_names)}")
        if self.source in ("dicom", "verse") and self.labels is None:
            raise ValueError(f"labels is needed when source is {self.source!r}: the path of the labels table")
        if (self.image_window_center is None) != (self.image_window_width is None):
            raise ValueError("image_window_center and image_window_width belong together: give both or neither")
        if self.adjudication != "label" and len(self.readers) < 2:
            raise ValueError(f"adjudication {self.adjudication!r} needs two or more columns in readers")
        return self


class ExternalCohort(CohortParams):
    """A further cohort that is never trained on: audited and preprocessed alike, scored by all folds together.

    Its classes are keys of the study's own `class_names`, in whole or in part, or `fracture`: a fracture whose kind is
    not known, which counts for the fracture-or-not question only.
    """

    name: str = Field(pattern=NAME_PATTERN, description="what the cohort is called in tables and file names")
    times_scored: int = Field(
        1, ge=1, description="this time included; more, if settings were changed after its scores had been seen"
    )


class ExternalParams(Section):
    """Cohorts for external validation (notebooks 01 to 04); a plain list in the parameter file."""

    external: list[ExternalCohort] = []

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, values: Any) -> Any:
        return {"external": values} if isinstance(values, list) else values

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [cohort.name for cohort in self.external]
        if len(set(names)) < len(names):
            raise ValueError(f"two external cohorts have the same name: {', '.join(names)}")
        return self


BY_IMAGE = ("image_holdout", "image_kfold")  # ways to divide that let images of one patient lie on both sides


class SplitParams(Section):
    """How samples are divided (notebook 01). The split seed is apart from the training seed."""

    split_method: Literal[
        "patient_kfold", "patient_holdout", "leave_one_site_out", "temporal", "predefined", "image_holdout",
        "image_kfold",
    ] = Field(
        "patient_kfold",
        description="stratified k-fold by patient, one holdout by patient, one fold per value of site_column, the "
        "latest patients as test, the column `split` of the labels table, the paper's holdout by image, or k-fold by "
        "image, which shows what the difference is worth",
    )  # fmt: skip
    n_folds: int = Field(5, ge=2, le=20, description="folds of patient_kfold and image_kfold")
    n_repeats: int = Field(1, ge=1, le=20, description="how often patient_kfold is drawn anew")
    test_fraction: float = Field(0.2, gt=0, lt=0.9, description="patients of patient_holdout and temporal")
    site_column: str = Field("site", description="column of the cohort table for leave_one_site_out")
    test_images: int = Field(110, ge=1, description="held-out images of image_holdout (588/110 is inferred)")
    validation_fraction: float = Field(
        0.15, gt=0, lt=0.5, description="share of the training part that chooses the epoch"
    )
    merge_linked_patients: bool = Field(
        False, description="keep patients on one side who share a study or (near-)identical images"
    )
    intended_leakage: Optional[str] = Field(
        None,
        min_length=10,
        description="why leakage between splits is wanted, in words; without it leakage stops the run",
    )
    split_seed: int = Field(0, ge=0)


class PreprocessingParams(Section):
    """Geometry of the cached images (notebook 02). Windows come later, in training."""

    spacing_mm: float = Field(0.714, gt=0, le=10, description="pixel size after resampling, both axes")
    image_size: int = Field(134, ge=32, le=1024, description="side of the cached square in pixels")


N_STAGES = 5
#: Centre and width in HU of what `channels: windows` shows: bone, soft tissue, and all from air to cortex.
THREE_WINDOWS = ((300.0, 1500.0), (50.0, 400.0), (0.0, 2000.0))


NAMED_WEIGHTS = ("ct", "imagenet", "phantom", "none")


def is_named_weights(weights: str) -> bool:
    """Whether `training.weights` is a name, of this project or of a torchvision enum, and not a file."""
    return weights in NAMED_WEIGHTS or re.fullmatch(r"DEFAULT|IMAGENET1K_\w+", weights) is not None


class TrainingParams(Section):
    """Model, optimisation and augmentation (notebook 03)."""

    backbone: Literal[
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "convnext_tiny",
        "efficientnet_v2_s",
        "densenet121",
    ] = "resnet50"
    weights: str = Field(
        "ct",
        description="ct, imagenet, one of torchvision's enums such as IMAGENET1K_V1, phantom, none, or the path of a "
        ".safetensors or .pt file",
    )
    frozen_stages: int = Field(
        4, ge=0, le=N_STAGES, description="frozen from the input: 1 stem, 2 +layer1, ... 5 +layer4"
    )
    batch_norm: Literal["learned", "frozen"] = Field(
        "frozen", description="statistics of the stages that learn: those of each batch, or kept as they were"
    )
    feature_cache_gb: float = Field(
        4.0, ge=0, description="largest disk space for stored outputs of the frozen stages; 0: always from pixels"
    )
    feature_versions: int = Field(
        8, ge=1, description="random versions of each image that are stored at most; the epochs take them in turn"
    )
    head_units: int = Field(256, ge=8, le=4096)
    dropout: float = Field(0.3, ge=0, lt=1)
    input_size: int = Field(112, ge=32, le=1024, description="pixels cut from the cached image, at most its side")
    intensity: Literal["window", "image"] = Field(
        "window",
        description="what 0 and 1 are: the ends of the window, or after it the darkest 1 % and brightest 0.5 % of each "
        "crop, so that HU and screenshots of an unknown window look alike",
    )
    window_center: float = Field(250.0, description="HU")
    window_width: float = Field(1400.0, gt=0, description="HU")
    channels: Literal["same", "windows"] = Field(
        "same",
        description="the three input channels: the window in each, or a bone, a soft-tissue and a wide window; images "
        "of three neighbouring planes have one plane in each",
    )
    class_balance: Literal["weights", "sampling", "none"] = Field(
        "weights", description="how rare classes count as much as frequent ones: in the loss, in the draw, or not"
    )
    epochs: int = Field(16, ge=1, le=1000)
    patience: int = Field(
        16,
        ge=1,
        description="epochs without better validation before stopping; validation jumps while the rate is high, and a "
        "small value stops there",
    )
    batch_size: int = Field(16, ge=2)
    learning_rate: float = Field(1.0e-3, gt=0, le=1, description="peak rate of the head")
    backbone_rate_factor: float = Field(0.3, gt=0, le=1, description="rate of the backbone relative to the head")
    weight_decay: float = Field(0.01, ge=0)
    label_smoothing: float = Field(0.05, ge=0, lt=1)
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="per step; the network that is kept is the moving average of the trained one; 0: off",
    )
    auxiliary: Literal["none", "heights"] = Field(
        "none",
        description="heights: also learn the columns anterior_ratio, middle_ratio and posterior_ratio of the cohort",
    )
    auxiliary_weight: float = Field(0.5, ge=0, le=10, description="of the auxiliary loss; the class loss has 1")
    rotation_deg: float = Field(8.0, ge=0, le=45)
    shift_mm: float = Field(4.0, ge=0, le=30)
    scale_percent: float = Field(8.0, ge=0, le=50)
    blur_mm: float = Field(0.0, ge=0, le=5, description="largest sigma of a random Gaussian; 0: off")
    window_jitter: float = Field(0.1, ge=0, le=0.5, description="relative change of window centre and width")
    noise: float = Field(0.03, ge=0, le=0.5, description="sigma of added noise in units of the window")
    gamma: float = Field(0.0, ge=0, le=3, description="grey values to a random power from 1 / (1 + gamma) to 1 + gamma")
    mirror: bool = Field(
        False, description="exchange left and right at random; for coronal and axial images only, which are near even"
    )
    edge_share: float = Field(
        0.0, ge=0, le=1, description="share of training images that end above or below the vertebra, as pictures may"
    )
    views: int = Field(1, ge=1, le=15, description="shifted and scaled crops of an image whose logits are averaged")
    seeds: list[Annotated[int, Field(ge=0)]] = Field([0], min_length=1)
    train_patients: Optional[int] = Field(
        None, ge=2, description="train on so many training patients of each fold only, nested, for a learning curve"
    )
    shuffle_labels: bool = Field(
        False, description="a control: labels are dealt out anew between patients, so that chance is all there is"
    )
    threads: int = Field(2, ge=1, description="CPU threads; part of what makes two runs identical")
    precision: Literal["bf16", "fp32"] = "bf16"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _statistics_to_keep(self) -> Self:
        if self.weights == "none" and self.batch_norm == "frozen" and self.frozen_stages < N_STAGES:
            raise ValueError(
                "training.batch_norm: a random start has no statistics to keep; set it to learned where weights is none"
            )
        return self


class EvaluationParams(Section):
    """Intervals of the reported numbers (notebook 04)."""

    n_bootstrap: int = Field(2000, ge=100, le=100_000)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    seed: int = Field(0, ge=0)
    prevalences: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.02, 0.1, 0.3], description="shares of positives at which PPV and NPV are given besides this cohort's own"
    )
    severity_order: list[str] = Field(
        [], description="class keys from least to most severe, for Cohen's kappa with quadratic weights; empty: none"
    )


class ErrorAnalysisParams(Section):
    """What is shown of right and wrong predictions (notebook 05)."""

    n_gallery: int = Field(12, ge=1, le=60, description="images per gallery")
    n_saliency: int = Field(8, ge=1, le=40, description="Saliency maps of errors, and as many of correct cases")
    n_robustness: int = Field(60, ge=6, le=2000, description="images that are changed to see what the study withstands")


class Study(Section):
    """A whole parameter file."""

    study: StudyParams = StudyParams()
    cohort: CohortParams = CohortParams()
    external: ExternalParams = ExternalParams()
    splits: SplitParams = SplitParams()
    preprocessing: PreprocessingParams = PreprocessingParams()
    training: TrainingParams = TrainingParams()
    evaluation: EvaluationParams = EvaluationParams()
    error_analysis: ErrorAnalysisParams = ErrorAnalysisParams()

    @field_serializer("external")
    def _as_list(self, external: ExternalParams) -> list[dict[str, Any]]:
        return [cohort.model_dump() for cohort in external.external]

    @model_validator(mode="after")
    def _external_classes(self) -> Self:
        known = {*self.cohort.class_names, ANY_FRACTURE}
        for cohort in self.external.external:
            unknown = sorted(set(cohort.class_names) - known)
            if unknown:
                raise ValueError(
                    f"external cohort {cohort.name}: class_names has {unknown}; they must be among "
                    f"{', '.join(sorted(known))}"
                )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.training.input_size > self.preprocessing.image_size:
            raise ValueError(
                f"training.input_size {self.training.input_size} exceeds preprocessing.image_size "
                f"{self.preprocessing.image_size}: cache larger images or train on smaller ones"
            )
        return self
