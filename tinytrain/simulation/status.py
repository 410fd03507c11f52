"""What the C functions return."""

from __future__ import annotations

STATUS = (
    "TT_OK",
    "TT_ERROR_LABEL",
    "TT_ERROR_TARGET",
    "TT_ERROR_RATE",
    "TT_ERROR_IO",
    "TT_ERROR_FORMAT",
    "TT_ERROR_MODEL",
    "TT_ERROR_CRC",
    "TT_ERROR_LOSS",
    "TT_ERROR_EMPTY",
    "TT_ERROR_ROWS",
    "TT_ERROR_STOPPED",
    "TT_ERROR_RESET",
    "TT_ERROR_SPACE",
    "TT_ERROR_SELF_TEST",
    "TT_ERROR_SIGNATURE",
    "TT_ERROR_OLD",
    "TT_ERROR_STATE",
    "TT_ERROR_STEP",
    "TT_MORE",
    "TT_PARTLY",
)
"""`tt_status` of tinytrain.h, by value."""
