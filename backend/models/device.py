"""Which device and number format to compute with."""

from __future__ import annotations

import torch

from backend import settings
from backend.schema import Dtype, ModelError


def pick_device(preference: str = "auto") -> str:
    """`cuda`, `mps` or `cpu`: what TESSERA_DEVICE says, else `preference`, else the fastest."""
    name = settings.current().device or preference
    mps = torch.backends.mps.is_available()
    here = {"cuda": torch.cuda.is_available(), "mps": mps, "cpu": True}
    if name == "auto":
        return next(device for device, available in here.items() if available)
    if not here.get(name):
        raise ModelError(
            f"The device {name!r} is not available here.",
            f"Use one of {', '.join(d for d, available in here.items() if available)}, or auto.",
        )
    return name


def has_room(device: str) -> bool:
    """Whether half of an accelerator's own memory is free, for what another process has loaded
    into the rest; others share the machine's."""
    if device != "cuda":
        return True
    free, total = torch.cuda.mem_get_info()
    return free >= total / 2


def pick_dtype(device: str, preference: str = "auto") -> Dtype:
    """bfloat16 where the device multiplies it fast, float32 elsewhere; never float16, in which
    the residual stream of some models overflows."""
    name = settings.current().dtype or preference
    if name == "float32" or name == "bfloat16":
        return name
    if name != "auto":
        raise ModelError(f"The dtype {name!r} cannot be used.", "Use float32, bfloat16 or auto.")
    return "bfloat16" if fast_bfloat16(device) else "float32"


def fast_bfloat16(device: str) -> bool:
    """Whether bfloat16 products run faster than float32 ones."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device == "mps":
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
