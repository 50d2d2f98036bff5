"""``worker``, ``coordinator``, ``status`` and ``submit`` as processes of their own, with real signals."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.test_commands_run import DATA

IMGPIPE = [sys.executable, "-m", "imgpipe"]


class Service:
    """A command that runs until it is told to stop; ``line`` is what it prints first."""

    def __init__(self, words: list[str], cwd: Path) -> None:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([*IMGPIPE, *words], cwd=cwd, **pipes)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline().rstrip("\n")
        found = re.search(r":(\d+),", self.line)
        self.port = int(found[1]) if found else 0

    def stop(self, signum: int) -> tuple[int, str]:
        self.process.send_signal(signum)
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    services: list[Service] = []

    def begin(*words: str) -> Service:
        services.append(Service(list(words), tmp_path))
        return services[-1]

    yield begin
    for service in services:
        if service.process.poll() is None:
            service.process.kill()
            service.process.communicate()


def imgpipe(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*IMGPIPE, *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_fleet(start: Any, tmp_path: Path, signum: int):
    shutil.copytree(DATA, tmp_path / "data" / "input_dir")
    worker = start("worker", "--port", "0", "--load", "0.2", "--delay", "0.01", "-j", "1", "--name", "w")
    assert worker.line == f"imgpipe worker w listening on 127.0.0.1:{worker.port}, 1 slots, load 0.2"
    (tmp_path / "machines.txt").write_text(f"node1 127.0.0.1:{worker.port}\n")
    coordinator = start("coordinator", "--port", "0")
    assert coordinator.line == f"imgpipe coordinator listening on 127.0.0.1:{coordinator.port}, 1 machines"
    at = f"127.0.0.1:{coordinator.port}"
    done = imgpipe(tmp_path, "submit", "data/", "-c", at, "--mode", "random")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("Time elapsed: ")
    assert len(list((tmp_path / "data" / "output_dir").iterdir())) == len(list(DATA.iterdir()))
    status = json.loads(imgpipe(tmp_path, "status", "-c", at, "--json").stdout)
    assert [(w["name"], w["state"], w["done"]) for w in status["workers"]] == [("node1", "live", 12)]
    assert [(j["state"], j["total"], j["done"]) for j in status["jobs"]] == [("done", 12, 12)]
    text = imgpipe(tmp_path, "status", "-c", at).stdout
    assert "1 of 1 worker live" in text
    outside = imgpipe(tmp_path, "submit", "/usr", "-c", at)
    assert outside.returncode == 2
    assert "--root" in outside.stderr
    assert worker.stop(signum)[0] == 0
    code, err = coordinator.stop(signum)
    assert (code, "leaving" in err) == (0, True)


def test_a_port_in_use(start: Any, tmp_path: Path):
    first = start("coordinator", "--port", "0")
    for command in ("coordinator", "worker"):
        done = imgpipe(tmp_path, command, "--port", str(first.port))
        assert done.returncode == 2
        assert f"port {first.port} on 127.0.0.1 is in use" in done.stderr
        assert "--port" in done.stderr


def test_an_address_of_ipv6_has_brackets(start: Any):
    worker = start("worker", "--port", "0", "--host", "::1", "-j", "1", "--name", "w")
    if not worker.line:
        pytest.skip("this machine has no IPv6")
    assert worker.line == f"imgpipe worker w listening on [::1]:{worker.port}, 1 slots, load 0"


def test_no_machines_file_is_a_warning(start: Any):
    coordinator = start("coordinator", "--port", "0")
    assert coordinator.line.endswith(", 0 machines")
    assert "no machines.txt" in coordinator.stop(signal.SIGTERM)[1]
