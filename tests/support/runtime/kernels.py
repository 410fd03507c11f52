"""The gradient kernels behind the signatures of their NumPy twins."""

from __future__ import annotations

import ctypes as c
from typing import Any

import numpy as np

from tests.support.runtime.forward import ForwardKernels
from tests.support.runtime.memory import (
    Block,
    Channels,
    Rescale,
    Trained,
    Update,
    blank,
    broadcast,
    conv_window,
    depthwise_parts,
    factors_of,
    pool_window,
    segments_of,
    size,
    struct_of,
    workspace_of,
)

SUFFIX = {np.dtype(np.int8): "s8", np.dtype(np.int16): "s16", np.dtype(np.float32): "f32"}


class Kernels(ForwardKernels):
    """One compiled runtime, gradients included. `rescale` is None for float32 gradients."""

    def quantize_gradient(self, g: np.ndarray, dtype: Any) -> tuple[np.ndarray, int, bool]:
        """In place: the integers overwrite the floats."""
        block, n = Block(g), c.c_int32(77)
        name = f"quantize_gradient_{SUFFIX[np.dtype(dtype)]}"
        active = self.call(name, size(g.size), block, block, c.byref(n), restype=c.c_int)
        integers = np.frombuffer(block.read().tobytes(), dtype)[: g.size].reshape(g.shape)
        return integers, n.value, bool(active)

    def grad_clamp(self, g: np.ndarray, y: np.ndarray, clamp: tuple[int, int]) -> np.ndarray:
        """In place."""
        out = Block(g)
        self.call(f"grad_clamp_{SUFFIX[g.dtype]}", size(g.size), *clamp, out, Block(y), out)
        return out.read()

    def grad_clamp_mask(self, g: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """In place."""
        out = Block(g)
        self.call(f"grad_clamp_mask_{SUFFIX[g.dtype]}", size(g.size), out, Block(mask), out)
        return out.read()

    def negate(self, g: np.ndarray) -> np.ndarray:
        """In place."""
        out = Block(g)
        self.call(f"negate_{SUFFIX[g.dtype]}", size(g.size), out, out)
        return out.read()

    def grad_add(
        self, a: np.ndarray, b: np.ndarray, rescale: Rescale | None, b_exponent: int
    ) -> np.ndarray:
        """In place: the sum overwrites b."""
        out = Block(b)
        name = f"grad_add_{SUFFIX[a.dtype]}"
        self.call(name, size(a.size), struct_of(rescale), b_exponent, Block(a), out, out)
        return out.read()

    def conv2d_grad_input(
        self,
        g: np.ndarray,
        w: np.ndarray,
        factors: np.ndarray,
        input_shape: tuple[int, ...],
        rescale: Rescale | None,
        *,
        segments: Channels | None = None,
        columns: range | None = None,
        workspace_bytes: int | None = None,
        **geometry: Any,
    ) -> np.ndarray:
        """`workspace_bytes`: None is as many as the kernel can use. `columns`: of the weights, if
        `input_shape` has a slice of the channels."""
        window, _ = conv_window(input_shape, w, **geometry)
        table, kept = segments_of(w, segments, columns)
        held, dx = factors_of(factors), blank(g.dtype, input_shape)
        name = f"conv2d_{SUFFIX[g.dtype]}_grad_input"
        most = workspace_of(name, window, g.dtype)
        workspace = most if workspace_bytes is None else blank(np.uint8, (workspace_bytes,))
        self.call(
            name, window, table, size(len(table)), held[0], struct_of(rescale), Block(g), dx,
            workspace, size(workspace.size),
        )  # fmt: skip
        del kept
        return dx.read()

    def round_sums(self, sums: np.ndarray, rescale: Rescale, dtype: Any) -> np.ndarray:
        """The gradient from the sums of slices."""
        dx = blank(dtype, sums.shape)
        name = f"round_sums_{SUFFIX[np.dtype(dtype)]}"
        self.call(name, size(sums.size), struct_of(rescale), Block(sums), dx)
        return dx.read()

    def depthwise_conv2d_grad_input(
        self,
        g: np.ndarray,
        w: np.ndarray,
        factors: np.ndarray,
        input_shape: tuple[int, ...],
        rescale: Rescale | None,
        *,
        parts: Channels | None = None,
        in_place: bool = False,
        **geometry: Any,
    ) -> np.ndarray:
        window, _ = conv_window(input_shape, w, **geometry)
        held, g_block = factors_of(factors), Block(g)
        dx = g_block if in_place else blank(g.dtype, input_shape)
        name = f"depthwise_conv2d_{SUFFIX[g.dtype]}_grad_input"
        workspace = workspace_of(name, window, g.dtype)
        for listed, weights in depthwise_parts(w, parts):
            self.call(
                name, window, weights, listed, size(weights.shape[0]), held[0],
                struct_of(rescale), g_block, dx, workspace,
            )  # fmt: skip
        return dx.read()

    def conv2d_grad_weight(
        self,
        x: np.ndarray,
        g: np.ndarray,
        x_zero: int,
        update: Update,
        weights: np.ndarray,
        fraction: np.ndarray | None,
        *,
        depthwise: bool = False,
        **geometry: Any,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The weights and their fraction after the update; `kernel` comes from the weights."""
        window, _ = conv_window(x.shape, weights, **geometry)
        trained = Trained(weights, fraction, update.bits)
        structs = update.struct(), update.step()
        name = f"{'depthwise_' if depthwise else ''}conv2d_{SUFFIX[g.dtype]}_grad_weight"
        workspace = workspace_of(name, window, g.dtype)
        self.call(name, window, *structs, x_zero, Block(x), Block(g), trained.struct, workspace)
        return trained.read()

    def bias_grad(self, g: np.ndarray, update: Update, bias: np.ndarray) -> np.ndarray:
        """The bias after the update."""
        out, channels = Block(bias), g.shape[-1]
        sizes = size(g.size // channels), size(channels)
        self.call(
            f"bias_{SUFFIX[g.dtype]}_grad", *sizes, update.struct(), update.step(), Block(g), out
        )
        return out.read()

    def avg_pool2d_grad(
        self,
        g: np.ndarray,
        factors: np.ndarray,
        input_shape: tuple[int, ...],
        kernel: tuple[int, int],
        rescale: Rescale | None,
        *,
        count_include_pad: bool,
        **geometry: Any,
    ) -> np.ndarray:
        window, _ = pool_window(input_shape, kernel, **geometry)
        held, dx = factors_of(factors), blank(g.dtype, input_shape)
        name = f"avg_pool2d_{SUFFIX[g.dtype]}_grad"
        self.call(name, window, held[0], int(count_include_pad), struct_of(rescale), Block(g), dx)
        return dx.read()

    def max_pool2d_grad(
        self,
        g: np.ndarray,
        winner: np.ndarray,
        input_shape: tuple[int, ...],
        kernel: tuple[int, int],
        rescale: Rescale | None,
        **geometry: Any,
    ) -> np.ndarray:
        window, _ = pool_window(input_shape, kernel, **geometry)
        dx = blank(g.dtype, input_shape)
        name = f"max_pool2d_{SUFFIX[g.dtype]}_grad"
        self.call(name, window, struct_of(rescale), Block(g), Block(winner), dx)
        return dx.read()

    def lookup_grad(
        self, g: np.ndarray, x: np.ndarray, table: np.ndarray, rescale: Rescale | None
    ) -> np.ndarray:
        """In place."""
        dx = Block(g)
        name = f"lookup_{SUFFIX[g.dtype]}_grad"
        self.call(name, Block(table), size(g.size), struct_of(rescale), dx, Block(x), dx)
        return dx.read()

    def multiply_grad(
        self,
        g: np.ndarray,
        other: np.ndarray,
        other_zero: int,
        mu: int,
        scale: float,
        rescale: Rescale | None,
    ) -> np.ndarray:
        """In place."""
        da = Block(g)
        name = f"multiply_{SUFFIX[g.dtype]}_grad"
        self.call(
            name,
            *broadcast(g, other),
            other_zero,
            mu,
            float(scale),
            struct_of(rescale),
            da,
            Block(other),
            da,
        )
        return da.read()

    def l2_normalize_grad(
        self,
        g: np.ndarray,
        x: np.ndarray,
        zero: int,
        inverse: int,
        scale: float,
        rescale: Rescale | None,
    ) -> np.ndarray:
        """In place."""
        dx = Block(g)
        rows, channels = size(x.size // x.shape[-1]), size(x.shape[-1])
        factors = c.c_uint64(inverse), float(np.float32(1.0 / scale)), struct_of(rescale)
        name = f"l2_normalize_{SUFFIX[g.dtype]}_grad"
        self.call(name, rows, channels, zero, *factors, dx, Block(x), dx)
        return dx.read()

    def multiply_grad_broadcast(
        self,
        g: np.ndarray,
        other: np.ndarray,
        other_zero: int,
        mu: int,
        scale: float,
        rescale: Rescale | None,
        *,
        per_channel: bool,
    ) -> np.ndarray:
        channels = g.shape[-1]
        db = blank(g.dtype, (channels if per_channel else 1,))
        sizes = size(g.size // channels), size(channels), size(int(per_channel))
        name = f"multiply_{SUFFIX[g.dtype]}_grad_broadcast"
        self.call(
            name,
            *sizes,
            other_zero,
            mu,
            float(scale),
            struct_of(rescale),
            Block(g),
            Block(other),
            db,
        )
        return db.read()
