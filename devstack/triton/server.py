"""Triton with explicit model control; serves ONNX models on the CPU through the backend in deploy/triton."""

import hashlib
import json
import math
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from devstack.service import Service
from devstack.triton.install import site_packages

_BACKENDS = Path(__file__).resolve().parents[2] / "deploy" / "triton" / "backends"
#: an empty string is its four bytes of length
_BYTES = {"BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8}
_BYTES |= {"FP16": 2, "BF16": 2, "FP32": 4, "FP64": 8, "BYTES": 4}
#: Between Triton and each stub: more than a full batch of large pictures. While the usual megabyte grows, a stub can
#: crash, and Triton with it; pages are taken only when they are used.
_SHARED_BYTES = 32 * 1024 * 1024


class Triton(Service):
    timeout = 180.0

    def __init__(
        self,
        directory: Path,
        environment: Path,
        repositories: Sequence[Path],
        models: Sequence[str],
        ports: tuple[int, int, int],
    ) -> None:
        """`environment`: the virtual environment; `ports`: HTTP, gRPC, metrics; `models` are loaded at the start."""
        super().__init__("triton", directory)
        self.http_port, self.grpc_port, self.metrics_port = ports
        self._environment, self._models = environment, tuple(models)
        self._repositories = [repository.resolve() for repository in repositories]
        self._backends = self.data / "backends"
        # Stubs talk through /dev/shm; a prefix of our own lets us remove what a killed server leaves there.
        unique = hashlib.sha256(f"{self.data}{ports}".encode()).hexdigest()[:16]
        self._shared_memory = f"rewatch-triton-{unique}-"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def leftovers(self) -> str:
        return f"/dev/shm/{self._shared_memory}*"  # noqa: S108 - where Linux keeps shared memory

    def prepare(self) -> None:
        """Triton wants all backends in one folder: the wheel's own and ours."""
        self._backends.mkdir(exist_ok=True)
        for name, source in {"python": self._environment / "backends", "onnxruntime": _BACKENDS}.items():
            link = self._backends / name
            link.unlink(missing_ok=True)
            link.symlink_to(source / name, target_is_directory=True)

    def environment(self) -> Mapping[str, str]:
        packages = site_packages(self._environment)
        libraries = [str(packages / "nvidia_pytriton.libs"), str(sysconfig.get_config_var("LIBDIR"))]
        path = f"{self._environment / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {
            "LD_LIBRARY_PATH": ":".join(libraries),  # the stub needs libpython as well
            "PATH": path,  # the stub takes its packages from the Python found first
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHOME": "",
            "PYTHONPATH": "",
        }

    def command(self) -> Sequence[str]:
        server = site_packages(self._environment) / "pytriton" / "tritonserver" / "bin" / "tritonserver"
        return [
            str(server),
            *(f"--model-repository={repository}" for repository in self._repositories),
            "--model-control-mode=explicit",
            "--disable-auto-complete-config",  # it would start a process more for each load
            *(f"--load-model={model}" for model in self._models),
            f"--backend-directory={self._backends}",
            f"--backend-config=python,shm-region-prefix-name={self._shared_memory}",
            f"--backend-config=python,shm-default-byte-size={_SHARED_BYTES}",
            "--http-address=127.0.0.1", f"--http-port={self.http_port}",
            "--grpc-address=127.0.0.1", f"--grpc-port={self.grpc_port}",
            "--metrics-address=127.0.0.1", f"--metrics-port={self.metrics_port}",
            "--allow-gpu-metrics=false",
            "--http-thread-count=2",
            "--exit-timeout-secs=5",
        ]  # fmt: skip

    def probe(self) -> None:
        """A real inference of zeros through each model: health endpoints say ready even when a stub has died."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self.http_port}/v2", timeout=30, trust_env=False) as client:
            client.get("/health/ready").raise_for_status()
            for model in self._models:
                self._infer(client, model)

    def _infer(self, client: httpx.Client, model: str) -> None:
        """Inputs as binary behind the JSON header, as Triton's binary data extension has it."""
        config = client.get(f"/models/{model}/config").raise_for_status().json()
        batch = [1] if config.get("max_batch_size", 0) > 0 else []
        inputs, zeros = [], b""
        for tensor in config["input"]:
            datatype = tensor["data_type"].removeprefix("TYPE_").replace("STRING", "BYTES")
            shape = batch + [max(int(size), 1) for size in tensor["dims"]]
            size = math.prod(shape) * _BYTES[datatype]
            zeros += bytes(size)
            parameters = {"binary_data_size": size}
            inputs.append({"name": tensor["name"], "shape": shape, "datatype": datatype, "parameters": parameters})
        header = json.dumps({"inputs": inputs}).encode()
        length = {"Inference-Header-Content-Length": str(len(header))}
        response = client.post(f"/models/{model}/infer", content=header + zeros, headers=length)
        if response.is_error:
            raise ConnectionError(f"{model}: {response.text}")
        missing = {tensor["name"] for tensor in config["output"]} - {
            output["name"] for output in response.json()["outputs"]
        }
        if missing:
            raise ConnectionError(f"{model} returned no {', '.join(sorted(missing))}")

    def stub_pids(self) -> list[int]:
        """The processes that hold the models, one per model instance."""
        return [each.pid for each in self.process.children(recursive=True) if "python_backend_stub" in each.name()]
