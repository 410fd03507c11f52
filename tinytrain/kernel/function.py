"""Functions of the runtime beside the kernels: the state of training, replay, metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Function:
    """A C function that generated code may call.

    Attributes:
        name: of the function.
        source: the file that defines it: of `runtime_c/src`, or its header where it is inline.
        header: the file of `runtime_c/include` that declares it.
    """

    name: str
    source: str
    header: str


def _functions(source: str, header: str, *names: str) -> tuple[Function, ...]:
    return tuple(Function(name, source, header) for name in names)


FUNCTIONS = (
    *_functions("tt_step.c", "tt_kernels.h", "tt_set_rate", "tt_scales_begin", "tt_scales_end"),
    *_functions("tt_schedule.c", "tt_kernels.h", "tt_rate_at"),
    *_functions("tt_class_health.c", "tt_kernels.h", "tt_count_step", "tt_sum_classes"),
    *_functions("tt_class_health.c", "tinytrain.h", "tt_class_trend_of"),
    *_functions("tt_crc32.c", "tt_kernels.h", "tt_crc32"),
    *_functions(
        "tt_state.c",
        "tt_state.h",
        "tt_state_init",
        "tt_state_is_ready",
        "tt_state_wipe",
        "tt_state_save",
        "tt_state_check",
        "tt_state_load",
        "tt_state_load_old",
        "tt_state_save_samples",
        "tt_state_load_samples",
    ),
    *_functions(
        "tt_replay.c",
        "tt_replay.h",
        "tt_replay_choose",
        "tt_replay_commit",
        "tt_replay_draw",
        "tt_replay_clear",
    ),
    *_functions(
        "tt_replay_flash.c",
        "tt_replay.h",
        "tt_replay_flash_write",
        "tt_replay_flash_read",
        "tt_replay_flash_erase",
    ),
    *_functions("tt_rehearsal.c", "tt_rehearsal.h", "tt_rehearsal_choose"),
    *_functions(
        "tt_guard.c",
        "tt_guard.h",
        "tt_guard_rate",
        "tt_guard_is_due",
        "tt_guard_step",
        "tt_guard_look",
        "tt_guard_judge",
        "tt_guard_carry",
        "tt_guard_tell",
        "tt_guard_in_memory",
        "tt_guard_in_flash",
        "tt_sum_squares_s8",
    ),
    *_functions(
        "tt_enrol.c",
        "tt_enrol.h",
        "tt_enrol_code",
        "tt_means_add",
        "tt_means_forget",
        "tt_examples_add",
        "tt_examples_count",
        "tt_examples_forget",
        "tt_search_begin",
        "tt_search_codes",
        "tt_search_examples",
        "tt_search_means",
        "tt_search_end",
    ),
    *_functions("tt_pseudo.c", "tt_pseudo.h", "tt_pseudo_label", "tt_pseudo_count"),
    *_functions(
        "tt_follow.c", "tt_follow.h", "tt_follow_shift", "tt_follow_observe", "tt_follow_adjust"
    ),
    *_functions(
        "tt_anomaly.c",
        "tt_anomaly.h",
        "tt_anomaly_judge",
        "tt_anomaly_weight",
        "tt_anomaly_corrected",
    ),
    *_functions(
        "tt_anomaly_features.c",
        "tt_anomaly.h",
        "tt_anomaly_diagonal",
        "tt_anomaly_diagonal_learn",
        "tt_anomaly_deviation",
        "tt_anomaly_covariance",
        "tt_anomaly_covariance_learn",
    ),
    *_functions(
        "tt_portions.c",
        "tt_portions.h",
        "tt_step_advance",
        "tt_step_share",
        "tt_slice_of",
        "tt_part_positions",
        "tt_part_rows",
        "tt_part_grad_rows",
    ),
    *_functions("tt_line_buffer.h", "tt_line_buffer.h", "tt_stripe_roll", "tt_stripe_window"),
    *_functions(
        "tt_metrics.c",
        "tinytrain.h",
        "tt_metrics_reset",
        "tt_metrics_add",
        "tt_metrics_accuracy",
        "tt_metrics_balanced_accuracy",
        "tt_early_stop_reset",
        "tt_early_stop_add",
    ),
    *_functions(
        "tt_link.c",
        "tt_link.h",
        "tt_link_init",
        "tt_link_receives",
        "tt_link_poll",
        "tt_link_saw",
    ),
    *_functions("tt_link_lock.c", "tt_link.h", "tt_link_set_lock"),
    *_functions("tt_self_test.c", "tt_self_test.h", "tt_self_test_fill", "tt_self_test_crc"),
    *_functions(
        "tt_store.c",
        "tt_store.h",
        "tt_store_open",
        "tt_store_read",
        "tt_store_size",
        "tt_store_older",
        "tt_store_begin",
        "tt_store_write",
        "tt_store_commit",
        "tt_store_roll_back",
        "tt_store_erase",
    ),
    *_functions(
        "tt_signed.c",
        "tt_signed.h",
        "tt_signed_open",
        "tt_signed_read",
        "tt_signed_close",
        "tt_signed_begin",
        "tt_signed_write",
        "tt_signed_end",
    ),
)
"""One row for each."""
