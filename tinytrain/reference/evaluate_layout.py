"""What the reference computes where nothing but the layout changes."""

from __future__ import annotations

import numpy as np

from tinytrain.ir.graph import Node
from tinytrain.reference import layout
from tinytrain.reference.evaluation import Arrays, evaluates, float_form
from tinytrain.reference.machine import MachineState


@evaluates("concatenate")
def _concatenate(machine: MachineState, node: Node, *parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts, axis=node.attrs["axis"])


@float_form("concatenate")
def _concatenate_f32(node: Node, args: Arrays) -> np.ndarray:
    return np.concatenate(args, axis=node.attrs["axis"])


@evaluates("reshape")
def _reshape(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    return x.reshape(node.output.type.shape)


@float_form("reshape")
def _reshape_f32(node: Node, args: Arrays) -> np.ndarray:
    shape = node.output.type.shape
    # The leading 1 of the type stands for the samples.
    if args[0].size != node.output.type.size:
        return args[0].reshape(-1, *shape[1:])
    return args[0].reshape(shape)


@evaluates("transpose")
def _transpose(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    return layout.transpose(x, node.attrs["axes"])


@float_form("transpose")
def _transpose_f32(node: Node, args: Arrays) -> np.ndarray:
    return args[0].transpose(node.attrs["axes"])


@evaluates("gather_channels")
def _gather_channels(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    return layout.gather_channels(x, node.attrs["channels"])


@evaluates("slice")
def _slice(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    return layout.cut(x, node.attrs["axis"], layout.places(node, node.attrs["size"]))


@float_form("slice")
def _slice_f32(node: Node, args: Arrays) -> np.ndarray:
    return layout.cut(args[0], node.attrs["axis"], layout.places(node, node.attrs["size"]))


@evaluates("pad")
def _pad(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    return layout.pad(x, node)


@float_form("pad")
def _pad_f32(node: Node, args: Arrays) -> np.ndarray:
    return layout.pad(args[0], node)


@evaluates("merge_channels")
def _merge_channels(
    machine: MachineState, node: Node, trained: np.ndarray, frozen: np.ndarray
) -> np.ndarray:
    axis, shape = node.attrs["axis"], node.output.type.shape
    merged = np.empty(shape, trained.dtype)
    chosen = np.zeros(shape[axis], bool)
    chosen[list(node.attrs["channels"])] = True
    view = np.moveaxis(merged, axis, 0)
    view[chosen] = np.moveaxis(trained, axis, 0)
    view[~chosen] = np.moveaxis(frozen, axis, 0)
    return merged
