"""The methods of a run in sentences that a paper could use, generated from its parameters."""

from collections.abc import Callable
from dataclasses import dataclass

from helpers.reporting.record import RunRecord
from helpers.reporting.start import starting_point
from helpers.reporting.summary import network_name
from helpers.reporting.wording import class_label, counted, listed, percent
from helpers.study import TrainingParams
from helpers.study.params import BY_IMAGE, THREE_WINDOWS

STAGE_NAMES = ("stem", "stage 1", "stage 2", "stage 3", "stage 4")
N_SHIFTED_VIEWS = 5  # further views are scaled too


@dataclass(frozen=True)
class Paragraph:
    """A titled paragraph."""

    title: str
    text: str


def describe_methods(record: RunRecord) -> tuple[Paragraph, ...]:
    """Write one paragraph per step of the study."""
    parts: dict[str, Callable[[RunRecord], list[str]]] = {
        "Cohort": _cohort,
        "Partition": _partition,
        "Preprocessing": _preprocessing,
        "Model": _model,
        "Training": _training,
        "Augmentation": _augmentation,
        "Evaluation": _evaluation,
    }
    return tuple(Paragraph(title, " ".join(write(record))) for title, write in parts.items())


def _cohort(record: RunRecord) -> list[str]:
    cohort = record.study.cohort
    classes = listed([class_label(key, cohort.class_names) for key in cohort.class_names])
    sources = {
        "phantom": f"The cohort is simulated (seed {cohort.phantom_seed}), written as DICOM files and read back as a "
        f"user's files would be; {sum(cohort.phantom_images.values())} images of {cohort.phantom_patients} patients "
        "were asked for.",
        "dicom": "DICOM CT files were read with a table of labels.",
        "images": "Image files were read with their labels.",
        "verse": "NIfTI volumes were read with vertebra centroids and the published Genant grades (VerSe), which "
        "do not say whether the posterior wall is broken: crush was not taken for burst.",
        "rsna": "Axial DICOM slices of the RSNA 2022 cervical spine challenge were read with its boxes.",
    }
    sentences = [sources[cohort.source], f"The classes are {classes}."]
    if record.metrics:
        basis = record.metrics["cohort"]
        images, patients = counted(basis["n_samples"], "image"), counted(basis["n_patients"], "patient")
        sentences.append(f"Held-out predictions: {images} of {patients}.")
    if cohort.source in ("dicom", "verse"):
        sentences.append(_plane(record))
    if record.study.external.external:
        names = listed([external.name for external in record.study.external.external])
        sentences.append(f"External cohorts ({names}) were audited and preprocessed in the same way and only scored.")
    if cohort.pseudonymise and cohort.source != "phantom":
        sentences.append("Identifiers were replaced by keyed hashes.")
    return sentences


def _plane(record: RunRecord) -> str:
    cohort = record.study.cohort
    planes = f"{cohort.plane} plane"
    if cohort.n_planes == 3:
        planes += f" and its neighbours at {cohort.plane_distance_mm:g} mm, as three channels,"
    return f"Of volumes the {planes} through the vertebra was cut."


def _partition(record: RunRecord) -> list[str]:
    splits = record.study.splits
    share = percent(splits.validation_fraction)
    stopping = f"{share} of the training patients were set apart to choose the epoch (split seed {splits.split_seed})."
    if splits.split_method == "predefined":
        stopping = f"Where it named no validation images, {stopping}"
    how = {
        "patient_kfold": f"Stratified {splits.n_folds}-fold cross-validation by patient: all images of a patient lie "
        f"in the same fold, and every image is tested {_times(splits.n_repeats)}.",
        "patient_holdout": f"A single holdout of {percent(splits.test_fraction)} of the patients, stratified by class.",
        "leave_one_site_out": f"One fold per value of `{splits.site_column}`: each is tested by networks that were "
        "trained on all others.",
        "temporal": f"The latest {percent(splits.test_fraction)} of the patients, by date of their last study, were "
        "the test set.",
        "predefined": "The split was given with the labels.",
    }
    if splits.split_method not in BY_IMAGE:
        merged = ["Patients who share a study or an image were kept together."] if splits.merge_linked_patients else []
        return [how[splits.split_method], stopping, *merged]
    drawn = {
        "image_holdout": f"A single holdout of {counted(splits.test_images, 'image')}, stratified by class, was drawn "
        "by image and without regard to patients, as the published numbers suggest",
        "image_kfold": f"Stratified {splits.n_folds}-fold cross-validation by image, without regard to patients: every "
        f"image is tested {_times(splits.n_repeats)}",
    }
    return [
        f"{drawn[splits.split_method]}; this protocol leaks between training and test.",
        f"{share} of the remaining images served to choose the epoch (split seed {splits.split_seed}).",
    ]


def _times(repeats: int) -> str:
    return "exactly once" if repeats == 1 else f"{repeats} times, in as many draws of the folds"


def _preprocessing(record: RunRecord) -> list[str]:
    study = record.study
    preprocessing, training = study.preprocessing, study.training
    size, side = preprocessing.image_size, training.input_size
    window = f"a window of centre {training.window_center:g} and width {training.window_width:g} HU"
    mapped = f"Values were mapped to 0–1 by {window}."
    if training.channels == "windows":
        mapped = f"The three channels show a bone, a soft-tissue and a wide window: {_three_windows()}."
    if study.cohort.source == "images" and study.cohort.image_window_width is None:
        mapped = f"Images in HU were mapped to 0–1 by {window}, 8-bit images, whose window is unknown, as 0–255."
    sentences = [
        f"Images were resampled to {preprocessing.spacing_mm:g} mm per pixel and cut to {size} × {size} pixels around "
        f"the target ({size * preprocessing.spacing_mm:.0f} mm).",
        f"The network saw the central {side} × {side} pixels ({side * preprocessing.spacing_mm:.0f} mm).",
        mapped,
    ]
    if training.intensity == "image":
        sentences.append(
            "Then the darkest 1 % and the brightest 0.5 % of the pixels of each crop were set to 0 and 1, and the "
            "others stretched between them."
        )
    return sentences


def _model(record: RunRecord) -> list[str]:
    training, start = record.study.training, starting_point(record)
    sentences = [
        f"A {network_name(record)} was {start.training}.",
        f"Two changes to the stock network: mean and maximum pooling side by side, and a head of {training.head_units} "
        f"hidden units with batch norm of the pooled features and dropout {training.dropout:g}.",
        _frozen(training),
    ]
    if training.auxiliary == "heights":
        sentences.append(
            "A second layer beside the last one learned the anterior, middle and posterior height of the body where "
            f"they are known (Huber loss, weight {training.auxiliary_weight:g}); predictions do not use it."
        )
    if record.model:
        trainable, total = record.model.get("trainable"), record.model.get("parameters")
        sentences.append(f"{_millions(trainable)} of {_millions(total)} parameters were trained.")
    if start.note:
        sentences.append(start.note)
    return sentences


BALANCE = {
    "weights": "weighted so that every class counts alike",
    "sampling": "of images drawn so that every class is equally frequent",
    "none": "in which every image counts alike",
}


def _three_windows() -> str:
    return listed([f"{center:g}/{width:g} HU (centre/width)" for center, width in THREE_WINDOWS])


def _frozen(training: TrainingParams) -> str:
    stages = training.frozen_stages
    frozen = f"Frozen, batch-norm statistics included: {listed(STAGE_NAMES[:stages])}."
    sentence = frozen if stages else "No stage was frozen."
    if training.batch_norm == "frozen":
        return f"{sentence} The other stages kept their batch-norm statistics too, but not their scale and offset."
    return sentence


def _millions(parameters: int | None) -> str:
    return "an unknown number" if parameters is None else f"{parameters / 1e6:.1f} million"


def _training(record: RunRecord) -> list[str]:
    training = record.study.training
    backbone_rate = training.learning_rate * training.backbone_rate_factor
    smoothing = f" and label smoothing {training.label_smoothing:g}" if training.label_smoothing else ""
    kept = "the best epoch was kept."
    if training.ema_decay:
        kept = (
            "the best epoch was kept. The network that was judged and kept is the exponential moving average of the "
            f"trained one (decay {training.ema_decay:g} per step)."
        )
    return [
        f"AdamW, weight decay {training.weight_decay:g}, peak learning rate {training.learning_rate:g} for the head "
        f"and {backbone_rate:g} for the backbone, linear warm-up and cosine decay; batches of {training.batch_size}.",
        f"Cross-entropy {BALANCE[training.class_balance]}{smoothing}.",
        f"{_length(training)}, and {kept}",
        f"{counted(len(training.seeds), 'training seed')} ({listed([str(seed) for seed in training.seeds])}); "
        f"{training.precision} arithmetic, {counted(training.threads, 'CPU thread')}.",
    ]


def _length(training: TrainingParams) -> str:
    if training.patience >= training.epochs:
        return counted(training.epochs, "epoch")
    stopped = f"training stopped after {counted(training.patience, 'epoch')} without a better validation loss"
    return f"At most {counted(training.epochs, 'epoch')}; {stopped}"


def _augmentation(record: RunRecord) -> list[str]:
    training = record.study.training
    sentences = [
        f"Training images were rotated by up to ±{training.rotation_deg:g}°, shifted by up to ±{training.shift_mm:g} "
        f"mm along each axis and scaled by up to ±{training.scale_percent:g} %.",
        f"The window's width varied by up to ±{percent(training.window_jitter)} and its centre by as much of half the "
        f"width; noise of up to σ = {training.noise:g} of the window was added.",
    ]
    if training.blur_mm:
        sentences.append(f"They were blurred by a Gaussian of up to σ = {training.blur_mm:g} mm.")
    if training.gamma:
        highest = 1 + training.gamma
        sentences.append(f"Grey values were raised to a random power from {1 / highest:.3g} to {highest:.3g}.")
    if training.edge_share:
        sentences.append(f"{training.edge_share:.0%} of them ended in black above or below the vertebra.")
    if training.frozen_stages and training.feature_versions < training.epochs:
        sentences.append(
            f"Of each image at most {training.feature_versions} random versions were stored, where that was cheaper "
            "than to make new ones; the epochs took them in turn."
        )
    mirrored = "Half of them were mirrored." if training.mirror else "No flips: front and back differ in anatomy."
    return [*sentences, mirrored, _views(training)]


def _views(training: TrainingParams) -> str:
    if training.views == 1:
        return "Test images were not changed."
    moved = "shifted" if training.views <= N_SHIFTED_VIEWS else "shifted or scaled"
    return (
        f"Logits of a test image are means over {training.views} crops, the plain one and others that are {moved} by "
        "half as much."
    )


def _evaluation(record: RunRecord) -> list[str]:
    evaluation = record.study.evaluation
    averaged = " Probabilities were averaged over seeds." if len(record.study.training.seeds) > 1 else ""
    return [
        "Each image was predicted by the network that had not seen it; the class with the highest probability was "
        f"taken.{averaged}",
        f"Intervals are {percent(evaluation.confidence)} intervals from the variance of {evaluation.n_bootstrap} "
        f"bootstrap replicates that draw whole patients (seed {evaluation.seed}): Wilson's for shares, on the logit "
        "scale for AUROC; where all replicates agree on the best or worst value, the Clopper–Pearson limit for the "
        "number of patients is given.",
    ]
