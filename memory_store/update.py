"""The least-squares update of policy `fixed`, for many tenants in one call, by Woodbury's identity.

With rows W to write (α = 1) or forget (α = -1), their latents Z, and the solution Λ⁻¹ and M:

    G   = αΛ⁻¹Wᵀ(I + αWΛ⁻¹Wᵀ)⁻¹
    Λ⁻¹ ← Λ⁻¹ + G(0 - WΛ⁻¹)
    M   ← M + G(Z - WM)

With few rows all of it is passing over Λ⁻¹ and M, which are large. PyTorch passes over M from
memory twice, since WM must be known before M changes; update.c once. Without a compiler, on a GPU,
for matrices that caches hold, and for more rows, where arithmetic decides, PyTorch does it all.
`python -m memory_store.update` compiles at install.
"""

from __future__ import annotations

import ctypes
import logging
from functools import lru_cache
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from memory_store.compiled import Compiled, report

ROWS: Final = 16  # most that update.c takes
FEW: Final = 2**17  # numbers in Λ⁻¹ and M for each thread, up to which their caches hold them
LIBRARY: Final = Compiled(Path(__file__).with_name("update.c"), ("-ffp-contract=fast",))
log = logging.getLogger(__name__)


def update_many(
    inverse: Tensor, memory: Tensor, w: Tensor, z: Tensor, alpha: Tensor
) -> tuple[Tensor, Tensor]:
    """Updates of T tenants at once.

    inverse = Λ⁻¹ (T, K, K), memory = M (T, K, C), w (T, n, K), z (T, n, C), alpha (T, n) of ±1,
    0 where padded; float64, on any device. Λ⁻¹ and M are overwritten and returned: for many
    tenants, fresh memory for the results would cost several times the arithmetic.
    """
    large = inverse.numel() + memory.numel() > FEW * torch.get_num_threads()
    pays = large and w.shape[1] <= ROWS and all(map(_plain, (inverse, memory, w, z)))
    native = library() if pays else None
    if native is None:
        return update_in_torch(inverse, memory, w, z, alpha)
    nothing, seen = torch.zeros_like(w), torch.empty_like(w)
    native.update(_problem(inverse, w, nothing), None, _at(seen))  # 0 - WΛ⁻¹
    gain = _update_inverse(inverse, seen.neg_(), w, alpha)
    native.update(_problem(memory, w, z), _at(gain), None)
    return inverse, memory


def update_in_torch(
    inverse: Tensor, memory: Tensor, w: Tensor, z: Tensor, alpha: Tensor
) -> tuple[Tensor, Tensor]:
    """The same, on any machine."""
    gain = _update_inverse(inverse, (inverse @ w.mT).mT, w, alpha)
    residual = torch.baddbmm(z, w, memory, alpha=-1)  # (T, n, C): Z - WM
    return inverse, memory.baddbmm_(gain, residual)


def _update_inverse(inverse: Tensor, seen: Tensor, w: Tensor, alpha: Tensor) -> Tensor:
    """Λ⁻¹ in place, with `seen` = WΛ⁻¹ (T, n, K). Returns G (T, K, n)."""
    eye = torch.eye(w.shape[1], dtype=w.dtype, device=w.device)
    small = eye + alpha[:, :, None] * (w @ seen.mT)  # (T, n, n): I + αWΛ⁻¹Wᵀ
    gain: Tensor = torch.linalg.solve(small.mT, seen).mT * alpha[:, None, :]
    inverse.baddbmm_(gain, seen, alpha=-1)
    return gain.contiguous()


def _plain(x: Tensor) -> bool:
    """Whether it lies in memory as update.c wants it."""
    return x.device.type == "cpu" and x.dtype == torch.float64 and x.is_contiguous()


class _Problem(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("x", "w", "z")] + [
        (name, ctypes.c_int64) for name in ("tenants", "n", "k", "c")
    ]


def _problem(x: Tensor, w: Tensor, z: Tensor) -> _Problem:
    return _Problem(_at(x), _at(w), _at(z), len(x), w.shape[1], x.shape[1], x.shape[2])


def _at(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The library, built if need be; None, and one line in the log, where it cannot be had."""
    native = LIBRARY.optional("updating", log)
    if native is not None:
        native.update.restype = None
        native.update.argtypes = [ctypes.POINTER(_Problem), ctypes.c_void_p, ctypes.c_void_p]
    return native


if __name__ == "__main__":
    report("native updates", LIBRARY)
