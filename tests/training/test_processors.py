"""A thread keeps the number of processors that it was given, whatever others set before it is used."""

import threading

import torch

from anomae.training.processors import use_processors


def test_a_thread_keeps_its_number() -> None:
    before, given, changed, found = torch.get_num_threads(), threading.Event(), threading.Event(), list[int]()

    def work() -> None:
        use_processors(3)
        given.set()
        changed.wait(60)
        found.append(torch.get_num_threads())

    thread = threading.Thread(target=work)
    thread.start()
    given.wait(60)
    use_processors(2)
    changed.set()
    thread.join()
    assert found == [3]
    assert torch.get_num_threads() == 2
    use_processors(before)
