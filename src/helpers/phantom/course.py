"""The course of a patient's spine along ``c``: what everything around the bones is laid out by."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from helpers.phantom.anatomy import is_sacral
from helpers.phantom.spine import Spine, Vertebra


@dataclass(frozen=True)
class Course:
    """The spine's course at places ``c``; float32 arrays of the shape of ``c``, in mm.

    ``front``, ``back``, ``canal`` and ``tips`` are ``p`` of the bodies' front, their back, the canal's back and the
    tips of the spinous processes, smoothed; ``vessels`` is the front as a vessel sees it, smoothed likewise;
    ``middle`` is ``x`` of the midline; ``half_width`` and ``canal_half`` are half the width of body and canal; ``disc``
    rises from 0 in the middle of a body to 1 at its end plates.
    """

    front: np.ndarray
    back: np.ndarray
    canal: np.ndarray
    tips: np.ndarray
    vessels: np.ndarray
    middle: np.ndarray
    half_width: np.ndarray
    canal_half: np.ndarray
    disc: np.ndarray


@dataclass(frozen=True)
class SpinePaths:
    """Knots (n, 2) of ``c`` and value for every line of a course, by its name, and ``c`` of every level's middle."""

    knots: dict[str, np.ndarray]
    level_c_mm: dict[str, float]

    def at(self, c: np.ndarray | float) -> Course:
        """Interpolate the course to places ``c``; it is constant beyond its ends."""
        lines = {name: np.interp(c, k[:, 0], k[:, 1]) for name, k in self.knots.items()}
        for name, source in (("vessels", "front"), ("tips", "tips")):
            knot_c, values = self.knots[source].T
            lines[name] = np.mean([np.interp(c + d, knot_c, values) for d in range(-24, 25, 3)], axis=0)
        return Course(**{name: line.astype(np.float32) for name, line in lines.items()})


def trace_spine(spine: Spine) -> SpinePaths:
    """Collect the course at the middle and at the corners of all bodies, cranial first."""
    knots: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for vertebra in spine.vertebrae.values():
        _, p, c = vertebra.frame.origin_mm
        ends = [_corner_places(vertebra, lower=lower) for lower in (False, True)]
        for name, place in (("front", 0), ("back", 1), ("canal", 2)):
            knots[name] += [(places[place, 2], places[place, 1]) for places in ends]
        knots["tips"].append(tuple(_tip(vertebra)[:0:-1]))
        knots["disc"] += [(ends[0][1, 2], 1.0), (c, 0.0), (ends[1][1, 2], 1.0)]
        knots["middle"].append((c, vertebra.frame.origin_mm[0]))
        knots["half_width"].append((c, vertebra.shape.half_width_mm))
        knots["canal_half"].append((c, vertebra.canal_width_mm / 2))
    lines = {name: np.array(k) for name, k in knots.items()}
    for line in lines.values():
        line[:, 0] = np.maximum.accumulate(line[:, 0])
    return SpinePaths(lines, {level: v.frame.origin_mm[2] for level, v in spine.vertebrae.items()})


def _corner_places(vertebra: Vertebra, *, lower: bool) -> np.ndarray:
    """Patient points (3, 3) of the front, the back and the canal's back at the height of one end plate."""
    front, back = (vertebra.shape.corner(posterior=side, lower=lower) for side in (False, True))
    canal = back + (vertebra.canal_mm, 0)
    return vertebra.frame.to_patient(np.array([(0.0, *place) for place in (front, back, canal)]))


def _tip(vertebra: Vertebra) -> np.ndarray:
    """Patient point (3,) of the spinous process' tip, more or less."""
    process = 18 if is_sacral(vertebra.level) else 34
    return vertebra.frame.to_patient(np.array([0.0, vertebra.shape.half_depth_mm + vertebra.canal_mm + process, 8.0]))
