"""Make the tables of operators with a kernel for MPS and for CUDA from PyTorch's published wheels.

    python tests/jobs/make_kernel_tables.py     # downloads 0.6 GB; needs the torch of requirements.txt

PyTorch registers each kernel through a function such as `wrapper_MPS_add_Tensor`. Its name stays in the
library's symbols, where a number before it gives its length.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

TABLES = Path(__file__).parent / "kernels"
VERSION = torch.__version__.partition("+")[0]


class Library(NamedTuple):
    """A library of a wheel that has the kernels of a device."""

    platform: str
    member: str


LIBRARIES = {
    "MPS": Library("macosx_14_0_arm64", "torch/lib/libtorch_cpu.dylib"),
    "CUDA": Library("manylinux_2_28_x86_64", "torch/lib/libtorch_cuda.so"),
}


def download(platform: str, folder: Path) -> Path:
    """Download the wheel of torch for a platform from pip's usual index."""
    target = folder / platform
    pip = [sys.executable, "-m", "pip", "download", f"torch=={VERSION}", "--no-deps", "--dest", str(target)]
    pip += ["--only-binary", ":all:", "--platform", platform, "--python-version", "3.13"]
    subprocess.run(pip, check=True)
    return next(target.glob("*.whl"))


def wrappers(library: bytes, device: str) -> Iterator[str]:
    """Yield the names of the registered functions in a library, without `wrapper_MPS_`."""
    prefix = f"wrapper_{device}_"
    for lengths, name in re.findall(rf"(\d+)({prefix}\w+)".encode(), library):
        # The digits of another name's end may precede those of the length.
        for start in range(len(lengths)):
            length = int(lengths[start:])
            if len(prefix) < length <= len(name):
                yield name[len(prefix) : length].decode()
                break


def wrapper_names(operator: str) -> set[str]:
    """Return the names that PyTorch's generator may give to the function of `aten::add.Tensor`."""
    name, _, overload = operator.removeprefix("aten::").partition(".")
    plain = f"{name}_{overload}" if overload else name
    return {plain, f"{name}_out_{overload}", f"{overload}_{name}", f"{overload}_{name}_out"}


def with_kernel(operators: Iterable[str], library: bytes, device: str) -> list[str]:
    """Return the operators that have a kernel in a library, sorted."""
    found = set(wrappers(library, device))
    return sorted(operator for operator in operators if not found.isdisjoint(wrapper_names(operator)))


def main() -> None:
    """Write a table for each device."""
    operators = [name for name in torch._C._dispatch_get_all_op_names() if name.startswith("aten::")]
    for device, (platform, member) in LIBRARIES.items():
        with tempfile.TemporaryDirectory() as folder:
            library = zipfile.ZipFile(download(platform, Path(folder))).read(member)
        names = with_kernel(operators, library, device)
        lines = [f"# torch {VERSION}, {device}: made by tests/jobs/make_kernel_tables.py", *names]
        (TABLES / f"{device.lower()}.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
