"""The stack as a whole: real use of every server, order, failed starts."""

import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS

from devstack.addresses import Addresses
from devstack.process import Process
from devstack.service import ServiceError
from devstack.stack import Stack
from tests.devstack.models import write_model
from tests.devstack.waiting import gone, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


def test_all_servers_serve_and_leave_nothing(tmp_path: Path) -> None:
    write_model(tmp_path / "models", "mean")
    order = ("kafka", "triton", "redis", "influxdb", "prometheus")
    with Stack(tmp_path / "run", order, tmp_path / "models", ["mean"]) as stack:
        assert tuple(stack.services) == order
        pids = [stack.service(name).process.pid for name in order] + stack.triton.stub_pids()
        use_kafka(stack.addresses.kafka_bootstrap)
        use_redis(stack.addresses.redis_url)
        use_influxdb(stack.addresses.influx_url)
        metrics = httpx.get(stack.addresses.triton_metrics).text
        assert 'nv_inference_request_success{model="mean",version="1"} 1' in metrics
        prometheus = stack.addresses.prometheus_url
        assert until(lambda: scraped(prometheus) == {"triton": "1"}, 60)
        logs = {name: stack.service(name).log for name in order}
    assert all(gone(pid) for pid in pids)
    assert stack.addresses == Addresses()
    assert all(log.exists() for log in logs.values())  # a named directory is kept
    assert not list(Path("/dev/shm").glob(f"{stack_prefix(tmp_path / 'run')}*"))


def stack_prefix(directory: Path) -> str:
    log = (directory / "logs" / "triton.log").read_text()
    start = log.index("rewatch-triton-")
    return log[start : start + len("rewatch-triton-") + 16]


def use_kafka(bootstrap: str) -> None:
    """Values up to 16 MiB; topics are never made by use."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic("large", 1, 1, config={"max.message.bytes": str(16 << 20)})])["large"].result(30)
    value = bytes(range(256)) * 40_000
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 16 << 20})
    producer.produce("large", value)
    assert producer.flush(30) == 0
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "fetch.max.bytes": 17 << 20})
    consumer.assign([TopicPartition("large", 0, 0)])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    assert message.value() == value
    topics = admin.list_topics(timeout=10).topics
    assert not [topic for topic in topics if topic.startswith("devstack")]
    strict = Producer({"bootstrap.servers": bootstrap, "message.timeout.ms": 2000})
    errors: list[object] = []
    strict.produce("nobody-made-me", b"", on_delivery=lambda error, _: errors.append(error))
    strict.flush(10)
    assert len(errors) == 1
    assert errors[0] is not None  # `==` with None leaves an exception pending inside confluent-kafka
    assert "nobody-made-me" not in admin.list_topics(timeout=10).topics


def use_redis(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"


def use_influxdb(url: str) -> None:
    """As the product does: version 2's client against the database that is there from the start."""
    with InfluxDBClient(url=url, token="", org="rewatch") as client:
        line = "flow,camera=a count=3i 1700000000000000000"
        client.write_api(write_options=SYNCHRONOUS).write("rewatch", record=line)
        tables = client.query_api().query('from(bucket: "rewatch") |> range(start: 0)')
        assert [(record["camera"], record.get_value()) for table in tables for record in table.records] == [("a", 3)]


def scraped(url: str) -> dict[str, str]:
    results = httpx.get(f"{url}/api/v1/query", params={"query": "up"}).json()["data"]["result"]
    return {result["metric"]["job"]: result["value"][1] for result in results}


PARENT = """
import sys, time
from pathlib import Path
from devstack.stack import Stack
folder = Path(sys.argv[1])
with Stack(folder / "run", model_repository=folder / "models", models=("mean",)) as stack:
    pids = [service.process.pid for service in stack.services.values()] + stack.triton.stub_pids()
    print(*pids, flush=True)
    time.sleep(1000)
"""


def test_kill_9_of_the_parent_leaves_no_server_and_no_stub(tmp_path: Path, orphans: list[int]) -> None:
    write_model(tmp_path / "models", "mean", instances=2)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        orphans += [int(pid) for pid in parent.stdout.readline().split()]
        assert len(orphans) == 6  # four servers, two stubs
        parent.kill()
    assert until(lambda: all(gone(pid) for pid in orphans))
    assert until(lambda: nothing_runs_in(tmp_path))
    assert not list(Path("/dev/shm").glob(f"{stack_prefix(tmp_path / 'run')}*"))


def test_a_taken_port_fails_the_start_and_stops_the_rest(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        stack = Stack(tmp_path, ("influxdb", "redis"), ports={"redis": occupied.getsockname()[1]})
        with pytest.raises(ServiceError, match=r"(?s)redis ended with code 1.*bind"):
            stack.__enter__()
    assert not stack.services
    assert (tmp_path / "logs" / "influxdb.log").exists()
    assert until(lambda: nothing_runs_in(tmp_path), 5)


def nothing_runs_in(folder: Path) -> bool:
    commands = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    return not any(str(folder).encode() in command for command in commands)


def test_an_empty_cache_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"Kafka is not installed in .*; run: rewatch setup"):
        Stack(tmp_path / "run", ("redis", "kafka"), cache=tmp_path / "cache").__enter__()
    assert until(lambda: nothing_runs_in(tmp_path), 5)


def test_a_missing_repository(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="there is no model repository"):
        Stack(tmp_path / "run", ("triton",), tmp_path / "nowhere").__enter__()


def test_an_unknown_service() -> None:
    with pytest.raises(ValueError, match="no such service: zookeeper; there are kafka, triton"):
        Stack(services=("zookeeper",))


def never() -> None:
    raise ConnectionError


def test_added_services_stop_first_and_a_failed_one_is_not_kept(tmp_path: Path) -> None:
    with Stack(services=("redis",)) as stack:
        directory = stack.directory
        record = tmp_path / "order"
        script = f"trap 'redis-cli -u {stack.addresses.redis_url} ping >{record}; exit 0' TERM; sleep 1000 & wait"
        stack.start(Process("mine", ["sh", "-c", script], directory))
        with pytest.raises(ServiceError, match="failing ended with code 5"):
            stack.start(Process("failing", ["sh", "-c", "exit 5"], directory, ready=never))
        assert list(stack.services) == ["redis", "mine"]
        with pytest.raises(ServiceError, match="there is a service mine already"):
            stack.start(Process("mine", ["true"], directory))
    assert record.read_text() == "PONG\n"  # Redis still served when the process was told to end
    assert not directory.exists()


def test_restart_keeps_address_and_kafka_keeps_data(tmp_path: Path) -> None:
    with Stack(services=("redis",)) as stack:
        server = stack.service("redis")
        first = server.process.pid
        server.kill()
        assert not server.running
        with pytest.raises(ServiceError, match="redis is not running"):
            _ = server.process
        server.restart()
        assert server.process.pid != first
        use_redis(stack.addresses.redis_url)
