"""What the log says of two models, read to its end."""

from experiments.gathering import Gathering
from replay.log import PartitionLog
from schemas.topics import DETECTIONS, EVENTS, PARTITIONS


def read_into(gathering: Gathering, bootstrap: str) -> None:
    """Blocks. Raises LogSilentError, LogGoneError."""
    for topic in (DETECTIONS, EVENTS):
        for partition in range(PARTITIONS):
            with PartitionLog(bootstrap, topic.name, partition) as log:
                for records in log.read(log.at(gathering.since_ms)):
                    for record in records:
                        if topic is DETECTIONS:
                            gathering.take_detections(record.key.decode("utf-8", "replace"), record.value)
                        else:
                            gathering.take_event(record.value)
