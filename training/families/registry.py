"""The families by name."""

from training.contract import ModelError
from training.families import nanodet, ssd, yolov8, yolox
from training.families.family import Family

FAMILIES = {f.name: f for f in (yolox.FAMILY, yolov8.FAMILY, nanodet.FAMILY, ssd.FAMILY)}


def family(name: str) -> Family:
    """Raises ModelError for a name that nobody knows."""
    try:
        return FAMILIES[name]
    except KeyError:
        raise ModelError(f"no detector family {name!r}; there are {', '.join(FAMILIES)}") from None
