"""The published result, and what its two percentages allow: exact arithmetic instead of quotation.

Source of all constants: abstract of Yin H, Chen X, Mo Y, Wu L, Tong J. Research on AI classification of thoracolumbar
fractures based on deep convolutional neural network and transfer learning. Chinese Journal of Intelligent Science and
Technology 2024, 6(3): 319-328. It gives no split sizes, no test accuracy and no number of patients; the sizes found
here are an inference from rounding, never a statement of the paper.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

from helpers.evaluation.intervals import Interval, wilson_interval

PAPER_DOI = "10.11959/j.issn.2096-6652.202426"
PAPER_CITATION = "Yin et al. 2024, Chinese Journal of Intelligent Science and Technology 6(3): 319-328"
PAPER_CLASS_COUNTS: Mapping[str, int] = MappingProxyType({"A": 279, "B": 295, "C": 124})
PAPER_N_IMAGES = sum(PAPER_CLASS_COUNTS.values())
PAPER_TRAINING_PERCENT = Decimal("95.75")
PAPER_VALIDATION_PERCENT = Decimal("96.36")
PAPER_DECIMALS = 2


@dataclass(frozen=True)
class CompatibleSize:
    """A sample size that can give a reported percentage, with the number of right answers that gives it."""

    n_total: int
    n_correct: int

    def interval(self, *, confidence: float = 0.95) -> Interval:
        """Wilson interval of the proportion, as if all images were independent."""
        return wilson_interval(self.n_correct, self.n_total, confidence=confidence)


@dataclass(frozen=True)
class CompatibleSplit:
    """Two sizes that add up to the whole cohort and give both reported percentages."""

    training: CompatibleSize
    validation: CompatibleSize


def compatible_sizes(percent: Decimal | str, *, decimals: int, max_n: int) -> list[CompatibleSize]:
    """Find all sizes n ≤ max_n for which some count k of n rounds (half up) to a reported percentage.

    k/n rounds to P units of the last decimal exactly if 2P-1 ≤ 2·100·10^decimals·k/n < 2P+1; all terms are integers,
    so no size is won or lost to floating point.

    Parameters
    ----------
    percent
        The percentage as printed, such as "96.36". A float is refused: 96.36 has no exact binary value.
    decimals
        Decimals it was rounded to.
    max_n
        Largest size to try.

    Returns
    -------
    Ordered by size, then by count; more than one count can fit a large size.

    Raises
    ------
    ValueError
        If `percent` is not a percentage with at most `decimals` decimals.
    """
    units = _units(percent, decimals=decimals)
    scale = 2 * 100 * 10**decimals
    found = []
    for n_total in range(1, max_n + 1):
        smallest = max(0, -((1 - 2 * units) * n_total // scale))  # ceiling of (2P-1) n / scale
        largest = min(n_total, ((2 * units + 1) * n_total - 1) // scale)
        found += [CompatibleSize(n_total=n_total, n_correct=count) for count in range(smallest, largest + 1)]
    return found


def _units(percent: Decimal | str, *, decimals: int) -> int:
    if isinstance(percent, float):
        raise ValueError(f"percent is the float {percent!r}; give it as printed, as a string such as '96.36'")
    try:
        units = Decimal(percent).scaleb(decimals)
    except (InvalidOperation, TypeError) as error:
        raise ValueError(f"percent is {percent!r}; give it as printed, such as '96.36'") from error
    if not units.is_finite() or not 0 <= units <= 100 * 10**decimals or units != int(units):
        raise ValueError(f"percent is {percent}; give a value from 0 to 100 with at most {decimals} decimals")
    return int(units)


def compatible_splits(
    total: int, *, training_percent: Decimal | str, validation_percent: Decimal | str, decimals: int
) -> list[CompatibleSplit]:
    """Find the divisions of `total` images into two parts that give both reported percentages.

    Parameters
    ----------
    total
        Images in both parts together.
    training_percent, validation_percent, decimals
        As in `compatible_sizes`.

    Returns
    -------
    Ordered by decreasing size of the training part.
    """
    training = compatible_sizes(training_percent, decimals=decimals, max_n=total)
    validation = compatible_sizes(validation_percent, decimals=decimals, max_n=total)
    pairs = [CompatibleSplit(first, second) for first in training for second in validation]
    fitting = [pair for pair in pairs if pair.training.n_total + pair.validation.n_total == total]
    return sorted(fitting, key=lambda pair: -pair.training.n_total)


def paper_splits() -> list[CompatibleSplit]:
    """The two-part divisions of the paper's cohort that fit both of its percentages."""
    return compatible_splits(
        PAPER_N_IMAGES,
        training_percent=PAPER_TRAINING_PERCENT,
        validation_percent=PAPER_VALIDATION_PERCENT,
        decimals=PAPER_DECIMALS,
    )


def paper_sizes() -> dict[str, list[CompatibleSize]]:
    """Sizes that fit each reported accuracy, up to the paper's cohort: keys "training" and "validation"."""
    percents = {"training": PAPER_TRAINING_PERCENT, "validation": PAPER_VALIDATION_PERCENT}
    return {
        part: compatible_sizes(percent, decimals=PAPER_DECIMALS, max_n=PAPER_N_IMAGES)
        for part, percent in percents.items()
    }
