"""A Kafka broker that is its own controller (KRaft), alone or one of three."""

import base64
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from devstack.ports import free_port
from devstack.service import Service

_MIB = 1024 * 1024
#: a keyframe of a 4K camera is larger than Kafka's default of 1 MiB
MESSAGE_MAX_BYTES = 16 * _MIB
#: The second compiler works for minutes and takes as much CPU meanwhile as a broker of a few cameras; after four its
#: code has begun to earn that back.
_FIRST_COMPILER_ONLY = "-XX:TieredStopAtLevel=1"


class Broker(Service):
    programs = ("java",)
    hint = "apt-get install openjdk-17-jre-headless"
    timeout = 180.0
    grace = 20.0
    #: a start that writes the archive of classes at its end, for all later ones to read
    recording = False
    #: it is to run for longer than some minutes
    lasting = False

    def __init__(self, directory: Path, jars: Path, port: int, node: int, voters: Mapping[int, int]) -> None:
        """`voters`: node id to controller port of every broker, this one included."""
        super().__init__("kafka" if len(voters) == 1 else f"kafka-{node}", directory)
        self.port, self.node, self._jars, self._voters = port, node, jars, voters
        self._settings = self.data / "server.properties"
        self._log_folder = self.data / "log"
        self._archive = jars / "classes.jsa"
        self._template = jars / "formatted"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def properties(self) -> dict[str, str]:
        """server.properties. Topics are declared by the product, never created by use."""
        copies = len(self._voters)
        return {
            "process.roles": "broker,controller",
            "node.id": str(self.node),
            "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{p}" for n, p in self._voters.items()),
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self._voters[self.node]}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self._log_folder),
            "auto.create.topics.enable": "false",
            "default.replication.factor": str(copies),
            "min.insync.replicas": str(min(copies, 2)),
            "message.max.bytes": str(MESSAGE_MAX_BYTES),
            "replica.fetch.max.bytes": str(MESSAGE_MAX_BYTES),
            "offsets.topic.replication.factor": str(copies),
            "offsets.topic.num.partitions": "8",
            "transaction.state.log.replication.factor": str(copies),
            "transaction.state.log.min.isr": str(min(copies, 2)),
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": str(copies),
            "share.coordinator.state.topic.min.isr": str(min(copies, 2)),
            "group.initial.rebalance.delay.ms": "0",
            "broker.session.timeout.ms": "6000",
            # an idle controller would write twice a second that it is idle
            "metadata.max.idle.interval.ms": "5000",
            # for a small machine: fewer threads, and a cleaner that doesn't claim 128 MiB of heap
            "num.network.threads": "2",
            "num.io.threads": "4",
            "background.threads": "2",
            "log.cleaner.dedupe.buffer.size": str(16 * _MIB),
        }

    def prepare(self) -> None:
        self._settings.write_text("".join(f"{key}={value}\n" for key, value in self.properties().items()))
        if self._template.exists() and not self._log_folder.exists():
            self._format()

    def _format(self) -> None:
        """As Kafka's own tool has done it when Kafka was installed; the tool would take a second of each start."""
        made = self._log_folder.with_name(f"{self._log_folder.name}.new")
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(self._template, made)
        meta = made / "meta.properties"
        own = {"node.id": str(self.node), "directory.id": _encoded(uuid.uuid4())}
        lines = [line for line in meta.read_text().splitlines() if line.partition("=")[0] not in own]
        meta.write_text("".join(f"{line}\n" for line in [*lines, *(f"{key}={value}" for key, value in own.items())]))
        # whole or not at all: half a folder would pass for one that is formatted
        made.rename(self._log_folder)

    def keep_format(self) -> None:
        """For later brokers, before this one's first start is over."""
        self._template.mkdir()
        for name in ("meta.properties", "bootstrap.checkpoint"):
            shutil.copy(self._log_folder / name, self._template / name)

    def environment(self) -> Mapping[str, str]:
        # every broker of the cluster must be formatted with the same id; a constant does, and survives restarts
        return {
            "CLUSTER": _encoded(uuid.uuid5(uuid.NAMESPACE_URL, "rewatch")),
            "SETTINGS": str(self._settings),
            "FORMATTED": f"{self._log_folder}/meta.properties",
            "RECORD": f"-XX:ArchiveClassesAtExit={self._archive}" if self.recording else "",
        }

    def command(self) -> Sequence[str]:
        compilers = [] if self.lasting else [_FIRST_COMPILER_ONLY]
        java = ["java", "-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", *compilers, "-XX:+ExitOnOutOfMemoryError"]
        log4j = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.yaml')}"
        classes = ":".join(str(jar) for jar in sorted(self._jars.glob("*.jar")))
        # Parsed classes from a file: half the CPU seconds of a start. Java ignores an archive that doesn't fit.
        archive = [f"-XX:SharedArchiveFile={self._archive}"] if self._archive.exists() else []
        run = [*java, *archive, log4j, "-cp", classes]
        # Formatting belongs to the start: brokers of one cluster do it side by side, and under the launcher.
        script = (
            '[ -e "$FORMATTED" ] ||'
            ' "$@" kafka.tools.StorageTool format --cluster-id "$CLUSTER" --config "$SETTINGS" || exit 1;'
            ' exec "$@" $RECORD kafka.Kafka "$SETTINGS"'
        )
        return ["sh", "-c", script, "kafka", *run]

    def probe(self) -> None:
        """Produce and fetch one record on a topic that lives on this broker alone, then remove the topic."""
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        metadata = admin.list_topics(timeout=2)
        if self.node not in metadata.brokers or metadata.controller_id < 0:
            raise ConnectionError(f"node {self.node} has not joined its cluster yet")
        topic = f"devstack-ready-{uuid.uuid4().hex[:8]}"
        config = {"min.insync.replicas": "1"}
        created = admin.create_topics(
            [NewTopic(topic, num_partitions=1, replica_assignment=[[self.node]], config=config)], operation_timeout=5
        )
        created[topic].result(10)
        try:
            self._round_trip(topic)
        finally:
            admin.delete_topics([topic], operation_timeout=5)[topic].result(10)

    def _round_trip(self, topic: str) -> None:
        errors: list[object] = []

        def delivered(error: object, _: object) -> None:
            if error is not None:
                errors.append(error)

        producer = Producer({"bootstrap.servers": self.address, "message.timeout.ms": 5000, "log_level": 0})
        producer.produce(topic, b"ready", on_delivery=delivered)
        if producer.flush(6) or errors:
            raise ConnectionError(f"not delivered: {errors}")
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": topic, "log_level": 0})
        try:
            consumer.assign([TopicPartition(topic, 0, 0)])
            message = consumer.poll(5)
            if message is None or message.error() or message.value() != b"ready":
                raise ConnectionError("what was produced could not be fetched")
        finally:
            consumer.close()


def _encoded(identity: uuid.UUID) -> str:
    """As Kafka writes them."""
    return base64.urlsafe_b64encode(identity.bytes).decode().rstrip("=")


def cluster(directory: Path, jars: Path, brokers: int, first_port: int | None = None) -> list[Broker]:
    """One broker or three, not yet started. `first_port` fixes the (first) client port."""
    if brokers not in (1, 3):
        raise ValueError(f"1 or 3 brokers, not {brokers}: two controllers can't outvote a lost one")
    voters = {node: free_port() for node in range(1, brokers + 1)}
    ports = [free_port() if first_port is None or node > 1 else first_port for node in voters]
    return [Broker(directory, jars, port, node, voters) for node, port in zip(voters, ports, strict=True)]
