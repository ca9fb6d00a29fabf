"""One thread inside, as many as before outside."""

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from emulant.threads import one_thread


def linear_algebra() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))  # loaded by then
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def stopped() -> None:
    with one_thread():
        assert torch.get_num_threads() == 1
        assert linear_algebra() == {1}
        raise RuntimeError("stop")


def test_inside_is_one_thread_and_outside_as_many_as_before() -> None:
    before = torch.get_num_threads(), linear_algebra()
    torch.set_num_threads(2)
    try:
        with pytest.raises(RuntimeError, match="stop"):
            stopped()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before[0])
    assert linear_algebra() == before[1]
