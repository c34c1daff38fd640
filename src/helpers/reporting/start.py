"""What the network started from, called by its right name everywhere in the report.

A random start is never transfer learning, and weights derived from CT are never ImageNet weights.
"""

from dataclasses import dataclass
from pathlib import PurePath

from helpers.reporting.record import RunRecord


@dataclass(frozen=True)
class Start:
    """A starting point in words.

    Parameters
    ----------
    name
        Noun for tables and headings.
    training
        Words that follow "a network …".
    note
        Sentence on what it is and its licence, where the run recorded one; a random start needs none.
    """

    name: str
    training: str
    note: str = ""

    def sentence(self) -> str:
        """Name and note, without saying the name twice."""
        if self.note.startswith(self.name):
            return self.note
        return f"{self.name}. {self.note}".strip()


KNOWN = {
    "none": Start("random start, no transfer learning", "trained from a random start"),
    "ct": Start("CT-derived initialisation", "fine-tuned from a CT-derived initialisation"),
    "imagenet": Start("ImageNet weights", "fine-tuned from ImageNet weights"),
    "phantom": Start("weights trained on simulated CT", "fine-tuned from weights trained on simulated CT"),
}


def starting_point(record: RunRecord) -> Start:
    """Name the starting point: by what the training recorded, or before it ran by what the parameters ask for."""
    recorded = (record.model or {}).get("initialisation") or {}
    wanted = record.study.training.weights
    known = KNOWN.get(recorded.get("name", wanted)) or _from_file(PurePath(wanted).name)
    return Start(known.name, known.training, _sentence(recorded))


def _from_file(name: str) -> Start:
    return Start(f"weights of the file {name}", f"fine-tuned from the weights of the file {name}")


def _sentence(recorded: dict) -> str:
    note, licence = recorded.get("note", ""), recorded.get("licence", "")
    if not note or recorded.get("name") == "none":
        return ""
    return f"{note} Licence: {licence}." if licence else note
