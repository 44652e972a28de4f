"""How many processors torch may use, thread by thread."""

import torch


def use_processors(count: int) -> None:
    """Let torch use so many in this thread, and in threads in which it is used for the first time from now on.

    At its first use in a thread torch takes the number that was set last, by any thread, even if this thread had set
    another before; so it is used here before it is told.
    """
    torch.get_num_threads()
    torch.set_num_threads(count)
