"""The engines behind one call: threads that begin together."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomae.extras import require
from anomae.inference.exported import engines

TOGETHER = """
import os, sys, threading
import numpy as np
from pathlib import Path
from anomae.inference.exported.engines import open_network

network = open_network("openvino", Path(sys.argv[1]), "fp32", None, 12)
together, found = threading.Barrier(12), []
sys.setswitchinterval(1e-6)

def call(value):
    together.wait()
    found.append((value, network({"x": np.full((2000, 3), value, np.float32)})["y"]))

threads = [threading.Thread(target=call, args=(value,), daemon=True) for value in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join(30)
print(len(found), all((array == value + 1).all() for value, array in found), flush=True)
os._exit(0)
"""


@pytest.fixture(scope="module")
def one_more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network y = x + 1 as OpenVINO writes it."""
    pytest.importorskip("openvino")
    openvino = require("openvino", "openvino")
    from openvino import opset13

    given = opset13.parameter([-1, 3], np.float32, name="x")
    given.output(0).set_names({"x"})
    more = opset13.add(given, opset13.constant(1.0, np.float32))
    more.output(0).set_names({"y"})
    path = tmp_path_factory.mktemp("network") / "one_more.xml"
    openvino.save_model(openvino.Model([more], [given]), path)
    return path


def test_threads_that_begin_together_all_come_back(one_more: Path) -> None:
    command = [sys.executable, "-c", TOGETHER, str(one_more)]  # without the lock about one of five never ended
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["12", "True"]


class OneAtATime:
    """An engine that notes how many of its calls ran at once, first calls of threads and later ones."""

    def __init__(self) -> None:
        self.counting, self.running = threading.Lock(), 0
        self.most = {"first": 0, "later": 0}
        self.both = threading.Barrier(2)
        self.seen: set[int] = set()

    def infer(self, inputs: dict[str, Any], **how: Any) -> dict[int, Any]:
        later = threading.get_ident() in self.seen
        with self.counting:
            self.running += 1
            kind = "later" if later else "first"
            self.most[kind] = max(self.most[kind], self.running)
            self.seen.add(threading.get_ident())
        if later:
            self.both.wait(20)  # raises where later calls are kept apart too
        else:
            threading.Event().wait(0.05)
        with self.counting:
            self.running -= 1
        return {0: inputs["x"]}


def test_first_calls_come_one_after_another_and_later_ones_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = OneAtATime()

    class Made:
        inputs: list[Any] = []  # noqa: RUF012
        outputs = [type("Output", (), {"names": {"y"}})]  # noqa: RUF012

        def create_infer_request(self) -> OneAtATime:
            return engine

    class Core:
        def read_model(self, path: str) -> Made:
            return Made()

        def compile_model(self, model: Made, device: str, settings: dict[str, Any]) -> Made:
            return model

    monkeypatch.setattr(engines, "require", lambda *_: type("openvino", (), {"Core": Core}))
    network = engines.open_network("openvino", Path("one_more.xml"), "fp32", None, 2)
    begin = threading.Barrier(2)

    def twice(value: int) -> bool:
        given = np.full(3, value, np.float32)
        begin.wait(20)
        first = network({"x": given})["y"]
        begin.wait(20)
        return bool((first == given).all() and (network({"x": given})["y"] == given).all())

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(twice, range(2))) == [True, True]
    assert engine.most == {"first": 1, "later": 2}
