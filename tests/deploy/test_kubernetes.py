"""k8s/, rendered by kustomize: against the schemas of Kubernetes, against itself, and against the code."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.config import Settings
from schemas.topics import TOPICS
from tests.deploy.conftest import SCHEMAS, Run, settings
from tests.rules.repository import ROOT, files

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

Document = dict[str, Any]
FOLDERS = sorted(str(path.parent.relative_to("k8s")) for path in files() if path.name == "kustomization.yaml")
VERSIONS = ("1.33.0", "1.36.0")
WORKLOADS = ("Deployment", "StatefulSet", "Job")
MADE_BY_HAND = {"secrets": {"api-token", "influxdb-token"}}
"""Secrets that no manifest holds, and the keys that k8s/README.md asks for."""


@pytest.fixture(scope="module", params=FOLDERS)
def documents(request: pytest.FixtureRequest, manifests: Callable[[str], list[Document]]) -> list[Document]:
    return manifests(request.param)


@pytest.fixture(scope="module", params=VERSIONS)
def schemas(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Schemas of one version of Kubernetes, rewritten so that kubeconform finds the definitions beside them."""
    folder = tmp_path_factory.mktemp("schemas")
    for source in (SCHEMAS / f"v{request.param}-local-strict").glob("*.json"):
        content = json.loads(source.read_text().replace('"/api/_definitions.json#', '"_definitions.json#'))
        for key in ("$schema", "$id"):
            content.pop(key, None)
        (folder / source.name).write_text(json.dumps(content))
    return folder


def _of(documents: list[Document], *kinds: str) -> list[Document]:
    return [document for document in documents if document["kind"] in kinds]


def _name(document: Document) -> str:
    return f"{document['kind']}/{document['metadata']['name']}"


def _pods(documents: list[Document]) -> Iterator[tuple[Document, Document]]:
    """Each workload with its pod's template."""
    return ((workload, workload["spec"]["template"]) for workload in _of(documents, *WORKLOADS))


def _containers(documents: list[Document]) -> Iterator[tuple[Document, Document, Document]]:
    for workload, pod in _pods(documents):
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            yield workload, pod, container


def _selects(selector: Document, labels: dict[str, str]) -> bool:
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


def _selected(selector: Document, documents: list[Document]) -> list[Document]:
    return [pod for _, pod in _pods(documents) if _selects(selector, pod["metadata"]["labels"])]


def _ports(pods: list[Document]) -> set[str | int]:
    ports = [port for pod in pods for container in pod["spec"]["containers"] for port in container.get("ports", [])]
    return {port["name"] for port in ports} | {port["containerPort"] for port in ports}


def _kubeconform(tool: Run, documents: list[Document], schemas: Path, folder: Path) -> tuple[int, str]:
    rendered = folder / "rendered.yaml"
    rendered.write_text(yaml.safe_dump_all(documents))
    location = f"{schemas}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    done = tool("kubeconform", "-strict", "-summary", "-schema-location", location, rendered)
    return done.returncode, done.stdout + done.stderr


def test_kubeconform_agrees(tool: Run, documents: list[Document], schemas: Path, tmp_path: Path) -> None:
    status, output = _kubeconform(tool, documents, schemas, tmp_path)
    assert status == 0, output
    assert f"{len(documents)} resources found" in output
    assert "Skipped: 0" in output


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda pod: pod["containers"][0].update(imagee="x"), "imagee"),
        (lambda pod: pod["containers"][0].update(args="worker"), "args"),
        (lambda pod: pod["containers"][0]["resources"].update(requests=[]), "requests"),
    ],
    ids=["unknown", "type", "nested"],
)
def test_kubeconform_finds_mistakes(
    tool: Run,
    manifests: Callable[[str], list[Document]],
    schemas: Path,
    tmp_path: Path,
    change: Callable[[Document], None],
    complaint: str,
) -> None:
    documents = manifests("base")
    change(_of(documents, "Deployment")[0]["spec"]["template"]["spec"])
    status, output = _kubeconform(tool, documents, schemas, tmp_path)
    assert status == 1
    assert complaint in output


def test_everything_is_in_the_namespace(documents: list[Document]) -> None:
    assert {d["metadata"].get("namespace") for d in documents if d["kind"] != "Namespace"} == {"rewatch"}
    assert len({_name(document) for document in documents}) == len(documents)


def test_selectors_select_what_they_mean(documents: list[Document]) -> None:
    for workload in _of(documents, "Deployment", "StatefulSet"):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert _selects(workload["spec"]["selector"], labels), _name(workload)
        assert len(_selected(workload["spec"]["selector"], documents)) == 1, f"{_name(workload)} takes others' pods"
        for spread in workload["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            assert _selects(spread["labelSelector"], labels), _name(workload)
    for service in _of(documents, "Service"):
        assert len(_selected({"matchLabels": service["spec"]["selector"]}, documents)) == 1, _name(service)
    for budget in _of(documents, "PodDisruptionBudget"):
        assert len(_selected(budget["spec"]["selector"], documents)) == 1, _name(budget)


def test_ports_exist(documents: list[Document]) -> None:
    for service in _of(documents, "Service"):
        open_ports = _ports(_selected({"matchLabels": service["spec"]["selector"]}, documents))
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in open_ports, _name(service)
    for workload, _, container in _containers(documents):
        open_ports = {port["name"] for port in container.get("ports", [])}
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container.get(kind, {})
            target = probe.get("httpGet") or probe.get("tcpSocket")
            assert target is None or target["port"] in open_ports, f"{_name(workload)} {kind}"


def test_stateful_sets_have_their_service(documents: list[Document]) -> None:
    services = {service["metadata"]["name"] for service in _of(documents, "Service")}
    for workload in _of(documents, "StatefulSet"):
        assert workload["spec"]["serviceName"] in services


def test_volumes_exist(documents: list[Document]) -> None:
    claims = {claim["metadata"]["name"] for claim in _of(documents, "PersistentVolumeClaim")}
    for workload, pod, container in _containers(documents):
        own = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])} | own
        assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes, _name(workload)
        for volume in pod["spec"].get("volumes", []):
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims, _name(workload)


def test_configuration_and_secrets_exist(documents: list[Document]) -> None:
    maps = {document["metadata"]["name"]: set(document["data"]) for document in _of(documents, "ConfigMap")}
    secrets = {document["metadata"]["name"]: set(document["data"]) for document in _of(documents, "Secret")}
    secrets = secrets or MADE_BY_HAND
    for workload, _, container in _containers(documents):
        for source in container.get("envFrom", []):
            assert source["configMapRef"]["name"] in maps, _name(workload)
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                assert reference["key"] in secrets[reference["name"]], _name(workload)


def test_every_setting_exists_and_its_value_is_taken(documents: list[Document], tmp_path: Path) -> None:
    fields = set(Settings.model_fields)
    (config,) = _of(documents, "ConfigMap")
    common = {key.removeprefix("REWATCH_").lower(): value for key, value in config["data"].items()}
    assert all(key.startswith("REWATCH_") for key in config["data"])
    assert set(common) <= fields, set(common) - fields
    for workload, _, container in _containers(documents):
        if container["name"] == "rewatch":
            own = {variable["name"]: variable.get("value", "x") for variable in container.get("env", [])}
            given = {key.removeprefix("REWATCH_").lower(): value for key, value in own.items()}
            assert set(given) <= fields, f"{_name(workload)}: {set(given) - fields}"
            settings({**common, **given}, tmp_path)


def test_both_lanes_have_a_worker(documents: list[Document]) -> None:
    partitions = {topic.name: topic.partitions for topic in TOPICS if topic.name.startswith("frames")}
    served = {
        variable["value"]: workload["spec"]["replicas"]
        for workload, _, container in _containers(documents)
        for variable in container.get("env", [])
        if variable["name"] == "REWATCH_WORKER_TOPIC"
    }
    assert set(served) == set(partitions)
    assert all(replicas <= partitions[topic] for topic, replicas in served.items())


def test_processes_are_probed_by_their_own_endpoints(documents: list[Document]) -> None:
    ours = [
        (workload, container)
        for workload, _, container in _containers(documents)
        if workload["metadata"]["labels"].get("app.kubernetes.io/component") == "process"
    ]
    assert {container["args"][0] for _, container in ours} == {"gateway", "ingest", "recorder", "replayer", "worker"}
    for workload, container in ours:
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez", _name(workload)
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz", _name(workload)


def test_pods_may_do_little(documents: list[Document]) -> None:
    """What the namespace's label `restricted` demands, and no service account's token."""
    for workload, pod in _pods(documents):
        assert pod["spec"]["automountServiceAccountToken"] is False, _name(workload)
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True, _name(workload)
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, _name(workload)
    for workload, _, container in _containers(documents):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, _name(workload)
        assert context["capabilities"] == {"drop": ["ALL"]}, _name(workload)
        if container["image"].startswith("rewatch"):
            assert context["readOnlyRootFilesystem"] is True, _name(workload)
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]), _name(workload)
        assert "memory" in container["resources"]["limits"], _name(workload)


def test_images_are_those_of_the_compose_file(documents: list[Document]) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    known = {service["image"] for service in compose["services"].values()}
    (ours,) = {image for image in known if image.startswith("rewatch:")}
    known.add(ours.replace("rewatch:", "rewatch-triton:"))
    for workload, _, container in _containers(documents):
        assert container["image"] in known, _name(workload)


def test_nothing_may_talk_unless_it_is_said(documents: list[Document]) -> None:
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in _of(documents, "NetworkPolicy")}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies.items():
        pods = _selected(policy["podSelector"], documents)
        assert pods, f"{name} applies to nobody"
        for rule in policy.get("ingress", []):
            for port in rule["ports"]:
                assert port["port"] in _ports(pods) or "endPort" in port, f"{name}: {port}"


def test_every_address_in_the_settings_may_be_reached(documents: list[Document]) -> None:
    """For each Service named in the ConfigMap, some policy lets a process out to its port."""
    (config,) = _of(documents, "ConfigMap")
    services = {service["metadata"]["name"]: service for service in _of(documents, "Service")}
    allowed: list[tuple[int, int]] = []
    for policy in _of(documents, "NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            allowed += [(port["port"], port.get("endPort", port["port"])) for port in rule.get("ports", [])]
    for key, value in config["data"].items():
        address = re.fullmatch(r"(?:\w+://)?([a-z][a-z0-9.-]*):(\d+)(?:/\d+)?", value)
        if address is None:
            continue
        port = int(address[2])
        assert any(low <= port <= high for low, high in allowed), f"{key}={value}"
        if "." not in address[1]:
            assert port in {entry["port"] for entry in services[address[1]]["spec"]["ports"]}, f"{key}={value}"
